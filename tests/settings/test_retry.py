"""When a call is sent again, how long it waits before that, and when it gives up."""

import asyncio
import logging
import random
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from faked import Network, Pieces, status
from recorded import recording
from running import Run

from ollama_transport import (
    ChatRequest,
    ConfigError,
    CreateRequest,
    OllamaConnectionError,
    OllamaTimeoutError,
    RequestRejectedError,
    RetryPolicy,
    ServerBusyError,
    ServerError,
    StreamTruncatedError,
)

REQUEST = ChatRequest("tiny-chat")
HELLO = "chat/tiny-chat/hello-whole"
AT_ONCE = RetryPolicy(first_wait_s=0)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let waits pass at once on a clock that they move, and note them."""
    waits: list[float] = []
    clock = time.monotonic

    async def nap(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(asyncio, "sleep", nap)
    monkeypatch.setattr(time, "monotonic", lambda: clock() + sum(waits))
    return waits


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the longest wait that the jitter allows."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


REPEATED = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.RemoteProtocolError("disconnected"),
    httpx.ProxyError("no"),
    429,
    502,
    503,
    504,
]
FINAL = [
    (httpx.ReadTimeout("loading"), OllamaTimeoutError),
    (httpx.WriteTimeout("slow"), OllamaTimeoutError),
    (httpx.PoolTimeout("full"), OllamaTimeoutError),
    (400, RequestRejectedError),
    (500, ServerError),
]


def answer(failure: Exception | int) -> Exception | httpx.Response:
    return status(failure, "no") if isinstance(failure, int) else failure


@pytest.mark.parametrize("stream", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize("failure", REPEATED, ids=repr)
def test_transient_failures_are_retried(run: Run, failure: Exception | int, stream: bool) -> None:
    """Failed connections and busy servers are asked again, with the same request."""
    good = "chat/tiny-chat/hello-stream" if stream else HELLO
    network = Network(answer(failure), answer(failure), good)
    client = run.client(transport=network, retry=AT_ONCE)
    lines = run.lines(client.chat_stream(REQUEST)) if stream else [run(client.chat(REQUEST))]
    assert lines[-1].done
    assert len(network.requests) == 3
    assert len({request.content for request in network.requests}) == 1


@pytest.mark.parametrize(("failure", "cls"), FINAL, ids=repr)
def test_read_timeouts_and_refusals_are_not_retried(
    run: Run, failure: Exception | int, cls: type[Exception]
) -> None:
    """A read timeout (a model is loading) and a refusal are not repeated."""
    network = Network(answer(failure), HELLO)
    error = run.thrown(run.client(transport=network, retry=AT_ONCE).chat, REQUEST)
    assert type(error) is cls
    assert len(network.requests) == 1


def test_nothing_is_tried_again_after_the_first_byte(run: Run) -> None:
    """A stream that broke off is told to the caller, who has its beginning already."""
    begun = Pieces(recording("chat/tiny-chat/hello-stream").chunks[:2], httpx.ReadError("cut"))
    network = Network(httpx.Response(200, stream=begun), "chat/tiny-chat/hello-stream")
    client = run.client(transport=network, retry=AT_ONCE)
    lines, error = run.until_error(client.chat_stream(REQUEST))
    assert isinstance(error, StreamTruncatedError)
    assert len(lines) == 2
    assert len(network.requests) == 1


@pytest.mark.parametrize("count", [0, 1, 4])
def test_the_number_of_tries_is_bounded(run: Run, count: int) -> None:
    """`max_retries` more tries are made, and the last failure is raised itself."""
    network = Network(status(503, "busy"))
    client = run.client(transport=network, max_retries=count, retry=AT_ONCE)
    assert type(run.thrown(client.chat, REQUEST)) is ServerBusyError
    assert len(network.requests) == count + 1


def test_two_more_tries_are_the_default() -> None:
    """Without a word of the caller a call is sent three times at most, within 30 s of waits."""
    assert (RetryPolicy().max_retries, RetryPolicy().max_wait_s) == (2, 30.0)


@pytest.mark.usefixtures("longest")
def test_waits_double(run: Run, naps: list[float]) -> None:
    """The longest possible waits double from the first one on."""
    client = run.client(transport=Network(status(503)), max_retries=5)
    run.thrown(client.version)
    assert naps == [0.5, 1, 2, 4, 8]


def test_waits_are_random_from_zero_up(run: Run, naps: list[float]) -> None:
    """Each wait lies anywhere between 0 and its longest: many clients do not come back at once."""
    client = run.client(transport=Network(status(503)), max_retries=4)
    for _ in range(20):
        run.thrown(client.version)
    rounds = [naps[i : i + 4] for i in range(0, len(naps), 4)]
    for number, waits in enumerate(zip(*rounds, strict=True)):
        assert all(0 <= wait <= 0.5 * 2**number for wait in waits)
        assert len(set(waits)) == len(waits)


@pytest.mark.usefixtures("longest")
def test_all_waits_together_are_bounded(run: Run, naps: list[float]) -> None:
    """However many tries are allowed, no wait begins that would go beyond `max_wait_s`."""
    policy = RetryPolicy(max_retries=1000, max_wait_s=20)
    client = run.client(transport=Network(status(503)), retry=policy)
    assert type(run.thrown(client.version)) is ServerBusyError
    assert naps == [0.5, 1, 2, 4, 8]


def test_retry_after_is_honoured(run: Run, naps: list[float]) -> None:
    """The server's own wait is taken, and not ours."""
    network = Network(status(503, "busy", retry_after="7"), "version")
    assert run(run.client(transport=network).version()).startswith("0.33")
    assert naps == [7]


def test_a_retry_after_beyond_the_bound_is_not_waited_for(run: Run, naps: list[float]) -> None:
    """A wait that is too long is told at once, for the caller to decide."""
    network = Network(status(429, "limit", retry_after="31"), "version")
    error = run.thrown(run.client(transport=network).version)
    assert isinstance(error, ServerBusyError)
    assert error.retry_after_s == 31
    assert naps == []
    assert len(network.requests) == 1


def test_each_retry_is_logged_with_its_reason(
    run: Run, naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """At INFO, each retry tells its number, its wait and what went wrong, in our words alone."""
    network = Network(status(503, "busy", retry_after="2"), httpx.ConnectError("gone"), "version")
    with caplog.at_level(logging.INFO, logger="ollama_transport"):
        run(run.client(transport=network).version())
    first, second = (record.getMessage() for record in caplog.records)
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]
    url = "http://127.0.0.1:1/api/version"
    assert first == f"try 1 at {url} failed, next one in 2.00 s: ServerBusyError 503"
    assert second.startswith(f"try 2 at {url} failed")
    assert "OllamaConnectionError" in second


CALLS = [
    ("copy", ("a", "b")),
    ("delete", ("a",)),
    ("push", ("a",)),
    ("create", (CreateRequest("m", from_="a"),)),
]


@pytest.mark.parametrize("failure", [httpx.ReadError("reset"), 502, 504], ids=repr)
@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_calls_that_change_something_are_not_retried(
    run: Run, name: str, arguments: tuple[Any, ...], failure: Exception | int
) -> None:
    """A call that changes something is not repeated when it may have arrived."""
    network = Network(answer(failure), "version")
    method = getattr(run.client(transport=network, retry=AT_ONCE), name)
    assert isinstance(run.thrown(method, *arguments), OllamaConnectionError | ServerBusyError)
    assert len(network.requests) == 1


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), 503], ids=repr)
def test_requests_that_never_reached_the_server_are_sent_again(
    run: Run, failure: Exception | int
) -> None:
    """The same call is repeated when it was never taken."""
    network = Network(answer(failure), "delete/ok")
    run(run.client(transport=network, retry=AT_ONCE).delete("a"))
    assert len(network.requests) == 2


def test_a_file_is_read_anew_for_each_try(run: Run, tmp_path: Path) -> None:
    """An upload that is repeated sends the whole file again."""
    path = tmp_path / "blob"
    path.write_bytes(b"weights" * 100)
    network = Network("create/blob-head-missing", status(503), "create/blob-new")
    run(run.client(transport=network, retry=AT_ONCE).upload(path))
    assert [request.content for request in network.requests[1:]] == [path.read_bytes()] * 2


@pytest.mark.parametrize(
    "values", [{"max_retries": -1}, {"max_wait_s": -1}, {"first_wait_s": -0.1}]
)
def test_a_policy_below_zero_is_an_error(values: dict[str, Any]) -> None:
    """Negative numbers mean nothing here."""
    with pytest.raises(ConfigError, match="0 or more"):
        RetryPolicy(**values)
