"""Descriptions of the fields of LlamaIndex's own classes, some of which have none."""

from collections.abc import Mapping

from ollama_transport.client import described

CORE_FIELDS: Mapping[str, str] = {
    "callback_manager": "Receives the events of each call; by default a new one without handlers.",
    "pydantic_program_mode": "How structured answers are made: DEFAULT constrains the "
    "answer to the schema, FUNCTION makes the model call a tool, LLM reads the answer's text.",
}

core_fields_described = described(CORE_FIELDS)
