"""Envelopes around the schema of a format: opened, or refused when empty."""

import copy
from typing import Any

import pytest

from ollama_transport.errors import ConfigError
from ollama_transport.schema.tools import unwrap_schema

BARE = {
    "$defs": {"A": {"type": "string"}},
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/A"}},
}


@pytest.mark.parametrize(
    "envelope",
    [
        {"type": "json_schema", "json_schema": {"name": "x", "schema": BARE, "strict": True}},
        {"json_schema": {"name": "x", "schema": BARE}},
        {"type": "json_schema", "name": "x", "schema": BARE, "strict": True},
        {"type": "function", "function": {"name": "x", "parameters": BARE}},
        {"type": "function", "name": "x", "parameters": BARE},
        {"name": "x", "description": "d", "parameters": BARE},
        {"name": "x", "schema": BARE, "strict": True},
        BARE,
    ],
)
def test_envelopes_are_opened(envelope: dict[str, Any]) -> None:
    """The bare schema comes out of every envelope, its definitions untouched (c21)."""
    before = copy.deepcopy(envelope)
    assert unwrap_schema(envelope) == BARE
    assert unwrap_schema(unwrap_schema(envelope)) == BARE
    assert envelope == before


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "schema": {"type": "object"}},
        },
        {"title": "Tool", "type": "object", "name": "odd", "parameters": {}},
        {"properties": {"function": {"type": "object"}}},
        {"enum": ["a"]},
        {},
    ],
)
def test_bare_schemas_stay(schema: dict[str, Any]) -> None:
    """A schema that merely has such words in it is no envelope."""
    assert unwrap_schema(schema) == schema


@pytest.mark.parametrize(
    ("envelope", "message"),
    [
        ({"type": "json_object"}, 'format="json"'),
        ({"type": "json_schema"}, "no schema"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "no schema"),
        ({"type": "function", "function": {"name": "x"}}, "no schema"),
    ],
)
def test_envelopes_without_a_schema(envelope: dict[str, Any], message: str) -> None:
    """An envelope without its schema is an error, not a format that fits anything."""
    with pytest.raises(ConfigError, match=message):
        unwrap_schema(envelope)
