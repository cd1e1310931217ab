"""The shapes in which servers write tool calls: pure, for both wires."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError

_ARGUMENTS = ("arguments", "parameters", "args", "input")
_PARTS = frozenset({"tool_use", "tool_call"})


@dataclass(frozen=True, slots=True)
class CallShape:
    """A call, or a piece of one, as a server wrote it; None and "" for what it left out."""

    name: str
    arguments: Any
    id: str | None
    index: int | None


def told_calls(part: object) -> object:
    """Return the ``tool_calls`` of a message or a delta.

    Without them, a lone ``function_call`` counts, and so do parts of the content that are calls.
    """
    if not isinstance(part, Mapping):
        return None
    calls = part.get("tool_calls")
    if calls:
        return calls
    legacy, content = part.get("function_call"), part.get("content")
    if isinstance(legacy, Mapping):
        return [{"function": legacy}]
    if isinstance(content, list):
        return [p for p in content if isinstance(p, Mapping) and p.get("type") in _PARTS]
    return calls


def call_shapes(raw: object) -> list[CallShape]:
    """Return the calls of a list, of a single call, or of either as JSON text.

    Raises:
        ProtocolError: when they are anything else.
    """
    # Nearly every line of a stream has no calls.
    if not raw:
        return []
    if isinstance(raw, str):
        raw = _parsed(raw)
    if isinstance(raw, Mapping):
        raw = [raw]
    if not isinstance(raw, list):
        raise ProtocolError(f"the answer's tool_calls are not a list: {brief(raw)}")
    return [_shape(entry) for entry in raw if entry is not None]


def _parsed(text: str) -> object:
    try:
        return json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        return text


def _shape(raw: object) -> CallShape:
    if not isinstance(raw, Mapping):
        raise ProtocolError(f"the answer's tool call is not an object: {brief(raw)}")
    function = raw.get("function")
    if isinstance(function, str):
        function = {**raw, "name": function}
    # Some servers leave out the object around the name and the arguments.
    function = raw if function is None else function
    if not isinstance(function, Mapping):
        raise ProtocolError(f"the answer's tool call has no function: {brief(raw)}")
    name, identity = function.get("name", raw.get("name")), raw.get("id")
    # Inside the function on Ollama's wire (wire reference 3.4), beside it on others.
    index = function.get("index", raw.get("index"))
    return CallShape(
        name=name if isinstance(name, str) else "",
        arguments=next((v for key in _ARGUMENTS if (v := function.get(key)) is not None), None),
        # Ollama omits an empty id (wire reference 3.4), but a proxy may send one.
        id=identity if isinstance(identity, str) and identity else None,
        index=index if isinstance(index, int) and not isinstance(index, bool) else None,
    )
