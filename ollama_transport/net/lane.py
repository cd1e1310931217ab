"""The short way to a kept connection, past the layers of httpx's transport and httpcore's pool.

Between httpx's client and a connection stand a second request object with a second URL, the pool's
queue, and two passes over all connections, which cost as much as the exchange itself. A call for
which an idle connection is waiting needs none of them. Every other call goes the way of httpx and
httpcore, and so does every call while another package (a tracer, a mock) replaces their methods.
"""

import time
from collections.abc import AsyncIterator, Iterator
from types import FunctionType
from typing import Any, Protocol, TypeVar

import httpcore
import httpx
from httpx._transports import default
from httpx._transports.default import map_httpcore_exceptions


class Kept(Protocol):
    """A connection that may be waiting for a request."""

    def waits_for(self, scheme: bytes, host: bytes, port: int | None) -> bool:
        """Return whether it is idle, connected to that server, and not too old."""


C = TypeVar("C", bound=Kept)


class Asked:
    """A request as our connections read it; it has the names of httpcore's."""

    __slots__ = ("extensions", "headers", "method", "stream", "target", "url")

    def __init__(self, request: httpx.Request) -> None:
        self.method = request.method.encode("ascii")
        # httpcore has the target on a URL object; this saves making one.
        self.url = self
        self.target = request.url.raw_path
        self.headers = request.headers.raw
        self.stream = request.stream
        self.extensions = request.extensions


class Assigning:
    """Which connection of a pool serves which request, for threads and event loops alike.

    As httpcore decides it, except that the idle connections are counted once, and that none is
    given to two requests at a time.
    """

    _connections: list[Any]
    _requests: list[Any]
    _max_connections: int
    _max_keepalive_connections: int
    _keepalive_expiry: float | None
    _tidied_at = 0.0

    def create_connection(self, origin: httpcore.Origin) -> Any:
        """Return a connection to a server, not opened yet."""
        # Each of the two pools makes its own kind.
        raise NotImplementedError

    def is_due(self) -> bool:
        """Return whether the short way alone was used for so long that connections may be old."""
        kept_s = self._keepalive_expiry
        return kept_s is not None and time.monotonic() > self._tidied_at + kept_s

    def waits(self) -> bool:
        """Return whether a request waits for a connection."""
        return any(request.is_queued() for request in self._requests)

    def _assign_requests_to_connections(self) -> list[Any]:
        """Return the connections to close, after giving others to the requests that wait."""
        self._tidied_at = time.monotonic()
        closing = self._retired()
        free = [connection for connection in self._connections if connection.is_idle()]
        for request in self._requests:
            if request.is_queued():
                connection = self._for(request.request.url.origin, free, closing)
                if connection is not None:
                    request.assign_to_connection(connection)
        return closing

    def _retired(self) -> list[Any]:
        kept, closing, idle = list[Any](), list[Any](), 0
        for connection in self._connections:
            if connection.is_closed():
                continue
            is_idle = connection.is_idle()
            is_surplus = is_idle and idle >= self._max_keepalive_connections
            if (is_surplus or connection.has_expired()) and connection.retire():
                closing.append(connection)
            else:
                kept.append(connection)
                idle += is_idle
        # In place: the short way looks through the same list.
        self._connections[:] = kept
        return closing

    def _for(self, origin: httpcore.Origin, free: list[Any], closing: list[Any]) -> Any:
        found = next((one for one in free if one.can_handle_request(origin)), None)
        if found is not None:
            free.remove(found)
            return found
        if len(self._connections) >= self._max_connections:
            if not free or not (other := free.pop(0)).retire():
                return None
            self._connections.remove(other)
            closing.append(other)
        made = self.create_connection(origin)
        self._connections.append(made)
        return made


def waiting(pool: Any, connections: list[C], request: httpx.Request) -> C | None:
    """Return a connection that waits for a request; None to go the long way."""
    # Other bodies can be read once only, and the long way might be tried after this one.
    if type(request.stream) is not httpx.ByteStream or not _is_untouched():
        return None
    # Requests that already wait for a connection come first.
    if pool.waits():
        return None
    where = request.url.raw_scheme, request.url.raw_host, request.url.port
    with pool._optional_thread_lock:
        return next((found for found in connections if found.waits_for(*where)), None)


def response_of(response: httpcore.Response, pool: Any) -> httpx.Response:
    """Return httpx's response for that of a connection."""
    kind = _Stream if isinstance(pool, httpcore.ConnectionPool) else _AsyncStream
    return httpx.Response(
        status_code=response.status,
        headers=response.headers,
        stream=kind(response.stream, pool),
        extensions=response.extensions,
    )


def tidy(pool: httpcore.ConnectionPool) -> None:
    """Have the pool drop closed connections, and serve the requests that wait for one."""
    with pool._optional_thread_lock:
        closing = pool._assign_requests_to_connections()
    pool._close_connections(closing)


async def atidy(pool: httpcore.AsyncConnectionPool) -> None:
    """Same as `tidy`, for asyncio."""
    with pool._optional_thread_lock:
        closing = pool._assign_requests_to_connections()
    await pool._close_connections(closing)


class _Stream(httpx.SyncByteStream):
    """The body of an answer; raises the errors of httpx."""

    def __init__(self, stream: Any, pool: Any) -> None:
        self._stream = stream
        self._pool = pool

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except BaseException:
            self.close()
            with map_httpcore_exceptions():
                raise

    def close(self) -> None:
        # Otherwise the pool has nothing to do, and the pass over its connections is saved.
        if self._stream.close() or self._pool.waits() or self._pool.is_due():
            tidy(self._pool)


class _AsyncStream(httpx.AsyncByteStream):
    """Same as `_Stream`, for asyncio."""

    def __init__(self, stream: Any, pool: Any) -> None:
        self._stream = stream
        self._pool = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except BaseException:
            await self.aclose()
            with map_httpcore_exceptions():
                raise

    async def aclose(self) -> None:
        if await self._stream.aclose() or self._pool.waits() or self._pool.is_due():
            await atidy(self._pool)


def _methods() -> tuple[Any, ...]:
    return (
        httpx.HTTPTransport.handle_request,
        httpx.AsyncHTTPTransport.handle_async_request,
        httpcore.ConnectionPool.handle_request,
        httpcore.AsyncConnectionPool.handle_async_request,
    )


def _own_methods() -> tuple[Any, ...] | None:
    """Return the methods that are skipped; None if another package has replaced one already."""
    methods = _methods()
    files = (default.__file__, httpcore.__path__[0])
    own = all(
        type(found) is FunctionType and found.__code__.co_filename.startswith(files)
        for found in methods
    )
    return methods if own else None


def _is_untouched() -> bool:
    return _methods() == _OWN


_OWN = _own_methods()
