"""Connection pools: one for equal settings, with one asynchronous client for each event loop.

Nothing here opens a socket; httpx does when a request is sent. An asynchronous client belongs to
the loop it was created in and is closed with it: an asynchronous generator stays suspended in the
loop, and ``shutdown_asyncgens``, which ``asyncio.run`` calls at the end, closes it.
"""

import asyncio
import contextlib
import functools
import math
import os
import ssl
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar
from urllib.request import getproxies

import httpx

from ollama_transport.concurrency.forks import Lock
from ollama_transport.errors import ConfigError
from ollama_transport.net.connections import AsyncConnection, AsyncTransport, Transport
from ollama_transport.settings.client_settings import ClientKwargs, Config, Settings
from ollama_transport.settings.secrets import hide_in_logs

H = TypeVar("H", httpx.Client, httpx.AsyncClient)

KEEPALIVE_S = 30.0
GRACE_S = 10.0
"""Seconds for which a pool outlives its last owner: frameworks copy a model for each call."""

_LIMITS = httpx.Limits(
    # The server queues by itself; a second queue here would only hide its 503.
    max_connections=None,
    # A burst of so many calls opens no connection when it comes again.
    max_keepalive_connections=256,
    keepalive_expiry=KEEPALIVE_S,
)
# Arguments for HTTP/2 and proxies, which our own connections do not support.
_WAYS_OF_HTTPX = {"http1", "http2", "mounts", "proxy"}


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """Return the SSL context of the process; one, since loading certificates takes 20 to 60 ms."""
    return httpx.create_ssl_context()


class Pool:
    """The connections of one configuration, for threads and event loops alike.

    `sync` and `for_loop` create their clients on first use. `release` closes them when the last
    owner is released. When the last owner is garbage-collected, they wait GRACE_S for another one.
    After that a running loop closes its own client; the client for threads is closed at the next
    call of any model, or at the end of the process.
    """

    def __init__(self, settings: Settings, config: Config, client_kwargs: ClientKwargs) -> None:
        self._grace_s = GRACE_S
        self._arguments = _httpx_arguments(settings, config)
        self._kwargs = client_kwargs
        hide_in_logs(client_kwargs.parameter_names())
        self._lock = Lock()
        self._owners: dict[int, weakref.finalize[..., object]] = {}
        self._sync: httpx.Client | None = None
        self._close_sync: Callable[[], object] = _nothing
        self._loops: dict[asyncio.AbstractEventLoop, _LoopClient] = {}
        self._pid = os.getpid()

    def add_owner(self, owner: object) -> None:
        """Add an object that uses this pool."""
        with self._lock:
            _LINGERING.pop(self, None)
            if id(owner) not in self._owners:
                # The registry of finalizers holds this pool for as long as its owner lives.
                self._owners[id(owner)] = weakref.finalize(owner, self._lose, id(owner))
                self._owners[id(owner)].atexit = False

    def _lose(self, owner_id: int) -> None:
        """Remove a garbage-collected owner; collection happens anywhere, so take no lock here."""
        self._owners.pop(owner_id, None)
        if self._owners or self.is_foreign():
            return
        _LINGERING[self] = time.monotonic() + self._grace_s
        self._watch()

    def _watch(self) -> None:
        """Let the running loops check after the grace period whether there is a new owner."""
        for loop, held in list(self._loops.items()):
            if not held.is_watched and loop.is_running():
                held.is_watched = True
                with contextlib.suppress(RuntimeError):  # closed in the meantime
                    loop.call_soon_threadsafe(loop.call_later, self._grace_s, self._look, held)

    def _look(self, held: "_LoopClient") -> None:
        held.is_watched = False
        close_abandoned()
        if self in _LINGERING:
            self._watch()

    def is_abandoned(self) -> bool:
        """Return whether the pool has had no owner for the whole grace period."""
        return not self._owners and time.monotonic() >= _LINGERING.get(self, math.inf)

    def is_foreign(self) -> bool:
        """Return whether this process is a fork of the one that created the pool."""
        return self._pid != os.getpid()

    def sync(self) -> httpx.Client:
        """Return the client for blocking calls."""
        with self._lock:
            if self._sync is None:
                given = {**self._arguments, **self._kwargs.both, **self._kwargs.sync}
                self._sync = _made(httpx.Client, given, "handle_request")
                self._close_sync = weakref.finalize(self, self._sync.close)
            return self._sync

    async def for_loop(self) -> httpx.AsyncClient:
        """Return the client of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._loops and not ssl_context.cache_info().currsize:
            # In a thread: loading certificates would block the other tasks of the loop.
            await asyncio.to_thread(ssl_context)
        held = self._loops.get(loop)
        if held is None:
            held = self._loops[loop] = self._made_for(loop)
            await anext(held.guard)
        return held.client

    def _made_for(self, loop: asyncio.AbstractEventLoop) -> "_LoopClient":
        self._forget_closed_loops()
        given = {**self._arguments, **self._kwargs.both, **self._kwargs.asynchronous}
        client = _made(httpx.AsyncClient, given, "handle_async_request")
        return _LoopClient(client, _close_with_loop(weakref.ref(self), loop, client))

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drop the client of a loop that is ending, or closed: then its sockets are closed here."""
        held = self._loops.pop(loop, None)
        if held is not None and loop.is_closed():
            _cut_all(held.client)

    def _forget_closed_loops(self) -> None:
        # A copy, since other threads may be adding their loops.
        for loop in list(self._loops):
            if loop.is_closed():
                self.forget(loop)

    def release(self, owner: object) -> None:
        """Remove an owner; the last one closes every connection, also those of other loops."""
        with self._lock:
            if (finalizer := self._owners.pop(id(owner), None)) is not None:
                finalizer.detach()
            if self._owners:
                return
        self.close()

    def close(self) -> None:
        """Close every connection; running loops close theirs at their next opportunity."""
        with self._lock:
            close, self._sync, self._close_sync = self._close_sync, None, _nothing
        close()
        for loop, held in list(self._loops.items()):
            self.forget(loop)
            if not loop.is_closed():
                # A loop may end before it runs the task: then shutdown_asyncgens closes the guard.
                _LEFT_TO_LOOP[held.client] = (loop, held)
            if loop.is_running():
                with contextlib.suppress(RuntimeError):  # closed in the meantime
                    loop.call_soon_threadsafe(_start_closing, loop, held)

    async def arelease(self, owner: object) -> None:
        """Same as `release`, but wait until the connections of the running loop are closed."""
        held = self._loops.get(asyncio.get_running_loop())
        if held is not None and self._owners.keys() <= {id(owner)}:
            await held.guard.aclose()
        self.release(owner)


class _LoopClient:
    __slots__ = ("client", "guard", "is_watched")

    def __init__(self, client: httpx.AsyncClient, guard: AsyncGenerator[None]) -> None:
        self.client = client
        self.guard = guard
        self.is_watched = False


async def _close_with_loop(
    pool: "weakref.ref[Pool]", loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient
) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        if (alive := pool()) is not None:
            alive.forget(loop)
        _LEFT_TO_LOOP.pop(client, None)
        _cut_all(client)
        await client.aclose()


def _cut_all(client: httpx.AsyncClient) -> None:
    # All at once: closing them one after the other could be cancelled in between.
    if isinstance(client._transport, AsyncTransport):
        for connection in client._transport._pool.connections:
            if isinstance(connection, AsyncConnection):
                connection.abort()


def _start_closing(loop: asyncio.AbstractEventLoop, held: _LoopClient) -> None:
    task = loop.create_task(_finish(held.guard))
    # A loop holds its tasks weakly: without this reference the closing could be collected.
    _CLOSING.add(task)
    task.add_done_callback(_CLOSING.discard)


async def _finish(guard: AsyncGenerator[None]) -> None:
    await guard.aclose()


_CLOSING: set[asyncio.Task[None]] = set()
_LEFT_TO_LOOP: dict[httpx.AsyncClient, tuple[asyncio.AbstractEventLoop, _LoopClient]] = {}
_LINGERING: dict[Pool, float] = {}


def close_abandoned() -> None:
    """Close the pools whose grace period is over."""
    with _POOLS_LOCK:
        found = [pool for pool in list(_LINGERING) if pool.is_abandoned() or pool.is_foreign()]
        for pool in found:
            _LINGERING.pop(pool, None)
            for key in [key for key, kept in _POOLS.items() if kept is pool]:
                del _POOLS[key]
    for pool in found:
        # The parent process still uses the connections that a fork inherits.
        if not pool.is_foreign():
            pool.close()
    for client, (loop, _) in list(_LEFT_TO_LOOP.items()):
        if loop.is_closed() and _LEFT_TO_LOOP.pop(client, None) is not None:
            _cut_all(client)


def _httpx_arguments(settings: Settings, config: Config) -> dict[str, Any]:
    waits = settings.timeouts
    return {
        "timeout": httpx.Timeout(
            connect=waits.connect_s, read=waits.read_s, write=waits.write_s, pool=None
        ),
        "limits": _LIMITS,
        "follow_redirects": True,
        # A proxy from the environment would be asked for its own localhost, not for ours.
        "trust_env": not config.endpoint.is_loopback,
    }


def _made(kind: type[H], arguments: dict[str, Any], sends: str) -> H:
    """Return an httpx client; ``sends`` is the method that it calls on a transport.

    Raises:
        ConfigError: for arguments that httpx does not accept.
    """
    transport = arguments.get("transport")
    # httpx would raise an AttributeError at the first request.
    if transport is not None and not hasattr(transport, sends):
        raise ConfigError(
            f"the transport {transport!r:.80} has no method {sends}: pass a blocking transport to "
            "Client or sync_client_kwargs, an asynchronous one to AsyncClient or "
            "async_client_kwargs."
        )
    try:
        return kind(**_completed(kind, arguments))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"httpx does not accept these client_kwargs: {error}.") from error


def _completed(kind: type[H], arguments: dict[str, Any]) -> dict[str, Any]:
    if arguments.get("transport") is not None:
        return {**arguments, "transport": _Borrowed(arguments["transport"])}
    tls = _tls(arguments)
    if arguments.keys() & _WAYS_OF_HTTPX or (arguments["trust_env"] and getproxies()):
        return {**arguments, "verify": tls, "cert": None}
    transport = Transport if issubclass(kind, httpx.Client) else AsyncTransport
    return {**arguments, "transport": transport(tls, arguments["limits"])}


def new_async_client(timeout: float | httpx.Timeout | None, **arguments: Any) -> httpx.AsyncClient:
    """Return a client outside of all pools, which the caller closes; the timeout is in seconds.

    A cancelled request leaves no socket open, as it may with httpx's own connections.
    """
    given = {"timeout": timeout, "limits": _LIMITS, "trust_env": True, **arguments}
    return httpx.AsyncClient(**_completed(httpx.AsyncClient, given))


def _tls(arguments: dict[str, Any]) -> ssl.SSLContext:
    if "verify" not in arguments and "cert" not in arguments:
        return ssl_context()
    names = arguments.keys() & {"verify", "cert", "trust_env"}
    return httpx.create_ssl_context(**{name: arguments[name] for name in names})


class _Borrowed(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The caller's transport, which our clients do not close: copies of a model share it."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response: httpx.Response = self._transport.handle_request(request)
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response: httpx.Response = await self._transport.handle_async_request(request)
        return response


def _nothing() -> None: ...


_POOLS: weakref.WeakValueDictionary[tuple[object, ...], Pool] = weakref.WeakValueDictionary()
_POOLS_LOCK = Lock()


def acquire(settings: Settings, config: Config, kwargs: ClientKwargs, owner: object) -> Pool:
    """Return the pool for these settings, shared with every other owner of equal ones.

    Arguments for httpx are equal if they are the same objects or the same plain values, so copies
    that frameworks make of a model share its connections.
    """
    if _LINGERING:
        close_abandoned()
    # Headers are part of the key: users must not share a client that keeps session cookies.
    headers = tuple(sorted(config.headers.items()))
    key = (config.endpoint, settings.timeouts, headers, kwargs.key)
    with _POOLS_LOCK:
        found = _POOLS.get(key)
        pool = Pool(settings, config, kwargs) if found is None or found.is_foreign() else found
        _POOLS[key] = pool
        pool.add_owner(owner)
        return pool
