"""A model that is missing is pulled once and the call goes on; models are made of files."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Gate, Reply
from ollama_transport import (
    AsyncClient,
    ChatRequest,
    Client,
    EmbedRequest,
    Message,
    ModelNotFoundError,
    OllamaError,
    Progress,
    ServerError,
    StreamFailedError,
    StreamTruncatedError,
)
from ollama_transport.client.puller import full_name

GGUF = Path(__file__).parent.parent / "models" / "tiny-chat.gguf"
HELLO = ChatRequest("far", [Message("user", "Hello")])
UNKNOWN = "pull model manifest: file does not exist"
OFFERED = (
    EmbeddedModel("far", ("completion", "tools", "thinking")),
    EmbeddedModel("far-embed", ("embedding",)),
)


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama(pullable=OFFERED) as running:
        yield running


def paths(server: EmbeddedOllama) -> list[str]:
    return [request.path for request in server.requests]


def pulls(server: EmbeddedOllama) -> int:
    return paths(server).count("/api/pull")


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_a_missing_model_is_pulled_and_the_call_goes_on(
    run: Run, server: EmbeddedOllama, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Chats whole and streamed, and embeddings, on either wire; it is logged."""
    caplog.set_level(logging.INFO, "ollama_transport")
    client = run.client(server.url + suffix, pull_missing=True)
    assert run(client.chat(HELLO)).done
    assert run.lines(client.chat_stream(HELLO))[-1].done
    assert run(client.embed(EmbedRequest("far-embed", ["a"]))).vectors
    assert pulls(server) == 2
    assert "does not have far" in caplog.text


def test_a_stream_pulls_as_well(run: Run, server: EmbeddedOllama) -> None:
    """The first line comes after the pull."""
    client = run.client(server.url, pull_missing=True)
    assert run.lines(client.chat_stream(HELLO))[-1].done
    assert paths(server) == ["/api/chat", "/api/pull", "/api/chat"]


def test_models_are_not_pulled_by_default(run: Run, server: EmbeddedOllama) -> None:
    """A pull costs gigabytes: it is not the default."""
    assert isinstance(run.thrown(run.client(server.url).chat, HELLO), ModelNotFoundError)
    assert pulls(server) == 0


def test_copying_a_missing_model_pulls_nothing(run: Run, server: EmbeddedOllama) -> None:
    """Only calls that use a model get it."""
    client = run.client(server.url, pull_missing=True)
    assert isinstance(run.thrown(client.copy, "far", "near"), ModelNotFoundError)
    assert isinstance(run.thrown(client.delete, "far"), ModelNotFoundError)
    assert pulls(server) == 0


def test_progress_is_reported(run: Run, server: EmbeddedOllama) -> None:
    """The steps come typed, with bytes, up to success."""
    steps: list[Progress] = []
    client = run.client(server.url, pull_missing=True, on_pull=steps.append)
    run(client.chat(HELLO))
    assert steps[0].status == "pulling manifest"
    assert steps[-1].done
    assert any(step.completed and step.completed == step.total for step in steps)


def test_threads_and_tasks_cause_one_pull(server: EmbeddedOllama) -> None:
    """However many calls want a model, from wherever, it is pulled once."""
    start = threading.Barrier(5)

    def blocking() -> bool:
        with Client(server.url, pull_missing=True) as client:
            start.wait()
            return client.chat(HELLO).done

    async def tasks() -> list[bool]:
        async with AsyncClient(server.url, pull_missing=True) as client:
            await asyncio.to_thread(start.wait)
            lines = await asyncio.gather(*(client.chat(HELLO) for _ in range(4)))
            return [line.done for line in lines]

    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(blocking) for _ in range(4)]
        assert asyncio.run(tasks()) == [True] * 4
        assert all(other.result(20) for other in others)
    assert pulls(server) == 1


def test_a_limit_of_one_at_a_time_does_not_block_the_pull(run: Run, server: EmbeddedOllama) -> None:
    """The pull belongs to the call, which has its place already."""
    from ollama_transport import Limits

    client = run.client(server.url, pull_missing=True, limits=Limits(1))
    assert run(client.chat(HELLO)).done


async def test_waiting_for_a_pull_does_not_block_the_loop(server: EmbeddedOllama) -> None:
    """Other tasks run while a model is pulled."""
    gate = Gate()
    server.script("POST", "/api/pull", Reply.lines([{"status": "success"}], gate=gate))
    async with AsyncClient(server.url, pull_missing=True) as client:
        calls = [asyncio.create_task(client.chat(HELLO)) for _ in range(2)]
        await asyncio.to_thread(server.wait_for_requests, 3)
        assert (await client.version()) != ""
        gate.set()
        # The scripted pull brings nothing, so that both still miss the model.
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, ModelNotFoundError)


async def test_a_cancelled_pull_is_taken_over(server: EmbeddedOllama) -> None:
    """When the call that pulls is cancelled, another one pulls; nobody waits for ever."""
    server.script("POST", "/api/pull", Reply.lines([{"status": "pulling"}], gate=Gate()))
    async with AsyncClient(server.url, pull_missing=True) as client:
        first = asyncio.create_task(client.chat(HELLO))
        await asyncio.to_thread(server.wait_for_requests, 2)
        others = [asyncio.create_task(client.chat(HELLO)) for _ in range(3)]
        await asyncio.to_thread(server.wait_for_requests, 5)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        assert all(line.done for line in await asyncio.gather(*others))
    assert pulls(server) == 2


async def test_a_cancelled_waiter_stops_no_other(server: EmbeddedOllama) -> None:
    """Who gives up waiting leaves the pull and the others alone."""
    gate = Gate()
    steps = ({"status": "pulling manifest"}, {"error": UNKNOWN})
    server.script("POST", "/api/pull", Reply.lines(steps, gate=gate), repeat=True)
    async with AsyncClient(server.url, pull_missing=True) as client:
        tasks = [asyncio.create_task(client.chat(HELLO)) for _ in range(3)]
        await asyncio.to_thread(server.wait_for_requests, 4)
        tasks[1].cancel()
        gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert all(isinstance(outcomes[at], StreamFailedError) for at in (0, 2))


@pytest.mark.parametrize("whole", [False, True])
def test_an_unknown_registry_name_comes_with_advice(
    run: Run, server: EmbeddedOllama, whole: bool
) -> None:
    """A failed pull is an error although the stream's status was 200; whole it is a 500."""
    client = run.client(server.url)
    if whole:
        error: OllamaError | None = run.thrown(client.pull, "nope")
        assert isinstance(error, ServerError)
    else:
        _, error = run.until_error(client.pull_stream("nope"))
        assert isinstance(error, StreamFailedError)
    assert UNKNOWN in str(error)
    assert "check both in its library" in str(error)


def test_a_pull_that_fails_fails_the_call(run: Run, server: EmbeddedOllama) -> None:
    """The error is the pull's, and it knows that the model was missing."""
    client = run.client(server.url, pull_missing=True)
    error = run.thrown(client.chat, ChatRequest("nope", HELLO.messages))
    assert isinstance(error, StreamFailedError)
    assert UNKNOWN in str(error)
    assert isinstance(error.__context__, ModelNotFoundError)


def test_a_model_that_stays_missing_is_pulled_once(run: Run, server: EmbeddedOllama) -> None:
    """A pull that brings nothing is not repeated for ever."""
    server.script("POST", "/api/pull", Reply.lines([{"status": "success"}]), repeat=True)
    client = run.client(server.url, pull_missing=True)
    assert isinstance(run.thrown(client.chat, HELLO), ModelNotFoundError)
    assert pulls(server) == 1


def test_a_broken_pull_goes_on_when_called_again(run: Run, server: EmbeddedOllama) -> None:
    """A cut is an error with the steps until then; the next call brings the model."""
    steps = [{"status": "pulling manifest"}, {"status": "pulling x", "total": 9, "completed": 4}]
    server.script("POST", "/api/pull", Reply.lines([*steps, {}], cut="close"))
    client = run.client(server.url)
    received, error = run.until_error(client.pull_stream("far"))
    assert isinstance(error, StreamTruncatedError)
    assert [step.completed for step in received[:2]] == [None, 4]
    assert run.lines(client.pull_stream("far"))[-1].done
    assert run(client.chat(HELLO)).done


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_every_model_class_can_pull(server: EmbeddedOllama, framework: str) -> None:
    """`pull_missing` and `on_pull` are arguments of all of them."""
    steps: list[Progress] = []
    where: dict[str, Any] = {"base_url": server.url, "pull_missing": True, "on_pull": steps.append}
    if framework == "langchain":
        with ChatOllama(model="far", **where) as chat:
            assert chat.invoke("Hi").content
        with OllamaEmbeddings(model="far-embed", **where) as embeddings:
            assert embeddings.embed_query("a")
    else:
        with Ollama("far", **where) as llm:
            assert llm.complete("Hi").text
        with OllamaEmbedding("far-embed", **where) as embedding:
            assert embedding.get_query_embedding("a")
    assert pulls(server) == 2
    assert sum(step.done for step in steps) == 2


@pytest.mark.parametrize(
    ("given", "full"), [("a", "a:latest"), ("a:b", "a:b"), ("h:1/n/a", "h:1/n/a:latest")]
)
def test_a_name_with_and_without_latest_is_one(given: str, full: str) -> None:
    """Two spellings of a model share a pull; a port is no tag."""
    assert full_name(given) == full


@pytest.mark.parametrize("streamed", [False, True])
def test_a_model_is_made_of_a_file(run: Run, server: EmbeddedOllama, streamed: bool) -> None:
    """A GGUF on disk is uploaded once and made into a model with its system text and options."""
    client = run.client(server.url)
    extra: dict[str, Any] = {"system": "Be brief.", "parameters": {"num_ctx": 512}}
    for name in ("mine", "again"):
        if streamed:
            steps = run.lines(client.create_from_gguf_stream(name, GGUF, **extra))
            assert [type(step) for step in steps] == [Progress] * len(steps)
            assert steps[-1].done
        else:
            assert run(client.create_from_gguf(name, str(GGUF), **extra)).done
    uploads = [r for r in server.requests if r.method == "POST" and "/blobs/" in r.path]
    assert len(uploads) == 1
    shown = run(client.show("mine"))
    assert (shown.system, shown.num_ctx) == ("Be brief.", 512)
    assert run(client.chat(ChatRequest("mine", HELLO.messages))).done


def test_a_file_that_is_not_there_is_an_error_of_the_system(
    run: Run, server: EmbeddedOllama, tmp_path: Path
) -> None:
    """Nothing is sent for it."""
    with pytest.raises(FileNotFoundError):
        run(run.client(server.url).create_from_gguf("mine", tmp_path / "none.gguf"))
    assert server.requests == []
