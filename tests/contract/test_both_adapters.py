"""One answer of a server, through both adapters: the same text, calls, counts and error class.

Each recording is played to LangChain's ChatOllama and to LlamaIndex's Ollama, whole and streamed,
blocking and asynchronous, over both wires.
"""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from faked import Network
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from recorded import all_names, recording
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_transport import OllamaError, _errors

# A recorded refusal is played again to the second, shorter try: both adapters warn in between.
pytestmark = pytest.mark.filterwarnings("ignore::ollama_transport.ContextTruncatedWarning")

Ask = Callable[[Run, httpx.MockTransport, dict[str, Any], bool], "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a user of either framework gets."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str | None, str, str], ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str = ""
    status: int | None = None
    received: str = ""


def is_chat(name: str) -> bool:
    found = recording(name)
    return found.path in ("/api/chat", "/v1/chat/completions")


def wire(name: str) -> dict[str, Any]:
    openai = recording(name).path.startswith("/v1")
    base = "http://127.0.0.1:11434" + ("/v1" if openai else "")
    return {"base_url": base, "max_retries": 0}


CHATS = [name for name in all_names() if is_chat(name)]
COMPLETIONS = [name for name in all_names() if recording(name).path == "/api/generate"]
EMBEDDINGS = [
    name for name in all_names() if recording(name).path in ("/api/embed", "/v1/embeddings")
]


class Facts(Network):
    """Play a recording; a question for the model's facts finds nobody who knows."""

    def _play(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/api/show"):
            return httpx.Response(404, json={"error": "404 page not found"})
        return super()._play(request)


def failed(error: OllamaError) -> Outcome:
    """Return the transport's own class of an error, which either adapter may refine."""
    names = [cls.__name__ for cls in type(error).__mro__ if cls.__module__ == _errors.__name__]
    received = "".join(line.text for line in getattr(error, "received", ()))
    return Outcome(error=names[0], status=getattr(error, "status_code", None), received=received)


async def _listed(stream: Any) -> list[Any]:
    async with aclosing(stream) as items:
        return [item async for item in items]


async def _awaited_list(coroutine: Any) -> list[Any]:
    return await _listed(await coroutine)


def langchain_message(message: AIMessage) -> Outcome:
    usage = message.usage_metadata
    bad = [(c["id"], c["name"] or "", c["args"] or "") for c in message.invalid_tool_calls]
    good = [(c["id"], c["name"], json.dumps(c["args"], sort_keys=True)) for c in message.tool_calls]
    return Outcome(
        text=str(message.content),
        thinking=message.additional_kwargs.get("reasoning_content", ""),
        calls=(*good, *bad),
        prompt_tokens=usage["input_tokens"] if usage else None,
        completion_tokens=usage["output_tokens"] if usage else None,
    )


def ask_langchain(
    run: Run, network: httpx.MockTransport, settings: dict[str, Any], streams: bool
) -> Outcome:
    model = ChatOllama(model="m", client_kwargs={"transport": network}, **settings)
    try:
        if not streams:
            message = run(model.ainvoke("hi")) if run.is_async else model.invoke("hi")
        else:
            chunks = run(_listed(model.astream("hi"))) if run.is_async else [*model.stream("hi")]
            message = functools.reduce(lambda a, b: a + b, chunks)
            assert isinstance(message, AIMessageChunk)
    except OllamaError as error:
        return failed(error)
    finally:
        run(model.aclose() if run.is_async else model.close())
    return langchain_message(message)


def llamaindex_response(response: ChatResponse) -> Outcome:
    blocks = response.message.blocks
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    usage = response.raw.get("usage", {}) if response.raw else {}
    return Outcome(
        text="".join(block.text for block in blocks if isinstance(block, TextBlock)),
        thinking="".join(b.content or "" for b in blocks if isinstance(b, ThinkingBlock)),
        calls=tuple(
            (
                call.tool_call_id,
                call.tool_name,
                call.tool_kwargs
                if isinstance(call.tool_kwargs, str)
                else json.dumps(call.tool_kwargs, sort_keys=True),
            )
            for call in calls
        ),
        prompt_tokens=usage.get("prompt_tokens"),
        completion_tokens=usage.get("completion_tokens"),
    )


def ask_llamaindex(
    run: Run, network: httpx.MockTransport, settings: dict[str, Any], streams: bool
) -> Outcome:
    llm = Ollama(model="m", client_kwargs={"transport": network}, **settings)
    messages = [ChatMessage("hi")]
    try:
        if not streams:
            response = run(llm.achat(messages)) if run.is_async else llm.chat(messages)
        elif run.is_async:
            response = run(_awaited_list(llm.astream_chat(messages)))[-1]
        else:
            response = [*llm.stream_chat(messages)][-1]
    except OllamaError as error:
        return failed(error)
    finally:
        run(llm.aclose() if run.is_async else llm.close())
    return llamaindex_response(response)


@pytest.mark.parametrize("name", CHATS)
def test_every_chat(run: Run, name: str) -> None:
    """Text, reasoning, tool calls with their ids, counts or the error's class are the same."""
    found = recording(name)
    ways = [found.is_stream] if found.status == 200 else [True, False]
    outcomes = [
        ask(run, Facts(name), wire(name), streams)
        for ask in (ask_langchain, ask_llamaindex)
        for streams in ways
    ]
    assert outcomes == [outcomes[0]] * len(outcomes)
    if found.status != 200:
        assert outcomes[0].status == found.status


@pytest.mark.parametrize("name", COMPLETIONS)
def test_every_completion(run: Run, name: str) -> None:
    """OllamaLLM and Ollama.complete give the same text, and fail with the same class."""
    found = recording(name)
    outcomes = [
        ask(run, Facts(name), wire(name), found.is_stream)
        for ask in (complete_langchain, complete_llamaindex)
    ]
    assert outcomes[0] == outcomes[1]


def complete_langchain(
    run: Run, network: httpx.MockTransport, settings: dict[str, Any], streams: bool
) -> Outcome:
    model = OllamaLLM(model="m", client_kwargs={"transport": network}, **settings)
    try:
        if not streams:
            return Outcome(run(model.ainvoke("hi")) if run.is_async else model.invoke("hi"))
        chunks = run(_listed(model.astream("hi"))) if run.is_async else [*model.stream("hi")]
        return Outcome("".join(chunks))
    except OllamaError as error:
        return failed(error)
    finally:
        run(model.aclose() if run.is_async else model.close())


def complete_llamaindex(
    run: Run, network: httpx.MockTransport, settings: dict[str, Any], streams: bool
) -> Outcome:
    llm = Ollama(model="m", client_kwargs={"transport": network}, **settings)
    try:
        if not streams:
            return Outcome((run(llm.acomplete("hi")) if run.is_async else llm.complete("hi")).text)
        if run.is_async:
            return Outcome(run(_awaited_list(llm.astream_complete("hi")))[-1].text)
        return Outcome([*llm.stream_complete("hi")][-1].text)
    except OllamaError as error:
        return failed(error)
    finally:
        run(llm.aclose() if run.is_async else llm.close())


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_every_embedding(run: Run, name: str) -> None:
    """The vectors are the same, and so is the class of an error, wrong counts among them."""
    given = recording(name).body["input"]
    texts = [str(text) for text in (given if isinstance(given, list) else [given])]
    assert embed_langchain(run, name, texts) == embed_llamaindex(run, name, texts)


def embed_langchain(run: Run, name: str, texts: list[str]) -> Any:
    model = OllamaEmbeddings(model="m", client_kwargs={"transport": Facts(name)}, **wire(name))
    try:
        if run.is_async:
            return run(model.aembed_documents(texts))
        return model.embed_documents(texts)
    except OllamaError as error:
        return failed(error)
    finally:
        run(model.aclose() if run.is_async else model.close())


def embed_llamaindex(run: Run, name: str, texts: list[str]) -> Any:
    model = OllamaEmbedding("m", client_kwargs={"transport": Facts(name)}, **wire(name))
    try:
        if run.is_async:
            return run(model.aget_text_embedding_batch(texts))
        return model.get_text_embedding_batch(texts)
    except OllamaError as error:
        return failed(error)
    finally:
        run(model.aclose() if run.is_async else model.close())


PNG = b"\x89PNG\r\n\x1a\n and so on"
CALL = {"id": "1", "name": "f", "args": {"a": 1}}
CONVERSATIONS: dict[str, tuple[list[Any], list[ChatMessage]]] = {
    "text": ([HumanMessage("hi")], [ChatMessage("hi")]),
    "an old answer": (
        [HumanMessage("hi"), AIMessage("there")],
        [ChatMessage("hi"), ChatMessage("there", role="assistant")],
    ),
    "a call and its result": (
        [
            HumanMessage("hi"),
            AIMessage("", tool_calls=[CALL]),
            ToolMessage("ok", tool_call_id="1", name="f"),
        ],
        [
            ChatMessage("hi"),
            ChatMessage(
                role="assistant",
                blocks=[
                    TextBlock(text=""),
                    ToolCallBlock(tool_call_id="1", tool_name="f", tool_kwargs={"a": 1}),
                ],
            ),
            ChatMessage("ok", role="tool", additional_kwargs={"tool_call_id": "1"}),
        ],
    ),
    "an image": (
        [
            HumanMessage(
                [
                    {"type": "text", "text": "what?"},
                    {"type": "image_url", "image_url": "data:image/png;base64,iVBORw0KGgo="},
                ]
            )
        ],
        [
            ChatMessage(
                role="user",
                blocks=[
                    TextBlock(text="what?"),
                    ImageBlock(url="data:image/png;base64,iVBORw0KGgo="),
                ],
            )
        ],
    ),
}


@pytest.fixture(params=CONVERSATIONS.values(), ids=CONVERSATIONS)
def conversation(request: pytest.FixtureRequest) -> Iterator[tuple[list[Any], list[ChatMessage]]]:
    """The same conversation, in the words of each framework."""
    return request.param  # type: ignore[no-any-return] # a table


def test_the_same_conversation_is_the_same_request(
    conversation: tuple[list[Any], list[ChatMessage]],
) -> None:
    """Both adapters ask the server the same thing, with the same options and policies."""
    options: dict[str, Any] = {"temperature": 0, "num_ctx": 4096, "keep_alive": "5m"}
    network = Facts("chat/tiny-chat/hello-whole")
    settings: dict[str, Any] = {"client_kwargs": {"transport": network}, **options}
    with ChatOllama(model="m", **settings) as chat_model:
        chat_model.invoke(conversation[0])
    with Ollama(model="m", **settings) as llm:
        llm.chat(conversation[1])
    bodies = [json.loads(request.content) for request in network.requests]
    assert bodies[0] == bodies[1]
