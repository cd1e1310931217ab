"""Texts of an answer, plain or as a list of parts: pure.

Mistral's reasoning models and some gateways send ``content`` as parts, of which some are thoughts.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError

_MAX_DEPTH = 4
_THOUGHTS = ("thinking", "reasoning", "reasoning_content", "summary")


def text_of(raw: Mapping[str, Any], key: str) -> str:
    """Return a text of an answer; null and absent are "".

    Raises:
        ProtocolError: when it is not text.
    """
    value = raw.get(key)
    # Ollama never writes null here, but a proxy may.
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ProtocolError(f"the answer's {key} is not text: {brief(value)}")
    return value


def content_of(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Return the text and the thoughts in the ``content`` of a message or a delta.

    Raises:
        ProtocolError: when it is neither text nor a list of parts.
    """
    value = raw.get("content")
    if isinstance(value, str):
        return value, ""
    if value is None:
        return "", ""
    found = list(_texts(value, "content", False, _MAX_DEPTH))
    said = "".join(text for text, is_thought in found if not is_thought)
    return said, "".join(text for text, is_thought in found if is_thought)


def joined_text(value: object, key: str) -> str:
    """Return a text, or the joined texts of a list of parts; null is "".

    Raises:
        ProtocolError: when it is neither.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return "".join(text for text, _ in _texts(value, key, True, _MAX_DEPTH))


def _texts(value: object, key: str, is_thought: bool, depth: int) -> Iterator[tuple[str, bool]]:
    """Yield each text in a value, and whether it is a thought; other parts are ignored."""
    if isinstance(value, str):
        yield value, is_thought
    elif isinstance(value, list) and depth:
        for part in value:
            yield from _texts(part, key, is_thought, depth - 1)
    elif isinstance(value, Mapping) and depth:
        yield from _part_texts(value, key, is_thought, depth)
    elif value is not None:
        raise ProtocolError(f"the answer's {key} is not text: {brief(value)}")


def _part_texts(
    part: Mapping[str, Any], key: str, is_thought: bool, depth: int
) -> Iterator[tuple[str, bool]]:
    for name in ("text", *_THOUGHTS):
        if part.get(name) is not None:
            kind = part.get("type")
            thinks = is_thought or name in _THOUGHTS or kind in _THOUGHTS
            yield from _texts(part[name], key, thinks, depth - 1)
            return
