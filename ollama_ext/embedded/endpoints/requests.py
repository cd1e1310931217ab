"""The bodies of the native endpoints, field by field (wire reference 3 to 5)."""

from typing import Any

from ollama_ext.embedded.protocol.decoding import (
    FLAG,
    MAYBE_FLAG,
    OBJECT,
    TEXT,
    WHOLE,
    Decoder,
    Struct,
    anything,
    blob,
    list_of,
)
from ollama_ext.embedded.protocol.failures import WireError
from ollama_ext.embedded.protocol.options import keep_alive

_LEVELS = '"high", "medium", "low", "max", true, or false'


def _think(value: object, _path: str) -> object:
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise WireError(400, f"think must be a boolean or string ({_LEVELS})")
    if value not in ("high", "medium", "low", "max"):
        raise WireError(400, f'invalid think value: "{value}" (must be {_LEVELS})')
    return value


def _arguments(value: object, _path: str) -> object:
    if value is None or isinstance(value, dict):
        return value if value is not None else {}
    # The words are those of the parser that reads arguments in Ollama.
    raise WireError(400, "Value looks like object, but can't find closing '}' symbol")


def _property(value: object, path: str) -> dict[str, Any]:
    # Keywords that Ollama does not know are dropped here, as it drops them (3.4).
    schema = _PROPERTY(value, path)
    return {key: item for key, item in schema.items() if item not in (None, "", [], {})}


def _properties(value: object, path: str) -> dict[str, Any]:
    given = OBJECT(value, path) or {}
    return {name: _property(item, path) for name, item in given.items()}


# A type may be a list of types; a single one has to be a text.
def _type_name(value: object, path: str) -> object:
    return value if isinstance(value, list) else TEXT(value, path)


def texts(names: str) -> dict[str, Decoder]:
    """Return the decoders of fields of text, from their names with blanks between."""
    return dict.fromkeys(names.split(), TEXT)


_NAMES = list_of(TEXT, "[]string")
# All else never reaches the model (wire reference 3.4): default, $ref, oneOf, ...
_PROPERTY = Struct(
    "api.ToolProperty",
    {
        "anyOf": list_of(_property, "[]api.ToolProperty"),
        "type": _type_name,
        "items": anything,
        "description": TEXT,
        "enum": list_of(anything, "[]interface {}"),
        "properties": _properties,
        "required": _NAMES,
    },
)
_PARAMETERS = Struct(
    "api.ToolFunctionParameters",
    {
        "type": TEXT,
        "$defs": anything,
        "items": anything,
        "required": _NAMES,
        "properties": _properties,
    },
)
_FUNCTION = Struct("api.ToolFunction", texts("name description") | {"parameters": _PARAMETERS})
TOOL = Struct("api.Tool", {"type": TEXT, "items": anything, "function": _FUNCTION})
_CALLED = Struct("api.ToolCallFunction", {"index": WHOLE, "name": TEXT, "arguments": _arguments})
_CALL = Struct("api.ToolCall", {"id": TEXT, "function": _CALLED})
_IMAGES = list_of(blob, "[]api.ImageData")
_MESSAGE = Struct(
    "api.Message",
    texts("role content thinking tool_name tool_call_id")
    | {"images": _IMAGES, "tool_calls": list_of(_CALL, "[]api.ToolCall")},
)
_MESSAGES = list_of(_MESSAGE, "[]api.Message")
_LOAD: dict[str, Decoder] = {"model": TEXT, "keep_alive": keep_alive, "options": OBJECT}
# What chat and generate have in common.
_RUN: dict[str, Decoder] = _LOAD | {
    "stream": MAYBE_FLAG,
    "format": anything,
    "think": _think,
    "truncate": MAYBE_FLAG,
    "shift": MAYBE_FLAG,
    "logprobs": FLAG,
    "_debug_render_only": FLAG,
    "top_logprobs": WHOLE,
}
CHAT = Struct(
    "api.ChatRequest", _RUN | {"messages": _MESSAGES, "tools": list_of(TOOL, "api.Tools")}
)
GENERATE = Struct(
    "api.GenerateRequest",
    _RUN
    | texts("prompt suffix system template")
    | {"context": list_of(WHOLE, "[]int"), "raw": FLAG, "images": _IMAGES},
)
EMBED = Struct(
    "api.EmbedRequest",
    _LOAD | {"input": anything, "truncate": MAYBE_FLAG, "dimensions": WHOLE},
)
EMBEDDINGS = Struct("api.EmbeddingRequest", _LOAD | {"prompt": TEXT})
SHOW = Struct("api.ShowRequest", texts("model name system") | {"verbose": FLAG, "options": OBJECT})
COPY = Struct("api.CopyRequest", texts("source destination"))
DELETE = Struct("api.DeleteRequest", texts("model name"))
# A push has the same fields.
PULL = Struct("api.PullRequest", texts("model name") | {"insecure": FLAG, "stream": MAYBE_FLAG})
CREATE = Struct(
    "api.CreateRequest",
    texts("model name from template system quantize renderer parser requires")
    | dict.fromkeys(("files", "adapters", "parameters"), OBJECT)
    | {"license": anything, "messages": _MESSAGES, "stream": MAYBE_FLAG},
)
