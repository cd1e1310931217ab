"""LlamaIndex's instrumentation sees of each call its model, options, usage, tools and error."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.span.simple import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.tools import FunctionTool
from pydantic import PrivateAttr
from running import Run

from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply
from ollama_transport import ModelNotFoundError

KEY = "key-48151623"


class Events(BaseEventHandler):
    """Keeps the events of one test."""

    _seen: list[Any] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Events"

    def handle(self, event: Any, **_: Any) -> None:
        self._seen.append(event)

    def of(self, kind: type[Any]) -> Any:
        """Return the one event of a kind."""
        (event,) = [event for event in self._seen if type(event) is kind]
        return event

    @property
    def all(self) -> list[Any]:
        return self._seen

    def texts(self) -> str:
        """Return all events as a tracer writes them down."""
        return "".join(event.model_dump_json() for event in self._seen)


class Spans(SimpleSpanHandler):
    """Keeps the spans of one test, those that failed apart."""

    def ended(self, name: str) -> list[SimpleSpan]:
        return [span for span in self.completed_spans if span.id_.startswith(name)]

    def failed(self, name: str) -> list[SimpleSpan]:
        return [span for span in self.dropped_spans if span.id_.startswith(name)]


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedOllama]:
    models = [EmbeddedModel("demo", capabilities=("completion", "tools"))]
    with EmbeddedOllama([*models, EmbeddedModel("vectors", capabilities=("embedding",))]) as server:
        yield server


@pytest.fixture
def server(running: EmbeddedOllama) -> EmbeddedOllama:
    running.reset()
    return running


@pytest.fixture
def seen() -> Iterator[tuple[Events, Spans]]:
    """Listen at the root, where tracers do."""
    root, events, spans = get_dispatcher(), Events(), Spans()
    root.add_event_handler(events)
    root.add_span_handler(spans)
    try:
        yield events, spans
    finally:
        root.event_handlers.remove(events)
        root.span_handlers.remove(spans)


async def _listed(stream: Any) -> None:
    async for _ in await stream:
        pass


def call(run: Run, model: Any, name: str, *given: Any, streams: bool, **how: Any) -> None:
    """Call a method of a model in one of its four forms, and close the model."""
    name = (
        name.replace("chat", "stream_chat").replace("complete", "stream_complete")
        if streams
        else name
    )
    made: Callable[..., Any] = getattr(model, f"a{name}" if run.is_async else name)
    try:
        if streams:
            run(_listed(made(*given, **how))) if run.is_async else list(made(*given, **how))
        else:
            run(made(*given, **how))
    finally:
        run(model.aclose() if run.is_async else model.close())


@pytest.mark.parametrize("suffix", ["", "/v1"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_chat(
    run: Run,
    server: EmbeddedOllama,
    seen: tuple[Events, Spans],
    streams: bool,
    suffix: str,
) -> None:
    """The start has the model and its options, the end the answer and its counts; no secret."""
    model = Ollama(
        "demo", base_url=server.url + suffix, temperature=0.2, seed=7, num_predict=30, api_key=KEY
    )
    call(run, model, "chat", [ChatMessage("hi")], streams=streams)
    told = seen[0].of(LLMChatStartEvent).model_dict
    assert told["model"] == "demo"
    assert (told["temperature"], told["seed"], told["num_predict"]) == (0.2, 7, 30)
    response = seen[0].of(LLMChatEndEvent).response
    usage = response.raw["usage"]
    assert response.message.content
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    name = f"Ollama.{'a' if run.is_async else ''}{'stream_' if streams else ''}chat-"
    assert len(seen[1].ended(name)) == 1
    assert KEY not in seen[0].texts()


@pytest.mark.parametrize("streams", [False, True])
def test_a_completion(
    run: Run, server: EmbeddedOllama, seen: tuple[Events, Spans], streams: bool
) -> None:
    """The same of a completion."""
    call(run, Ollama("demo", base_url=server.url, seed=7), "complete", "hi", streams=streams)
    assert seen[0].of(LLMCompletionStartEvent).model_dict["seed"] == 7
    assert seen[0].of(LLMCompletionEndEvent).response.raw["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("streams", [False, True])
def test_tools(run: Run, server: EmbeddedOllama, seen: tuple[Events, Spans], streams: bool) -> None:
    """The tools that were offered, and the call that the model made."""
    server.script("POST", "/api/chat", Reply.chat(tool_calls=[("weather", {"city": "Rome"})]))
    weather = FunctionTool.from_defaults(lambda city: city, name="weather", description="Weather")
    model = Ollama("demo", base_url=server.url)
    call(run, model, "chat_with_tools", [weather], user_msg="hi", streams=streams)
    (offered,) = seen[0].of(LLMChatStartEvent).additional_kwargs["tools"]
    assert offered["function"]["name"] == "weather"
    assert "weather" in seen[0].texts()
    response = seen[0].of(LLMChatEndEvent).response
    (made,) = model.get_tool_calls_from_response(response)
    assert (made.tool_name, made.tool_kwargs) == ("weather", {"city": "Rome"})


@pytest.mark.parametrize("streams", [False, True])
def test_an_error(
    run: Run, server: EmbeddedOllama, seen: tuple[Events, Spans], streams: bool
) -> None:
    """A call that fails is a dropped span, a stream an event; there is no end of a chat."""
    with pytest.raises(ModelNotFoundError):
        call(run, Ollama("no", base_url=server.url), "chat", [ChatMessage("hi")], streams=streams)
    assert seen[0].of(LLMChatStartEvent).model_dict["model"] == "no"
    assert not any(isinstance(event, LLMChatEndEvent) for event in seen[0].all)
    if streams:  # core ends the span of a stream when its generator is returned
        (told,) = [event for event in seen[0].all if isinstance(event, ExceptionEvent)]
        assert isinstance(told.exception, ModelNotFoundError)
    else:
        (span,) = seen[1].failed("Ollama.")
        assert "pull" in str(span.metadata)


def test_embeddings(run: Run, server: EmbeddedOllama, seen: tuple[Events, Spans]) -> None:
    """A batch of texts has its model at the start, its texts and vectors at the end."""
    model = OllamaEmbedding("vectors", base_url=server.url)
    call(run, model, "get_text_embedding_batch", ["a", "b"], streams=False)
    assert seen[0].of(EmbeddingStartEvent).model_dict["model_name"] == "vectors"
    end = seen[0].of(EmbeddingEndEvent)
    assert end.chunks == ["a", "b"]
    assert len(end.embeddings) == 2
