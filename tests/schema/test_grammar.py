"""Schemas are written so that the engine's grammar takes them, and holds what it can."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from recorded import grammar_names, grammar_schema, recording
from schemas import schemas

from ollama_transport import ChatRequest, ConfigError, GenerateRequest, Message, NamedTool
from ollama_transport.schema.grammar import grammar_safe
from ollama_transport.schema.grammar_rules import ANY
from ollama_transport.wire.native import calls as native

NO_SCHEMA = {"ref-unresolved", "openai-ref-unresolved", "type-unknown", "openai-type-unknown"}
WITH_SCHEMA = [name for name in grammar_names() if name != "empty-schema"]
NOT_HELD = {
    "multiple-of": "A multiple of 5.",
    "not": 'Not: {"type": "null"}.',
    "number-range": "At least 0.5. At most 1.",
    "unique-items": "No duplicates.",
    "format-email": "Format: email.",
    "pattern-lookahead": "Pattern: `^(?=a)a$`.",
    "additional-properties": "Properties: at most 2.",
}
HELD = [
    name
    for name in WITH_SCHEMA
    if recording(f"grammars/{name}").status == 200
    and name not in (*NOT_HELD, "all-of")
    and not name.startswith("pattern-")
]


def of_field(schema: Any) -> Any:
    """Return what becomes of one required field's schema."""
    whole = {"type": "object", "properties": {"f": schema}, "required": ["f"]}
    return grammar_safe(whole)["properties"].get("f")


@pytest.mark.parametrize("name", HELD)
def test_keywords_that_the_grammar_holds_are_sent_unchanged(name: str) -> None:
    """Recorded with 200 and held: nothing is rewritten."""
    schema = grammar_schema(name)
    assert json.dumps(grammar_safe(schema)) == json.dumps(schema)


@pytest.mark.parametrize(("name", "words"), NOT_HELD.items())
def test_keywords_that_the_grammar_ignores_go_into_the_description(name: str, words: str) -> None:
    """Taken with 200, and not held: the field's description says it, as that of a tool does."""
    assert recording(f"grammars/{name}").status == 200
    safe = grammar_safe(grammar_schema(name))
    described = safe if "description" in safe else next(iter(safe["properties"].values()))
    assert described["description"] == words


@pytest.mark.parametrize("name", sorted(NO_SCHEMA))
def test_contradictory_schemas_are_errors_that_name_the_field(name: str) -> None:
    """The server's own 400 names none."""
    assert recording(f"grammars/{name}").status == 400
    with pytest.raises(ConfigError, match=r"^code"):
        grammar_safe(grammar_schema(name))


@pytest.mark.parametrize(
    ("schema", "fit"),
    [
        (True, ANY),
        ({}, ANY),
        (False, None),
        ({"type": "string", "maxLength": 5000}, {"description": "Length: at most 5000."}),
        ({"type": "integer", "minimum": 10**16}, {"description": f"At least {10**16}."}),
        ({"type": "integer", "minimum": 0.5, "exclusiveMaximum": 3}, {"minimum": 1, "maximum": 2}),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, {"exclusiveMinimum": 0}),
        ({"type": "array", "minItems": 1}, {"items": ANY, "minItems": 1}),
        ({"type": "array", "items": False}, {"items": ANY, "maxItems": 0}),
        (
            {"type": "array", "prefixItems": [{"type": "null"}], "items": True, "minItems": 2},
            {"prefixItems": [{"type": "null"}, ANY], "minItems": 2},
        ),
        (
            {"type": "string", "pattern": "^a$", "minLength": 3},
            {"pattern": "^a$", "description": "Length: at least 3."},
        ),
        ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, {"type": "string", "maxLength": 3}),
        (
            {"type": "object", "patternProperties": {"^x": {"type": "null"}}},
            {"description": "Keys matching `^x`.", "additionalProperties": {"type": "null"}},
        ),
        ({"type": "object", "required": ["a"]}, {"properties": {"a": ANY}, "required": ["a"]}),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
                "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
                        "required": [name],
                    }
                    for name in ("a", "b")
                ]
            },
        ),
    ],
)
def test_a_field_is_written_as_the_grammar_takes_it(schema: Any, fit: Any) -> None:
    """Each of these is refused, dropped or misread by the engine as it is."""
    found = of_field(schema)
    if fit is not None and isinstance(schema, dict) and "type" in schema and "anyOf" not in fit:
        fit = {"type": schema["type"], **fit}
    assert found == fit


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/$defs/Nope"}, "f: the schema has no '#/\\$defs/Nope'"),
        ({"type": "str"}, "f has the type 'str'"),
        ({"items": {"type": "any"}}, r"f\[\] has the type 'any'"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "f wants 3 items and allows 2"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "f has bounds that leave no integer"),
        ({"anyOf": [False]}, "no value fits the schema of f"),
        ("text", "the schema of f is 'text'"),
    ],
)
def test_a_mistake_in_a_schema_names_its_field(schema: Any, words: str) -> None:
    """The engine refuses these without a name, or never ends."""
    with pytest.raises(ConfigError, match=words):
        of_field(schema)


def test_a_schema_that_is_narrowed_inside_of_itself_is_written_once() -> None:
    """Merging it into itself would never end; the grammar drops what stands beside a $ref."""
    node = {"properties": {"next": {"$ref": "#/$defs/N", "required": ["next"]}}, "type": "object"}
    safe = grammar_safe({"$defs": {"N": node}, "properties": {"n": {"$ref": "#/$defs/N"}}})
    assert safe["$defs"]["N"]["properties"]["next"] == {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/N"}},
        "required": ["next"],
    }


def test_references_get_distinct_names() -> None:
    """It reads no escapes in a path, and takes every sign but letters and digits for "-"."""
    schema = {
        "$defs": {"A_b": {"type": "null"}, "A-b": {"type": "string"}, "x/y": {"type": "integer"}},
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/A_b"},
            "b": {"$ref": "#/$defs/A-b"},
            "c": {"$ref": "#/$defs/x~1y"},
            "d": {"$ref": "#"},
        },
    }
    safe = grammar_safe(schema)
    names = [one["$ref"].rpartition("/")[2] for one in safe["properties"].values()]
    assert len({name.replace("_", "-") for name in names}) == 4
    kinds = [safe["$defs"][name].get("type") for name in names]
    assert kinds == ["null", "string", "integer", "object"]
    assert safe["$defs"][names[3]]["properties"] == safe["properties"]


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(schemas())
def test_a_schema_that_is_safe_comes_back_equal_and_none_is_changed(schema: Any) -> None:
    """A second pass changes nothing, and the caller's schema stays as it was."""
    before = copy.deepcopy(schema)
    safe = grammar_safe(schema)
    assert schema == before
    assert grammar_safe(safe) == safe


def test_both_requests_of_ollamas_wire_send_what_the_grammar_takes() -> None:
    """`format` of a chat and of a completion."""
    given = grammar_schema("pattern-digit-class")
    fit = {**given, "properties": {"code": {"type": "string", "pattern": "^[0-9]+$"}}}
    chat = native.chat(ChatRequest("m", [Message("user", "Hi")], format=given))
    completion = native.generate(GenerateRequest("m", "Hi", format=given))
    assert chat.body is not None
    assert completion.body is not None
    assert chat.body["format"] == completion.body["format"] == fit


def test_a_forced_call_is_held_to_the_full_schema_of_its_tool() -> None:
    """Flat schemas are for `tools`, where the rest would be dropped: a grammar holds it."""
    tags = {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "maxItems": 2}
    parameters = {
        "type": "object",
        "properties": {"tags": tags},
        "$defs": {"Tag": {"type": "string", "enum": ["a", "b"]}},
    }
    tools = [
        {"type": "function", "function": {"name": name, "parameters": parameters}}
        for name in ("one", "two")
    ]
    request = ChatRequest("m", [Message("user", "Hi")], tools=tools, tool_choice=NamedTool("one"))
    body = native.chat(request).body
    assert body is not None
    assert body["format"]["properties"]["arguments"]["properties"]["tags"] == tags
    assert body["format"]["$defs"] == parameters["$defs"]
    flat = body["tools"][0]["function"]["parameters"]["properties"]["tags"]
    assert flat["description"] == "Items: at most 2."
    both = native.chat(
        ChatRequest("m", [Message("user", "Hi")], tools=tools, tool_choice="required")
    ).body
    assert both is not None
    for call in both["format"]["anyOf"]:
        ref = call["properties"]["arguments"]["properties"]["tags"]["items"]["$ref"]
        assert both["format"]["$defs"][ref.rpartition("/")[2]]["enum"] == ["a", "b"]
