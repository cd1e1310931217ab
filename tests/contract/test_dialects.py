"""Each framework's chat, stream, tools, structured output and embeddings over both wires.

The same tests run against Ollama's own endpoints and against ``/v1``: the adapters cannot tell.
"""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ModelNotFoundError, ToolCallMissingError, UsageLedger

QUESTION = "What is the weather in Paris?"
PATHS = {
    "native": {"chat": "/api/chat", "text": "/api/generate", "vectors": "/api/embed"},
    "openai": {
        "chat": "/v1/chat/completions",
        "text": "/v1/completions",
        "vectors": "/v1/embeddings",
    },
}


class City(BaseModel):
    """A city."""

    name: str
    population: int


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"{city}: sunny"


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as server:
        yield server


@pytest.fixture(params=["native", "openai"])
def wire(request: pytest.FixtureRequest) -> str:
    """Run a test twice: over Ollama's own wire, and over the OpenAI-compatible one."""
    return str(request.param)


@pytest.fixture
def server(running: EmbeddedOllama, wire: str) -> Iterator[EmbeddedOllama]:
    """Return the server, and check that nothing was generated over the other wire."""
    running.reset()
    yield running
    other = PATHS["native" if wire == "openai" else "openai"].values()
    assert not [request.path for request in running.requests if request.path in other]
    assert [request.path for request in running.requests if request.path in PATHS[wire].values()]


@pytest.fixture
def where(server: EmbeddedOllama, wire: str) -> dict[str, Any]:
    # Named, since an Ollama behind /v1 is spoken to on its own wire otherwise.
    return {"base_url": server.url, "api": wire}


async def test_langchain_chat(where: dict[str, Any]) -> None:
    """invoke, stream, ainvoke and astream say the same, with usage and the model's name."""
    with ChatOllama(model="demo", temperature=0, **where) as chat:
        whole = chat.invoke("Hello")
        chunks = list(chat.stream("Hello"))
        awaited = await chat.ainvoke("Hello")
        pieces = [chunk async for chunk in chat.astream("Hello")]
        await chat.aclose()
    assert whole.content
    assert awaited.content == whole.content
    assert len(chunks) > 2
    for streamed in (chunks, pieces):
        assert "".join(str(chunk.content) for chunk in streamed) == whole.content
        assert streamed[-1].usage_metadata == whole.usage_metadata
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] > 0
    assert whole.response_metadata["model_name"] == "demo"
    assert whole.response_metadata["done_reason"] == "stop"


async def test_langchain_text(where: dict[str, Any]) -> None:
    """A completion is the same whole and streamed."""
    with OllamaLLM(model="demo", **where) as text:
        whole = text.invoke("Hello")
        assert "".join(text.stream("Hello")) == whole != ""
        assert await text.ainvoke("Hello") == whole
        await text.aclose()


@pytest.mark.parametrize("streamed", [False, True])
def test_langchain_tools(where: dict[str, Any], streamed: bool) -> None:
    """A tool is called with its argument, and its result is answered upon."""
    with ChatOllama(model="demo", **where) as chat:
        bound = chat.bind_tools([get_weather])
        answer: Any
        if streamed:
            first, *rest = list(bound.stream(QUESTION))
            answer = first
            for chunk in rest:
                answer = answer + chunk
        else:
            answer = bound.invoke(QUESTION)
        (call,) = answer.tool_calls
        assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
        said = AIMessage(content="", tool_calls=answer.tool_calls)
        result = ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])
        final = bound.invoke([HumanMessage(QUESTION), said, result])
    assert final.content
    assert not final.tool_calls


def test_langchain_forced_tools(where: dict[str, Any], server: EmbeddedOllama, wire: str) -> None:
    """A tool is forced by constrained output, or by the field that the second wire has for it.

    Ollama's own ``/v1`` does not read that field (wire reference 10.1), and nor does its double.
    """
    with ChatOllama(model="demo", **where) as chat:
        bound = chat.bind_tools([get_weather], tool_choice="get_weather")
        ignored = pytest.raises(ToolCallMissingError) if wire == "openai" else nullcontext()
        with ignored:
            answer = bound.invoke("Hello")
    if wire == "native":
        assert [call["name"] for call in answer.tool_calls] == ["get_weather"]
    else:
        body = server.requests[-1].json
        assert isinstance(body, dict)
        assert body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_langchain_structured_output(where: dict[str, Any], method: Any) -> None:
    """An object of the class comes back, by either way."""
    with ChatOllama(model="demo", **where) as chat:
        chain = chat.with_structured_output(City, method=method)
        question = "Which City has the name Paris and the population 2000000?"
        assert isinstance(chain.invoke(question), City)
        assert isinstance(await chain.ainvoke(question), City)
        await chat.aclose()


async def test_langchain_embeddings(where: dict[str, Any]) -> None:
    """Vectors of length 1 come in the order of the texts."""
    with OllamaEmbeddings(model="demo-embed", **where) as embeddings:
        vectors = embeddings.embed_documents(["cats purr", "dogs bark"])
        assert await embeddings.aembed_documents(["cats purr", "dogs bark"]) == vectors
        assert embeddings.embed_query("dogs bark") == vectors[1]
        await embeddings.aclose()
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1, 1], abs=1e-5)


async def test_llamaindex_chat(where: dict[str, Any]) -> None:
    """chat, stream_chat, achat and astream_chat say the same."""
    messages = [ChatMessage(role="user", content="Hello")]
    with Ollama("demo", **where) as llm:
        whole = llm.chat(messages).message.content
        streamed = list(llm.stream_chat(messages))
        awaited = (await llm.achat(messages)).message.content
        pieces = [piece async for piece in await llm.astream_chat(messages)]
        await llm.aclose()
    assert whole
    assert awaited == whole
    for responses in (streamed, pieces):
        assert "".join(response.delta or "" for response in responses) == whole
        assert responses[-1].message.content == whole


async def test_llamaindex_text(where: dict[str, Any]) -> None:
    """A completion is the same whole and streamed."""
    with Ollama("demo", **where) as llm:
        whole = llm.complete("Hello").text
        assert list(llm.stream_complete("Hello"))[-1].text == whole != ""
        assert (await llm.acomplete("Hello")).text == whole
        await llm.aclose()


@pytest.mark.parametrize("streamed", [False, True])
def test_llamaindex_tools(where: dict[str, Any], streamed: bool) -> None:
    """A tool is called with its argument, and an agent's step answers upon its result."""
    tool = FunctionTool.from_defaults(get_weather)
    with Ollama("demo", **where) as llm:
        if streamed:
            response = list(llm.stream_chat_with_tools([tool], QUESTION))[-1]
        else:
            response = llm.chat_with_tools([tool], QUESTION)
        (call,) = llm.get_tool_calls_from_response(response)
        assert (call.tool_name, call.tool_kwargs) == ("get_weather", {"city": "Paris"})
        final = llm.predict_and_call([tool], QUESTION)
    assert "sunny" in str(final)


@pytest.mark.parametrize("streamed", [False, True])
async def test_llamaindex_structured_output(where: dict[str, Any], streamed: bool) -> None:
    """An object of the class comes back, also as it grows."""
    prompt = PromptTemplate("Describe {city}")
    with Ollama("demo", **where) as llm:
        if streamed:
            found: Any = list(llm.stream_structured_predict(City, prompt, city="Paris"))[-1]
        else:
            found = llm.structured_predict(City, prompt, city="Paris")
        awaited = await llm.astructured_predict(City, prompt, city="Paris")
        await llm.aclose()
    assert isinstance(found, City)
    assert awaited == found


async def test_llamaindex_embeddings(where: dict[str, Any]) -> None:
    """Vectors of length 1 come in the order of the texts."""
    texts = ["cats purr", "dogs bark"]
    with OllamaEmbedding("demo-embed", **where) as model:
        vectors = model.get_text_embedding_batch(texts)
        assert await model.aget_text_embedding_batch(texts) == vectors
        assert model.get_text_embedding("dogs bark") == vectors[1]
        await model.aclose()
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1, 1], abs=1e-5)


def test_both_frameworks_count_alike(where: dict[str, Any]) -> None:
    """One ledger sees the same tokens for the same chat, whoever asked."""
    totals = []
    for make, ask in ((ChatOllama, "invoke"), (Ollama, "chat")):
        ledger = UsageLedger()
        model: Any = make(model="demo", ledger=ledger, **where)
        with model:
            content = "Hello" if ask == "invoke" else [ChatMessage(role="user", content="Hello")]
            getattr(model, ask)(content)
        total = ledger.snapshot().total
        totals.append((total.requests, total.prompt_tokens, total.completion_tokens))
    assert totals[0] == totals[1]
    assert totals[0][0] == 1


@pytest.mark.parametrize("make", [ChatOllama, Ollama])
def test_a_missing_model_is_the_same_error(where: dict[str, Any], make: Any) -> None:
    """It is told in the same class by both frameworks over both wires."""
    with make(model="nothing", **where) as model, pytest.raises(ModelNotFoundError, match="pull"):
        model.invoke("Hi") if make is ChatOllama else model.chat([ChatMessage(content="Hi")])
