"""Detect an Ollama behind ``/v1``, and the parts of a request that its ``/v1`` ignores."""

from collections.abc import Mapping, Sequence
from typing import Any

OLLAMA_MARK = "fp_ollama"
"""The ``system_fingerprint`` of Ollama's own ``/v1`` (wire reference 15)."""

_CHARACTERS_OF_A_TOKEN = 8
"""More characters a token than this is not plain text: a part of the prompt was cut."""

_LONG_CHARACTERS = 4096
"""A shorter prompt fits Ollama's smallest usual context, of which a prompt may fill a half."""


def bears_mark(line: object) -> bool:
    """Return whether a line of an answer was written by an Ollama behind ``/v1``."""
    raw = getattr(line, "raw", None)
    return isinstance(raw, Mapping) and raw.get("system_fingerprint") == OLLAMA_MARK


def may_be_unheeded(body: Mapping[str, Any] | None) -> bool:
    """Return whether a request contains something that Ollama's ``/v1`` silently ignores.

    That is a forced call, and a prompt of which only a part is read (both seen on a real Ollama,
    wire reference 15).
    """
    asked = {} if body is None else body
    return _is_forced(asked) or _characters(asked) > _LONG_CHARACTERS


def is_unheeded(body: Mapping[str, Any] | None, line: Any) -> bool:
    """Return whether a whole answer shows that a part of its request was ignored."""
    asked = {} if body is None else body
    if _is_forced(asked) and not getattr(line, "tool_calls", ()):
        return True
    usage = getattr(line, "usage", None)
    read = None if usage is None or usage.estimated else usage.prompt_tokens
    length = _characters(asked)
    return read is not None and length > max(_LONG_CHARACTERS, _CHARACTERS_OF_A_TOKEN * read)


def _is_forced(body: Mapping[str, Any]) -> bool:
    choice = body.get("tool_choice")
    return choice == "required" or isinstance(choice, Mapping)


def _characters(body: Mapping[str, Any]) -> int:
    messages: Sequence[Mapping[str, Any]] = body.get("messages", ())
    texts = [message.get("content") for message in messages] + [body.get("prompt")]
    texts += body.get("input", ())
    return sum(len(text) for text in texts if isinstance(text, str))
