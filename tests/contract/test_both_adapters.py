"""One answer of a server, through both adapters: the same text, calls, counts and error class.

Each recording is played to LangChain's ChatOllama and to LlamaIndex's Ollama, whole and streamed,
blocking and asynchronous, over both wires.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from both_ways import (
    CHATS,
    COMPLETIONS,
    EMBEDDINGS,
    Facts,
    ask_langchain,
    ask_llamaindex,
    complete_langchain,
    complete_llamaindex,
    embed_langchain,
    embed_llamaindex,
    wire,
)
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import (
    ChatMessage,
    ImageBlock,
    TextBlock,
    ToolCallBlock,
)
from recorded import recording
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama

# A recorded refusal is played again to the second, shorter try: both adapters warn in between.
pytestmark = pytest.mark.filterwarnings("ignore::ollama_transport.ContextTruncatedWarning")


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


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_every_embedding(run: Run, name: str) -> None:
    """The vectors are the same, and so is the class of an error, wrong counts among them."""
    given = recording(name).body["input"]
    texts = [str(text) for text in (given if isinstance(given, list) else [given])]
    assert embed_langchain(run, name, texts) == embed_llamaindex(run, name, texts)


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
