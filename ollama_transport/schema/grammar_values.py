"""Rewrite keywords of strings, numbers and lists for the engine's grammar (`grammar_rules`)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.schema.grammar_rules import (
    ANY,
    HELD_FORMATS,
    MAX_COUNT,
    MAX_INTEGER,
    MAX_ITEMS,
    MAX_LENGTH,
    NUMBER_BOUNDS,
)
from ollama_transport.schema.names import place
from ollama_transport.schema.patterns import UnfitPatternError, count_sum, fit_tree, write_pattern

Fitted = tuple[dict[str, Any], list[str]]
"""A schema, and those of its keywords that must go into the description."""


def fit_string(layer: Mapping[str, Any], *, keep_ignored: bool) -> Fitted:
    """Return a schema whose ``pattern`` and lengths the grammar accepts."""
    fitted = dict(layer)
    unheld: list[str] = []
    if "pattern" in fitted:
        pattern = fit_pattern(fitted["pattern"])
        if pattern is None:
            unheld.append("pattern")
        else:
            fitted["pattern"] = pattern
    # The grammar enforces only one of pattern, format and lengths.
    held = "pattern" in fitted and "pattern" not in unheld
    known = fitted.get("format") in HELD_FORMATS
    if "format" in fitted and (held or not known) and not (keep_ignored and _is_text(fitted)):
        unheld.append("format")
    for key in ("minLength", "maxLength"):
        if key in fitted and (((held or known) and not keep_ignored) or _beyond(fitted[key])):
            unheld.append(key)
    return fitted, unheld


def _is_text(layer: Mapping[str, Any]) -> bool:
    return isinstance(layer["format"], str)


def _beyond(length: Any) -> bool:
    return not _is_number(length) or not 0 <= length <= MAX_LENGTH


def fit_pattern(pattern: Any) -> str | None:
    r"""Return an equivalent pattern that the grammar enforces, or None.

    It may match fewer texts: no quotes, no backslashes, and only the space for ``\s``.
    """
    try:
        tree = fit_tree(pattern) if isinstance(pattern, str) else None
    except UnfitPatternError:
        return None
    return None if tree is None or count_sum(tree) > MAX_COUNT else write_pattern(tree)


def fit_number(layer: Mapping[str, Any], path: Sequence[str], *, keep_ignored: bool) -> Fitted:
    """Return a schema with integer bounds, at most one at each end.

    Raises:
        ConfigError: naming the field, for bounds that exclude every integer.
    """
    kinds = layer.get("type")
    given = [key for key in NUMBER_BOUNDS if key in layer]
    if not given:
        return dict(layer), []
    if not _may_be_integer(kinds):
        return dict(layer), [] if keep_ignored else given
    if any(not _is_number(layer[key]) for key in given):
        return dict(layer), given
    low, high = _bounds(layer)
    if low is not None and high is not None and low > high:
        raise ConfigError(f"{place(path)} has bounds that leave no integer: from {low} to {high}.")
    if _is_plain(layer, given):
        return dict(layer), []
    kept = {key: value for key, value in layer.items() if key not in NUMBER_BOUNDS}
    ends = {"minimum": low, "maximum": high}
    fitted = {key: end for key, end in ends.items() if end is not None and abs(end) <= MAX_INTEGER}
    moved = {key: end for key, end in ends.items() if end is not None and key not in fitted}
    return {**kept, **fitted, **moved}, list(moved)


def _may_be_integer(kinds: Any) -> bool:
    return "integer" in (kinds if isinstance(kinds, list | tuple) else (kinds,))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_plain(layer: Mapping[str, Any], given: Sequence[str]) -> bool:
    one_each = len(given) == 1 or not (
        {"minimum", "exclusiveMinimum"} <= set(given)
        or {"maximum", "exclusiveMaximum"} <= set(given)
    )
    whole = all(isinstance(layer[key], int) and abs(layer[key]) <= MAX_INTEGER for key in given)
    return one_each and whole


def _bounds(layer: Mapping[str, Any]) -> tuple[int | None, int | None]:
    lows = [math.ceil(layer["minimum"])] if "minimum" in layer else []
    highs = [math.floor(layer["maximum"])] if "maximum" in layer else []
    if "exclusiveMinimum" in layer:
        lows.append(math.floor(layer["exclusiveMinimum"]) + 1)
    if "exclusiveMaximum" in layer:
        highs.append(math.ceil(layer["exclusiveMaximum"]) - 1)
    return max(lows, default=None), min(highs, default=None)


def fit_array(layer: Mapping[str, Any], path: Sequence[str]) -> Fitted:
    """Return an array schema whose items and counts the grammar accepts.

    Raises:
        ConfigError: naming the field, if minItems exceeds maxItems.
    """
    fitted = dict(layer)
    least: Any = fitted.get("minItems")
    most: Any = fitted.get("maxItems")
    if _is_number(least) and _is_number(most) and least > most:
        raise ConfigError(f"{place(path)} wants {least} items and allows {most}.")
    ordered = fitted.get("prefixItems")
    if isinstance(ordered, list | tuple) and ordered:
        return _tuple(fitted, list(ordered), least, most), []
    if fitted.get("items") is False:
        return {**fitted, "items": dict(ANY), "maxItems": 0}, []
    counts = [key for key in ("minItems", "maxItems") if key in fitted]
    # The grammar reads the counts only beside items.
    if counts and "items" not in fitted:
        fitted["items"] = dict(ANY)
    return fitted, [key for key in counts if not _countable(fitted[key])]


def _countable(count: Any) -> bool:
    return _is_number(count) and 0 <= count <= MAX_ITEMS


def _tuple(fitted: dict[str, Any], ordered: list[Any], least: Any, most: Any) -> dict[str, Any]:
    """Return an array of fixed length, the only kind of tuple that the grammar supports."""
    rest = fitted.pop("items", True)
    missing = int(least) - len(ordered) if _is_number(least) else 0
    if missing > 0 and rest is not False:
        # A tuple is written out item by item, so it must not grow with any minItems.
        ordered += [rest] * min(missing, MAX_ITEMS)
    if _is_number(most):
        ordered = ordered[: int(most)]
    return {**fitted, "prefixItems": ordered}
