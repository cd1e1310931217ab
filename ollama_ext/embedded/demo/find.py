"""Find the parts of a prompt in linear time, since prompts may be hostile.

A pattern such as ``A(.*?)B`` looks to the end of the text from each ``A``. Here each mark is
searched once, from the end of the mark before it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

_MOST_STARTS = 100
"""Brackets from which JSON is tried: a hostile prompt has thousands."""


def marks(*patterns: str, flags: int = 0) -> tuple[re.Pattern[str], ...]:
    """Return the marks of a prompt, compiled."""
    return tuple(re.compile(pattern, flags) for pattern in patterns)


def enclosed(
    opening: re.Pattern[str], closing: re.Pattern[str], text: str
) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each opening mark, and the text from there to the next closing mark."""
    at = 0
    while (start := opening.search(text, at)) is not None:
        # Without a closing mark after this one, there is none after a later one.
        if (end := closing.search(text, start.end())) is None:
            return
        yield start, text[start.end() : end.start()]
        at = end.end()


def between(text: str, wanted: Sequence[re.Pattern[str]]) -> tuple[re.Match[str], list[str]] | None:
    """Return the first mark and the stripped texts between the marks; None if one is missing."""
    first = found = wanted[0].search(text)
    parts: list[str] = []
    for mark in wanted[1:]:
        if found is None or (following := mark.search(text, found.end())) is None:
            return None
        parts.append(text[found.end() : following.start()].strip())
        found = following
    return None if first is None else (first, parts)


def objects_in(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects in a text, in order."""
    # Text around JSON is skipped from brace to brace: models and prompts wrap it in prose.
    found: list[dict[str, Any]] = []
    reader = json.JSONDecoder()
    at = 0
    for _ in range(_MOST_STARTS):
        if (start := text.find("{", at)) < 0:
            break
        try:
            value, at = reader.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
        else:
            found.append(value)
    return found
