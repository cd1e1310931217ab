"""What the fields mean that LlamaIndex's classes bring, which do not describe them all."""

from collections.abc import Mapping

from ollama_transport.client import described

CORE_FIELDS: Mapping[str, str] = {
    "callback_manager": "Is told of each call; a new one without handlers by default.",
    "pydantic_program_mode": "How structured answers are made: DEFAULT holds the answer to the "
    "schema, FUNCTION makes the model call a tool, LLM reads the answer's text.",
}

core_fields_described = described(CORE_FIELDS)
