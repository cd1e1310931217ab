"""Tool calls that come in pieces."""

from typing import Any

import pytest
from openai_events import CHAT, ONE_CALL, calls, event, from_deltas, piece, stream
from recorded import recording

from ollama_transport import ChatRequest, Message, ToolCall
from ollama_transport.wire.calls.decoders import parse_object
from ollama_transport.wire.openai import calls as openai

A = ("a", {"x": 1})
B = ("b", {"y": [2]})
A_TWICE = ("a", {"x": 2})

FRAGMENTS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, Any]]]] = {
    "whole in one": ([piece('{"x":1}', "a", "1", 0)], [A]),
    "name first, then arguments": (
        [piece("", "a", "1", 0), piece('{"x"', index=0), piece(":1}", index=0)],
        [A],
    ),
    "id, name and arguments apart": (
        [piece(call_id="1", index=0), piece(name="a", index=0), piece('{"x":1}', index=0)],
        [A],
    ),
    "a name in two": (
        [piece("", "get_", "1", 0), piece("", "x", index=0), piece("{}", index=0)],
        [("get_x", {})],
    ),
    "two one after the other": (
        [
            piece("", "a", "1", 0),
            piece('{"x":1}', index=0),
            piece("", "b", "2", 1),
            piece('{"y":[2]}', index=1),
        ],
        [A, B],
    ),
    "two interleaved": (
        [
            piece("", "a", "1", 0),
            piece("", "b", "2", 1),
            piece('{"x"', index=0),
            piece('{"y":', index=1),
            piece(":1}", index=0),
            piece("[2]}", index=1),
        ],
        [A, B],
    ),
    "the second before the first": (
        [piece('{"y":[2]}', "b", "2", 1), piece('{"x":1}', "a", "1", 0)],
        [A, B],
    ),
    "name and id repeated (llama-cpp-python)": (
        [piece('{"x"', "a", "1", 0), piece(":1}", "a", "1", 0), piece("", "a", "1", 0)],
        [A],
    ),
    "a new id each time (older vLLM)": (
        [piece('{"x"', "a", "1", 0), piece(":1}", "a", "2", 0), piece("", "a", "3", 0)],
        [A],
    ),
    "every call has the index 0": (
        [piece('{"x":1}', "a", "1", 0), piece('{"x":2}', "a", "2", 0), piece("{}", "b", "3", 0)],
        [A, A_TWICE, ("b", {})],
    ),
    "no index, whole calls": (
        [piece('{"x":1}', "a", "1"), piece('{"x":2}', "a", "2")],
        [A, A_TWICE],
    ),
    "no index, in pieces": (
        [piece("", "a", "1"), piece('{"x":1}'), piece("", "b", "2"), piece('{"y":[2]}')],
        [A, B],
    ),
    "no index, interleaved by id": (
        [
            piece('{"x"', "a", "1"),
            piece('{"y"', "b", "2"),
            piece(":1}", call_id="1"),
            piece(":[2]}", call_id="2"),
        ],
        [A, B],
    ),
    "neither index nor id": (
        [piece('{"x":1}', "a"), piece('{"x"', "a"), piece(":2}"), piece('{"y":[2]}', "b")],
        [A, A_TWICE, B],
    ),
    "an object in place of text": ([piece({"x": 1}, "a", "1", 0)], [A]),
    "no arguments at all": (
        [piece(None, "a", "1", 0), piece("", "b", "2", 1)],
        [("a", {}), ("b", {})],
    ),
    "one index and one id, two objects": (
        [piece('{"x":1}', "a", "1", 0), piece('{"x":2}', index=0)],
        [A, A_TWICE],
    ),
    "two objects, the second begins inside a piece": (
        [piece('{"x"', "a", "1", 0), piece(':1} {"x":', index=0), piece("2}", index=0)],
        [A, A_TWICE],
    ),
    "two objects in one piece, no index": ([piece('{"x":1}{"x":2}', "a")], [A, A_TWICE]),
    "an index of its own for each piece": (
        [piece('{"x"', "a", "1", 0), piece(":1", index=1), piece("}", index=2)],
        [A],
    ),
    "index, id and name new in each piece": (
        [piece('{"x"', "a", "1", 0), piece(":1", "a", "2", 1), piece("}", "a", "3", 2)],
        [A],
    ),
    "no index, a new id each time": (
        [piece('{"x"', "a", "1"), piece(":1}", "a", "2"), piece("", "a", "3")],
        [A],
    ),
    "all zero, a header before each call": (
        [
            piece("", "a", "1", 0),
            piece('{"x":1}', index=0),
            piece("", "a", "2", 0),
            piece('{"x":2}', index=0),
        ],
        [A, A_TWICE],
    ),
    "all zero, ids alone tell them apart": (
        [piece('{"x":1}', "a", "1", 0), piece('{"x":2}', None, "2", 0)],
        [A, A_TWICE],
    ),
    "all zero, no arguments": (
        [piece("", "a", "1", 0), piece("", "a", "2", 0)],
        [("a", {}), ("a", {})],
    ),
    "one id for all": (
        [piece('{"x":1}', "a", "1", 0), piece('{"y":[2]}', "b", "1", 1)],
        [A, B],
    ),
    "an empty object before the arguments": (
        [piece("{}", "a", "1", 0), piece('{"x"', index=0), piece(":1}", index=0)],
        [A],
    ),
    "an object inside of an object": (
        [piece('{"x":', "a", "1", 0), piece('{"y":', "a", "2", 0), piece("1}}", "a", "3", 0)],
        [("a", {"x": {"y": 1}})],
    ),
    "brackets in a text": (
        [piece('{"x":"}', "a", "1", 0), piece('{\\"', index=0), piece('"}', index=0)],
        [("a", {"x": '}{"'})],
    ),
    "JSON in JSON": ([piece('"{\\"x\\"', "a", "1", 0), piece(':1}"', index=0)], [A]),
    "a fence": ([piece("```json\n", "a", "1", 0), piece('{"x":1}\n```', index=0)], [A]),
    "a comma too many": ([piece('{"x":1', "a", "1", 0), piece(", ", index=0), piece("}")], [A]),
    "a raw line end in a text": (
        [piece('{"x":"a', "a", "1", 0), piece("\nb", index=0), piece('"}', index=0)],
        [("a", {"x": "a\nb"})],
    ),
    "no ids": ([piece('{"x":1}', "a", index=0), piece('{"y":[2]}', "b", index=1)], [A, B]),
}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", FRAGMENTS)
def test_calls_are_put_together_however_they_are_cut(name: str, wrapped: bool) -> None:
    """Whatever the pieces are, the calls are the same, in deltas and whole, each with its id."""
    pieces, expected = FRAGMENTS[name]
    lines = stream(CHAT, calls(*pieces, wrapped=wrapped))
    found = lines[-1].tool_calls
    assert [(call.name, call.arguments) for call in found] == expected
    assert [call.index for call in found] == list(range(len(expected)))
    assert len({call.id for call in found if call.id}) == len(expected)
    assert from_deltas(lines) == list(found)
    assert not [call for line in lines[:-1] for call in line.tool_calls]


@pytest.mark.parametrize("text", ['{"x": ', "[1]", "null", "Paris", '"[]"', '{"x": 1} and so on'])
def test_arguments_other_than_an_object_stay_text(text: str) -> None:
    """What a model wrote wrong reaches the caller as it is, on both ways."""
    lines = stream(CHAT, calls(piece(text, "a", "1", 0)))
    message = {"content": None, "tool_calls": [piece(text, "a", "1")]}
    whole = CHAT.read({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    error = "the arguments are not a JSON object"
    assert lines[-1].tool_calls == whole.tool_calls == (ToolCall("a", text, "1", 0, error),)


def test_a_function_call_of_the_older_form_is_a_call() -> None:
    """Alone it counts; beside tool_calls it says the same once more."""
    old = {"function_call": {"name": "a", "arguments": '{"x":'}}
    pieces = [event(old), event({"function_call": {"arguments": "1}"}})]
    lines = stream(CHAT, [*pieces, event(finish="function_call"), b"data: [DONE]\n\n"])
    message = {"content": None, "function_call": {"name": "a", "arguments": '{"x":1}'}}
    whole = CHAT.read({"choices": [{"message": message, "finish_reason": "function_call"}]})
    for call in (*lines[-1].tool_calls, *whole.tool_calls):
        assert (call.name, call.arguments) == A
        assert call.id
    assert (len(lines[-1].tool_calls), len(whole.tool_calls)) == (1, 1)


@pytest.mark.parametrize("text", ["", '{"x": "ha', '{"x"', '{"x":1'])
def test_a_cut_call_is_reported_as_cut(text: str) -> None:
    """Of a last call without any arguments the rest may be missing as well."""
    pieces = [event({"tool_calls": [piece(text, "a", "1", 0)]})]
    lines = stream(CHAT, [*pieces, event(finish="length"), b"data: [DONE]\n\n"])
    message = {"content": None, "tool_calls": [piece(text, "a", "1")]}
    whole = CHAT.read({"choices": [{"message": message, "finish_reason": "length"}]})
    (call,) = lines[-1].tool_calls
    assert (call.arguments, call.error) == (text, "the answer ended inside the arguments")
    assert whole.tool_calls == lines[-1].tool_calls


def test_made_ids_are_nine_letters_and_digits_and_differ_from_turn_to_turn() -> None:
    """Mistral's templates take no others; some servers have one id for all their answers."""
    answer = {"id": "", "choices": [{"message": {"tool_calls": [piece("{}", "a")]}}]}
    hello, again = Message("user", "Hello"), Message("user", "Again")
    asked = [[hello], [hello, Message("assistant", "Hi"), again], [again]]
    found = [openai.chat(ChatRequest("m", said)).read(answer).tool_calls[0].id for said in asked]
    assert len(set(found)) == len(asked)
    for identity in found:
        assert identity is not None
        assert identity.isalnum()
        assert len(identity) == 9


def test_one_call_is_kept_where_no_parallel_ones_were_asked_for() -> None:
    """Ollama's /v1 ignores parallel_tool_calls; the caller gets one call all the same."""
    lines = stream(ONE_CALL, recording("openai/two-tools-stream").chunks)
    whole = ONE_CALL.read(parse_object(recording("openai/two-tools-whole").data))
    assert [call.arguments["city"] for call in lines[-1].tool_calls] == ["Paris"]
    assert [call.arguments["city"] for call in whole.tool_calls] == ["Paris"]
    assert from_deltas(lines) == list(lines[-1].tool_calls)
