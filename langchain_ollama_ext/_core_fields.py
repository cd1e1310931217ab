"""What the fields mean that langchain-core's classes bring, which do not describe them all."""

from collections.abc import Mapping

from ollama_transport.client import described

CORE_FIELDS: Mapping[str, str] = {
    "name": "The name of this object in traces; None takes the name of its class.",
    "cache": "Where answers are cached: a cache, True for langchain-core's global one, False for "
    "none, or None for the global one if there is one. Models and options are kept apart.",
    "verbose": "Whether langchain-core prints what is sent and answered; None asks its global "
    "setting.",
    "callbacks": "Handlers of the events of every call, besides those of the call itself.",
    "tags": "Tags of every run in traces.",
    "metadata": "Metadata of every run in traces.",
    "custom_get_token_ids": "A function from a text to the ids of its tokens, which counts in "
    "place of the model's own count.",
    "rate_limiter": "Is asked for leave before each call; `requests_per_minute` needs no object "
    "and also holds across models.",
    "disable_streaming": "Whether a stream is asked for as a whole answer: True, False, or "
    '"tool_calling" for calls with tools alone.',
    "output_version": 'The form of content: "v0" as langchain-ollama has it, "v1" blocks of '
    "langchain-core. None asks LC_OUTPUT_VERSION.",
    "profile": "What is known of the model, such as its context length and whether it calls "
    "tools; None until it is known.",
}

core_fields_described = described(CORE_FIELDS)
