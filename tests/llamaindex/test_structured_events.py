"""What callbacks, instrumentation, limiters and servers notice of structured predictions."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictInProgressEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.program.utils import FlexibleModel
from llama_index_instrumentation import get_dispatcher
from llama_ways import Played, Way, chat_lines
from pydantic import PrivateAttr
from structured_ways import CANADA, JSON, PROMPT, Country, predict, said
from versions import needs

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply

Make = Callable[..., Ollama]


class Events(BaseEventHandler):
    """Keep every event."""

    _seen: list[Any] = PrivateAttr(default_factory=list)

    def handle(self, event: Any, **kwargs: Any) -> None:
        self._seen.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self._seen if isinstance(event, kind)]


@pytest.fixture
def events() -> Iterator[Events]:
    handler, root = Events(), get_dispatcher()
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


@pytest.mark.parametrize("mode", ["default", "function", "llm"])
def test_events_are_fired_once(ollama: Make, way: Way, mode: str, events: Events) -> None:
    """D8: tracers see one structured call with one chat in it, and each object of a stream."""
    text = JSON if mode != "function" else f'{{"name": "Country", "arguments": {JSON}}}'
    llm = ollama(Played(said(way, text[:30], text[30:])), pydantic_program_mode=mode)
    objects = predict(way, llm)
    (start,) = events.of(LLMStructuredPredictStartEvent)
    (end,) = events.of(LLMStructuredPredictEndEvent)
    assert (start.output_cls, start.template, start.template_args) == (
        Country,
        PROMPT,
        {"land": "Canada"},
    )
    assert end.output == CANADA
    shown = [event.output for event in events.of(LLMStructuredPredictInProgressEvent)]
    assert shown == (objects if way.streams else [])
    assert len(events.of(LLMChatStartEvent)) == len(events.of(LLMChatEndEvent)) == 1
    assert len(events.of(LLMChatInProgressEvent)) == (2 if way.streams else 0)
    (chat_end,) = events.of(LLMChatEndEvent)
    assert chat_end.response.raw["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("mode", ["default", "function", "llm"])
def test_usage_is_counted_once(ollama: Make, way: Way, mode: str) -> None:
    """D12: the server's counts reach the token counter once, in every mode."""
    counter = TokenCountingHandler(tokenizer=str.split)
    text = JSON if mode != "function" else f'{{"name": "Country", "arguments": {JSON}}}'
    llm = ollama(
        Played(said(way, text)),
        pydantic_program_mode=mode,
        callback_manager=CallbackManager([counter]),
    )
    predict(way, llm)
    (count,) = counter.llm_token_counts
    assert (count.prompt_token_count, count.completion_token_count) == (7, 3)


def test_a_failure_is_reported_to_the_callbacks(ollama: Make, way: Way) -> None:
    """A chat that fails ends its event, so that counters and tracers do not wait for it."""
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = ollama(Played("errors/missing-model"), callback_manager=CallbackManager([counter]))
    with pytest.raises(Exception, match="ollama pull"):
        predict(way, llm)
    assert len(counter.llm_token_counts) <= 1


class Limiter:
    def __init__(self) -> None:
        self.acquired = 0

    def acquire(self) -> None:
        self.acquired += 1

    async def async_acquire(self) -> None:
        self.acquired += 1


@needs("llama-index-core", "0.14.16", "models have no rate_limiter")
def test_the_rate_limiter_is_asked_once(ollama: Make, way: Way) -> None:
    """A structured call is one call."""
    limiter = Limiter()
    predict(way, ollama(Played(said(way, JSON)), rate_limiter=limiter))
    assert limiter.acquired == 1


def test_leaving_a_stream_stops_the_server(server: EmbeddedOllama) -> None:
    """Closing the generator closes the connection at once."""
    lines = chat_lines({"content": JSON[:40]}, {"content": JSON[40:]})
    server.script("POST", "/api/chat", Reply.lines(lines, gate=Gate(), hold_at=1))
    llm = Ollama("demo", server.url)
    with closing(llm.stream_structured_predict(Country, PROMPT, land="Canada")) as objects:
        assert isinstance(next(iter(objects)), FlexibleModel)
    assert server.wait_for_disconnects()


async def test_leaving_an_async_stream_stops_the_server(server: EmbeddedOllama) -> None:
    """The same, asynchronously."""
    lines = chat_lines({"content": JSON[:40]}, {"content": JSON[40:]})
    server.script("POST", "/api/chat", Reply.lines(lines, gate=Gate(), hold_at=1))
    async with Ollama("demo", server.url) as llm:
        objects = await llm.astream_structured_predict(Country, PROMPT, land="Canada")
        assert isinstance(await anext(objects), FlexibleModel)
        await objects.aclose()
        assert server.wait_for_disconnects()
