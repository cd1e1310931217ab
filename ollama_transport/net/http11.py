"""HTTP/1.1 without I/O: h11 writes requests and reads heads, bodies are read here.

h11 takes each chunk of a body through its whole state machine, which costs more than reading the
JSON in it. What surrounds a body stays with h11: that is where the rules are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import h11
import httpcore

MAX_HEAD_BYTES = 100 * 1024
"""Longest head of an answer; httpcore's own limit."""

MAX_TRAILER_BYTES = 16 * 1024
"""Longest line between two chunks, and most that may follow the last one."""

# Strictly: int() takes signs, underscores and blanks as well.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
_CRLF = b"\r\n"


class Body(Protocol):
    """Be the memory of one body: bytes of any size in, its content out."""

    finished: bool
    """True when the body has come whole."""

    has_surplus: bool
    """True when more came than the body has: nothing else can be read from the connection."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes and return the content in them.

        Raises:
            httpcore.RemoteProtocolError: when they are no such body.
        """

    def end(self) -> None:
        """Take the end of the connection.

        Raises:
            httpcore.RemoteProtocolError: when something is missing.
        """


class Sized:
    """Read a body of a known length, which may be 0."""

    def __init__(self, size: int) -> None:
        self.finished = size == 0
        self.has_surplus = False
        self._missing = size

    def feed(self, data: bytes) -> bytes:
        """Take bytes and return the content in them."""
        self.has_surplus = len(data) > self._missing
        content = data[: self._missing]
        self._missing -= len(content)
        self.finished = self._missing == 0
        return content

    def end(self) -> None:
        """Take the end of the connection."""
        if not self.finished:
            raise httpcore.RemoteProtocolError(
                f"the connection was closed with {self._missing} bytes of the body missing"
            )


class UntilClosed:
    """Read a body that ends with its connection."""

    def __init__(self) -> None:
        self.finished = False
        self.has_surplus = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes and return them."""
        return data

    def end(self) -> None:
        """Take the end of the connection, which is that of the body."""
        self.finished = True


class Chunked:
    """Read a body in chunks (RFC 9112, section 7.1); extensions and trailers are passed over."""

    def __init__(self) -> None:
        self.finished = False
        self.has_surplus = False
        self._rest = b""
        self._missing = 0
        self._is_between = True
        self._line = self._size_line
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes and return the content in them."""
        # Mostly one read is one chunk, which is one line of the stream (wire reference 1.15).
        if self._is_between and not self._rest and data.endswith(_CRLF):
            end = data.find(_CRLF)
            size = _SIZE.fullmatch(data, 0, end)
            # The chunk of no content is the last one, and what follows it has rules of its own.
            if size and 0 < int(size[1], 16) == len(data) - end - 4:
                return data[end + 2 : -2]
        return b"".join(self._pieces(data))

    def end(self) -> None:
        """Take the end of the connection."""
        if not self.finished:
            raise httpcore.RemoteProtocolError(
                "the connection was closed before the last chunk of the body"
            )

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        data, at = self._rest + data, 0
        while at < len(data) and not self.finished:
            if self._missing:
                content = data[at : at + self._missing]
                self._missing -= len(content)
                at += len(content)
                yield content
            elif (end := data.find(_CRLF, at)) >= 0:
                self._line(data[at:end])
                at = end + 2
            else:
                break
        self._rest = data[at:]
        self.has_surplus = self.finished and bool(self._rest)
        if not self.finished and len(self._rest) > MAX_TRAILER_BYTES:
            self._line(self._rest)

    def _size_line(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        if size is None:
            raise httpcore.RemoteProtocolError(f"no size of a chunk, but {line[:80]!r}")
        self._missing = int(size[1], 16)
        self._is_between = False
        self._line = self._line_after_chunk if self._missing else self._trailer

    def _line_after_chunk(self, line: bytes) -> None:
        if line:
            raise httpcore.RemoteProtocolError(f"no line end after a chunk, but {line[:80]!r}")
        self._is_between = True
        self._line = self._size_line

    def _trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise httpcore.RemoteProtocolError(f"no end after the last chunk, but {line[:80]!r}")
        self.finished = not line


@dataclass(frozen=True, slots=True)
class Head:
    """Be the head of an answer, and what is needed to read its body.

    ``first`` is what of the body came along with the head; ``reusable`` tells whether both sides
    want to keep the connection after it.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: Body
    first: bytes = field(repr=False)
    reusable: bool
    extensions: dict[str, Any]


class Exchange:
    """Be one request and the head of its answer; made anew for each.

    Raises:
        httpcore.LocalProtocolError: from the methods that send, for a request that is none.
        httpcore.RemoteProtocolError: from `receive`, for an answer that is none.
    """

    def __init__(self, method: bytes) -> None:
        self._method = method
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    def request(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the head of the request as bytes."""
        try:
            return self._sent(h11.Request(method=self._method, target=target, headers=headers))
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error

    def content(self, data: bytes) -> bytes:
        """Return a piece of the request's body as bytes to send."""
        return self._sent(h11.Data(data=data))

    def end(self) -> bytes:
        """Return what ends the request's body, mostly nothing."""
        return self._sent(h11.EndOfMessage())

    def _sent(self, event: h11.Event) -> bytes:
        try:
            data = self._h11.send(event)
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error
        return data if data is not None else b""

    def receive(self, data: bytes) -> Head | None:
        """Take bytes, b"" for the end of the connection; return the head when it is whole."""
        if not data:
            raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
        try:
            self._h11.receive_data(data)
            event = self._h11.next_event()
            while isinstance(event, h11.InformationalResponse):
                event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise httpcore.RemoteProtocolError(str(error)) from error
        return self._head(event) if isinstance(event, h11.Response) else None

    def _head(self, event: h11.Response) -> Head:
        body = body_of(self._method, event.status_code, dict(event.headers))
        first, _ = self._h11.trailing_data
        return Head(
            event.status_code,
            event.headers.raw_items(),
            body,
            first,
            # h11 has looked at the versions and at both sides' `connection` by now.
            reusable=self._h11.our_state is h11.DONE and not (body.finished and first),
            extensions={
                "http_version": b"HTTP/" + event.http_version,
                "reason_phrase": event.reason,
            },
        )


def body_of(method: bytes, status: int, headers: dict[bytes, bytes]) -> Body:
    """Return what reads a body (RFC 9112, section 6.3); h11 has checked the headers."""
    if method == b"HEAD" or status in (204, 304):
        return Sized(0)
    if b"transfer-encoding" in headers:
        return Chunked()
    size = headers.get(b"content-length")
    return UntilClosed() if size is None else Sized(int(size))
