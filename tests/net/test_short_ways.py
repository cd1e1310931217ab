"""Heads without h11, and kept connections without httpx: the same bytes, nothing missed."""

from typing import Any

import h11
import httpcore
import httpx
import pytest
from counting import CountingServer
from running import Run

from ollama_transport.net.heads import plain_head, plain_request
from ollama_transport.net.http11 import Exchange

HOST = (b"Host", b"h:1")
USUAL = [
    [HOST],
    [HOST, (b"Content-Length", b"3"), (b"X-A", b"two  words; q=1")],
    [HOST, (b"Connection", b"keep-alive"), (b"accept", b"*/*"), (b"Authorization", b"Bearer a.b")],
]
OTHERS = [
    [],
    [(b"X", b"a"), HOST],
    [HOST, HOST],
    [HOST, (b"X", b"a\r\nEvil: 1")],
    [HOST, (b"X: y", b"z")],
    [HOST, (b"X", b"")],
    [HOST, (b"", b"x")],
    [HOST, (b"X", b" a")],
    [HOST, (b"X", b"a ")],
    [HOST, (b"X", "é".encode())],
    [HOST, (b"X_y", b"a")],
    [HOST, (b"Content-Length", b"-1")],
    [HOST, (b"Transfer-Encoding", b"chunked")],
    [HOST, (b"Connection", b"close")],
    [HOST, (b"Expect", b"100-continue")],
]


def _by_h11(headers: list[tuple[bytes, bytes]]) -> bytes:
    written = h11.Connection(h11.CLIENT).send(
        h11.Request(method=b"POST", target=b"/api/chat", headers=headers)
    )
    assert written is not None
    return written


@pytest.mark.parametrize("headers", USUAL, ids=str)
def test_a_usual_request_is_written_as_h11_writes_it(headers: list[tuple[bytes, bytes]]) -> None:
    """The same bytes, and a body of the length that the head says."""
    found = plain_request(b"POST", b"/api/chat", headers)
    assert found is not None
    assert found.head == _by_h11(headers)


@pytest.mark.parametrize("headers", OTHERS, ids=str)
def test_any_other_request_is_left_to_h11(headers: list[tuple[bytes, bytes]]) -> None:
    """What h11 refuses, orders or reads in a way of its own."""
    assert plain_request(b"POST", b"/api/chat", headers) is None


@pytest.mark.parametrize(
    ("method", "target"), [(b"HEAD", b"/"), (b"CONNECT", b"h:1"), (b"GET", b"/ a"), (b"GET", b"")]
)
def test_other_methods_and_targets_are_left_to_h11(method: bytes, target: bytes) -> None:
    """A method with an answer of its own kind, and a target that would be two words."""
    assert plain_request(method, target, [HOST]) is None


@pytest.mark.parametrize("body", [b"ab", b"abcd"])
def test_a_body_of_another_length_is_refused(body: bytes) -> None:
    """The server would wait for the rest, or take the surplus for the next request."""
    exchange = Exchange(b"POST")
    exchange.request(b"/", [HOST, (b"Content-Length", b"3")])
    with pytest.raises(httpcore.LocalProtocolError, match="declared Content-Length"):
        (exchange.content(body), exchange.end())


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nX: a\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nX: a\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nX: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n",
        b"",
    ],
    ids=repr,
)
def test_an_unusual_or_unfinished_head_is_left_to_h11(head: bytes) -> None:
    """Whatever h11 has a rule for of which nothing is known here."""
    assert plain_head(head) is None


def test_a_replaced_httpx_transport_sees_calls_on_kept_connections(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracer that comes later sees the next call, although a connection is waiting for it."""
    kind = httpx.AsyncHTTPTransport if run.is_async else httpx.HTTPTransport
    name = "handle_async_request" if run.is_async else "handle_request"
    original, seen = getattr(kind, name), list[Any]()

    def traced(self: Any, request: httpx.Request) -> Any:
        seen.append(request)
        return original(self, request)

    with CountingServer() as counting:
        client = run.client(counting.url)
        for _ in range(2):
            assert run(client.version()) == "1"
        monkeypatch.setattr(kind, name, traced)
        assert run(client.version()) == "1"
        run(client.aclose() if run.is_async else client.close())
        assert (len(seen), counting.connections) == (1, 1)
