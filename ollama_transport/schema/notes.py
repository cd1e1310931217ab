"""Describe in English what the server would drop from a JSON schema (wire reference 3.4)."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Words = Callable[[object], str]
"""Turns a subschema into a few words."""

_STRUCTURE = frozenset(
    (
        *("type", "properties", "items", "enum", "const", "anyOf", "oneOf", "allOf"),
        *("prefixItems", "additionalItems", "description", "title", "nullable", "$ref"),
    )
)
"""Keywords that `tools` keeps in the schema itself."""

_BOOKKEEPING = frozenset(
    (
        *("$schema", "$id", "$comment", "$anchor", "$dynamicAnchor", "$vocabulary"),
        *("$defs", "definitions"),
    )
)
"""Keywords that tell a model nothing about the value."""

_SENTENCES = {
    "default": "Default {}.",
    "minimum": "At least {}.",
    "exclusiveMinimum": "More than {}.",
    "maximum": "At most {}.",
    "exclusiveMaximum": "Less than {}.",
    "multipleOf": "A multiple of {}.",
    "minLength": "Length: at least {}.",
    "maxLength": "Length: at most {}.",
    "minItems": "Items: at least {}.",
    "maxItems": "Items: at most {}.",
    "minProperties": "Properties: at least {}.",
    "maxProperties": "Properties: at most {}.",
    "example": "For example {}.",
    "format": "Format: {}.",
    "pattern": "Pattern: `{}`.",  # JSON quotes would double its backslashes
    "contentEncoding": "Content encoding: {}.",
    "contentMediaType": "Content type: {}.",
}
_ORDER = {key: at for at, key in enumerate(_SENTENCES)}
_UNQUOTED = frozenset(("format", "pattern", "contentEncoding", "contentMediaType"))

_FLAGS = {
    "uniqueItems": "No duplicates.",
    "deprecated": "Deprecated.",
    "readOnly": "Read only.",
    "writeOnly": "Write only.",
}


def notes(layer: Mapping[str, Any], words: Words) -> list[str]:
    """Return a sentence for each keyword of ``layer`` that the server drops.

    Vendor keywords ("x-…") and bookkeeping ("$schema", "$id", "$comment" …) are skipped; an unknown
    keyword is quoted as JSON. ``words`` describes subschemas, such as ``patternProperties``.
    """
    return [
        note
        for key, value in sorted(modern(layer).items(), key=_rank)
        if key not in _STRUCTURE and key not in _BOOKKEEPING and not key.startswith("x-")
        if (note := _note(key, value, words))
    ]


def _rank(item: tuple[str, Any]) -> int:
    # pydantic sorts keywords by name, which puts the upper bound before the lower.
    return _ORDER.get(item[0], len(_ORDER))


def modern(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with the exclusive bounds of draft 4 rewritten as numbers (draft 6)."""
    # Draft 4, which pydantic 1 and OpenAPI 3.0 write, says "minimum: 0, exclusiveMinimum: true".
    dated = dict(layer)
    for bound, exclusive in (
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ):
        if isinstance(dated.get(exclusive), bool) and bound in dated:
            strict = dated.pop(exclusive)
            dated |= {exclusive: dated.pop(bound)} if strict else {}
    return dated


def _note(key: str, value: Any, words: Words) -> str:
    if key in _SENTENCES:
        return _SENTENCES[key].format(value if key in _UNQUOTED else as_json(value))
    if key in _FLAGS and isinstance(value, bool):
        return _FLAGS[key] if value else ""
    special = _SPECIAL.get(key)
    if special is not None:
        return special(value, words)
    return f"{key}: {as_json(value)}."


def _examples(value: Any, _words: Words) -> str:
    # JSON Schema has a list here, OpenAPI an object by name.
    listed = value if isinstance(value, list | tuple) else [value]
    return f"For example {', '.join(as_json(one) for one in listed)}." if listed else ""


def _discriminator(value: Any, _words: Words) -> str:
    name = value.get("propertyName") if isinstance(value, Mapping) else value
    return f"Told apart by {name}."


def _further(value: Any, words: Words) -> str:
    if isinstance(value, bool):
        return "" if value else "No other properties."
    return f"Any other keys; each value: {words(value)}." if value else ""


def _patterns(value: Any, words: Words) -> str:
    matched = (f"keys matching `{key}`; each value: {words(sub)}" for key, sub in value.items())
    return _sentence(", ".join(matched))


_SPECIAL: dict[str, Callable[[Any, Words], str]] = {
    "examples": _examples,
    "discriminator": _discriminator,
    "additionalProperties": _further,
    "unevaluatedProperties": _further,
    "patternProperties": _patterns,
    "propertyNames": lambda value, words: f"Each key: {words(value)}.",
    "required": lambda value, _words: "Required." if value is True else "",  # drafts up to 3
    "contains": lambda value, words: f"At least one item is: {words(value)}.",
    "not": lambda value, words: f"Not: {words(value)}.",
}


def as_json(value: object) -> str:
    """Return a value as compact JSON; values that JSON lacks are written with str()."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)


def says(title: str, texts: Iterable[str]) -> bool:
    """Return whether any of ``texts`` contains the title, ignoring case and spaces."""
    bare = _bare(title)
    return any(bare in _bare(text) for text in texts)


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def joined(texts: Iterable[str]) -> str:
    """Join texts to one description, without those contained in an earlier one."""
    said = ""
    # A model's docstring is often its field's description, and its tool's as well.
    for text in (text.strip() for text in texts):
        if text and text not in said:
            said = f"{_ended(said)} {text}" if said else text
    return said


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":", ";", "…", "。", ")")) else text + "."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
