"""Filling a JSON schema from a text: what the demo does with ``format`` and with arguments."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from ollama_ext.embedded.demo.fit import (
    bounds,
    fits_number,
    fits_text,
    fitted_number,
    fitted_text,
    others,
)
from ollama_ext.embedded.demo.text import best_sentences, key_words, word_set, words
from ollama_ext.embedded.demo.values import Values, find_numbers
from ollama_transport.schema.merge import merge

Schema = Mapping[str, Any]
NAME_LIKE = word_set(
    """author capital city company country customer destination employee first last location name
    origin person place region state surname town user username"""
)
TEXT_LIKE = word_set(
    "content input keywords message prompt q query question request search task text topic"
)
_PROSE_LIKE = word_set("answer description explanation reason response summary")
# Deeper than real schemas go; a schema that contains itself ends here.
_MAX_DEPTH = 12
_MAX_TEXT = 240
_MAX_ITEMS = 1000
# A schema that contains itself several times has millions of values within that depth.
_MAX_VALUES = 10_000
# Below this depth, a choice that may be null is null.
_MAX_CHOICES = 6
# Well-formed and recognisable as invented: reserved for examples, such as example.com.
_DEFAULT_FORMATS = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "demo@example.com",
    "uri": "https://example.com/",
    **dict.fromkeys(
        ("uuid", "uuid1", "uuid2", "uuid3", "uuid4", "uuid5"),
        "00000000-0000-4000-8000-000000000000",
    ),
    "ipv4": "127.0.0.1",
}


_CONSTRAINTS = frozenset(
    ("type", "properties", "required", "additionalProperties", "items", "enum", "minimum")
)


def fill_schema(schema: Schema, values: Values) -> object:
    """Return a value that fits a JSON schema, taken from a text where it can be.

    It obeys more than an engine's grammar does: bounds of numbers, and lists without duplicates.
    It ignores patterns that only a real engine can read.
    """
    return _Filler(schema, values).value(schema, "", 0)


def name_words(name: str) -> list[str]:
    """Split a snake_case or camelCase name into lower-case words."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("_", " ").replace("-", " "))
    return [word.lower() for word in words(spaced)]


class _Filler:
    def __init__(self, root: Schema, values: Values) -> None:
        self._root = root
        self._values = values
        self._left = _MAX_VALUES

    def value(self, schema: Schema, name: str, depth: int) -> object:
        schema = self._resolved(schema)
        self._left -= 1
        # A schema may contain itself.
        if depth > _MAX_DEPTH or self._left < 0:
            return None
        if name in self._values.hints:
            return self._values.hints[name]
        if "const" in schema:
            return schema["const"]
        # What the text mentions, else the first.
        if "enum" in schema:
            return ([*self._values.mentioned(schema["enum"]), *schema["enum"]] or [None])[0]
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                beside = {k: v for k, v in schema.items() if k != key and k in _CONSTRAINTS}
                chosen = self._choose(schema[key], depth)
                return self.value(merge(chosen, beside), name, depth + 1)
        return self._typed(schema, name, depth)

    def _typed(self, schema: Schema, name: str, depth: int) -> object:
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            return self._number(schema, name, integer=kind == "integer")
        if kind == "boolean":
            return self._boolean(schema, name)
        return None if kind == "null" else self._text(schema, name)

    def _resolved(self, schema: Schema) -> Schema:
        seen = 0
        while "$ref" in schema and seen < _MAX_DEPTH:
            target: Any = self._root
            for part in schema["$ref"].lstrip("#/").split("/"):
                target = target.get(part, {}) if isinstance(target, dict) and part else target
            schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
            seen += 1
        for part in schema.get("allOf", ()):
            schema = _merged(schema, self._resolved(part))
        return schema

    def _choose(self, options: Sequence[Schema], depth: int) -> Schema:
        known = [self._resolved(option) for option in options]
        empty = [option for option in known if _kind(option) == "null"]
        if empty and depth > _MAX_CHOICES:
            return empty[0]
        # Null is for when there is nothing else.
        filled = [option for option in known if _kind(option) != "null"]
        asked = set(key_words(self._values.text))
        return max(filled or known, key=lambda option: len(asked & set(_vocabulary(option))))

    def _object(self, schema: Schema, depth: int) -> dict[str, object]:
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        required = schema.get("required") or []
        wanted = [
            name
            for name, inner in properties.items()
            # Optional fields are filled only if the text mentions them.
            if name in required or self._offers(name, self._resolved(inner))
        ]
        made = {name: self.value(properties[name], name, depth + 1) for name in wanted}
        further = schema.get("additionalProperties", True)
        further = further if isinstance(further, Mapping) else {}
        for name in required:
            if name not in properties:
                made[name] = self.value(further, name, depth + 1)
        for number in range(len(made), schema.get("minProperties", 0)):
            made[f"key{number + 1}"] = self.value(further, "", depth + 1)
        return made

    def _offers(self, name: str, schema: Schema) -> bool:
        if name in self._values.hints or self._values.keyed(name) is not None:
            return True
        return bool(self._values.mentioned(schema.get("enum", ())))

    def _array(self, schema: Schema, name: str, depth: int) -> list[object]:
        fixed = schema.get("prefixItems")
        if fixed:
            return [self.value(inner, name, depth + 1) for inner in fixed]
        inner = self._resolved(schema.get("items") or {})
        least, most = schema.get("minItems", 0), schema.get("maxItems", 5)
        found = self._several(inner, name)
        if schema.get("uniqueItems"):
            found = [one for at, one in enumerate(found) if one not in found[:at]]
        # An empty list fits most schemas, but would not show that filling works.
        missing = max(least, min(1, most)) - len(found[:most])
        if missing <= 0:
            return found[:most]
        made = self.value(inner, name.rstrip("s"), depth + 1)
        if not schema.get("uniqueItems"):
            return [*found, *[made] * missing]
        like = (one for one in (made, *islice(others(made), least)) if one not in found)
        return [*found, *islice(like, missing)]

    def _several(self, inner: Schema, name: str) -> list[object]:
        if "enum" in inner:
            return self._values.mentioned(inner["enum"])
        kind = _kind(inner)
        if any(key in inner for key in ("anyOf", "oneOf", "const", "format")):
            return []
        if kind in ("integer", "number"):
            low, high = bounds(inner, integer=kind == "integer")
            take = partial(self._values.take_number, low, high, integer=kind == "integer")
            taken = islice(iter(take, None), _MAX_ITEMS)
            return [one for one in taken if fits_number(inner, one)]
        if kind != "string":
            return []
        return [one for one in self._texts(name) if fits_text(inner, str(one))]

    def _texts(self, name: str) -> list[object]:
        listed = re.search(
            rf"\b{re.escape(name)}\s{{0,20}}(?:=|:|are)\s{{0,20}}([^.\n]+)", self._values.text
        )
        if name and listed:
            return [part.strip() for part in re.split(r",|\sand\s", listed.group(1))]
        # Quotes are a clearer hint than capitals.
        taken = self._values.quoted or self._values.names
        found: list[object] = list(taken)
        # Values used by a list are not available to later fields.
        taken.clear()
        return found

    def _number(self, schema: Schema, name: str, *, integer: bool) -> int | float:
        low, high = bounds(schema, integer=integer)
        # "age is 31" takes precedence over the order of the numbers.
        keyed = find_numbers(self._values.keyed(name) or "") if name else []
        for number in keyed:
            if low <= number <= high and fits_number(schema, number):
                return int(number) if integer else number
        found = self._values.take_number(low, high, integer=integer)
        if found is not None and fits_number(schema, found):
            return found
        default = schema.get("default", 0)
        usual = default if isinstance(default, int | float) else 0
        return fitted_number(schema, usual, integer=integer)

    def _boolean(self, schema: Schema, name: str) -> bool:
        keyed = (self._values.keyed(name) or "").lower()
        if keyed in ("true", "yes", "on", "false", "no", "off"):
            return keyed in ("true", "yes", "on")
        spoken = " ".join(name_words(name))
        if re.search(rf"\b(?:not|no|without)\s+{re.escape(spoken)}\b", self._values.text.lower()):
            return False
        default = schema.get("default")
        said = bool(set(key_words(spoken)) & set(key_words(self._values.text)))
        return said or default is True

    def _text(self, schema: Schema, name: str) -> str:
        form = schema.get("format")
        if form in _DEFAULT_FORMATS:
            return self._formatted(form)
        # A pattern is searched in the whole text, not only in its prose.
        text = self._values.text if "pattern" in schema else self._prose(schema, name)
        return fitted_text(schema, text)

    def _formatted(self, form: str) -> str:
        pools: dict[str, list[str]] = {
            "date": [date[:10] for date in self._values.dates],
            "date-time": [date for date in self._values.dates if "T" in date],
            "email": self._values.emails,
            "uri": self._values.urls,
        }
        return (pools.get(form) or [_DEFAULT_FORMATS[form]])[0]

    def _prose(self, schema: Schema, name: str) -> str:
        values, roles = self._values, set(name_words(name))
        keyed = values.keyed(name) if name else None
        if keyed is not None:
            return keyed
        # Most telling first: a name, a quote, the text itself, a sentence about the field.
        taken = values.take_name() if roles & NAME_LIKE and not values.quoted else None
        taken = taken or (None if roles & _PROSE_LIKE else values.take_quoted())
        if taken:
            return taken
        if roles & TEXT_LIKE:
            return values.text
        if roles & _PROSE_LIKE:
            about = f"{name} {schema.get('description', '')}"
            return " ".join(best_sentences(about, values.text, most=1)) or values.text[:_MAX_TEXT]
        spoken = " ".join(name_words(name)) or "text"
        return values.take_sentence() or f"{spoken}: {values.text[:80]}"


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    if kind:
        return str(kind)
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _merged(one: Schema, other: Schema) -> Schema:
    properties = {**other.get("properties", {}), **one.get("properties", {})}
    required = [*other.get("required", ()), *one.get("required", ())]
    merged = {**other, **{k: v for k, v in one.items() if k != "allOf"}}
    if properties:
        merged |= {"properties": properties, "required": required}
    return merged


def _vocabulary(schema: Schema) -> list[str]:
    said = [str(schema.get("title", "")), str(schema.get("description", ""))]
    for name, inner in (schema.get("properties") or {}).items():
        said += [" ".join(name_words(name)), str(inner.get("const", ""))]
        said += [str(value) for value in inner.get("enum", ())]
    return key_words(" ".join(said))
