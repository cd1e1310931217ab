"""The error for a tool that is not a function."""

from collections.abc import Mapping
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.schema.notes import as_json

_KINDS_OF_FUNCTIONS = ("function", "custom", "object")


def not_a_function(tool: Mapping[str, Any]) -> ConfigError:
    """Return (not raise) the error for a tool that is not a function, such as a provider's own."""
    kind = tool.get("type")
    if isinstance(kind, str) and kind not in _KINDS_OF_FUNCTIONS:
        return ConfigError(
            f"the tool {as_json(tool):.200} is of type {kind!r:.80}, not a function: this server "
            "has no tools that a provider runs (web_search, code_interpreter, …); give a function "
            "in the OpenAI form instead."
        )
    return ConfigError(
        f"invalid tool {as_json(tool):.200}: give the OpenAI form "
        '{"type": "function", "function": {"name": …, "description": …, "parameters": {…}}}.'
    )
