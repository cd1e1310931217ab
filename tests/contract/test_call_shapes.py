"""Tool calls in the shapes of other servers: none loses its name or its arguments."""

import json
from typing import Any

import pytest
from both_chats import Chats

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": parameters}}
    for name, parameters in [
        ("f", {"type": "object", "properties": {"a": {"type": "integer"}}}),
        ("g", {"type": "object", "properties": {"a": {"type": "integer"}}}),
        ("now", {"type": "object", "properties": {}}),
    ]
]
TEXT = '{"a": 1}'
ONE = ("f", {"a": 1})
SHAPES: dict[str, dict[str, Any]] = {
    "flat": {"tool_calls": [{"id": "1", "name": "f", "arguments": TEXT}]},
    "flat, an object": {"tool_calls": [{"name": "f", "arguments": {"a": 1}}]},
    "not a list": {"tool_calls": {"id": "1", "function": {"name": "f", "arguments": TEXT}}},
    "JSON text": {"tool_calls": json.dumps([{"function": {"name": "f", "arguments": TEXT}}])},
    "parameters": {"tool_calls": [{"function": {"name": "f", "parameters": {"a": 1}}}]},
    "a name alone": {"tool_calls": [{"function": "f", "arguments": TEXT}]},
    "a null beside it": {"tool_calls": [None, {"function": {"name": "f", "arguments": TEXT}}]},
    "legacy": {"function_call": {"name": "f", "arguments": TEXT}},
    "a part": {"content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]},
}


def calls_of(found: Any) -> list[tuple[str, Any]]:
    return [(name, json.loads(arguments)) for _, name, arguments in found.calls]


def of(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"name": name, "arguments": arguments}, **more}]}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_call_of_another_shape_is_the_same_call(chats: Chats, shape: str) -> None:
    """With its name, its arguments and an id."""
    found = chats.chat(SHAPES[shape], call={"tools": TOOLS})
    assert calls_of(found) == [ONE]
    assert all(identity for identity, _, _ in found.calls)


def test_two_objects_in_one_text_are_two_calls(chats: Chats) -> None:
    """Never one that is broken."""
    found = chats.chat(of("f", TEXT + '{"a": 2}', id="1"), call={"tools": TOOLS})
    assert calls_of(found) == [ONE, ("f", {"a": 2})]
    assert len({identity for identity, _, _ in found.calls}) == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 1}", {"a": 1}),
        ('{"a": True, "b": [None, False]}', {"a": True, "b": [None, False]}),
        ('{"a": 1}]}', {"a": 1}),
        ('{"a": 1}<|im_end|>\n', {"a": 1}),
        ('{"a": "True, \'None\'"}', {"a": "True, 'None'"}),
    ],
)
def test_odd_arguments_are_read_in_pieces_as_whole(chats: Chats, text: str, value: Any) -> None:
    """LangChain's merged chunks hold the same call as a whole answer."""
    if not chats.streams or chats.wire == "native":
        found = chats.chat(of("f", text), call={"tools": TOOLS})
    else:
        first = {"index": 0, "id": "1", "function": {"name": "f", "arguments": ""}}
        more = [{"index": 0, "function": {"arguments": piece}} for piece in text]
        messages = [{"tool_calls": [one]} for one in (first, *more)]
        found = chats.chat(*messages, call={"tools": TOOLS})
    assert calls_of(found) == [("f", value)]


@pytest.mark.parametrize(
    "text", ['{"a": 1} and so on', '{"a": NaN}', "{a: 1}", '[{"a": 1}]', "null"]
)
def test_what_is_not_certain_is_an_invalid_call_with_its_text(chats: Chats, text: str) -> None:
    """All of the text, to which LangChain's merged chunks may add brackets."""
    found = chats.chat(of("f", text), call={"tools": TOOLS})
    ((_, name, told),) = found.calls
    assert name == "f"
    assert told.startswith(text)
    assert told[len(text) :].strip("]}") == ""


@pytest.mark.parametrize("value", [None, "null", [], '{"": ""}', {"input": {}}])
def test_nothing_is_written_in_many_ways(chats: Chats, value: Any) -> None:
    """For a tool without parameters."""
    assert calls_of(chats.chat(of("now", value), call={"tools": TOOLS})) == [("now", {})]
