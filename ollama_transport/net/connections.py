"""Connections for httpx: like those of httpcore, but bodies are read at a third of the cost.

The pool, its limits and its keep-alive are httpcore's. `Connection` and `AsyncConnection` differ
only in async keywords; a test compares them line by line.
"""

import contextlib
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, cast

import httpcore
import httpx
from httpx._transports.default import map_httpcore_exceptions

from ollama_transport.net import lane
from ollama_transport.net.http11 import Exchange, Head
from ollama_transport.net.standing import BODY_EXTENSION, Standing
from ollama_transport.net.streams import LoopStream, SocketStream

JOINED_BYTES = 16 * 1024
"""A request of at most this many bytes is sent in one write."""

# Errors of a request on a kept connection that the server has closed. Timeouts are not among them:
# the server may be working on the request.
_LOST = (httpcore.ConnectionNotAvailable, httpcore.NetworkError, httpcore.RemoteProtocolError)


def _timeouts(request: httpcore.Request) -> dict[str, float | None]:
    found: dict[str, float | None] = request.extensions.get("timeout", {})
    return found


def _limits(limits: httpx.Limits) -> dict[str, Any]:
    return {
        "max_connections": limits.max_connections,
        "max_keepalive_connections": limits.max_keepalive_connections,
        "keepalive_expiry": limits.keepalive_expiry,
    }


class Connection(Standing[SocketStream], httpcore.ConnectionInterface):
    """A connection to one server, opened by its first request."""

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request and return its answer with the body unread."""
        self._begin()
        timeouts = _timeouts(request)
        try:
            stream, head = self._answered(request, timeouts)
        # Also when cancelled: half an answer must not reach the next request on this connection.
        except BaseException:
            self.close()
            raise
        content = _Content(self, stream, head, timeouts.get("read"))
        return httpcore.Response(
            head.status,
            headers=head.headers,
            content=content,
            extensions={**head.extensions, BODY_EXTENSION: head.body},
        )

    def _answered(
        self, request: httpcore.Request, timeouts: dict[str, float | None]
    ) -> tuple[SocketStream, Head]:
        if self._stream is not None:
            exchange = Exchange(request.method)
            try:
                return self._stream, self._exchange(request, exchange, self._stream, timeouts)
            except _LOST as error:
                if not self._may_go_again(request, exchange, error):
                    raise
            self._stream.close()
            self._stream.wait_closed()
        self._stream = SocketStream.open(*self._where(), timeouts.get("connect"))
        self._check_active()
        exchange = Exchange(request.method)
        return self._stream, self._exchange(request, exchange, self._stream, timeouts)

    def _exchange(
        self,
        request: httpcore.Request,
        exchange: Exchange,
        stream: SocketStream,
        timeouts: dict[str, float | None],
    ) -> Head:
        # A server may refuse a request before it has read all of it: the answer says why.
        with contextlib.suppress(httpcore.WriteError):
            self._send(request, exchange, stream, timeouts.get("write"))
        wait_s = timeouts.get("read")
        until = None if wait_s is None else time.monotonic() + wait_s
        head = exchange.receive(stream.read(wait_s))
        # Informational answers and parts of a head do not extend the wait for the answer.
        while head is None:
            left_s = None if until is None else max(0.0, until - time.monotonic())
            head = exchange.receive(stream.read(left_s))
        return head

    def _send(
        self,
        request: httpcore.Request,
        exchange: Exchange,
        stream: SocketStream,
        wait_s: float | None,
    ) -> None:
        held = exchange.request(request.url.target, request.headers)
        assert isinstance(request.stream, Iterable)
        for piece in request.stream:
            data = exchange.content(piece)
            # Head and a small body in one write: two would cost a system call and a packet more.
            if len(held) + len(data) > JOINED_BYTES:
                stream.write(held, wait_s)
                held = data
            else:
                held += data
        stream.write(held + exchange.end(), wait_s)

    def close(self) -> None:
        """Close the connection, even in the middle of a request, and wait until it is closed."""
        self.abort()
        if self._stream is not None:
            self._stream.wait_closed()


class _Content:
    """The body of an answer, read as it arrives."""

    def __init__(
        self, connection: Connection, stream: SocketStream, head: Head, wait_s: float | None
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._head = head
        self._wait_s = wait_s
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        body, read, wait_s = self._head.body, self._stream.read, self._wait_s
        if content := body.feed(self._head.first):
            yield content
        while not body.finished:
            data = read(wait_s)
            if not data:
                body.end()
            elif content := body.feed(data):
                yield content
        body.end()

    def close(self) -> bool:
        """Return the connection to the pool; close it if the answer is unread: the server stops.

        Returns True if it was closed, so that the pool must drop it.
        """
        if self._closed:
            return False
        self._closed = True
        whole = self._head.body.finished and not self._head.body.has_surplus
        if whole and self._head.reusable:
            self._connection.rest()
            return False
        self._connection.close()
        return True


class ConnectionPool(lane.Assigning, httpcore.ConnectionPool):
    """The pool of httpcore, with our connections."""

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(tls, **_limits(limits))
        self._for_each = (tls, limits.keepalive_expiry)

    def create_connection(self, origin: httpcore.Origin) -> Connection:
        """Return a connection to a server, not opened yet."""
        return Connection(origin, *self._for_each)


class Transport(httpx.HTTPTransport):
    """The transport of httpx, over our connections.

    vcrpy, pytest-httpx, respx and tracers patch `handle_request` on the parent class: while one
    does, every request goes there.
    """

    _pool: ConnectionPool

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(tls, limits=limits)
        self._pool = ConnectionPool(tls, limits)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over an idle connection, or else as httpx does."""
        pool = self._pool
        connection = lane.waiting(pool, cast("list[Connection]", pool._connections), request)
        if connection is None:
            return super().handle_request(request)
        asked = cast("httpcore.Request", lane.Asked(request))
        try:
            response = connection.handle_request(asked)
        except httpcore.ConnectionNotAvailable:  # another thread was quicker
            return super().handle_request(request)
        except BaseException:
            lane.tidy(pool)
            with map_httpcore_exceptions():
                raise
        return lane.response_of(response, pool)


class AsyncConnection(Standing[LoopStream], httpcore.AsyncConnectionInterface):
    """A connection to one server, opened by its first request."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request and return its answer with the body unread."""
        self._begin()
        timeouts = _timeouts(request)
        try:
            stream, head = await self._answered(request, timeouts)
        # Also when cancelled: half an answer must not reach the next request on this connection.
        except BaseException:
            await self.aclose()
            raise
        content = _AsyncContent(self, stream, head, timeouts.get("read"))
        return httpcore.Response(
            head.status,
            headers=head.headers,
            content=content,
            extensions={**head.extensions, BODY_EXTENSION: head.body},
        )

    async def _answered(
        self, request: httpcore.Request, timeouts: dict[str, float | None]
    ) -> tuple[LoopStream, Head]:
        if self._stream is not None:
            exchange = Exchange(request.method)
            try:
                return self._stream, await self._exchange(request, exchange, self._stream, timeouts)
            except _LOST as error:
                if not self._may_go_again(request, exchange, error):
                    raise
            self._stream.close()
            await self._stream.wait_closed()
        self._stream = await LoopStream.open(*self._where(), timeouts.get("connect"))
        self._check_active()
        exchange = Exchange(request.method)
        return self._stream, await self._exchange(request, exchange, self._stream, timeouts)

    async def _exchange(
        self,
        request: httpcore.Request,
        exchange: Exchange,
        stream: LoopStream,
        timeouts: dict[str, float | None],
    ) -> Head:
        # A server may refuse a request before it has read all of it: the answer says why.
        with contextlib.suppress(httpcore.WriteError):
            await self._send(request, exchange, stream, timeouts.get("write"))
        wait_s = timeouts.get("read")
        until = None if wait_s is None else time.monotonic() + wait_s
        head = exchange.receive(await stream.read(wait_s))
        # Informational answers and parts of a head do not extend the wait for the answer.
        while head is None:
            left_s = None if until is None else max(0.0, until - time.monotonic())
            head = exchange.receive(await stream.read(left_s))
        return head

    async def _send(
        self,
        request: httpcore.Request,
        exchange: Exchange,
        stream: LoopStream,
        wait_s: float | None,
    ) -> None:
        held = exchange.request(request.url.target, request.headers)
        assert isinstance(request.stream, AsyncIterable)
        async for piece in request.stream:
            data = exchange.content(piece)
            # Head and a small body in one write: two would cost a system call and a packet more.
            if len(held) + len(data) > JOINED_BYTES:
                await stream.write(held, wait_s)
                held = data
            else:
                held += data
        await stream.write(held + exchange.end(), wait_s)

    async def aclose(self) -> None:
        """Close the connection, even in the middle of a request, and wait until it is closed."""
        self.abort()
        if self._stream is not None:
            await self._stream.wait_closed()


class _AsyncContent:
    """The body of an answer, read as it arrives."""

    def __init__(
        self, connection: AsyncConnection, stream: LoopStream, head: Head, wait_s: float | None
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._head = head
        self._wait_s = wait_s
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body, read, wait_s = self._head.body, self._stream.read, self._wait_s
        if content := body.feed(self._head.first):
            yield content
        while not body.finished:
            data = await read(wait_s)
            if not data:
                body.end()
            elif content := body.feed(data):
                yield content
        body.end()

    async def aclose(self) -> bool:
        """Return the connection to the pool; close it if the answer is unread: the server stops.

        Returns True if it was closed, so that the pool must drop it.
        """
        if self._closed:
            return False
        self._closed = True
        whole = self._head.body.finished and not self._head.body.has_surplus
        if whole and self._head.reusable:
            self._connection.rest()
            return False
        await self._connection.aclose()
        return True


class AsyncConnectionPool(lane.Assigning, httpcore.AsyncConnectionPool):
    """The pool of httpcore, with our connections."""

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(tls, **_limits(limits))
        self._for_each = (tls, limits.keepalive_expiry)

    def create_connection(self, origin: httpcore.Origin) -> AsyncConnection:
        """Return a connection to a server, not opened yet."""
        return AsyncConnection(origin, *self._for_each)


class AsyncTransport(httpx.AsyncHTTPTransport):
    """The transport of httpx, over our connections.

    vcrpy, pytest-httpx, respx and tracers patch `handle_async_request` on the parent class: while
    one does, every request goes there.
    """

    _pool: AsyncConnectionPool

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(tls, limits=limits)
        self._pool = AsyncConnectionPool(tls, limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over an idle connection, or else as httpx does."""
        pool = self._pool
        connection = lane.waiting(pool, cast("list[AsyncConnection]", pool._connections), request)
        if connection is None:
            return await super().handle_async_request(request)
        asked = cast("httpcore.Request", lane.Asked(request))
        try:
            response = await connection.handle_async_request(asked)
        except httpcore.ConnectionNotAvailable:  # another task was quicker
            return await super().handle_async_request(request)
        except BaseException:
            await lane.atidy(pool)
            with map_httpcore_exceptions():
                raise
        return lane.response_of(response, pool)
