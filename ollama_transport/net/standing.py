"""The state of a connection (new, active, idle, closed), for threads and event loops alike."""

import ssl
import threading
import time
from typing import Generic, Literal, TypeVar

import httpcore

from ollama_transport.net.http11 import Exchange
from ollama_transport.net.streams import LoopStream, SocketStream

BODY_EXTENSION = "ollama_transport.body"
"""Name of the extension of a response that holds its `Body`."""

ONCE_EXTENSION = "ollama_transport.once"
"""Name of the extension that marks a request as not repeatable."""

# httpx leaves out the default port of a URL.
_PORTS = {b"http": 80, b"https": 443}

S = TypeVar("S", SocketStream, LoopStream)


class Standing(Generic[S]):
    """The state of a connection, which the pool of httpcore asks for."""

    def __init__(
        self, origin: httpcore.Origin, tls: ssl.SSLContext | None, keepalive_s: float | None
    ) -> None:
        self._origin = origin
        self._tls = tls if origin.scheme == b"https" else None
        self._keepalive_s = keepalive_s
        self._standing: Literal["new", "active", "idle", "closed"] = "new"
        self._idle_since = 0.0
        self._stream: S | None = None
        self._lock = threading.Lock()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Return whether this is a connection to that server."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Return whether a request may be sent over it."""
        return self._standing == "idle"

    def is_idle(self) -> bool:
        """Return whether it is waiting for a request."""
        return self._standing == "idle"

    def is_closed(self) -> bool:
        """Return whether it can no longer be used."""
        return self._standing == "closed"

    def waits_for(self, scheme: bytes, host: bytes, port: int | None) -> bool:
        """Return whether it is idle, connected to that server, and not too old."""
        origin = self._origin
        if self._standing != "idle" or origin.host != host or origin.scheme != scheme:
            return False
        if origin.port != (_PORTS.get(scheme) if port is None else port):
            return False
        # Whether the server has closed it shows when the request is written.
        return not self._is_too_old()

    def _is_too_old(self) -> bool:
        kept_s = self._keepalive_s
        return kept_s is not None and time.monotonic() > self._idle_since + kept_s

    def has_expired(self) -> bool:
        """Return whether it has waited too long, or the server has closed it."""
        if self._standing != "idle" or self._stream is None:
            return False
        return self._is_too_old() or self._stream.is_readable()

    def retire(self) -> bool:
        """Take an idle connection out of use, to be closed; False if a request was quicker."""
        with self._lock:
            if self._standing != "idle":
                return False
            self._standing = "closed"
            return True

    def info(self) -> str:
        """Return the description that the pool shows."""
        return f"{str(self._origin)!r}, HTTP/1.1, {self._standing.upper()}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.info()}]>"

    def rest(self) -> None:
        """Mark the connection as idle after an answer was read completely."""
        if self._standing == "active":
            assert self._stream is not None
            self._stream.rest()
            self._idle_since = time.monotonic()
            self._standing = "idle"

    def abort(self) -> None:
        """Close the connection at once, even in the middle of a request."""
        self._standing = "closed"
        if self._stream is not None:
            self._stream.close()

    def _begin(self) -> None:
        with self._lock:
            # The pool may give one idle connection to two requests; on this it picks another.
            if self._standing not in ("new", "idle"):
                raise httpcore.ConnectionNotAvailable
            self._standing = "active"

    def _may_go_again(
        self, request: httpcore.Request, exchange: Exchange, error: Exception
    ) -> bool:
        """Return whether a request that failed on a kept connection may be sent on a new one.

        A server may close an idle connection just as the next request is sent. Any byte of an
        answer proves that the server had received the request.
        """
        if self._standing != "active" or not exchange.is_unanswered:
            return False
        unsent = isinstance(error, httpcore.ConnectionNotAvailable)
        return unsent or not request.extensions.get(ONCE_EXTENSION, False)

    def _check_active(self) -> None:
        if self._standing != "active":
            raise httpcore.ReadError("the connection was closed while it was being opened")

    def _where(self) -> tuple[str, int, ssl.SSLContext | None]:
        if self._tls is not None:
            # Only HTTP/1.1 is read here; httpcore may have set h2 on the shared context.
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._origin.host.decode("ascii"), self._origin.port, self._tls
