"""Tools go out whole, calls come in whole, and what was forced is kept; D4, D5, D9."""

import asyncio
import json
from collections.abc import Callable
from enum import Enum
from itertools import pairwise
from typing import Any

import pytest
from llama_index.core.agent.react import ReActChatFormatter, ReActOutputParser
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.tools import FunctionTool
from llama_ways import Played, Way, answer, chat_reply
from pydantic import BaseModel
from running import Run
from versions import needs

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ConfigError, UnsupportedContentError

Make = Callable[..., Ollama]


class Unit(Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Place(BaseModel):
    city: str
    country: str | None = None


def get_weather(
    place: Place,
    unit: Unit = Unit.CELSIUS,
    days: int | None = 1,
) -> str:
    """Get the weather at a place."""
    return f"sunny in {place}"


def fast(city: str) -> str:
    """Answer at once."""
    return f"fast {city}"


def slow(city: str) -> str:
    """Answer later."""
    return f"slow {city}"


WEATHER = FunctionTool.from_defaults(get_weather)
FAST, SLOW = FunctionTool.from_defaults(fast), FunctionTool.from_defaults(slow)


def tool_call(name: str, identity: str | None = None, **arguments: Any) -> dict[str, Any]:
    call = {"function": {"name": name, "arguments": arguments}}
    return call if identity is None else {"id": identity, **call}


def calls_of(response: ChatResponse) -> list[ToolCallBlock]:
    return [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]


def test_nested_schemas_arrive(ollama: Make, way: Way) -> None:
    """D4: references, optional fields and defaults reach the server in words that it keeps."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    way.chat_with_tools(ollama(network), [WEATHER], "hi")
    (tool,) = network.body["tools"]
    properties = tool["function"]["parameters"]["properties"]
    assert "$ref" not in json.dumps(tool)
    assert properties["place"]["properties"]["city"]["type"] == "string"
    assert properties["place"]["required"] == ["city"]
    assert properties["unit"]["enum"] == ["celsius", "fahrenheit"]
    assert properties["days"]["type"] == "integer"
    assert list(properties) == ["place", "unit", "days"]
    assert tool["function"]["name"] == "get_weather"
    assert "Get the weather at a place." in tool["function"]["description"]


def test_ids_of_the_server_are_kept(ollama: Make, way: Way) -> None:
    """D5: the id of a call is the server's."""
    message = {"content": "", "tool_calls": [tool_call("fast", "call_1", city="Rome")]}
    llm = ollama(Played(answer(message, streams=way.streams)))
    response = way.chat_with_tools(llm, [FAST], "hi")[-1]
    (selection,) = llm.get_tool_calls_from_response(response)
    assert selection.tool_id == "call_1"
    assert selection.tool_name == "fast"
    assert selection.tool_kwargs == {"city": "Rome"}


@pytest.mark.parametrize("identity", [None, "same"])
def test_identical_calls_are_two(ollama: Make, way: Way, identity: str | None) -> None:
    """D5, D6: two calls that say the same are two, with ids of their own."""
    call = tool_call("fast", identity, city="Rome")
    llm = ollama(Played(answer({"tool_calls": [call, call]}, streams=way.streams)))
    response = way.chat_with_tools(llm, [FAST], "hi", allow_parallel_tool_calls=True)[-1]
    selections = llm.get_tool_calls_from_response(response)
    assert [selection.tool_name for selection in selections] == ["fast", "fast"]
    assert len({selection.tool_id for selection in selections}) == 2


def test_ids_are_made_the_same_for_the_same_answer(ollama: Make, way: Way) -> None:
    """D5: an id that was made does not change when the same answer is read again."""
    reply = answer({"tool_calls": [tool_call("fast")]}, streams=way.streams)
    ids = {calls_of(way.chat(ollama(Played(reply)), "hi")[-1])[0].tool_call_id for _ in range(2)}
    assert len(ids) == 1
    assert None not in ids


def test_one_call_at_a_time(ollama: Make, way: Way) -> None:
    """D9: without allow_parallel_tool_calls one call is left, streamed or not."""
    calls = [tool_call("fast", "1"), tool_call("slow", "2")]
    llm = ollama(Played(answer({"tool_calls": calls}, streams=way.streams)))
    response = way.chat_with_tools(llm, [FAST, SLOW], "hi")[-1]
    assert [call.tool_call_id for call in calls_of(response)] == ["1"]


def test_long_descriptions_and_odd_names_are_sent(ollama: Make, way: Way) -> None:
    """Ollama has none of OpenAI's limits: what the user wrote goes out, and comes back by name."""
    name = "weather.now/v2"
    tool = FunctionTool.from_defaults(lambda: "sun", name=name, description="x" * 2000)
    call = {"function": {"name": name, "arguments": {}}}
    network = Played(answer({"content": "", "tool_calls": [call]}, streams=way.streams))
    llm = ollama(network)
    last = way.chat_with_tools(llm, [tool], "Weather?")[-1]
    (sent,) = network.body["tools"]
    assert (sent["function"]["name"], sent["function"]["description"]) == (name, "x" * 2000)
    assert [found.tool_name for found in llm.get_tool_calls_from_response(last)] == [name]


@pytest.mark.parametrize("user", ["", None])
def test_no_message_is_made_of_no_words(ollama: Make, way: Way, user: str | None) -> None:
    """Agents have everything in the history and say "" beside it."""
    network = Played(answer({"content": "x"}, streams=way.streams))
    way.chat_with_tools(ollama(network), [FAST], user, chat_history=[ChatMessage("one")])
    assert [message["content"] for message in network.body["messages"]] == ["one"]


def test_the_history_of_the_caller_stays_as_it_is(ollama: Make, way: Way) -> None:
    """D9: a chat with tools adds nothing to the caller's list."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    history = [ChatMessage("one"), ChatMessage("two", role="assistant")]
    way.chat_with_tools(ollama(network), [FAST], "three", chat_history=history)
    assert len(history) == 2
    assert [m["content"] for m in network.body["messages"]] == ["one", "two", "three"]


def test_arguments_beside_tools_are_sent(ollama: Make, way: Way) -> None:
    """D9: what is given with chat_with_tools reaches the server."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    llm = ollama(network, thinking=True)
    way.chat_with_tools(llm, [FAST], "hi", think=False, options={"seed": 1}, keep_alive=0)
    body = network.body
    assert (body["think"], body["options"], body["keep_alive"]) == (False, {"seed": 1}, 0)


@pytest.mark.parametrize(
    "how", [{"tool_required": True}, {"tool_choice": "slow"}, {"tool_choice": "required"}]
)
@pytest.mark.parametrize("model", ["demo", "demo-rendered"])
def test_a_forced_call_is_made(
    server: EmbeddedOllama, way: Way, how: dict[str, Any], model: str
) -> None:
    """D9: a required tool is called, by its name if one was given, and no text comes with it."""
    llm = Ollama(model, server.url)
    tools = [SLOW] if "tool_choice" not in how else [FAST, SLOW]
    response = way.chat_with_tools(llm, tools, "Tell me about Paris, please.", **how)[-1]
    (selection,) = llm.get_tool_calls_from_response(response)
    assert selection.tool_name in [tool.metadata.name for tool in tools]
    if how.get("tool_choice") == "slow":
        assert selection.tool_name == "slow"
    assert set(selection.tool_kwargs) == {"city"}
    assert response.message.content == ""


def test_a_forced_call_grows_while_it_is_streamed(server: EmbeddedOllama, way: Way) -> None:
    """D9: its arguments come bit by bit, under one id, and each step can be read as a call."""
    llm = Ollama("demo", server.url)
    responses = way.chat_with_tools(llm, [SLOW], "Weather in Paris?", tool_required=True)
    steps = [calls_of(response)[0] for response in responses if calls_of(response)]
    assert len({step.tool_call_id for step in steps}) == 1
    assert isinstance(steps[-1].tool_kwargs, dict)
    if way.streams:
        texts = [str(step.tool_kwargs) for step in steps[:-1]]
        assert len(texts) > 2
        assert all(after.startswith(before) for before, after in pairwise(texts))
        for response in responses:
            llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)


def test_a_tool_that_was_not_given_cannot_be_forced(ollama: Make, way: Way) -> None:
    """D9: a name that is none of the tools is an error that lists them."""
    llm = ollama(Played(answer({"content": "hi"}, streams=way.streams)))
    with pytest.raises(ConfigError, match="fast"):
        way.chat_with_tools(llm, [FAST], "hi", tool_choice="slwo")


def test_no_call_is_an_error_on_request(ollama: Make, way: Way) -> None:
    """get_tool_calls_from_response raises for no call unless told not to, and takes more."""
    llm = ollama(Played(answer({"content": "no"}, streams=way.streams)))
    response = way.chat_with_tools(llm, [FAST], "hi")[-1]
    with pytest.raises(ValueError, match=r"at least one tool call.*'no'"):
        llm.get_tool_calls_from_response(response)
    assert llm.get_tool_calls_from_response(response, False) == []
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False, more=1) == []


@pytest.mark.parametrize(
    ("kwargs", "done", "found"),
    [
        ({"a": 1}, True, {"a": 1}),
        ('{"a": 1}', True, {"a": 1}),
        ("", True, {}),
        ('{"a": 1, "b": "x', False, {"a": 1, "b": None}),
        ("{", False, {}),
        ('{"a": 1, "b": "x', True, None),
        ("[1]", True, None),
    ],
)
def test_arguments_of_a_selection(kwargs: Any, done: bool, found: dict[str, Any] | None) -> None:
    """Arguments are an object; those that were cut off are never taken for whole ones."""
    message = ChatMessage(
        role="assistant",
        blocks=[TextBlock(text=""), ToolCallBlock(tool_name="f", tool_kwargs=kwargs)],
    )
    response = ChatResponse(message=message, raw={"done": done})
    llm = Ollama("m")
    if found is None:
        with pytest.raises(UnsupportedContentError, match="num_predict"):
            llm.get_tool_calls_from_response(response)
    else:
        (selection,) = llm.get_tool_calls_from_response(response)
        assert selection.tool_kwargs == found


def test_predict_and_call(server: EmbeddedOllama, run: Run) -> None:
    """The model picks the tool, LlamaIndex calls it, its output is the answer."""
    llm = Ollama("demo", server.url)
    method = llm.apredict_and_call if run.is_async else llm.predict_and_call
    response = run(method([FAST], "Call fast for the city of Rome.", tool_required=True))
    assert str(response).startswith("fast ")
    assert response.sources[0].tool_name == "fast"


def broken(city: str) -> str:
    """Fail."""
    raise RuntimeError(f"no weather in {city}")


@pytest.mark.parametrize("raises", [True, False])
def test_predict_and_call_with_a_tool_that_fails(
    server: EmbeddedOllama, run: Run, raises: bool
) -> None:
    """error_on_tool_error raises what the tool said; else it is the answer."""
    llm = Ollama("demo", server.url)
    method = llm.apredict_and_call if run.is_async else llm.predict_and_call
    arguments: dict[str, Any] = {"tool_required": True, "error_on_tool_error": raises}
    tools = [FunctionTool.from_defaults(broken)]
    if raises:
        with pytest.raises(ValueError, match="no weather in"):
            run(method(tools, "Call broken for Rome.", **arguments))
    else:
        assert "no weather in" in str(run(method(tools, "Call broken for Rome.", **arguments)))


@needs("llama-index-core", "0.14.8", "a ReAct agent fails on an answer with its reasoning")
# LlamaIndex's workflows look at every attribute of an agent, pydantic's old ones too.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
def test_a_model_without_tools_reasons_in_text(server: EmbeddedOllama, run: Run) -> None:
    """D11: predict_and_call goes by ReAct when the model is known to call no tools."""
    llm = Ollama("demo", server.url, is_function_calling_model=False)
    method = llm.apredict_and_call if run.is_async else llm.predict_and_call
    reply = 'Thought: I need it.\nAction: fast\nAction Input: {"city": "Rome"}'
    server.script("POST", "/api/chat", chat_reply({"content": reply}))
    # Without these two, core's own fallback fails on itself.
    parts: Any = {
        "react_chat_formatter": ReActChatFormatter.from_defaults(),
        "output_parser": ReActOutputParser(),
    }
    response = run(method([FAST], "Call fast for the city of Rome.", **parts))
    assert [source.content for source in response.sources] == ["fast Rome"]
    (request,) = [request for request in server.requests if request.path == "/api/chat"]
    sent: Any = request.json
    assert "tools" not in sent


class Song(BaseModel):
    """A song with its artist."""

    name: str
    artist: str


def generate_song(name: str, artist: str) -> Song:
    """Make a song with a name and an artist."""
    return Song(name=name, artist=artist)


def test_the_peers_song(server: EmbeddedOllama, way: Way) -> None:
    """Exactly one call, and calling the tool with it makes a song."""
    tool = FunctionTool.from_defaults(generate_song)
    llm = Ollama("demo", server.url)
    response = way.chat_with_tools(llm, [tool], "Generate a random song!", tool_required=True)[-1]
    (selection,) = llm.get_tool_calls_from_response(response)
    assert isinstance(tool(**selection.tool_kwargs).raw_output, Song)


def test_no_tool_no_call(server: EmbeddedOllama, way: Way) -> None:
    """Without tools there are no calls, and that is no error when it is allowed."""
    llm = Ollama("demo", server.url)
    response = way.chat_with_tools(llm, [], "Generate a random song!")[-1]
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []


# LlamaIndex's workflows look at every attribute of an agent, pydantic's old ones too.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
def test_an_agent_sends_results_named_and_in_order(server: EmbeddedOllama) -> None:
    """D5: three parallel calls, one slower: their results go back named, linked, in call order."""
    calls = [
        tool_call("slow", "call_a", city="Rome"),
        tool_call("fast", "call_b", city="Oslo"),
        tool_call("fast", "call_c", city="Bern"),
    ]
    server.script(
        "POST",
        "/api/chat",
        chat_reply({"content": "", "tool_calls": calls}),
        chat_reply({"content": "All is well."}),
    )
    others_done = asyncio.Event()

    async def slow_one(city: str) -> str:
        """Answer after the others."""
        await others_done.wait()
        return f"slow {city}"

    async def fast_one(city: str) -> str:
        """Answer at once."""
        if city == "Bern":
            others_done.set()
        return f"fast {city}"

    tools = [
        FunctionTool.from_defaults(async_fn=slow_one, name="slow"),
        FunctionTool.from_defaults(async_fn=fast_one, name="fast"),
    ]

    async def work() -> str:
        agent = FunctionAgent(tools=tools, llm=Ollama("demo", server.url))
        return str(await agent.run("Go on."))

    assert asyncio.run(work()) == "All is well."
    second = [request for request in server.requests if request.path == "/api/chat"][1]
    messages: Any = second.json
    results = [m for m in messages["messages"] if m["role"] == "tool"]
    assert [(m["tool_name"], m["tool_call_id"], m["content"]) for m in results] == [
        ("slow", "call_a", "slow Rome"),
        ("fast", "call_b", "fast Oslo"),
        ("fast", "call_c", "fast Bern"),
    ]
