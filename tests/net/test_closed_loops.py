"""A loop that was closed under its connections leaves none of them open."""

import asyncio
import gc
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from raw_server import RawServer

from ollama_transport import AsyncClient
from ollama_transport.net import pool as pool_module

VERSION = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
    b'{"version":"0.33.0"}'
)


@pytest.fixture
def trusting() -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.fixture(params=["plain", "tls"])
def server(request: pytest.FixtureRequest, trusting: ssl.SSLContext) -> Iterator[RawServer]:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(trusting)
    with RawServer(lambda _: [VERSION], tls=tls if request.param == "tls" else None) as running:
        yield running


def in_a_loop_closed_at_once(use: Callable[[], Any]) -> None:
    """Run in a new loop, as LlamaIndex's `asyncio_run` does: its generators are not shut down."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(use())
    finally:
        loop.close()


def test_the_next_loop_closes_them(server: RawServer, trusting: ssl.SSLContext) -> None:
    """The server sees the end of the first connection at once, and nothing warns."""
    client = AsyncClient(server.url, client_kwargs={"verify": trusting})
    for _ in range(3):
        in_a_loop_closed_at_once(client.version)
    server.wait_until(lambda: server.connected == 1, "connections of closed loops are open")
    asyncio.run(client.aclose())
    server.wait_until_left()


def test_a_dropped_client_closes_them(
    server: RawServer, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "GRACE_S", 0.0)
    client = AsyncClient(server.url, client_kwargs={"verify": trusting})
    in_a_loop_closed_at_once(client.version)
    del client
    gc.collect()
    pool_module.close_abandoned()
    server.wait_until_left()
