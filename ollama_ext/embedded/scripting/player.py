"""Playing scripted replies on an ASGI connection."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable

from starlette.types import Scope, Send

from ollama_ext.embedded.scripting.replies import Reply

ANY = ("*", "*")
"""The script that answers whatever a model is asked."""
_ASKED = frozenset(
    {
        "/api/chat",
        "/api/embed",
        "/api/embeddings",
        "/api/generate",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
    }
)
Cutter = Callable[[Scope, bool], None]
_LINGER_NONE = struct.pack("ii", 1, 0)


class Scripts:
    """The replies that wait to be played, by method and path; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[tuple[str, str], deque[Reply]] = {}
        self._repeated: dict[tuple[str, str], Reply] = {}

    def add(self, method: str, path: str, replies: tuple[Reply, ...], *, repeat: bool) -> None:
        """Queue replies after those that are waiting; ``repeat`` keeps playing the last."""
        with self._lock:
            self._queues.setdefault((method, path), deque()).extend(replies)
            if repeat and replies:
                self._repeated[method, path] = replies[-1]

    def next(self, method: str, path: str) -> Reply | None:
        """Return the reply to play now, or None when the models are to answer."""
        with self._lock:
            # Queued replies first; the repeated one is only for when they are used up.
            keys = [(method, path), *([ANY] if method == "POST" and path in _ASKED else [])]
            for key in keys:
                if queue := self._queues.get(key):
                    return queue.popleft()
                if key in self._repeated:
                    return self._repeated[key]
            return None

    def reset(self) -> None:
        """Forget every script."""
        with self._lock:
            self._queues.clear()
            self._repeated.clear()


async def play(reply: Reply, scope: Scope, send: Send, cutter: Cutter) -> None:
    """Play a reply, to its end or to its cut."""
    if reply.delay_s > 0:
        await asyncio.sleep(reply.delay_s)
    await _hold(reply, 0)
    if not reply.silent:
        headers = [(n.lower().encode(), v.encode("latin-1")) for n, v in reply.headers.items()]
        if reply.sized:
            headers.append((b"content-length", str(sum(map(len, reply.chunks))).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await _send_chunks(reply, send)
    if reply.cut is not None:
        cutter(scope, reply.cut == "reset")


async def _hold(reply: Reply, index: int) -> None:
    if reply.gate is not None and reply.hold_at == index:
        await reply.gate.passed()


async def _send_chunks(reply: Reply, send: Send) -> None:
    # A body with a length is cut by withholding its last chunk.
    chunks = reply.chunks[:-1] if reply.cut and reply.sized else reply.chunks
    for index, chunk in enumerate(chunks):
        if index:
            # Even a sleep of 0 lets the loop notice that a client has disconnected.
            await asyncio.sleep(reply.chunk_delay_s)
            await _hold(reply, index)
        # A body with a length is whole for its client with the last chunk, so it ends with it.
        ends = reply.sized and not reply.cut and index == len(chunks) - 1
        await send({"type": "http.response.body", "body": chunk, "more_body": not ends})
    await _hold(reply, len(chunks))
    while reply.forever:
        await asyncio.sleep(reply.chunk_delay_s)
        await send({"type": "http.response.body", "body": reply.chunks[-1], "more_body": True})
    if reply.cut is None and not (reply.sized and chunks):
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def hang_up(transport: asyncio.Transport, *, reset: bool) -> None:
    """Close a connection after what was written, or at once with a TCP reset."""
    # What was written goes out first, then a normal end of the connection.
    if not reset:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    # With no time to linger the kernel sends a reset instead of a normal end.
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    transport.abort()
