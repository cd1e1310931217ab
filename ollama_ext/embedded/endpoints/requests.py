"""The bodies of the native endpoints, field by field (wire reference 3 to 5)."""

from dataclasses import dataclass

from ollama_ext.embedded.protocol.decoding import (
    ANYTHING,
    FLAG,
    MAYBE_FLAG,
    OBJECT,
    TEXT,
    WHOLE,
    Blob,
    Decoder,
    ListOf,
    Struct,
)
from ollama_ext.embedded.protocol.durations import parse_keep_alive
from ollama_ext.embedded.protocol.failures import WireError

_LEVELS = '"high", "medium", "low", "max", true, or false'


@dataclass(frozen=True, slots=True)
class _KeepAlive:
    def decode(self, value: object, _path: str, /) -> object:
        return parse_keep_alive(value)


@dataclass(frozen=True, slots=True)
class _Think:
    def decode(self, value: object, _path: str, /) -> object:
        if value is None or isinstance(value, bool):
            return value
        if not isinstance(value, str):
            raise WireError(400, f"think must be a boolean or string ({_LEVELS})")
        if value not in ("high", "medium", "low", "max"):
            raise WireError(400, f'invalid think value: "{value}" (must be {_LEVELS})')
        return value


# The words are those of the parser that reads arguments in Ollama.
@dataclass(frozen=True, slots=True)
class _Arguments:
    def decode(self, value: object, _path: str, /) -> object:
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        raise WireError(400, "Value looks like object, but can't find closing '}' symbol")


@dataclass(frozen=True, slots=True)
class _Property:
    def decode(self, value: object, path: str, /) -> object:
        # Keywords that Ollama does not know are dropped here, as it drops them (3.4).
        schema = PROPERTY.decode(value, path)
        return {key: item for key, item in schema.items() if item not in (None, "", [], {})}


@dataclass(frozen=True, slots=True)
class _Properties:
    def decode(self, value: object, path: str, /) -> object:
        given = OBJECT.decode(value, path)
        if not isinstance(given, dict):
            return {}
        return {name: _Property().decode(item, path) for name, item in given.items()}


# A type may be a list of types; a single one has to be a text.
@dataclass(frozen=True, slots=True)
class _TypeName:
    def decode(self, value: object, path: str, /) -> object:
        return value if isinstance(value, list) else TEXT.decode(value, path)


# All else never reaches the model (wire reference 3.4): default, $ref, oneOf, ...
PROPERTY = Struct(
    "api.ToolProperty",
    {
        "anyOf": ListOf(_Property(), "[]api.ToolProperty"),
        "type": _TypeName(),
        "items": ANYTHING,
        "description": TEXT,
        "enum": ListOf(ANYTHING, "[]interface {}"),
        "properties": _Properties(),
        "required": ListOf(TEXT, "[]string"),
    },
)
_PARAMETERS = Struct(
    "api.ToolFunctionParameters",
    {
        "type": TEXT,
        "$defs": ANYTHING,
        "items": ANYTHING,
        "required": ListOf(TEXT, "[]string"),
        "properties": _Properties(),
    },
)
_FUNCTION = Struct(
    "api.ToolFunction", {"name": TEXT, "description": TEXT, "parameters": _PARAMETERS}
)
TOOL = Struct("api.Tool", {"type": TEXT, "items": ANYTHING, "function": _FUNCTION})
_CALL = Struct(
    "api.ToolCall",
    {
        "id": TEXT,
        "function": Struct(
            "api.ToolCallFunction", {"index": WHOLE, "name": TEXT, "arguments": _Arguments()}
        ),
    },
)
MESSAGE = Struct(
    "api.Message",
    {
        "role": TEXT,
        "content": TEXT,
        "thinking": TEXT,
        "images": ListOf(Blob(), "[]api.ImageData"),
        "tool_calls": ListOf(_CALL, "[]api.ToolCall"),
        "tool_name": TEXT,
        "tool_call_id": TEXT,
    },
)
# What chat and generate have in common.
_RUN: dict[str, Decoder] = {
    "stream": MAYBE_FLAG,
    "format": ANYTHING,
    "keep_alive": _KeepAlive(),
    "options": OBJECT,
    "think": _Think(),
    "truncate": MAYBE_FLAG,
    "shift": MAYBE_FLAG,
    "logprobs": FLAG,
    "top_logprobs": WHOLE,
    "_debug_render_only": FLAG,
}
CHAT = Struct(
    "api.ChatRequest",
    {
        "model": TEXT,
        "messages": ListOf(MESSAGE, "[]api.Message"),
        "tools": ListOf(TOOL, "api.Tools"),
        **_RUN,
    },
)
GENERATE = Struct(
    "api.GenerateRequest",
    {
        "model": TEXT,
        "prompt": TEXT,
        "suffix": TEXT,
        "system": TEXT,
        "template": TEXT,
        "context": ListOf(WHOLE, "[]int"),
        "raw": FLAG,
        "images": ListOf(Blob(), "[]api.ImageData"),
        **_RUN,
    },
)
EMBED = Struct(
    "api.EmbedRequest",
    {
        "model": TEXT,
        "input": ANYTHING,
        "truncate": MAYBE_FLAG,
        "dimensions": WHOLE,
        "keep_alive": _KeepAlive(),
        "options": OBJECT,
    },
)
EMBEDDINGS = Struct(
    "api.EmbeddingRequest",
    {"model": TEXT, "prompt": TEXT, "keep_alive": _KeepAlive(), "options": OBJECT},
)
SHOW = Struct(
    "api.ShowRequest",
    {"model": TEXT, "name": TEXT, "system": TEXT, "verbose": FLAG, "options": OBJECT},
)
COPY = Struct("api.CopyRequest", {"source": TEXT, "destination": TEXT})
DELETE = Struct("api.DeleteRequest", {"model": TEXT, "name": TEXT})
# A push has the same fields.
PULL = Struct(
    "api.PullRequest", {"model": TEXT, "name": TEXT, "insecure": FLAG, "stream": MAYBE_FLAG}
)
CREATE = Struct(
    "api.CreateRequest",
    {
        "model": TEXT,
        "name": TEXT,
        "from": TEXT,
        "files": OBJECT,
        "adapters": OBJECT,
        "template": TEXT,
        "system": TEXT,
        "license": ANYTHING,
        "parameters": OBJECT,
        "messages": ListOf(MESSAGE, "[]api.Message"),
        "quantize": TEXT,
        "renderer": TEXT,
        "parser": TEXT,
        "requires": TEXT,
        "stream": MAYBE_FLAG,
    },
)
WEB_SEARCH = Struct("api.WebSearchRequest", {"query": TEXT, "max_results": WHOLE})
WEB_FETCH = Struct("api.WebFetchRequest", {"url": TEXT})
