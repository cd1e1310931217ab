"""Our connections under httpx's transports: kept, given up, and passed by, as httpx's own are."""

import asyncio
import gzip
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
import trustme
import vcr
from listening import Listener, Serving, answer, request_of
from running import Run

from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import AsyncClient, ChatRequest, Message, RequestRejectedError
from ollama_transport.net.connections import AsyncConnection, AsyncTransport, Connection, Transport
from ollama_transport.net.pool import ssl_context

VERSION = b'{"version":"1"}'


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as found:
        yield found


def pool_of(run: Run, client: Any) -> Any:
    return run(client._http())._transport._pool


def test_bodies_of_every_kind_are_read(run: Run, listener: Listener) -> None:
    """Sized, in chunks, and until the end: the same answer, over as few connections as can be."""
    kinds = [
        answer(VERSION),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + VERSION + b"\r\n0\r\n\r\n",
        answer(gzip.compress(VERSION), b"Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\n\r\n" + VERSION,
    ]

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        for kind in kinds:
            request_of(connection)
            connection.sendall(kind)
        connection.close()

    client = run.client(listener.url)
    with Serving(talk, listener):
        assert [run(client.version()) for _ in kinds] == ["1"] * len(kinds)


@pytest.mark.parametrize(
    "first",
    [
        answer(VERSION, b"Connection: close"),
        answer(VERSION) + b"HTTP/1.1 200 OK\r\n\r\nsmuggled",
        b"HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n" + VERSION,
    ],
    ids=["said so", "surplus", "old"],
)
def test_a_connection_that_cannot_go_on_is_closed(
    run: Run, listener: Listener, first: bytes
) -> None:
    """The next request has a connection of its own, and an answer of its own."""

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        request_of(connection)
        connection.sendall(first)
        assert connection.recv(1) == b""
        connection = listener.accept()
        request_of(connection)
        connection.sendall(answer(b'{"version":"2"}'))

    client = run.client(listener.url, max_retries=0)
    with Serving(talk, listener):
        assert [run(client.version()) for _ in range(2)] == ["1", "2"]


def test_a_connection_that_the_server_closed_while_it_rested_is_not_used(
    run: Run, listener: Listener
) -> None:
    """Servers close what rests too long: without a second try, the next call works all the same."""
    rests = threading.Event()

    def talk(listener: Listener) -> None:
        for _ in range(2):
            connection = listener.accept()
            request_of(connection)
            connection.sendall(answer(VERSION))
            assert rests.wait(10)
            connection.close()

    client = run.client(listener.url, max_retries=0)
    with Serving(talk, listener):
        assert run(client.version()) == "1"
        [resting] = pool_of(run, client).connections
        assert resting.is_idle()
        rests.set()
        while not resting.has_expired():
            run(asyncio.sleep(0.01)) if run.is_async else threading.Event().wait(0.01)
        assert run(client.version()) == "1"


def test_unrequested_bytes_end_a_connection(run: Run, listener: Listener) -> None:
    """What a server says while a connection rests (408, say) is no answer to the next request."""
    rests = threading.Event()

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        request_of(connection)
        connection.sendall(answer(VERSION))
        assert rests.wait(10)
        connection.sendall(answer(b'{"version":"of nobody"}', status=b"408 Request Timeout"))
        again = listener.accept()
        request_of(again)
        again.sendall(answer(b'{"version":"2"}'))

    client = run.client(listener.url, max_retries=0)
    with Serving(talk, listener):
        assert run(client.version()) == "1"
        [resting] = pool_of(run, client).connections
        rests.set()
        while not resting.has_expired():
            run(asyncio.sleep(0.01)) if run.is_async else threading.Event().wait(0.01)
        assert run(client.version()) == "2"


def test_a_connection_rests_so_long_and_no_longer(
    run: Run, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time it is closed, though the server would keep it."""
    now = [1000.0]
    monkeypatch.setattr("ollama_transport.net.standing.time.monotonic", lambda: now[0])

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        for _ in range(2):
            request_of(connection)
            connection.sendall(answer(VERSION))
        again = listener.accept()
        request_of(again)
        again.sendall(answer(VERSION))
        assert connection.recv(1) == b""

    client = run.client(listener.url)
    with Serving(talk, listener):
        run(client.version())
        now[0] += 29
        run(client.version())
        now[0] += 31
        run(client.version())


def test_a_refusal_in_the_middle_of_an_upload_is_read(
    run: Run, listener: Listener, tmp_path: Path
) -> None:
    """A server that answers and hangs up before it has the whole file is understood."""
    path = tmp_path / "blob"
    path.write_bytes(b"x" * 20_000_000)

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        request_of(connection)
        connection.sendall(answer(b"", status=b"404 Not Found"))
        connection.recv(1000)
        connection.sendall(answer(b'{"error":"too large"}', status=b"413 Too Large"))
        connection.shutdown(1)
        while connection.recv(1_000_000):
            pass

    client = run.client(listener.url, max_retries=0)
    with Serving(talk, listener):
        error = run.thrown(client.upload, path)
    assert isinstance(error, RequestRejectedError)
    assert error.status == 413


def test_a_server_behind_tls_is_reached(run: Run) -> None:
    """With its authority given, https works, and the connection is used again."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        for _ in range(3):
            request_of(connection)
            connection.sendall(answer(VERSION))

    with Listener(tls) as listener, Serving(talk, listener):
        client = run.client(listener.url, client_kwargs={"verify": trusting})
        assert [run(client.version()) for _ in range(3)] == ["1"] * 3


def test_two_requests_never_share_a_connection() -> None:
    """A connection that is in use refuses the next request, so that the pool opens another."""
    origin = httpcore.Origin(b"http", b"127.0.0.1", 1)
    for kind in (Connection, AsyncConnection):
        connection = kind(origin, ssl_context(), 30.0)
        connection._begin()
        with pytest.raises(httpcore.ConnectionNotAvailable):
            connection._begin()


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ({}, True),
        ({"verify": False}, True),
        ({"limits": httpx.Limits(max_connections=1)}, True),
        ({"headers": {"x": "1"}, "cookies": {"a": "b"}}, True),
        ({"proxy": "http://127.0.0.1:9"}, False),
        ({"mounts": {"all://": None}}, False),
        ({"http1": True}, False),
        ({"http2": False}, False),
    ],
)
def test_unsupported_connections_are_left_to_httpx(run: Run, given: Any, ours: bool) -> None:
    """Proxies, mounts and versions of HTTP go the way of httpx; everything else goes ours."""
    http = run(run.client("http://127.0.0.1:1", client_kwargs=given)._http())
    assert isinstance(http._transport, Transport | AsyncTransport) is ours
    if "limits" in given:
        assert http._transport._pool._max_connections == 1


def test_a_proxy_of_the_environment_is_left_to_httpx(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It alone knows what `no_proxy` means; without a proxy there is nothing to know."""
    client = run.client("http://gpu.example")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert not isinstance(run(client._http())._transport, Transport | AsyncTransport)
    monkeypatch.delenv("HTTP_PROXY")
    other = run.client("http://other.example")
    assert isinstance(run(other._http())._transport, Transport | AsyncTransport)


def test_vcrpy_records_and_plays(run: Run, tmp_path: Path) -> None:
    """Cassettes of applications see our requests: the second time there is no server."""
    cassette = str(tmp_path / "chat.yaml")
    asked = ChatRequest("demo", [Message("user", "Hello")])
    with EmbeddedOllama() as server:
        url = server.url
        with vcr.use_cassette(cassette):
            live = run.lines(run.client(url).chat_stream(asked))
    with vcr.use_cassette(cassette, record_mode="none") as played:
        again = run.lines(run.client(url, headers={"x": "1"}).chat_stream(asked))
        assert played.all_played
    assert [line.raw for line in again] == [line.raw for line in live]


def test_patched_httpx_transports_see_requests(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-httpx, respx and tracers put a method of their own into httpx's transports."""
    seen: list[str] = []

    def mocked(_: object, request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, content=json.dumps({"version": "mocked"}))

    async def amocked(_: object, request: httpx.Request) -> httpx.Response:
        return mocked(_, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", mocked)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", amocked)
    assert run(run.client("http://127.0.0.1:1").version()) == "mocked"
    assert seen == ["http://127.0.0.1:1/api/version"]


def test_pools_show_how_their_connections_stand(run: Run) -> None:
    """Whoever looks for a leak sees where each connection goes, and whether it rests."""
    with EmbeddedOllama() as server:
        client = run.client(server.url)
        run(client.version())
        [connection] = pool_of(run, client).connections
        assert "IDLE" in repr(connection)
        assert server.url in repr(connection)


def test_uvloop_serves_as_well() -> None:
    """Servers of web applications bring another loop: streams, cancellation and two runs work."""
    uvloop = pytest.importorskip("uvloop", reason="not made for this system")
    asked = ChatRequest("demo", [Message("user", "Hello")])

    async def talk(server: EmbeddedOllama) -> str:
        async with AsyncClient(server.url, timeout=10) as client:
            server.reset()
            server.script("POST", "/api/chat", Reply.json({}, gate=Gate()))
            waiting = asyncio.create_task(client.chat(asked))
            await asyncio.to_thread(server.wait_for_requests, 1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await asyncio.to_thread(server.wait_for_disconnects)
            return "".join([line.text async for line in client.chat_stream(asked)])

    with EmbeddedOllama() as server:
        said = {uvloop.run(talk(server)) for _ in range(2)}
    assert len(said) == 1


UNDER_NEST_ASYNCIO = """
import asyncio, sys
import nest_asyncio
from ollama_transport import AsyncClient

async def main():
    nest_asyncio.apply()
    client = AsyncClient(sys.argv[1])
    assert await client.version() == "0.33.0"
    assert asyncio.run(client.version()) == "0.33.0"

for _ in range(2):
    asyncio.run(main())
"""


def test_abandoned_loops_give_no_warning() -> None:
    """nest_asyncio, the habit of notebooks, leaves connections open in loops that it closes."""
    pytest.importorskip("nest_asyncio", reason="comes with llama-index-core")
    with EmbeddedOllama() as server:
        done = subprocess.run(
            [sys.executable, "-c", UNDER_NEST_ASYNCIO, server.url],
            capture_output=True,
            check=False,
        )
    assert (done.returncode, done.stderr.decode()) == (0, "")
