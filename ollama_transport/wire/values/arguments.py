"""Parse the arguments of a tool call where their meaning is certain: pure, for both wires.

Models and servers write them in odd ways: JSON inside JSON, in a code fence, with a comma too many.
Anything uncertain stays text, so that no tool runs with incomplete arguments.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ollama_transport.settings.values import MAPPINGS
from ollama_transport.wire.values.argument_stream import ArgumentStream
from ollama_transport.wire.values.messages import Message, ToolCall, json_text

MAX_LAYERS = 8
"""How many layers of JSON nested in JSON strings are parsed."""

MAX_PYTHON = 20_000
"""How many characters of a Python literal are parsed; that parser is slower than JSON's."""

CUT_ERROR = "the answer ended inside the arguments"
UNREADABLE_ERROR = "the arguments are not a JSON object"

_NOTHING = frozenset({"", "null", "none", "nil", "undefined", "[]", "()", "{}", "false", "n/a"})
_ECHO = "functionName"
# What a server may leave behind the object: a bracket too many, and the marks of a template.
_LEFTOVERS = re.compile(r"(?:\s|[}\]]|<\|[^|<>]{1,40}\|>|</\w{1,40}>|`)*+")


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the reader of an answer must know about its request.

    ``parameters`` are the names of each tool's parameters; ``turn`` distinguishes this request
    from the others of its conversation.
    """

    parameters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    turn: str = ""

    def has_parameters(self, name: str) -> bool:
        """Return whether a tool has parameters; True for an unknown tool."""
        return bool(self.parameters.get(name, True))


NOTHING_KNOWN = RequestFacts()


def facts_of(tools: Sequence[Mapping[str, Any]], messages: Sequence[Message]) -> RequestFacts:
    """Return what the reader of an answer must know about its request."""
    functions = [tool.get("function") for tool in tools]
    named = {
        str(function.get("name")): _parameters(function.get("parameters"))
        for function in functions
        if isinstance(function, MAPPINGS)
    }
    return RequestFacts(
        {name: found for name, found in named.items() if found is not None}, turn(messages)
    )


def turn(messages: Sequence[Message]) -> str:
    """Return a key that distinguishes a request from the others of its conversation."""
    if not messages:
        return "0"
    last = messages[-1]
    # surrogatepass: models may write half of a surrogate pair, which UTF-8 cannot encode.
    said = f"{last.role}|{last.content}|{last.tool_call_id}".encode("utf-8", "surrogatepass")
    return f"{len(messages)}|{hashlib.blake2b(said, digest_size=8).hexdigest()}"


def _parameters(schema: object) -> frozenset[str] | None:
    """Return the names of a tool's parameters; None if the schema does not list them."""
    if schema is None:
        return frozenset()
    properties = schema.get("properties", {}) if isinstance(schema, MAPPINGS) else None
    if not isinstance(schema, MAPPINGS) or not isinstance(properties, MAPPINGS):
        return None
    others = ("$ref", "allOf", "anyOf", "oneOf", "patternProperties")
    # Such a schema may allow parameters that it does not list.
    if not properties and (any(key in schema for key in others) or _is_open(schema)):
        return None
    return frozenset(properties)


def _is_open(schema: Mapping[str, Any]) -> bool:
    return schema.get("additionalProperties", False) is not False


def read_arguments(value: object, name: str = "", asked: RequestFacts | None = None) -> Any:
    """Return arguments as an object if they certainly are one, otherwise unchanged as text.

    None and blank text mean no arguments. For a tool without parameters, so do other words for
    nothing (null, None, []), and empty values are ignored. A ``functionName`` that echoes the
    tool's name is ignored, unless the tool has such a parameter.
    """
    found = value if isinstance(value, Mapping) else _decoded(value)
    known = None if asked is None else asked.parameters.get(name)
    if found is None:
        text = value if isinstance(value, str) else json_text(value)
        return {} if known is not None and not known and _is_nothing(text) else text
    if found.get(_ECHO) == name and _ECHO not in (known or ()):
        found = {key: argument for key, argument in found.items() if key != _ECHO}
    if known is None or known:
        return found
    return {key: argument for key, argument in found.items() if not _is_void(argument)}


def _is_void(value: object) -> bool:
    return value is None or (isinstance(value, str | Mapping | list) and not value)


def refined(
    calls: Sequence[ToolCall], asked: RequestFacts, *, is_cut: bool = False
) -> list[ToolCall]:
    """Return calls with their arguments parsed for the tools that were offered.

    If the answer was cut, a last call without any arguments is treated as cut as well.
    """
    read = [
        replace(call, arguments=read_arguments(call.arguments, call.name, asked)) for call in calls
    ]
    if is_cut and read and _is_blank(calls[-1]) and asked.has_parameters(read[-1].name):
        read[-1] = replace(read[-1], arguments="", error=CUT_ERROR)
    return [_explained(call, is_cut) for call in read]


def _is_blank(call: ToolCall) -> bool:
    return isinstance(call.arguments, str) and not call.arguments.strip()


def _explained(call: ToolCall, is_cut: bool) -> ToolCall:
    if call.error is not None or isinstance(call.arguments, Mapping):
        return call
    return replace(call, error=CUT_ERROR if is_cut else UNREADABLE_ERROR)


def parted(calls: Iterable[ToolCall]) -> Iterator[ToolCall]:
    """Yield the calls, and one for each further object in a call's arguments, as in a stream."""
    for call in calls:
        text = call.arguments
        while isinstance(text, str):
            stream = ArgumentStream()
            _, rest = stream.feed(text)
            if not (stream.ended and rest.lstrip().startswith("{")):
                break
            if not stream.is_void:
                yield replace(call, arguments=text[: len(text) - len(rest)])
                call = replace(call, id=None, index=None)
            text = rest
        yield replace(call, arguments=text)


def _decoded(value: object) -> Mapping[str, Any] | None:
    """Return the object that a value is or that its text contains; None when that is uncertain."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    for _ in range(MAX_LAYERS):
        if not isinstance(value, str):
            break
        value = _parsed(value.strip())
    return value if isinstance(value, Mapping) else None


def repaired(text: str) -> Mapping[str, Any] | None:
    """Return the object that a text certainly spells, though it is not JSON; None for others."""
    for read in (_tolerant, _python):
        if isinstance(found := read(text), Mapping):
            return found
    return None


def _parsed(text: str) -> object:
    """Return the value of JSON text; None when it is not JSON even after repairs."""
    for candidate in (text, _without_fence(text)):
        for read in (_json, _tolerant, _python):
            if (found := read(candidate)) is not None:
                return found
    return None


def _json(text: str) -> object:
    try:
        # Not strict: models write raw line ends into strings.
        return json.loads(text, strict=False, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON, and could not be sent back")


def _tolerant(text: str) -> object:
    """Return the object at the start of a text, repaired, if only leftovers follow it."""
    if not text.startswith("{"):
        return None
    stream = ArgumentStream()
    passed, rest = stream.feed(text)
    if not stream.ended or not _LEFTOVERS.fullmatch(rest):
        return None
    return {} if stream.is_void else _json(passed)


def _python(text: str) -> object:
    """Return the dict that a text spells as a Python literal; None if it does not."""
    # Escapes of Python differ from JSON's, and the parser warns about odd ones.
    if not text.startswith("{") or "'" not in text or "\\" in text or len(text) > MAX_PYTHON:
        return None
    try:
        # Never eval: it parses literals only, and runs nothing.
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return found if isinstance(found, dict) and is_plain(found) else None


def is_plain(value: object) -> bool:
    """Return whether JSON can express a value; sets, tuples and bytes are not plain."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return isinstance(value, str | int | float | None)


def _without_fence(text: str) -> str:
    if not text.startswith("```"):
        return text
    inner = text.strip("`")
    return inner.removeprefix("json").removeprefix("JSON").strip()


def _is_nothing(text: str) -> bool:
    return text.strip().strip("\"'`").strip().lower() in _NOTHING
