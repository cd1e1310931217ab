"""Which connection serves which of many requests at once: limits, cancelling, and what stays."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpcore
import httpx
import pytest
from listening import answer
from raw_server import RawServer
from running import Run

from ollama_transport import AsyncClient
from ollama_transport.net import lane, standing
from ollama_transport.net.connections import AsyncConnection, Connection
from ollama_transport.net.pool import ssl_context

MANY = 30


@pytest.fixture
def go() -> threading.Event:
    return threading.Event()


@pytest.fixture
def server(go: threading.Event) -> Iterator[RawServer]:
    """A server that answers no request before ``go``."""
    with RawServer(lambda _: [go, answer(b'{"version":"1"}')]) as found:
        yield found
        go.set()


def together(run: Run, client: Any, count: int) -> list[str]:
    """Return the answers of requests that are made at once."""
    if run.is_async:

        async def asked() -> list[str]:
            return await asyncio.gather(*[client.version() for _ in range(count)])

        return list(run(asked()))
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda _: client.version(), range(count)))


def burst(run: Run, client: Any, server: RawServer, go: threading.Event, held: int) -> None:
    """Make many requests at once, which all wait until so many have reached the server."""
    server.reset()
    go.clear()
    waiter = threading.Thread(target=lambda: _let_go(server, go, held))
    waiter.start()
    assert together(run, client, MANY) == ["1"] * MANY
    waiter.join()


def _let_go(server: RawServer, go: threading.Event, held: int) -> None:
    try:
        server.wait_until(lambda: len(server.requests) >= held)
    finally:
        go.set()


def test_the_connections_of_a_burst_serve_the_next(
    run: Run, server: RawServer, go: threading.Event
) -> None:
    """No request of a second burst has to wait for a connection to be opened."""
    client = run.client(server.url)
    for _ in range(3):
        burst(run, client, server, go, MANY)
        assert server.accepted == MANY


def test_a_limit_of_connections_is_kept(run: Run, server: RawServer, go: threading.Event) -> None:
    """The requests beyond it wait for their turn, and each gets its answer."""
    limits = httpx.Limits(max_connections=3)
    client = run.client(server.url, client_kwargs={"limits": limits})
    for _ in range(2):
        burst(run, client, server, go, 3)
        assert server.accepted == 3
        assert len({asked.connection for asked in server.requests}) == 3


def test_idle_connections_beyond_their_limit_are_closed(
    run: Run, server: RawServer, go: threading.Event
) -> None:
    """So many stay as the limit says, and serve."""
    limits = httpx.Limits(max_keepalive_connections=2)
    client = run.client(server.url, client_kwargs={"limits": limits})
    burst(run, client, server, go, MANY)
    server.wait_until(lambda: server.connected <= 2)
    accepted = server.accepted
    assert run(client.version()) == "1"
    assert (server.connected, server.accepted) == (2, accepted)


def test_connections_that_nobody_uses_are_closed_in_time(
    run: Run, server: RawServer, go: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One connection is enough for the calls after a burst; the others do not stay for ever."""
    now = [1000.0]
    # In these modules alone: loops and deadlines keep the real clock.
    for module in (standing, lane):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    client = run.client(server.url)
    burst(run, client, server, go, MANY)
    assert server.connected == MANY
    for _ in range(2):
        now[0] += 20
        run(client.version())
    server.wait_until(lambda: server.connected == 1)
    assert server.accepted == MANY


async def test_cancelled_requests_leave_their_place_to_others(
    server: RawServer, go: threading.Event
) -> None:
    """Whether it waited for a connection or had one, the next one in the queue is served."""
    kwargs = {"limits": httpx.Limits(max_connections=1)}
    async with AsyncClient(server.url, client_kwargs=kwargs) as client, asyncio.timeout(60):
        tasks = [asyncio.ensure_future(client.version()) for _ in range(4)]
        await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
        tasks[1].cancel()
        tasks[0].cancel()
        await asyncio.wait(tasks[:2])
        go.set()
        assert await asyncio.gather(*tasks[2:]) == ["1", "1"]
        assert await client.version() == "1"
    assert [task.cancelled() for task in tasks] == [True, True, False, False]


def test_a_limit_holds_for_all_servers_of_a_client(
    run: Run, server: RawServer, go: threading.Event
) -> None:
    """An idle connection makes room for one to another server."""
    go.set()
    with RawServer(lambda _: [answer(b'{"version":"2"}')]) as other:
        limits = httpx.Limits(max_connections=1)
        kind = httpx.AsyncClient if run.is_async else httpx.Client
        http = run(run.client(server.url, client_kwargs={"limits": limits})._http())
        assert isinstance(http, kind)
        for _ in range(2):
            for one in (server, other):
                assert run(http.get(one.url)).status_code == 200
        server.wait_until_left()
        other.wait_until(lambda: other.connected == 1)
        assert (server.accepted, other.accepted) == (2, 2)


@pytest.mark.parametrize("kind", [Connection, AsyncConnection])
def test_a_connection_is_retired_or_used_and_never_both(kind: Any) -> None:
    """What the pool is about to close takes no request, and what has one is not closed."""
    origin = httpcore.Origin(b"http", b"127.0.0.1", 1)
    used, retired = (kind(origin, ssl_context(), 30.0) for _ in range(2))
    used._begin()
    assert not used.retire()
    retired._standing = "idle"
    assert retired.retire()
    with pytest.raises(httpcore.ConnectionNotAvailable):
        retired._begin()
