"""Histories in the order that strict chat templates require: system text first, roles in turn."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from ollama_transport.wire.calls.lacks import REASONING_FIELDS

_SYSTEM = frozenset({"system", "developer"})
_IN_TURN = frozenset({"user", "assistant"})
# A message with anything else, such as calls, ends a row of its role.
_MERGED = REASONING_FIELDS | {"role", "content"}


def has_late_system(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a system message follows another message."""
    return any(message["role"] in _SYSTEM for message in messages[1:])


def has_row(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether two messages of one role follow each other."""
    return len(in_turn(messages)) < len(messages)


def system_first(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return messages with the text of all system messages as one, at the start."""
    system = [message for message in messages if message["role"] in _SYSTEM]
    rest = [message for message in messages if message["role"] not in _SYSTEM]
    return [reduce(_joined, system), *rest] if system else rest


def in_turn(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return messages with those of one role that follow each other merged."""
    found: list[Mapping[str, Any]] = []
    for message in messages:
        last = found[-1] if found else message
        is_row = last["role"] == message["role"] in _IN_TURN and _MERGED.issuperset(last)
        if found and is_row:
            found[-1] = _joined(last, message)
        else:
            found.append(message)
    return found


def system_as_user(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return messages with the text of all system messages before that of the first user."""
    first, *rest = system_first(messages)
    if first["role"] not in _SYSTEM:
        return [first, *rest]
    asked = next((at for at, each in enumerate(rest) if each["role"] == "user"), None)
    if asked is None:
        return [{**first, "role": "user"}, *rest]
    return [*rest[:asked], _joined(first, rest[asked]), *rest[asked + 1 :]]


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return two messages as one, of the second's role."""
    before, after = first.get("content"), second.get("content")
    if isinstance(before, str) and isinstance(after, str):
        content: Any = "\n\n".join(text for text in (before, after) if text)
    else:
        content = [*_parts(before), *_parts(after)]
    return {**first, **second, "content": content}


def _parts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []
