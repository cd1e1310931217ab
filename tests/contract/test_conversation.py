"""Rules about a conversation, which stand below both adapters: each is seen through both."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from both_ways import Facts
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import Message, ToolCall
from ollama_transport.conversation import ready_history

WIRES = {"native": {}, "openai": {"base_url": "http://127.0.0.1:8000/v1"}}
ANSWERS = {"native": "chat/tiny-chat/hello-whole", "openai": "openai/hello-whole"}

# A turn in the middle of a history: calls as (id, name, arguments), results as (id, text).
Calls = Sequence[tuple[str, str, dict[str, Any] | str]]
Results = Sequence[tuple[str, str]]
Sends = Callable[[Sequence[tuple[Calls, Results]]], list[dict[str, Any]]]


def langchain_turn(calls: Calls, results: Results) -> list[Any]:
    return [
        AIMessage(
            "",
            tool_calls=[
                {"id": id, "name": name, "args": args}
                for id, name, args in calls
                if isinstance(args, dict)
            ],
            invalid_tool_calls=[
                {
                    "type": "invalid_tool_call",
                    "id": id,
                    "name": name,
                    "args": args,
                    "error": "its arguments are not a JSON object",
                }
                for id, name, args in calls
                if isinstance(args, str)
            ],
        ),
        *(ToolMessage(text, tool_call_id=id) for id, text in results),
    ]


def llamaindex_turn(calls: Calls, results: Results) -> list[ChatMessage]:
    blocks = [ToolCallBlock(tool_call_id=i, tool_name=n, tool_kwargs=a) for i, n, a in calls]
    return [
        ChatMessage(role="assistant", blocks=[TextBlock(text=""), *blocks]),
        *(
            ChatMessage(text, role="tool", additional_kwargs={"tool_call_id": id})
            for id, text in results
        ),
    ]


@pytest.fixture(params=["LangChain", "LlamaIndex"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sends(adapter: str, wire: str) -> Sends:
    """Return what goes out for a history of such turns, after the user's message."""
    network = Facts(ANSWERS[wire])
    settings: dict[str, Any] = {"client_kwargs": {"transport": network}, **WIRES[wire]}

    def langchain(turns: Sequence[tuple[Calls, Results]]) -> None:
        history = [message for turn in turns for message in langchain_turn(*turn)]
        with ChatOllama(model="m", **settings) as model:
            model.invoke([HumanMessage("hi"), *history])

    def llamaindex(turns: Sequence[tuple[Calls, Results]]) -> None:
        history = [message for turn in turns for message in llamaindex_turn(*turn)]
        with Ollama(model="m", **settings) as llm:
            llm.chat([ChatMessage("hi"), *history])

    ask = {"LangChain": langchain, "LlamaIndex": llamaindex}[adapter]

    def sent(turns: Sequence[tuple[Calls, Results]]) -> list[dict[str, Any]]:
        ask(turns)
        messages: list[dict[str, Any]] = json.loads(network.requests[-1].content)["messages"]
        return messages[1:]

    return sent


def arguments_of(message: dict[str, Any]) -> list[Any]:
    """Return the arguments of a message's calls as objects, on either wire."""
    found = [call["function"]["arguments"] for call in message["tool_calls"]]
    return [json.loads(item) if isinstance(item, str) else item for item in found]


def result_name(message: dict[str, Any]) -> Any:
    return message.get("tool_name", message.get("name"))


ROME, PARIS = {"city": "Rome"}, {"city": "Paris"}


def test_results_go_out_in_call_order_with_their_tools_names(sends: Sends) -> None:
    """Agents add results as they come; a model without ids goes by order and name."""
    calls = [("1", "weather", ROME), ("2", "time", PARIS)]
    _, first, second = sends([(calls, [("2", "noon"), ("1", "rain")])])
    assert [first["content"], second["content"]] == ["rain", "noon"]
    assert [result_name(first), result_name(second)] == ["weather", "time"]


def test_a_result_takes_the_name_of_the_nearest_earlier_call_of_its_id(sends: Sends) -> None:
    """Some servers number the calls of each turn from 0, so ids come again."""
    turns = [
        ([("0", "weather", ROME)], [("0", "rain")]),
        ([("0", "time", PARIS)], [("0", "noon")]),
    ]
    sent = sends(turns)
    assert [result_name(sent[1]), result_name(sent[3])] == ["weather", "time"]


@pytest.mark.parametrize("text", ['{"city": "Par', "[1]", "no JSON at all"])
def test_an_unreadable_call_without_a_result_goes_out_as_text_with_its_reason(
    sends: Sends, text: str
) -> None:
    """No server takes such arguments, and a call without a result is refused by strict ones."""
    (message,) = sends([([("1", "weather", text)], [])])
    assert "tool_calls" not in message
    assert text in message["content"]
    assert "its arguments are not a JSON object" in message["content"]


def test_an_unreadable_call_and_its_result_stay_a_pair(sends: Sends) -> None:
    """The result that agents add would be an orphan if the call went out as text."""
    call, result = sends([([("1", "weather", '{"city": "Par')], [("1", "Error: try again")])])
    assert arguments_of(call) == [{"unreadable_arguments": '{"city": "Par'}]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "1"
    assert result_name(result) == "weather"


def test_readable_calls_of_a_message_stay_calls(sends: Sends) -> None:
    """One unreadable call takes nothing from those beside it."""
    call, _ = sends([([("1", "weather", ROME), ("2", "time", "{bad")], [("1", "rain")])])
    assert arguments_of(call) == [ROME]
    assert "{bad" in call["content"]


def test_a_call_of_which_nothing_is_left_goes_out_as_text() -> None:
    """Without a name, arguments and a result, it would be a call that strict servers refuse."""
    lost = ToolCall("", "", error="cut off")
    ready = ready_history([Message("user", "hi"), Message("assistant", tool_calls=(lost,))])
    assert ready[-1].tool_calls == ()
    assert "cut off" in ready[-1].content
