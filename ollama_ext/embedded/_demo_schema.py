"""Filling a JSON schema from a text: what the demo does with ``format`` and with arguments."""

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ollama_ext.embedded._demo_text import best_sentences, key_words, word_set, words
from ollama_ext.embedded._demo_values import Values, find_numbers

Schema = Mapping[str, Any]
NAME_LIKE = word_set(
    """author capital city company country customer destination employee first last location name
    origin person place region state surname town user username"""
)
TEXT_LIKE = word_set(
    "content input keywords message prompt q query question request search task text topic"
)
_PROSE_LIKE = word_set("answer description explanation reason response summary")
# Deeper than schemas of people go, and where one that contains itself ends.
_MAX_DEPTH = 12
_MAX_TEXT = 240
# Well-formed and recognisable as invented: nobody's address, a documented example host.
_DEFAULT_FORMATS = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "demo@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
}


def fill_schema(schema: Schema, values: Values) -> object:
    """Return a value that fits a JSON schema, taken from a text where it can be.

    ``pattern`` is honoured only when something in the text matches it.
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

    def value(self, schema: Schema, name: str, depth: int) -> object:
        schema = self._resolved(schema)
        # A schema may contain itself.
        if depth > _MAX_DEPTH:
            return None
        if name in self._values.hints:
            return self._values.hints[name]
        if "const" in schema:
            return schema["const"]
        # What the text mentions, else the first.
        if "enum" in schema:
            return ([*self._values.mentioned(schema["enum"]), *schema["enum"]] or [None])[0]
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return self.value(self._choose(options), name, depth + 1)
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

    def _choose(self, options: Sequence[Schema]) -> Schema:
        known = [self._resolved(option) for option in options]
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
            # Optional fields are filled only when the text speaks of them.
            if name in required or self._offers(name, self._resolved(inner))
        ]
        return {name: self.value(properties[name], name, depth + 1) for name in wanted}

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
        found = self._several(inner, name)[:most]
        # An empty list fits most schemas, and shows nobody that filling works.
        while len(found) < max(least, min(1, most)):
            found.append(self.value(inner, name.rstrip("s"), depth + 1))
        return found

    def _several(self, inner: Schema, name: str) -> list[object]:
        if "enum" in inner:
            return self._values.mentioned(inner["enum"])
        kind = _kind(inner)
        if kind in ("integer", "number"):
            low, high = _bounds(inner, integer=kind == "integer")
            take = partial(self._values.take_number, low, high, integer=kind == "integer")
            return list(iter(take, None))
        if kind != "string":
            return []
        listed = re.search(rf"\b{re.escape(name)}\s*(?:=|:|are)\s*([^.\n]+)", self._values.text)
        if name and listed:
            return [part.strip() for part in re.split(r",\s*|\s+and\s+", listed.group(1))]
        # Quotes say more clearly than capitals what is meant.
        taken = self._values.quoted or self._values.names
        found: list[object] = list(taken)
        # What a list has taken is gone for the fields after it.
        taken.clear()
        return found

    def _number(self, schema: Schema, name: str, *, integer: bool) -> int | float:
        low, high = _bounds(schema, integer=integer)
        # "age is 31" beats the order in which numbers come.
        keyed = find_numbers(self._values.keyed(name) or "") if name else []
        for number in keyed:
            if low <= number <= high:
                return int(number) if integer else number
        found = self._values.take_number(low, high, integer=integer)
        if found is not None:
            return found
        default = schema.get("default", 0)
        usual = default if isinstance(default, int | float) else 0
        return _fitted(usual, low, high, schema.get("multipleOf"), integer=integer)

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
        pattern = str(schema.get("pattern", ""))
        # The anchors are of the value; in the text it stands among others.
        matching = re.search(pattern.strip("^$"), self._values.text) if pattern else None
        text = matching.group() if matching else self._prose(schema, name)
        # Bounds win over sense: the schema has to be met.
        text = text.ljust(int(schema.get("minLength", 0)), ".")
        return text[: int(schema.get("maxLength", len(text)))]

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


def _bounds(schema: Schema, *, integer: bool) -> tuple[float, float]:
    # The next number that is allowed; 1e-6 is close enough for rules.
    step = 1 if integer else 1e-6
    low = schema.get("minimum", -math.inf)
    high = schema.get("maximum", math.inf)
    if "exclusiveMinimum" in schema:
        low = max(low, schema["exclusiveMinimum"] + step)
    if "exclusiveMaximum" in schema:
        high = min(high, schema["exclusiveMaximum"] - step)
    return low, high


def _fitted(
    value: float, low: float, high: float, multiple: float | None, *, integer: bool
) -> int | float:
    value = min(max(value, low), high)
    if multiple:
        value = math.ceil(value / multiple) * multiple
    return math.ceil(value) if integer else value
