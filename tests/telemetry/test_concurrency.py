"""Calls at the same time: each has its own span, below that of its caller, and nothing is mixed."""

import asyncio
import gc
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import context
from otel_sdk import Recorded, recording_calls

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama
from ollama_transport import AsyncClient, ChatRequest, Client, Message

HELLO = ChatRequest("demo", [Message("user", "Hello")])


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    models = [EmbeddedModel("demo"), EmbeddedModel("vectors", capabilities=("embedding",))]
    with EmbeddedOllama(models) as running:
        yield running


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with recording_calls() as found:
        yield found


def parents(recorded: Recorded, name: str) -> set[int | None]:
    """Return the ids of the parents of all spans of a name."""
    spans = [span for span in recorded.spans if span.name == name]
    assert len(spans) == 4
    return {None if span.parent is None else span.parent.span_id for span in spans}


def test_batches_in_threads_hang_below_the_caller(
    server: EmbeddedOllama, recorded: Recorded
) -> None:
    """Texts that are embedded in several requests are several spans of one trace."""
    with (
        OllamaEmbeddings(model="vectors", base_url=server.url, batch_size=1) as model,
        recorded.tracer.start_as_current_span("outer") as outer,
    ):
        model.embed_documents(["a", "b", "c", "d"])
    assert parents(recorded, "embeddings vectors") == {outer.get_span_context().span_id}


async def test_calls_in_tasks_hang_below_the_caller(
    server: EmbeddedOllama, recorded: Recorded
) -> None:
    """Tasks that wait for one another's answers keep their spans apart."""
    async with ChatOllama(model="demo", base_url=server.url) as model:
        with recorded.tracer.start_as_current_span("outer") as outer:
            await asyncio.gather(*(model.ainvoke("Hello") for _ in range(4)))
            assert context.get_current() != {}
    assert parents(recorded, "chat demo") == {outer.get_span_context().span_id}
    assert context.get_current() == {}


def test_threads_of_one_client(server: EmbeddedOllama, recorded: Recorded) -> None:
    """Without a span of the caller each call is a trace of its own."""
    with Client(server.url) as client, ThreadPoolExecutor(4) as pool:
        list(pool.map(client.chat, [HELLO] * 4))
    assert parents(recorded, "chat demo") == {None}
    traces = {request.headers["traceparent"][3:35] for request in server.requests[-4:]}
    assert len(traces) == 4


async def test_streams_side_by_side(server: EmbeddedOllama, recorded: Recorded) -> None:
    """Streams that are read in one task at the same time leave its context alone."""
    async with AsyncClient(server.url) as client:
        streams = [client.chat_stream(HELLO) for _ in range(4)]
        for stream in streams:
            await anext(stream)
        for stream in reversed(streams):
            await stream.aclose()
    assert parents(recorded, "chat demo") == {None}
    assert context.get_current() == {}


async def test_a_stream_that_is_dropped(
    server: EmbeddedOllama, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop closes it in another context: its span ends, and no token is of that context."""
    caplog.set_level(logging.WARNING, "opentelemetry")
    async with AsyncClient(server.url) as client:
        stream = client.chat_stream(HELLO)
        await anext(stream)
        del stream
        gc.collect()
        await asyncio.sleep(0)  # the loop makes a task that closes it
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    assert recorded.facts["ollama_ext.cancelled"] is True
    assert [one for one in caplog.records if one.name.startswith("opentelemetry")] == []
