"""A kept connection on which something came that nobody asked for is never used again."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import httpx
import pytest
import trustme
from listening import Listener, Serving, answer, request_of
from running import Run

from ollama_transport.net.connections import AsyncTransport
from ollama_transport.net.pool import ssl_context

FIRST, SECOND = answer(b'{"version":"1"}'), answer(b'{"version":"2"}')
STALE = answer(b'{"version":"stale"}')


@pytest.fixture(params=["sync", "async", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a test with sockets that block, with asyncio's own loop, and with uvloop."""
    factory = None
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop", reason="not made for this system").new_event_loop
    with Run(asynchronous=request.param != "sync", loop_factory=factory) as runner:
        yield runner


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> tuple[ssl.SSLContext | None, Any]:
    """Return the server's context and the client's `verify`."""
    if request.param == "plain":
        return None, ssl_context()
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return server, trusting


class Gates:
    """Hold the server back until the client rests, and the client until the server is done."""

    def __init__(self) -> None:
        self.rests = threading.Event()
        self.sent = threading.Event()

    def pass_both(self) -> None:
        self.rests.set()
        assert self.sent.wait(10)


def serve_with(gates: Gates, unasked: bytes | None, listener: Listener) -> None:
    """Answer, send bytes that nobody asked for (None: close), and answer a new connection."""
    connection = listener.accept()
    request_of(connection)
    connection.sendall(FIRST)
    assert gates.rests.wait(10)
    if unasked is None:
        connection.close()
    else:
        connection.sendall(unasked)
    gates.sent.set()
    again = listener.accept()
    request_of(again)
    again.sendall(SECOND)


@pytest.mark.parametrize("unasked", [STALE, STALE[:1], None], ids=["answer", "byte", "close"])
def test_an_unsolicited_answer_is_dropped(
    run: Run, tls: tuple[ssl.SSLContext | None, Any], unasked: bytes | None
) -> None:
    """The loop is blocked while the bytes arrive: only the socket knows of them."""
    server, client = tls
    gates = Gates()

    async def use(client: Any) -> list[str]:
        first = await client.version()
        gates.pass_both()  # blocks the loop, as work of the application does
        return [first, await client.version()]

    def use_blocking(client: Any) -> list[str]:
        first = client.version()
        gates.pass_both()
        return [first, client.version()]

    settings = {"timeout": 10, "max_retries": 0, "client_kwargs": {"verify": client}}
    with Listener(server) as listener, Serving(partial(serve_with, gates, unasked), listener):
        made = run.client(listener.url, **settings)
        given = run(use(made)) if run.is_async else use_blocking(made)
    assert given == ["1", "2"]


@pytest.mark.parametrize("unasked", [STALE, None], ids=["answer", "close"])
async def test_the_socket_is_looked_at_once_more_before_the_first_byte(
    unasked: bytes | None,
) -> None:
    """Bytes that arrive after the pool chose a connection, and before the request goes out."""
    gates = Gates()

    async def body() -> AsyncIterator[bytes]:
        await asyncio.to_thread(gates.pass_both)
        yield b"{}"

    class Body(httpx.AsyncByteStream):
        def __aiter__(self) -> AsyncIterator[bytes]:
            return body()

    with Listener() as listener, Serving(partial(serve_with, gates, unasked), listener):
        async with httpx.AsyncClient(
            transport=AsyncTransport(ssl_context(), httpx.Limits())
        ) as client:
            first = await client.post(listener.url, content=b"{}")
            headers = {"content-length": "2"}
            second = await client.post(listener.url, content=Body(), headers=headers)
    assert [first.content, second.content] == [b'{"version":"1"}', b'{"version":"2"}']
