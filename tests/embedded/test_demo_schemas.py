"""Whatever schema is asked for, what the demo model fills in fits it."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemas import schemas

from ollama_ext.embedded.demo.schema import fill_schema
from ollama_ext.embedded.demo.values import Values
from ollama_transport.schema.grammar import grammar_safe

TEXTS = (
    "",
    "Maria Lopez is 34 years old and flies planes. Her cat is called Tom, b is next, code AB-12.",
    'Tags: red, green and "x". Numbers 5, 17.5, 2000 and -3 on 2024-05-17; mail a@b.example.',
)


def faults(schema: Any, value: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema).iter_errors(value)]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"const": "a"}]}},
        {"type": "array", "items": {"const": "cat"}, "minItems": 2},
        {"type": "array", "items": {"anyOf": [{"type": "object", "required": ["a"]}]}},
        {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{3}$"}, "minItems": 2},
        {"type": "array", "items": {"type": "string", "maxLength": 2}, "maxItems": 1},
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "minItems": 3},
        {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2}$"},
        {"type": "string", "format": "date-time"},
        {"type": "integer", "multipleOf": 7, "minimum": 15},
        {"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 0.6},
        {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1},
        {"oneOf": [{"const": "a"}, {"type": "object", "properties": {"k": {"const": "x"}}}]},
        {"type": ["integer", "null"], "minimum": 10**6},
        {"enum": [None, 3]},
    ],
)
@pytest.mark.parametrize("text", TEXTS)
def test_an_answer_fits_what_people_ask_for(schema: Any, text: str) -> None:
    """Lists of choices and constants, patterns, bounds, maps."""
    whole = {"type": "object", "properties": {"tags": schema}, "required": ["tags"]}
    assert faults(whole, fill_schema(whole, Values(text))) == []


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(schemas(finite=True), st.sampled_from(TEXTS))
def test_every_answer_fits_its_schema(schema: Any, text: str) -> None:
    """Of every schema that our requests send; to the grammar oneOf is anyOf."""
    asked = json.loads(json.dumps(grammar_safe(schema)).replace('"oneOf"', '"anyOf"'))
    assert faults(asked, fill_schema(asked, Values(text))) == []
