"""Keywords of JSON schemas, one property at a time: kept, or told in words."""

from typing import Any

import pytest
from schema_checks import ANYTHING, of_property


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        # null, where it must be given and may be null
        ({"type": ["string", "null"]}, {"type": "string", "description": "May be null."}),
        (
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "title": "It"},
            {"type": "integer", "description": "At least 1. May be null."},
        ),
        (
            {"oneOf": [{"type": "null"}, {"type": "integer"}, {"type": "string"}]},
            {"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "May be null."},
        ),
        (
            {"type": "string", "nullable": True},
            {"type": "string", "description": "May be null."},
        ),
        (
            {"enum": ["a", None]},
            {"type": "string", "enum": ["a"], "description": "May be null."},
        ),
        (
            {"type": "array", "items": {"type": ["integer", "null"]}},
            {"type": "array", "items": {"type": "integer", "description": "May be null."}},
        ),
        ({"type": "null"}, {"type": "null"}),
        ({"const": None}, {"type": "null"}),
        # choices
        ({"type": ["integer", "string"]}, {"type": ["integer", "string"]}),
        (
            {"oneOf": [{"type": "integer"}, {"type": "integer"}], "description": "d"},
            {"type": "integer", "description": "d"},
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
        ),
        (
            {
                "anyOf": [{"type": "string"}, {"type": "integer"}],
                "oneOf": [{"format": "x"}, {"minimum": 3}],
                "type": ["string", "integer"],
            },
            {
                "type": ["string", "integer"],
                "anyOf": [{"type": "string"}, {"type": "integer"}],
                "description": (
                    'And one of: {"description": "Format: x."}; {"description": "At least 3."}.'
                ),
            },
        ),
        # merged
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "string"}, "a": {"type": "integer"}}},
                ],
                "required": ["b"],
            },
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
                "required": ["b", "a"],
            },
        ),
        (
            {"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]},
            {"type": "string", "enum": ["b"]},
        ),
        (
            {"allOf": [{"type": "number"}, {"type": ["integer", "string"]}]},
            {"type": "integer"},
        ),
        ({"type": "integer", "allOf": [{"type": ["string", "number"]}]}, {"type": "integer"}),
        # values
        ({"const": 3}, {"type": "integer", "enum": [3]}),
        (
            {"enum": ["a", 1, True, 2.5]},
            {"type": [*("string", "integer", "boolean", "number")], "enum": ["a", 1, True, 2.5]},
        ),
        # no type at all
        (True, {"type": ANYTHING}),
        ({}, {"type": ANYTHING}),
        ({"description": "d"}, {"type": ANYTHING, "description": "d"}),
        (False, {"type": ANYTHING, "description": "Must not be given."}),
        ({"properties": {}}, {"type": "object", "properties": {}}),
        ({"items": {"type": "string"}}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "array", "items": {}}, {"type": "array"}),
        ({"type": "array", "items": True}, {"type": "array"}),
        # tuples, new and old
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "string"}]},
            {
                "type": "array",
                "items": {"type": "string"},
                "description": "Items in order: string; string.",
            },
        ),
        (
            {
                "type": "array",
                "items": {"type": "boolean"},
                "prefixItems": [{"type": "string", "format": "date"}],
            },
            {
                "type": "array",
                "items": {
                    "anyOf": [
                        {"type": "string", "description": "Format: date."},
                        {"type": "boolean"},
                    ]
                },
                "description": (
                    "Items in order: string (Format: date.); then any number of: boolean."
                ),
            },
        ),
        (
            {"type": "array", "items": [{"type": "integer"}]},
            {
                "type": "array",
                "items": {"type": "integer"},
                "description": "Items in order: integer.",
            },
        ),
        # words
        (
            {"type": "string", "title": "Given name"},
            {"type": "string", "description": "Given name"},
        ),
        ({"type": "string", "title": "It"}, {"type": "string"}),
        (
            {"type": "string", "title": "Given Name", "description": "The given name"},
            {"type": "string", "description": "The given name"},
        ),
        (
            {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 5},
            {"type": "number", "description": "More than 0. At most 5."},
        ),
        (
            {"type": "number", "minimum": 0, "exclusiveMinimum": False},
            {"type": "number", "description": "At least 0."},
        ),
        (
            {"type": "string", "default": "", "examples": ["a", "b"], "deprecated": True},
            {"type": "string", "description": 'Default "". For example "a", "b". Deprecated.'},
        ),
        (
            {"type": "boolean", "default": False, "deprecated": False},
            {"type": "boolean", "description": "Default false."},
        ),
        (
            {"type": "object", "additionalProperties": False, "properties": {}},
            {"type": "object", "properties": {}, "description": "No other properties."},
        ),
        (
            {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}},
            {"type": "object", "description": "Keys matching `^x-`; each value: integer."},
        ),
        (
            {"type": "string", "not": {"const": "root"}},
            {
                "type": "string",
                "description": 'Not: {"type": "string", "enum": ["root"]}.',
            },
        ),
        (
            {"type": "object", "dependentRequired": {"a": ["b"]}},
            {"type": "object", "description": 'dependentRequired: {"a": ["b"]}.'},
        ),
        (
            {"type": "string", "x-order": 1, "$comment": "c", "$id": "urn:x"},
            {"type": "string"},
        ),
    ],
)
def test_one_required_property(schema: Any, expected: dict[str, Any]) -> None:
    """Each keyword comes through as the server keeps it, or as words."""
    assert of_property(schema) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["string", "null"]}, {"type": "string"}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}, {"type": "integer"}),
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 5},
            {"type": "integer", "description": "Default 5. May be null."},
        ),
    ],
)
def test_null_of_an_optional_property(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    """Null is told only where it means something else than leaving the property out."""
    assert of_property(schema, required=False) == expected
