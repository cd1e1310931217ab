"""How a connection stands: new, at work, at rest or closed, for threads and event loops alike."""

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
"""Name of the extension of a request that must not arrive twice."""

S = TypeVar("S", SocketStream, LoopStream)


class Standing(Generic[S]):
    """Know how a connection stands, for the pool to decide by."""

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
        """Tell whether this is a connection to that server."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Tell whether a request may be sent over it."""
        return self._standing == "idle"

    def is_idle(self) -> bool:
        """Tell whether it waits for a request."""
        return self._standing == "idle"

    def is_closed(self) -> bool:
        """Tell whether it is of no further use."""
        return self._standing == "closed"

    def has_expired(self) -> bool:
        """Tell whether it has waited too long, or the server has closed it."""
        if self._standing != "idle" or self._stream is None:
            return False
        too_long = self._keepalive_s is not None and (
            time.monotonic() > self._idle_since + self._keepalive_s
        )
        return too_long or self._stream.is_readable()

    def info(self) -> str:
        """Return what the pool shows of it."""
        return f"{str(self._origin)!r}, HTTP/1.1, {self._standing.upper()}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.info()}]>"

    def rest(self) -> None:
        """Take note that an answer was read, and wait for the next request."""
        if self._standing == "active":
            assert self._stream is not None
            self._stream.rest()
            self._idle_since = time.monotonic()
            self._standing = "idle"

    def abort(self) -> None:
        """Cut the connection, whatever is under way."""
        self._standing = "closed"
        if self._stream is not None:
            self._stream.close()

    def _begin(self) -> None:
        with self._lock:
            # Two requests may be given one idle connection: the pool looks for another then.
            if self._standing not in ("new", "idle"):
                raise httpcore.ConnectionNotAvailable
            self._standing = "active"

    def _may_go_again(
        self, request: httpcore.Request, exchange: Exchange, error: Exception
    ) -> bool:
        """Tell whether a request that a kept connection failed may go out on a new one.

        A server may close a connection at rest just when the next request is on its way. Any byte
        of an answer proves that this one was at work.
        """
        if self._standing != "active" or not exchange.is_unanswered:
            return False
        unsent = isinstance(error, httpcore.ConnectionNotAvailable)
        return unsent or not request.extensions.get(ONCE_EXTENSION, False)

    def _check_active(self) -> None:
        if self._standing != "active":
            raise httpcore.ReadError("the connection was closed while it was opened")

    def _where(self) -> tuple[str, int, ssl.SSLContext | None]:
        if self._tls is not None:
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._origin.host.decode("ascii"), self._origin.port, self._tls
