"""OpenTelemetry sees the same of a call through both adapters: one span, with the same facts."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from otel_sdk import Recorded, recording_calls
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply
from ollama_transport import OllamaError

ASK = "What is the capital of France?"
# They differ from one call to the next, or name the server.
PASSING = ("duration", "response.id", "time_to_first_chunk", "server.port")


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedOllama]:
    models = [EmbeddedModel("demo", capabilities=("completion", "tools", "thinking"))]
    with EmbeddedOllama([*models, EmbeddedModel("vectors", capabilities=("embedding",))]) as server:
        yield server


@pytest.fixture(params=["", "/v1"], ids=["native", "openai"])
def url(request: pytest.FixtureRequest, running: EmbeddedOllama) -> str:
    running.reset()
    return running.url + str(request.param)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with recording_calls() as found:
        yield found


async def _listed(stream: Any) -> None:
    async for _ in stream:
        pass


async def _listed_later(stream: Any) -> None:
    await _listed(await stream)


def langchain(run: Run, model: Any, streams: bool, ask: Any = ASK, **call: Any) -> None:
    """Ask a chat model or a language model of LangChain, and close it."""
    try:
        if streams:
            run(_listed(model.astream(ask, **call))) if run.is_async else [
                *model.stream(ask, **call)
            ]
        else:
            run(model.ainvoke(ask, **call)) if run.is_async else model.invoke(ask, **call)
    finally:
        run(model.aclose() if run.is_async else model.close())


def llamaindex(run: Run, model: Any, streams: bool, name: str = "chat", **call: Any) -> None:
    """Ask a model of LlamaIndex, and close it."""
    ask: Any = [ChatMessage(ASK)] if name == "chat" else ASK
    name = f"stream_{name}" if streams else name
    try:
        made = getattr(model, f"a{name}" if run.is_async else name)(ask, **call)
        if run.is_async:
            run(_listed_later(made) if streams else made)
        elif streams:
            list(made)
    finally:
        run(model.aclose() if run.is_async else model.close())


def facts(recorded: Recorded) -> list[dict[str, Any]]:
    """Return the attributes of each span, without those that differ from call to call."""
    return [
        {
            name: value
            for name, value in (span.attributes or {}).items()
            if not any(part in name for part in PASSING)
        }
        for span in recorded.spans
    ]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_chats(run: Run, url: str, recorded: Recorded, streams: bool) -> None:
    """Whole or streamed, on either wire, blocking or not: one span for each call."""
    options = {"temperature": 0.2, "seed": 3, "num_predict": 50, "stop": ["END"]}
    langchain(run, ChatOllama(model="demo", base_url=url, **options), streams)
    llamaindex(run, Ollama("demo", base_url=url, **options), streams)
    one, other = facts(recorded)
    assert one == other
    assert one["gen_ai.request.temperature"] == 0.2
    assert one["gen_ai.request.max_tokens"] == 50
    assert one["gen_ai.request.stop_sequences"] == ("END",)
    assert one["gen_ai.usage.output_tokens"] > 0
    assert one.get("gen_ai.request.stream", False) is streams
    assert [span.name for span in recorded.spans] == ["chat demo"] * 2


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_completions(run: Run, running: EmbeddedOllama, recorded: Recorded, streams: bool) -> None:
    """Text in and out is an operation of its own."""
    running.reset()
    langchain(run, OllamaLLM(model="demo", base_url=running.url), streams)
    llamaindex(run, Ollama("demo", base_url=running.url), streams, "complete")
    assert [span.name for span in recorded.spans] == ["text_completion demo"] * 2


def test_embeddings(run: Run, url: str, recorded: Recorded) -> None:
    """A batch of texts is one span."""
    one = OllamaEmbeddings(model="vectors", base_url=url)
    other = OllamaEmbedding("vectors", base_url=url)
    if run.is_async:
        run(one.aembed_documents(["a", "b"]))
        run(other.aget_text_embedding_batch(["a", "b"]))
        run(one.aclose())
        run(other.aclose())
    else:
        one.embed_documents(["a", "b"])
        other.get_text_embedding_batch(["a", "b"])
        one.close()
        other.close()
    first, second = facts(recorded)
    assert first == second
    assert first["gen_ai.operation.name"] == "embeddings"
    assert first["gen_ai.usage.input_tokens"] > 0


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_tool_calls(
    run: Run, url: str, running: EmbeddedOllama, recorded: Recorded, streams: bool
) -> None:
    """The names of called tools are told."""
    path = "/v1/chat/completions" if url.endswith("/v1") else "/api/chat"
    reply = Reply.chat(tool_calls=[("weather", {"city": "Rome"})])
    running.script("POST", path, reply, repeat=True)
    langchain(run, ChatOllama(model="demo", base_url=url), streams)
    llamaindex(run, Ollama("demo", base_url=url), streams)
    named = [found["ollama_ext.response.tool_calls"] for found in facts(recorded)]
    assert named == [("weather",)] * 2


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda run, url, streams: langchain(run, ChatOllama(model="no", base_url=url), streams),
        lambda run, url, streams: llamaindex(run, Ollama("no", base_url=url), streams),
    ],
    ids=["LangChain", "LlamaIndex"],
)
def test_failures(
    run: Run, url: str, recorded: Recorded, ask: Callable[..., None], streams: bool
) -> None:
    """The class of the error is the transport's, whichever adapter raises."""
    with pytest.raises(OllamaError):
        ask(run, url, streams)
    assert recorded.facts["error.type"] == "ModelNotFoundError"


def test_a_stream_that_is_left(run: Run, url: str, recorded: Recorded) -> None:
    """Leaving it early ends the span, and is no error."""
    one = ChatOllama(model="demo", base_url=url)
    other = Ollama("demo", base_url=url)

    async def left(stream: Any) -> None:
        await anext(stream)
        await stream.aclose()

    async def left_later() -> None:
        await left(await other.astream_chat([ChatMessage(ASK)]))

    if run.is_async:
        run(left(one.astream(ASK)))
        run(left_later())
        run(one.aclose())
        run(other.aclose())
    else:
        for stream in (one.stream(ASK), other.stream_chat([ChatMessage(ASK)])):
            next(stream)
            stream.close()
        one.close()
        other.close()
    assert [found.get("ollama_ext.cancelled") for found in facts(recorded)] == [True, True]
    assert not any("error.type" in found for found in facts(recorded))
