"""Sockets for HTTP, blocking and asynchronous; they raise the errors of httpcore."""

import asyncio
import contextlib
import math
import select
import socket
import ssl
import struct
import sys
import weakref
from collections.abc import AsyncIterator
from typing import cast

import httpcore

from ollama_transport.net.dialing import connected

READ_BYTES = 64 * 1024
WRITE_BYTES = 256 * 1024
MOST_UNREAD_BYTES = 1024 * 1024
"""Bytes that an event loop reads ahead; beyond them the server has to wait."""

CONNECTING_AT_ONCE = 100
"""Connections to one server opened at a time; the timeout of those that wait has not begun."""

_TICK_S = 0.1


class SocketStream:
    """A blocking connection; waits are seconds of silence, None for no limit.

    Raises:
        httpcore.NetworkError, httpcore.TimeoutException: from every method except `close`.
        httpcore.ConnectionNotAvailable: from the first `write` after `rest`, if data
            arrived in between; nothing was sent then.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.get_extra_info("socket")
        plain = not isinstance(self._socket, ssl.SSLSocket)
        self._kernel_waits = plain and sys.platform in ("linux", "darwin")
        self._set_for: float | None = math.nan
        self._rests = False

    @classmethod
    def open(
        cls, host: str, port: int, tls: ssl.SSLContext | None, wait_s: float | None
    ) -> "SocketStream":
        """Return a connection to a server."""
        stream = httpcore.SyncBackend().connect_tcp(host, port, wait_s, socket_options=())
        if tls is not None:
            stream = stream.start_tls(tls, host, wait_s)
        return cls(stream)

    def read(self, wait_s: float | None) -> bytes:
        """Wait for data and return it; b"" at the end of the connection."""
        try:
            if wait_s != self._set_for:
                self._set_wait(wait_s)
            return self._socket.recv(READ_BYTES)
        except (TimeoutError, BlockingIOError) as error:
            raise httpcore.ReadTimeout("timed out") from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, data: bytes, wait_s: float | None) -> None:
        """Send bytes."""
        if self._rests and self.is_readable():
            raise httpcore.ConnectionNotAvailable
        self._rests = False
        self._set_for = math.nan
        self._stream.write(data, wait_s)

    def rest(self) -> None:
        """Record that no data is expected until the next write."""
        self._rests = True

    def close(self) -> None:
        """Close the connection at once."""
        self._stream.close()

    def wait_closed(self) -> None:
        """Return at once: a blocking socket is closed when `close` returns."""

    def is_readable(self) -> bool:
        """Return whether data has arrived, or the server has closed the connection."""
        return _has_unread(self._socket, self._socket)

    def _set_wait(self, wait_s: float | None) -> None:
        # 0 would mean non-blocking to Python, and no timeout at all to the kernel.
        least = None if wait_s is None else max(wait_s, 1e-6)
        # Python's own timeouts cost two system calls a read: poll, then recv.
        self._socket.settimeout(None if self._kernel_waits else least)
        if self._kernel_waits:
            whole, part = divmod(0 if least is None else least, 1)
            value = struct.pack("ll", int(whole), int(part * 1e6))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._set_for = wait_s


class LoopStream(asyncio.Protocol):
    """A connection of an event loop; waits are seconds of silence, None for no limit.

    Raises:
        httpcore.NetworkError, httpcore.TimeoutException: from `open`, `read` and `write`.
        httpcore.ConnectionNotAvailable: from the first `write` after `rest`, if data
            arrived in between; nothing was sent then.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._deadline = math.inf
        self._alarm: asyncio.TimerHandle | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._gone = asyncio.Event()
        self._rests = False

    @classmethod
    async def open(
        cls, host: str, port: int, tls: ssl.SSLContext | None, wait_s: float | None
    ) -> "LoopStream":
        """Return a connection to a server."""
        loop = asyncio.get_running_loop()
        name = host if tls is not None else None
        try:
            async with _gate(loop, host, port), free_time(wait_s):
                made = await connected(host, port)
                _, stream = await loop.create_connection(
                    cls, sock=made, ssl=tls, server_hostname=name
                )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("timed out") from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return stream

    async def read(self, wait_s: float | None) -> bytes:
        """Wait for data and return it; b"" at the end of the connection."""
        if not self._unread and not self._ended:
            await self._wait(wait_s)
        if self._unread:
            return self._taken()
        if self._error is not None:
            raise httpcore.ReadError(str(self._error)) from self._error
        return b""

    async def write(self, data: bytes, wait_s: float | None) -> None:
        """Send bytes in slices; other tasks of the loop run between two of them."""
        # A pending cancellation of this task takes effect here, before anything is sent. Otherwise
        # no turn of the loop is spent.
        if (task := asyncio.current_task()) is None or task.cancelling():
            await asyncio.sleep(0)
        if self._rests and self.is_readable():
            raise httpcore.ConnectionNotAvailable
        self._rests = False
        view = memoryview(data)
        for at in range(0, len(data), WRITE_BYTES):
            # A failed transport accepts any data and never pauses, so check before each slice.
            if self._ended or self._transport is None or self._transport.is_closing():
                raise httpcore.WriteError(str(self._error)) from self._error
            self._transport.write(view[at : at + WRITE_BYTES])
            # Most requests fit into the socket's buffer: a timeout around nothing is a timer.
            if not self._may_write.is_set():
                await self._drained(wait_s)

    def rest(self) -> None:
        """Record that no data is expected until the next write."""
        self._rests = True

    def close(self) -> None:
        """Close the connection at once."""
        if self._alarm is not None:
            self._alarm.cancel()
        if self._transport is None:
            return
        if self._loop.is_closed():
            _close_without_loop(self._transport)
        else:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        # nest_asyncio does not install the hooks with which loops finalize generators. A dropped
        # generator is then closed synchronously, where waiting is not possible.
        if self._loop.is_running() and sys.get_asyncgen_hooks().finalizer is not None:
            await self._gone.wait()

    def is_readable(self) -> bool:
        """Return whether data has arrived, or the server has closed the connection."""
        if self._ended or self._unread or self._transport is None:
            return True
        # The loop may have been busy: ask the socket for data that was not delivered yet.
        known = self._transport.get_extra_info
        return _has_unread(known("socket"), known("ssl_object"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by asyncio)."""
        # Not isinstance: the transports of uvloop have the methods, but not the class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Buffer data that arrived (called by asyncio)."""
        self._unread.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > MOST_UNREAD_BYTES and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Record the end of the data (called by asyncio)."""
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Record that the connection was lost (called by asyncio)."""
        self._ended = True
        self._error = error
        self._gone.set()
        self._may_write.set()
        self._wake()

    def pause_writing(self) -> None:
        """Make writers wait: the server reads slowly (called by asyncio)."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Let writers continue (called by asyncio)."""
        self._may_write.set()

    async def _drained(self, wait_s: float | None) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._may_write.wait()
        except TimeoutError as error:
            raise httpcore.WriteTimeout("timed out") from error

    def _taken(self) -> bytes:
        data = self._unread[0] if len(self._unread) == 1 else b"".join(self._unread)
        self._unread.clear()
        if self._unread_bytes > MOST_UNREAD_BYTES and self._transport is not None:
            self._transport.resume_reading()
        self._unread_bytes = 0
        return data

    async def _wait(self, wait_s: float | None) -> None:
        self._reader = self._loop.create_future()
        self._deadline = math.inf if wait_s is None else self._loop.time() + wait_s
        # One timer for many reads: setting one for each read would cost as much as the read.
        if wait_s is not None and (self._alarm is None or self._alarm.when() > self._deadline):
            self._set_alarm()
        try:
            await self._reader
        finally:
            self._reader = None

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._reader is None or self._reader.done() or self._deadline == math.inf:
            return
        if self._loop.time() < self._deadline:
            self._set_alarm()
        else:
            self._reader.set_exception(httpcore.ReadTimeout("timed out"))

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


@contextlib.asynccontextmanager
async def free_time(wait_s: float | None) -> AsyncIterator[None]:
    """Allow the block ``wait_s`` seconds of free loop time; None means no limit.

    While the loop is busy with other work it does not see that a connection was made, which is not
    the server's delay: a late tick counts as two ticks at most.

    Raises:
        TimeoutError: when the time is used up.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:
        if wait_s is None:
            yield
            return
        step = min(_TICK_S, wait_s / 4)
        left, seen = wait_s, loop.time()
        handle: asyncio.TimerHandle

        def tick() -> None:
            nonlocal left, seen, handle
            now = loop.time()
            left -= min(now - seen, 2 * step)
            seen = now
            if left > 0:
                handle = loop.call_later(min(step, left), tick)
            else:
                scope.reschedule(now)

        handle = loop.call_later(step, tick)
        try:
            yield
        finally:
            handle.cancel()


_GATES: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, dict[tuple[str, int], asyncio.Semaphore]
] = weakref.WeakKeyDictionary()


def _gate(loop: asyncio.AbstractEventLoop, host: str, port: int) -> asyncio.Semaphore:
    """Return the semaphore for connects to a server: more at once would overflow its backlog."""
    gates = _GATES.setdefault(loop, {})
    return gates.setdefault((host, port), asyncio.Semaphore(CONNECTING_AT_ONCE))


def _close_without_loop(transport: asyncio.Transport) -> None:
    """Close the socket of a transport that its loop, which is closed, can no longer close."""
    # Otherwise the server sees an open connection until the garbage collector comes by, and
    # asyncio warns then. LlamaIndex's `asyncio_run` closes a loop so, at each call in a notebook.
    under = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    if (raw := getattr(under, "_sock", None)) is not None:
        raw.close()
        for known, name, done in ((under, "_sock", None), (transport, "_closed", True)):
            if hasattr(known, name):
                setattr(known, name, done)


def _has_unread(raw: socket.socket, tls: object) -> bool:
    """Return whether a read would return at once."""
    # Decrypted data is no longer in the socket, so poll would not report it.
    if isinstance(tls, ssl.SSLSocket | ssl.SSLObject) and tls.pending():
        return True
    if raw.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([raw], [], [], 0)[0])
    # Unlike select, poll accepts descriptors above 1023.
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    return bool(poll.poll(0))
