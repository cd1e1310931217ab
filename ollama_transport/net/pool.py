"""Connections: one pool for equal settings, one asynchronous client for each event loop.

Nothing here opens a socket by itself; httpx does when a request is sent. An asynchronous client
belongs to the loop it was made in and is closed with it: an asynchronous generator waits in the
loop for that, since ``shutdown_asyncgens``, which ``asyncio.run`` calls at the end, wakes it.
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
    max_keepalive_connections=20,
    keepalive_expiry=KEEPALIVE_S,
)
# What our own connections do not do: HTTP/2 and proxies.
_WAYS_OF_HTTPX = {"http1", "http2", "mounts", "proxy"}


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """Return the one SSL context of the process: reading the certificates takes 20 to 60 ms."""
    return httpx.create_ssl_context()


class Pool:
    """Hold the connections for one configuration, for threads and event loops alike.

    `sync` and `for_loop` make their clients on first need. `release` closes them when the last
    owner lets go. When the last owner is collected they wait GRACE_S for another one: a loop that
    runs closes them then, threads at the next call of any model or at the end of the process.
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
        """Count somebody who uses this pool."""
        with self._lock:
            _LINGERING.pop(self, None)
            if id(owner) not in self._owners:
                # The registry of finalizers holds this pool for as long as its owner lives.
                self._owners[id(owner)] = weakref.finalize(owner, self._lose, id(owner))
                self._owners[id(owner)].atexit = False

    def _lose(self, owner_id: int) -> None:
        """Take note that an owner was collected: anywhere, so no lock may be taken here."""
        self._owners.pop(owner_id, None)
        if self._owners or self.is_foreign():
            return
        _LINGERING[self] = time.monotonic() + self._grace_s
        self._watch()

    def _watch(self) -> None:
        """Have the loops look after a while whether an owner came."""
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
        """Tell whether nobody has wanted this pool for too long."""
        return not self._owners and time.monotonic() >= _LINGERING.get(self, math.inf)

    def is_foreign(self) -> bool:
        """Tell whether this process is a fork of the one that made the pool."""
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
            # In a thread, since other tasks would wait for the certificates as well.
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
        """Drop the client of a loop that ends."""
        self._loops.pop(loop, None)

    def _forget_closed_loops(self) -> None:
        # A copy, since other threads may be adding their loops.
        for loop in list(self._loops):
            if loop.is_closed():
                self.forget(loop)

    def release(self, owner: object) -> None:
        """Let an owner go; the last one closes every connection, those of other loops as well."""
        with self._lock:
            if (finalizer := self._owners.pop(id(owner), None)) is not None:
                finalizer.detach()
            if self._owners:
                return
        self.close()

    def close(self) -> None:
        """Close every connection; those of running loops close as soon as the loops get to it."""
        with self._lock:
            close, self._sync, self._close_sync = self._close_sync, None, _nothing
        close()
        for loop, held in list(self._loops.items()):
            self.forget(loop)
            if not loop.is_closed():
                # A loop may end before it gets to a task: then it wakes the guard.
                _LEFT_TO_LOOP[held.client] = (loop, held)
            if loop.is_running():
                loop.call_soon_threadsafe(_start_closing, loop, held)

    async def arelease(self, owner: object) -> None:
        """Do as `release`, and wait until the connections of the running loop are closed."""
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
    # At once: whoever waits for one connection after the other may be cancelled in between.
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
    """Close the pools that nobody wants any more."""
    with _POOLS_LOCK:
        found = [pool for pool in list(_LINGERING) if pool.is_abandoned() or pool.is_foreign()]
        for pool in found:
            _LINGERING.pop(pool, None)
            for key in [key for key, kept in _POOLS.items() if kept is pool]:
                del _POOLS[key]
    for pool in found:
        # Connections of the process that this one was forked from are its own to close.
        if not pool.is_foreign():
            pool.close()
    for client, (loop, _) in list(_LEFT_TO_LOOP.items()):
        if loop.is_closed():
            _LEFT_TO_LOOP.pop(client, None)


def _httpx_arguments(settings: Settings, config: Config) -> dict[str, Any]:
    waits = settings.timeouts
    return {
        "timeout": httpx.Timeout(
            connect=waits.connect_s, read=waits.read_s, write=waits.write_s, pool=None
        ),
        "limits": _LIMITS,
        "follow_redirects": True,
        # A proxy of the environment is no way to this machine itself.
        "trust_env": not config.endpoint.is_loopback,
    }


def _made(kind: type[H], arguments: dict[str, Any], sends: str) -> H:
    """Return an httpx client; ``sends`` is the method by which it uses a transport.

    Raises:
        ConfigError: for arguments that httpx does not take.
    """
    transport = arguments.get("transport")
    if transport is not None and not hasattr(transport, sends):
        raise ConfigError(
            f"the transport {transport!r:.80} has no {sends}: one for blocking calls alone goes "
            "into a Client or sync_client_kwargs, one for asyncio into an AsyncClient or "
            "async_client_kwargs."
        )
    try:
        return kind(**_completed(kind, arguments))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"httpx does not take these client_kwargs: {error}.") from error


def _completed(kind: type[H], arguments: dict[str, Any]) -> dict[str, Any]:
    if arguments.get("transport") is not None:
        return {**arguments, "transport": _Borrowed(arguments["transport"])}
    tls = _tls(arguments)
    if arguments.keys() & _WAYS_OF_HTTPX or (arguments["trust_env"] and getproxies()):
        return {**arguments, "verify": tls, "cert": None}
    transport = Transport if issubclass(kind, httpx.Client) else AsyncTransport
    return {**arguments, "transport": transport(tls, arguments["limits"])}


def _tls(arguments: dict[str, Any]) -> ssl.SSLContext:
    if "verify" not in arguments and "cert" not in arguments:
        return ssl_context()
    names = arguments.keys() & {"verify", "cert", "trust_env"}
    return httpx.create_ssl_context(**{name: arguments[name] for name in names})


class _Borrowed(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport of the caller's, which does not close with our clients: copies share it."""

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

    Arguments for httpx are equal where they are the same objects, or the same plain values: the
    copies that frameworks make of a model share its connections.
    """
    if _LINGERING:
        close_abandoned()
    # Headers belong to the key: a session cookie of one user is nothing for another one.
    headers = tuple(sorted(config.headers.items()))
    key = (config.endpoint, settings.timeouts, headers, kwargs.key)
    with _POOLS_LOCK:
        found = _POOLS.get(key)
        pool = Pool(settings, config, kwargs) if found is None or found.is_foreign() else found
        _POOLS[key] = pool
        pool.add_owner(owner)
        return pool
