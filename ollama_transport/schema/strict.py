"""Check whether a JSON schema is strict by OpenAI's rules for structured outputs.

Source: OpenAI's guide to structured outputs, "Supported schemas" (2025): the root is an object
without ``anyOf``; every object requires all of its properties and allows no others; ``allOf``,
``oneOf``, ``not``, conditions and ``patternProperties`` are not supported.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_REFUSED = frozenset(
    (
        *("allOf", "oneOf", "not", "if", "then", "else", "patternProperties", "propertyNames"),
        *("dependentRequired", "dependentSchemas", "unevaluatedProperties"),
    )
)


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema may be sent with ``strict: true``; a server may refuse others."""
    return schema.get("type") == "object" and "anyOf" not in schema and _is_strict(schema)


def _is_strict(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or _REFUSED & set(schema):
        return False
    if schema.get("type") == "object" or "properties" in schema:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if schema.get("additionalProperties") is not False or set(properties) - set(required):
            return False
    # An empty schema allows anything, which is not strict.
    return bool(schema) and all(_is_strict(one) for one in _inside(schema))


def _inside(schema: Mapping[str, Any]) -> Iterator[Any]:
    for key in ("properties", "$defs", "definitions"):
        yield from schema.get(key, {}).values()
    yield from schema.get("anyOf", ())
    yield from schema.get("prefixItems", ())
    if "items" in schema:
        yield schema["items"]
