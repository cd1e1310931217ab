"""Arguments of tool calls, as models and servers write them."""

from typing import Any

import pytest

from ollama_transport import ChatLine, ChatRequest, Message
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.openai import calls as openai


def tool(name: str, *parameters: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {one: {"type": "string"} for one in parameters}}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [tool("now"), tool("weather", "city"), tool("echo", "functionName")]
REQUEST = ChatRequest("m", [Message("user", "Hi")], tools=TOOLS)
CALLS = {"native": native.chat(REQUEST), "openai": openai.chat(REQUEST)}
PARIS = {"city": "Paris"}


def answer(wire: str, name: str, arguments: Any) -> dict[str, Any]:
    message = {"content": "", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]}
    if wire == "native":
        return {"model": "m", "message": message, "done": True, "done_reason": "stop"}
    return {"choices": [{"message": message, "finish_reason": "tool_calls"}]}


@pytest.fixture(params=CALLS)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(wire: str, name: str, arguments: Any) -> Any:
    call: Call[ChatLine] = CALLS[wire]
    (found,) = call.read(answer(wire, name, arguments)).tool_calls
    return found.arguments


@pytest.mark.parametrize(
    "arguments",
    [
        PARIS,
        '{"city": "Paris"}',
        ' \n{"city": "Paris"}\n',
        '"{\\"city\\": \\"Paris\\"}"',
        '"\\"{\\\\\\"city\\\\\\": \\\\\\"Paris\\\\\\"}\\""',
        '{"city": "Paris",}',
        '{"city": "Paris" , \n}',
        '```json\n{"city": "Paris"}\n```',
        '```\n{"city": "Paris",}\n```',
        "{'city': 'Paris'}",
        "{'city': 'Paris',}",
        """{'city': "Paris"}""",
        '{"city": "Paris"}}',
        '{"city": "Paris",}]}\n',
        '{"city": "Paris"}<|eot_id|>',
        '{"city": "Paris"}\n</tool_call>```',
    ],
)
def test_unambiguous_arguments_are_decoded(wire: str, arguments: Any) -> None:
    """Text for an object and an object for text, however many layers of encoding there are."""
    assert read(wire, "weather", arguments) == PARIS


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Par',
        "Paris",
        "[1]",
        "null",
        "None",
        '{"city": "Paris"',
        '{"city": Paris}',
        "{1}",
        "{'city': 'Par",
        "{'city': 'Paris',,}",
        "{'city': ('Paris',)}",
        "{'city': {1}}",
        "{1: 'a'}",
        "{'city': '\\d'}",
        "{'city': b'Paris'}",
        "{'a': " + "[" * 3000,
        '{"city": "Paris"} or Rome',
        '{"city": Infinity}',
        "{" + "}" * 3 + "{",
    ],
)
def test_ambiguous_arguments_stay_text(wire: str, text: str) -> None:
    """No tool runs with a part of what was meant, or with nothing."""
    assert read(wire, "weather", text) == text


@pytest.mark.parametrize("value", [[1], 7, True])
def test_a_value_other_than_an_object_becomes_its_text(wire: str, value: Any) -> None:
    """The call is kept, and what stood there."""
    assert read(wire, "weather", value) in ("[1]", "7", "true")


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        "",
        " ",
        "{}",
        {},
        "null",
        "None",
        "[]",
        [],
        '"{}"',
        '""',
        "'{}'",
        {"": ""},
        '{"dummy": null}',
        {"input": {}},
        {"args": []},
    ],
)
def test_every_spelling_of_nothing_means_no_arguments(wire: str, nothing: Any) -> None:
    """For a tool without parameters there is nothing that could be lost."""
    assert read(wire, "now", nothing) == {}


def test_an_echo_of_the_name_is_dropped(wire: str) -> None:
    """Some models write it beside the arguments; a tool that has such a parameter keeps it."""
    assert read(wire, "now", {"functionName": "now"}) == {}
    both = {**PARIS, "functionName": "weather"}
    assert read(wire, "weather", both) == PARIS
    assert read(wire, "unknown", {**PARIS, "functionName": "unknown"}) == PARIS
    assert read(wire, "echo", {"functionName": "echo"}) == {"functionName": "echo"}
    assert read(wire, "now", {"functionName": "other"}) == {"functionName": "other"}


@pytest.mark.parametrize("content", ["parts", "one part"])
def test_content_in_parts_is_text_and_thoughts(wire: str, content: str) -> None:
    """Mistral's reasoning models write both into one list."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hmm."}]}
    text = {"type": "text", "text": "Four."}
    parts: Any = [thought, text] if content == "parts" else text
    raw = answer(wire, "now", {})
    message = raw["message"] if wire == "native" else raw["choices"][0]["message"]
    message["content"] = parts
    line = CALLS[wire].read(raw)
    assert line.text == "Four."
    assert line.thinking == ("Hmm." if content == "parts" else "")
