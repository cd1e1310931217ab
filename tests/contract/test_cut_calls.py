"""A call that was cut, or that cannot be read, is never run: seen through both adapters.

Whole and streamed, blocking and asynchronous, on both wires where they can send such a thing.
"""

import functools
import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from faked import Network
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from llama_corpus import OLD_ATTRIBUTES, OLD_QUESTION, SUNSET
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from running import Run
from versions import needs

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import UnsupportedContentError

pytestmark = [
    pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning"),
    SUNSET,
    OLD_ATTRIBUTES,
    OLD_QUESTION,
]

CUTS = ["", "{", '{"path', '{"path": "a.txt"', '{"path": "a.txt", "text": "half', '{"path": "a\\']
OTHERS = ["[1]", "null", '"a.txt"', "a.txt", '{"path": "a.txt"} and so on']


def write(path: str = "", text: str = "") -> str:
    """Write a file."""
    raise AssertionError(f"a file was written: {path!r} {text!r}")


def events(text: str, reason: str, pieces: int = 3) -> bytes:
    """Return a stream of /v1 in which a call's arguments come in pieces."""
    size = max(1, -(-len(text) // pieces))
    parts = [text[at : at + size] for at in range(0, len(text), size)] or [""]
    deltas: list[Any] = [
        {"index": 0, "id": "1", "function": {"name": "write", "arguments": parts[0]}},
        *({"index": 0, "function": {"arguments": part}} for part in parts[1:]),
    ]
    said = [{"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]} for delta in deltas]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    lines = [f"data: {json.dumps(one)}\n\n" for one in [*said, last]]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def whole(text: str, reason: str) -> dict[str, Any]:
    call = {"id": "1", "type": "function", "function": {"name": "write", "arguments": text}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def line(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "", "tool_calls": [
        {"id": "1", "function": {"name": "write", "arguments": text}}
    ]}  # fmt: skip
    return {"model": "m", "message": message, "done": True, "done_reason": "stop"}


class Server(Network):
    """Answers the first question with a call, and any other with a word."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(httpx.Response(200))
        self._said = (text, reason)

    def _play(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        asked = json.loads(request.content) if request.content else {}
        native = request.url.path.startswith("/api")
        if request.url.path.endswith(("/show", "/tokenize")):
            return httpx.Response(404, json={"error": "not found"})
        if any(message["role"] == "tool" for message in asked["messages"]):
            return self._word(native, asked.get("stream", False))
        if native:
            return httpx.Response(200, json=line(self._said[0]))
        if asked["stream"]:
            return httpx.Response(200, content=events(*self._said))
        return httpx.Response(200, json=whole(*self._said))

    def _word(self, native: bool, streams: bool) -> httpx.Response:
        message = {"role": "assistant", "content": "Sorry."}
        if native:
            return httpx.Response(200, json={**line(""), "message": message})
        key = "delta" if streams else "message"
        said = {"choices": [{"index": 0, key: message, "finish_reason": "stop"}]}
        data = json.dumps(said)
        return httpx.Response(200, text=f"data: {data}\n\ndata: [DONE]\n\n" if streams else data)


WIRES = {"native": "http://127.0.0.1:11434", "openai": "http://127.0.0.1:8000/v1"}
Make = Callable[[str, str], Any]


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def streams(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(
    params=[("openai", text, "length") for text in (CUTS[0], CUTS[4])]
    + [("openai", text, "tool_calls") for text in (CUTS[5], *OTHERS[:2])]
    + [("native", text, "stop") for text in (CUTS[4], OTHERS[4])]
)
def said(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """Return a wire, what stands there as arguments, and why the answer ended."""
    return request.param  # type: ignore[no-any-return] # a table


@pytest.fixture
def chat(said: tuple[str, str, str], streams: bool) -> ChatOllama:
    wire, *answer = said
    settings: Any = {"client_kwargs": {"transport": Server(*answer)}, "streaming": streams}
    return ChatOllama(model="m", base_url=WIRES[wire], **settings)


async def _listed(stream: Any) -> list[Any]:
    async with aclosing(stream) as items:
        return [item async for item in items]


def test_langchain_has_an_invalid_call(
    run: Run, said: Any, streams: bool, chat: ChatOllama
) -> None:
    """Whole, and out of chunks that were merged; the text is what the model wrote."""
    bound = chat.bind_tools([write])
    if not streams:
        message = run(bound.ainvoke("hi")) if run.is_async else bound.invoke("hi")
    else:
        chunks = run(_listed(bound.astream("hi"))) if run.is_async else [*bound.stream("hi")]
        message = functools.reduce(lambda a, b: a + b, chunks)
    assert message.tool_calls == []
    (call,) = message.invalid_tool_calls
    assert (call["name"], call["id"]) == ("write", "1")
    assert (call["args"] or "").startswith(said[1])


@needs("langchain-core", "1.4", "there is no stream_events")
def test_langchain_has_an_invalid_call_in_events(run: Run, said: Any, chat: ChatOllama) -> None:
    """The bridge to events (version 3) takes any JSON for arguments."""
    bound = chat.bind_tools([write])
    if run.is_async:

        async def output() -> Any:
            return await (await bound.astream_events("hi", version="v3")).output

        message = run(output())
    else:
        message = bound.stream_events("hi", version="v3").output
    assert message.tool_calls == []
    assert [call["name"] for call in message.invalid_tool_calls] == ["write"]
    assert said[1] in (message.invalid_tool_calls[0]["args"] or "")


def test_an_agent_of_langchain_does_not_run_it(run: Run, chat: ChatOllama) -> None:
    """The agent ends or asks again; what goes out then is a pair that strict servers take."""
    agent = create_agent(chat, [write])
    asked: Any = {"messages": [("human", "hi")]}
    messages = (
        run(agent.ainvoke(asked))["messages"] if run.is_async else agent.invoke(asked)["messages"]
    )
    assert isinstance(messages[1], AIMessage)
    assert messages[1].invalid_tool_calls
    assert all(one.status == "error" for one in messages if isinstance(one, ToolMessage))


async def test_an_agent_of_llamaindex_does_not_run_it(said: Any, streams: bool) -> None:
    """It ends with an error that shows what the model wrote."""
    wire, *answer = said
    settings: Any = {"client_kwargs": {"transport": Server(*answer)}}
    async with Ollama("m", WIRES[wire], **settings) as llm:
        tools = [FunctionTool.from_defaults(write)]
        agent = FunctionAgent(tools=tools, llm=llm, streaming=streams)
        with pytest.raises(Exception, match="not a JSON object, or were cut off") as caught:
            await agent.run("hi")
    assert isinstance(caught.value, UnsupportedContentError) or "write" in str(caught.value)


def test_llamaindex_refuses_to_select_it(run: Run, said: Any, streams: bool) -> None:
    """What `chat` and `stream_chat` returned holds no call that can be made."""
    wire, *answer = said
    settings: Any = {"client_kwargs": {"transport": Server(*answer)}}
    llm = Ollama("m", WIRES[wire], **settings)
    tools, messages = [FunctionTool.from_defaults(write)], [ChatMessage("hi")]
    given: Any = {"tools": tools, "chat_history": messages}
    if not streams:
        found = run(llm.achat_with_tools(**given)) if run.is_async else llm.chat_with_tools(**given)
    elif run.is_async:

        async def last() -> Any:
            return (await _listed(await llm.astream_chat_with_tools(**given)))[-1]

        found = run(last())
    else:
        found = [*llm.stream_chat_with_tools(**given)][-1]
    with pytest.raises(UnsupportedContentError):
        llm.get_tool_calls_from_response(found)
    run(llm.aclose() if run.is_async else llm.close())
