"""Make what the demo found in a text fit a JSON schema, and make up what it did not find."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_transport.schema.patterns import (
    Chars,
    Choice,
    Edge,
    Node,
    Repeat,
    UnfitPatternError,
    fit_tree,
)

Schema = Mapping[str, Any]
_STEP = 1e-6
"""The next number that is allowed is close enough for rules."""


def bounds(schema: Schema, *, integer: bool) -> tuple[float, float]:
    """Return the smallest and the largest number that a schema allows."""
    low = schema.get("minimum", -math.inf)
    high = schema.get("maximum", math.inf)
    if "exclusiveMinimum" in schema:
        low = max(low, _beside(schema["exclusiveMinimum"], math.inf, integer=integer))
    if "exclusiveMaximum" in schema:
        high = min(high, _beside(schema["exclusiveMaximum"], -math.inf, integer=integer))
    return low, high


def _beside(end: float, towards: float, *, integer: bool) -> float:
    step = math.copysign(1 if integer else _STEP, towards)
    # A small step does not change a large float.
    return end + step if end + step != end else math.nextafter(end, towards)


def fitted_number(schema: Schema, usual: float, *, integer: bool) -> int | float:
    """Return the number nearest to ``usual`` that a schema allows."""
    low, high = bounds(schema, integer=integer)
    value = min(max(usual, low), high)
    multiple = schema.get("multipleOf")
    if multiple:
        value = math.ceil(value / multiple) * multiple
        value = value if value <= high else math.floor(high / multiple) * multiple
    return math.ceil(value) if integer else value


def fits_number(schema: Schema, value: float) -> bool:
    """Return whether a number is a multiple of what a schema asks for."""
    multiple = schema.get("multipleOf")
    return not multiple or math.isclose(value / multiple, round(value / multiple))


def fitted_text(schema: Schema, text: str) -> str:
    """Return a text cut or filled to what a schema allows, or an example of its pattern."""
    if "pattern" in schema:
        pattern = str(schema["pattern"])
        return text if _matches(pattern, text) else _found(pattern, text)
    # The schema must be met, even by a value that makes no sense.
    text = text.ljust(int(schema.get("minLength", 0)), ".")
    return text[: int(schema.get("maxLength", len(text)))]


def fits_text(schema: Schema, text: str) -> bool:
    """Return whether a text is what a schema allows; formats are not checked."""
    return fitted_text(schema, text) == text


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True


def _found(pattern: str, text: str) -> str:
    """Return the part of a text that a pattern wants to be all of it, or an example."""
    try:
        # The anchors are of the value; in the text it stands among others.
        match = re.search(pattern.removeprefix("^").removesuffix("$"), text)
        if match is not None and _matches(pattern, match.group()):
            return match.group()
        return _example(fit_tree(pattern))
    except (re.error, UnfitPatternError):
        return text


def _example(node: Node) -> str:
    if isinstance(node, Chars):
        return _usual_character(node)
    if isinstance(node, Edge):
        return ""
    if isinstance(node, Repeat):
        return _example(node.node) * node.low
    if isinstance(node, Choice):
        return _example(node.nodes[0])
    return "".join(_example(one) for one in node.nodes)


def _usual_character(node: Chars) -> str:
    usual = (one for one in "aA0 -" if any(low <= ord(one) <= high for low, high in node.ranges))
    return next(usual, chr(node.ranges[0][0]))


def others(value: object) -> Iterator[object]:
    """Yield values like one, for a list without duplicates; none where that is not known."""
    for number in itertools.count(1):
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return
        yield f"{value}{number}" if isinstance(value, str) else value + number
