"""Merge schemas that all apply: the meaning of ``allOf`` and of siblings of ``$ref``."""

from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]


def merge(one: Schema, other: Schema) -> dict[str, Any]:
    """Return a schema that enforces both; if they cannot be combined, the first wins.

    Nested schemas in both (``properties``, ``items``) become an ``allOf`` of the two.
    """
    merged = dict(one)
    for key, value in other.items():
        join = _JOINS.get(key)
        if key not in merged:
            merged[key] = value
        elif join is not None:
            merged[key] = join(merged[key], value)
    return _closed(merged, one, other)


def _closed(merged: dict[str, Any], one: Schema, other: Schema) -> dict[str, Any]:
    # "No other properties" in one schema removes those that only the other lists.
    for closed, free in ((one, other), (other, one)):
        if closed.get("additionalProperties") is False and "patternProperties" not in closed:
            listed = _mapping(closed.get("properties"))
            extra = set(_mapping(free.get("properties"))) - set(listed)
            if extra:
                kept = _mapping(merged.get("properties")).items()
                merged["properties"] = {k: v for k, v in kept if k not in extra}
    return merged


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _both(one: Any, other: Any) -> Any:
    # True and {} allow anything, so the other schema decides.
    if one == other or other in (True, {}):
        return one
    return other if one in (True, {}) else {"allOf": [one, other]}


def _properties(one: Any, other: Any) -> dict[str, Any]:
    joined = dict(_mapping(one))
    for name, schema in _mapping(other).items():
        joined[name] = _both(joined[name], schema) if name in joined else schema
    return joined


def _further(one: Any, other: Any) -> Any:
    return False if one is False or other is False else _both(one, other)


def _types(one: Any, other: Any) -> Any:
    first = one if isinstance(one, list | tuple) else [one]
    second = other if isinstance(other, list | tuple) else [other]
    both = [t for t in first if t in second or (t == "integer" and "number" in second)]
    both += [t for t in second if t == "integer" and "number" in first and t not in both]
    # Types that exclude each other match nothing; more likely, the nearest one was meant.
    return one if not both else both[0] if len(both) == 1 else both


def _values(one: Any, other: Any) -> Any:
    both = [value for value in one if value in other]
    # As for types: values that exclude each other match nothing, so the nearest are kept.
    return both if both else one


def _names(one: Any, other: Any) -> list[Any]:
    first = list(one) if isinstance(one, list | tuple) else []
    second = list(other) if isinstance(other, list | tuple) else []
    return [*first, *(name for name in second if name not in first)]


def _least(one: Any, other: Any) -> Any:
    return min(one, other) if _numbers(one, other) else one


def _largest(one: Any, other: Any) -> Any:
    return max(one, other) if _numbers(one, other) else one


def _numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


_JOINS: dict[str, Callable[[Any, Any], Any]] = {
    "properties": _properties,
    "patternProperties": _properties,
    "additionalProperties": _further,
    "items": _both,
    "type": _types,
    "enum": _values,
    "required": _names,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), _largest),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), _least),
    "uniqueItems": lambda one, other: one or other,
}
