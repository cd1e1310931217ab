"""References in tool schemas: inlined, cut where they recur, bounded where they multiply."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, Field
from schema_checks import as_tool, carried_tool, parameters_of

from ollama_transport.errors import ConfigError
from ollama_transport.schema.parts import MAX_DEPTH, MAX_NODES
from ollama_transport.schema.tools import flatten_schema, flatten_tool


class Node(BaseModel):
    """A node of a tree."""

    value: int
    children: list["Node"] = Field(default_factory=list, max_length=4)


def depth_of(schema: Mapping[str, Any]) -> int:
    """How many nodes of a tree lie within each other before it is cut."""
    if "properties" not in schema:
        return 0
    return 1 + depth_of(schema["properties"]["children"]["items"])


@pytest.mark.parametrize("depth", [1, MAX_DEPTH, 4])
def test_recursion_is_cut_with_a_note(depth: int) -> None:
    """A recursive model is written out as often as asked, then words say how it goes on."""
    tree = flatten_schema(Node.model_json_schema(), max_depth=depth)
    assert depth_of(tree) == depth
    for _ in range(depth):
        tree = tree["properties"]["children"]["items"]
    assert tree == {
        "type": "object",
        "description": "A node of a tree. Nested deeper in the same shape (Node).",
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"type": "object", "properties": {"next": {"$ref": "#"}}},
            "Nested deeper in the same shape (#).",
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A"}},
                "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}},
            },
            "Nested deeper in the same shape (A).",
        ),
        (
            {"allOf": [{"$ref": "#"}], "properties": {"a": {"type": "string"}}},
            "Nested deeper in the same shape (#).",
        ),
    ],
)
def test_circles_end(schema: dict[str, Any], expected: str) -> None:
    """A reference to the root, to itself or around a ring ends like any recursion."""
    assert expected in json.dumps(flatten_schema(schema))


def test_references_of_every_form() -> None:
    """Local pointers into any part of the schema are followed, escapes too."""
    parameters = parameters_of(
        {
            "type": "object",
            "properties": {
                "a": {"$ref": "#/$defs/one~1two~0three"},
                "b": {"$ref": "#/$defs/with%20space"},
                "c": {"$ref": "#/properties/list/items"},
                "d": {"$ref": "#/properties/choice/anyOf/1"},
                "e": {"allOf": [{"$ref": "#/$defs/with%20space"}], "description": "beside"},
                "list": {"type": "array", "items": {"type": "string", "maxLength": 7}},
                "choice": {"anyOf": [{"type": "boolean"}, {"type": "integer"}]},
            },
            "$defs": {
                "one/two~three": {"type": "integer"},
                "with space": {"type": "string", "enum": ["x"]},
            },
        }
    )
    flat = parameters["properties"]
    assert flat["a"] == {"type": "integer"}
    assert flat["b"] == {"type": "string", "enum": ["x"]}
    assert flat["c"] == {"type": "string", "description": "Length: at most 7."}
    assert flat["d"] == {"type": "integer"}
    assert flat["e"] == {"type": "string", "description": "beside", "enum": ["x"]}


def test_null_behind_a_reference() -> None:
    """A choice that turns out to be null behind its reference is null all the same."""
    parameters = parameters_of(
        {
            "type": "object",
            "properties": {"it": {"anyOf": [{"$ref": "#/$defs/Nothing"}, {"type": "integer"}]}},
            "required": ["it"],
            "$defs": {"Nothing": {"type": "null"}},
        }
    )
    assert parameters["properties"]["it"] == {"type": "integer", "description": "May be null."}


@pytest.mark.parametrize(
    "ref",
    ["#/$defs/Gone", "#/properties/it/anyOf/3", "https://example.org/schema", "#Anchor", "", 3],
)
def test_a_reference_that_leads_nowhere_is_named(ref: Any) -> None:
    """A $ref without a target is an error that names the tool, the reference and the remedy."""
    with pytest.raises(ConfigError, match=r"the tool 'place'.*\$defs") as caught:
        flatten_tool(as_tool({"type": "object", "properties": {"it": {"$ref": ref}}}))
    assert repr(ref) in str(caught.value)


def doubling(levels: int) -> dict[str, Any]:
    """Definitions that each use the next one twice: 2 ** levels when written out."""
    definitions: dict[str, Any] = {
        f"L{at}": {
            "type": "object",
            "description": f"level {at}",
            "properties": {side: {"$ref": f"#/$defs/L{at + 1}"} for side in ("left", "right")},
        }
        for at in range(levels)
    }
    definitions[f"L{levels}"] = {"type": "integer"}
    return {"$ref": "#/$defs/L0", "$defs": definitions}


def mutual(count: int) -> dict[str, Any]:
    """Definitions that each use every other one, as the nodes of a document do."""
    names = [f"N{at}" for at in range(count)]
    return {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/N0"}},
        "$defs": {
            name: {
                "type": "object",
                "properties": {one: {"$ref": f"#/$defs/{one}"} for one in names},
            }
            for name in names
        },
    }


@pytest.mark.parametrize("schema", [doubling(30), mutual(12)], ids=["doubling", "mutual"])
def test_definitions_used_many_times_stay_within_bounds(schema: dict[str, Any]) -> None:
    """Definitions that would expand without end are cut early, and the description says so."""
    flat = flatten_tool(as_tool(schema))
    text = json.dumps(flat)
    assert carried_tool(flat) == flat
    assert flatten_tool(flat) == flat
    assert "is too large to be shown here." in text
    assert text.count('"type"') <= 2 * MAX_NODES


def test_a_schema_that_cannot_be_cut_small_enough_is_refused() -> None:
    """Thousands of references side by side are an error that says what to do."""
    wide = {f"p{at}": {"$ref": "#/$defs/One"} for at in range(MAX_NODES + 1)}
    schema = {"type": "object", "properties": wide, "$defs": {"One": {"type": "string"}}}
    with pytest.raises(ConfigError, match="fewer or smaller parameters"):
        flatten_tool(as_tool(schema))


def test_nesting_without_references() -> None:
    """Deep nesting is carried up to a limit, beyond which the error names it."""

    def nested(levels: int) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        for _ in range(levels):
            schema = {"type": "object", "properties": {"in": schema}}
        return schema

    assert flatten_schema(nested(50)) == nested(50)
    with pytest.raises(ConfigError, match="64 levels"):
        flatten_schema(nested(500))


def test_nested_maps_do_not_multiply_their_quotes() -> None:
    """A map of maps of maps, told in words within words, stays short."""
    schema: dict[str, Any] = {"type": "string", "enum": ['"a"']}
    for _ in range(20):
        schema = {
            "type": "object",
            "properties": {"a": {"type": "string", "enum": ["b"]}},
            "additionalProperties": schema,
        }
    assert len(json.dumps(flatten_schema(schema))) < 20_000
