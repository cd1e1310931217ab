"""The structured output guide says which keywords of a schema a grammar holds, and it is so."""

import re
from pathlib import Path
from typing import Any

import pytest

from ollama_transport.schema.grammar import grammar_safe

PAGE = (Path(__file__).parents[2] / "docs/guides/structured-output.md").read_text()
SECTION = PAGE.partition("## Which schemas are held")[2].partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", SECTION, re.MULTILINE))
TEXTS = {"type": "array", "items": {"type": "string"}}
IN_WORDS = (
    "`multipleOf`, `uniqueItems`, `not`, `if`/`then`/`else`, `contains`, `propertyNames`, "
    "`minProperties`, `maxProperties`"
)
A, TEXT, OBJECT = {"const": "a"}, {"type": "string"}, {"type": "object"}
HELD: list[tuple[str, dict[str, Any]]] = [
    ("`anyOf`, `oneOf`, `$ref`, a list of types, `prefixItems`", {"anyOf": [TEXT, A]}),
    ("`minItems`, `maxItems`", {**TEXTS, "minItems": 2, "maxItems": 1000}),
    ("`minLength`, `maxLength` without pattern or format", {**TEXT, "maxLength": 1999}),
    ("`minimum`, `maximum` of an integer", {"type": "integer", "minimum": -1, "maximum": 10**15}),
    ("`format`: `date`, `time`, `date-time`, `uuid`", {**TEXT, "format": "uuid"}),
]
TOLD: list[tuple[str, dict[str, Any]]] = [
    ("`minItems`, `maxItems`", {**TEXTS, "maxItems": 1001}),
    ("`minLength`, `maxLength` without pattern or format", {**TEXT, "maxLength": 2000}),
    ("`minimum`, `maximum` of an integer", {"type": "integer", "maximum": 10**15 + 1}),
    ("`minimum`, `maximum` of a number with fractions", {"type": "number", "minimum": 1.5}),
    (r"`pattern` with lookaround or `\p{…}`", {**TEXT, "pattern": "^(?=a).*$"}),
    ("any other `format`", {**TEXT, "format": "email"}),
    (IN_WORDS, {"type": "integer", "multipleOf": 5}),
    (IN_WORDS, {**TEXTS, "uniqueItems": True}),
    (IN_WORDS, {**TEXT, "not": A}),
    (IN_WORDS, {**TEXTS, "contains": A}),
    (IN_WORDS, {**OBJECT, "minProperties": 2}),
    (IN_WORDS, {**OBJECT, "maxProperties": 2}),
]


def sent(field: dict[str, Any]) -> dict[str, Any]:
    """Return what goes out for a field with this schema."""
    safe = grammar_safe({"type": "object", "properties": {"field": field}})
    found: dict[str, Any] = safe["properties"]["field"]
    return found


@pytest.mark.parametrize(("row", "field"), HELD)
def test_a_keyword_that_the_page_calls_held_is_sent(row: str, field: dict[str, Any]) -> None:
    """The schema goes out as it is, for the grammar to hold."""
    assert "held" in ROWS[row]
    assert sent(field) == field


@pytest.mark.parametrize(("row", "field"), TOLD)
def test_a_keyword_that_the_page_calls_words_is_in_the_description(
    row: str, field: dict[str, Any]
) -> None:
    """The keyword is taken out, and the field's description says it."""
    assert "in words" in ROWS[row]
    [keyword] = field.keys() - {"type", "items"}
    assert keyword not in sent(field)
    assert sent(field)["description"]
