"""Find the JSON in what a model wrote: one tolerant reader for both adapters.

Constrained answers are JSON from the first character on. Where a server ignores ``format`` (as
those for MLX models do, wire reference 3.6), models write a code fence, words or their thoughts
around it, and raw line ends into its strings.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from ollama_transport.wire.values.arguments import repaired

T = TypeVar("T")

_MAX_STARTS = 20
_ARGUMENTS = ("arguments", "parameters")
_FENCED = re.compile(r"```\w*+(.*?)```", re.DOTALL)
_STARTS = re.compile(r"[{\[]")
_LINE_STARTS = re.compile(r"^[{\[]", re.MULTILINE)
_THOUGHT = "</think>"
_FAILURES = (ValueError, RecursionError)
# Not strict: a model that is not constrained writes line ends into its strings.
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class FoundJson:
    """JSON in an answer: ``text`` is strict JSON, ``value`` its parsed value."""

    text: str
    value: Any


def find_json(text: str) -> Iterator[FoundJson]:
    """Yield what in a text may be the requested JSON, the likeliest first.

    The whole text, the text after its thoughts, the content of code fences, and then each object
    and list in it, up to the twentieth bracket. Parts of truncated JSON are not offered.
    """
    bare = text.strip()
    yield from _read(bare)
    if _THOUGHT in bare and not bare.startswith(("{", "[")):
        bare = bare.partition(_THOUGHT)[2].strip()
        yield from _read(bare)
    for fenced in _FENCED.finditer(bare):
        yield from _read(fenced.group(1).strip())
    yield from _scan(bare)


def find_thought_json(thinking: str) -> Iterator[FoundJson]:
    """Yield what may be an answer that a server put among the thoughts.

    The whole text, or what begins on a line of its own and extends to the end: anything else may
    be a draft.
    """
    bare = thinking.strip()
    yield from _read(bare)
    fenced = _FENCED.fullmatch(bare)
    if fenced is not None:
        yield from _read(fenced.group(1).strip())
    starts = [match.start() for match in _LINE_STARTS.finditer(bare)]
    for start in starts[-_MAX_STARTS:]:
        yield from _read(bare[start:])


def first_fitting(text: str, thinking: str, make: Callable[[FoundJson], T]) -> T:
    """Return the first JSON in an answer that ``make`` accepts, converted by it.

    Some servers put the whole answer among the thoughts and leave the text empty (LM Studio, vLLM
    with a reasoning parser): it is taken from there when it fits.

    Raises:
        NoJsonError: when the text holds no JSON.
        ValueError: what ``make`` raised for the likeliest candidate, when none fits.
    """
    misfit: ValueError | None = None
    for found in find_json(text) if text.strip() else find_thought_json(thinking):
        try:
            return make(found)
        except ValueError as error:
            misfit = error if misfit is None else misfit
    # JSON among the thoughts that does not fit was not meant as the answer.
    if misfit is None or not text.strip():
        raise NoJsonError(_fault(text))
    raise misfit


class NoJsonError(ValueError):
    """Raised for a text that holds no JSON; it says where the JSON breaks off."""


def _fault(text: str) -> str:
    try:
        _DECODER.decode(text.strip())
    except _FAILURES as error:
        return str(error)
    return ""


def _read(text: str) -> Iterator[FoundJson]:
    if not text:
        return
    try:
        value = _DECODER.decode(text)
    except _FAILURES:
        if (value := repaired(text)) is None:
            return
        text = json.dumps(value)
    yield _found(text, value)
    yield from _inside(value)


def _inside(value: Any) -> Iterator[FoundJson]:
    """Yield what a model may have wrapped: in a text, a list, a name, or the form of a call."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        yield from _read(value.strip())
    inner = value[0] if isinstance(value, list) and len(value) == 1 else None
    if isinstance(value, dict):
        key = next((key for key in _ARGUMENTS if key in value and "name" in value), None)
        inner = value[key] if key is not None else None
        inner = next(iter(value.values())) if len(value) == 1 else inner
    if isinstance(inner, dict):
        yield FoundJson(json.dumps(inner), inner)


def _scan(text: str) -> Iterator[FoundJson]:
    """Yield the objects and lists in a text, in order."""
    end = 0
    # Prose has few brackets; a model that repeats itself writes thousands.
    for match in islice(_STARTS.finditer(text), _MAX_STARTS):
        if match.start() < end:
            continue
        try:
            value, end = _DECODER.raw_decode(text, match.start())
        except _FAILURES as error:
            # Values inside a truncated object are not the answer.
            if _is_cut(error, text):
                return
            continue
        yield _found(text[match.start() : end], value)


def _is_cut(error: Exception, text: str) -> bool:
    if not isinstance(error, json.JSONDecodeError):
        return True
    return error.pos >= len(text) or error.msg.startswith("Unterminated string")


def _found(text: str, value: Any) -> FoundJson:
    # Callers parse `text` strictly, so raw control characters must not remain in it.
    return FoundJson(json.dumps(value) if _is_lenient(text) else text, value)


def _is_lenient(text: str) -> bool:
    return any(character < " " for character in text)
