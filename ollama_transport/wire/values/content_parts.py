"""Texts of an answer, plain or as a list of parts: pure.

Mistral's reasoning models and some gateways send ``content`` as parts, of which some are thoughts.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError

# Enough for a part inside a part; a hostile server must not cause a RecursionError.
_MAX_DEPTH = 4
_THOUGHTS = ("thinking", "reasoning", "reasoning_content", "summary")
_TEXTS = ("text", *_THOUGHTS, "content", "value")
# Ollama and newer vLLM use the first name, llama.cpp and older vLLM the second; the others are
# those of gateways.
THOUGHT_NAMES = (
    *("reasoning", "reasoning_content", "thinking"),
    *("reasoning_text", "thinking_blocks", "reasoning_details"),
)
"""The names under which servers put reasoning beside the text."""


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
    if _is_parsed(value):
        return json.dumps(value, ensure_ascii=False), ""
    found = list(_texts(value, "content", False, _MAX_DEPTH))
    said = "".join(text for text, is_thought in found if not is_thought)
    return said, "".join(text for text, is_thought in found if is_thought)


def thoughts_of(part: Mapping[str, Any]) -> str:
    """Return the reasoning beside the text of a message or a delta; some servers send it twice.

    Raises:
        ProtocolError: when it is neither text nor parts.
    """
    for name in THOUGHT_NAMES:
        value = part.get(name)
        if value and (text := joined_text(value, name)):
            return text
    return ""


def refusal_of(part: Mapping[str, Any]) -> str:
    """Return the refusal in a message or a delta, also where it is a part of the content."""
    content = part.get("content")
    parts = content if isinstance(content, list) else []
    told = [part, *(one for one in parts if isinstance(one, Mapping))]
    found = (one.get("refusal") for one in told)
    return "".join(text for text in found if isinstance(text, str))


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


def _is_parsed(value: object) -> bool:
    """Return whether a value is JSON that a gateway parsed, though the model wrote text."""
    if isinstance(value, Mapping):
        return not any(name in value for name in ("type", *_TEXTS))
    return isinstance(value, int | float)


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
    kind = part.get("type")
    # OpenRouter's kinds are reasoning.text and reasoning.summary.
    thinks = is_thought or (isinstance(kind, str) and kind.partition(".")[0] in _THOUGHTS)
    for name in _TEXTS:
        if part.get(name) is not None:
            thinks = thinks or name in _THOUGHTS
            yield from _texts(part[name], key, thinks, depth - 1)
            return
