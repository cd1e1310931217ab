"""HTTP/1.1 without I/O: h11 writes requests and reads heads, bodies are read here.

h11 takes each chunk of a body through its whole state machine, which costs more than parsing the
JSON in it. Heads stay with h11: they have the complicated rules.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import h11
import httpcore

from ollama_transport.net.chunks import cut_whole_chunks
from ollama_transport.net.heads import PlainHead, PlainRequest, plain_head, plain_request

MAX_HEAD_BYTES = 100 * 1024
"""Longest head of an answer; the same limit as in httpcore."""

MAX_TRAILER_BYTES = 16 * 1024
"""Longest line between two chunks, and most bytes after the last one."""

MAX_EARLY_ANSWERS = 64
"""Most informational answers (100 Continue, 103 Early Hints) before the answer itself."""

# Stricter than int(), which accepts signs, underscores and blanks as well; proxies read such sizes
# differently (request smuggling). Extensions follow h11.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;[^\n]{0,%d})?[ \t]*" % MAX_TRAILER_BYTES)
_CRLF = b"\r\n"


_LENGTHS = re.compile(rb"\ncontent-length[ \t]*:([^\n]*)", re.IGNORECASE)


class Body(Protocol):
    """Reads one body: bytes of any size in, its content out."""

    finished: bool
    """True when there is nothing more to read: the body is complete, or `end` raises."""

    has_surplus: bool
    """True when bytes follow the body: the connection cannot be used again."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes and return the content in them.

        Raises:
            MalformedAnswer: for invalid bytes; after valid content, `end` raises it instead.
        """

    def end(self) -> None:
        """Take the end of the connection, or of the body.

        Raises:
            MalformedAnswer: for invalid bytes behind the content that the last `feed` returned.
            httpcore.RemoteProtocolError: when something is missing.
        """


class MalformedAnswer(httpcore.RemoteProtocolError):
    """The answer is not valid HTTP; for a cut answer the parent class is raised instead."""


class Sized:
    """Reads a body of known length, which may be 0."""

    def __init__(self, size: int) -> None:
        self.finished = size == 0
        self.has_surplus = False
        self._missing = size

    def feed(self, data: bytes) -> bytes:
        """Take bytes and return the content in them."""
        # A second answer that was never requested: response smuggling, or a broken server.
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
    """Reads a body that ends when the connection is closed."""

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
    """Reads a chunked body (RFC 9112, section 7.1); extensions and trailers are skipped."""

    def __init__(self) -> None:
        self.finished = False
        self.has_surplus = False
        self._rest = b""
        self._missing = 0
        self._is_between = True
        self._step = self._size_line
        self._trailers: _Trailers | None = None
        self._failure: MalformedAnswer | None = None

    def feed(self, data: bytes) -> bytes:
        """Take bytes and return the content in them."""
        pieces: list[bytes] = []
        try:
            # A long read begins and ends inside a chunk, with many whole ones between the two.
            if self._rest or not self._is_between:
                pieces.extend(self._pieces(data, is_one=True))
                data, self._rest = self._rest, b""
            if self._is_between:
                whole, data = cut_whole_chunks(data)
                pieces += whole
            pieces.extend(self._pieces(data) if data else ())
        except MalformedAnswer as error:
            # Valid content before it is returned first, wherever the reads were cut.
            self.finished = self.has_surplus = True
            self._failure = error
            if not pieces:
                raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> None:
        """Take the end of the connection, or of the body."""
        if self._failure is not None:
            raise self._failure
        if not self.finished:
            raise httpcore.RemoteProtocolError(
                "the connection was closed before the last chunk of the body"
            )

    def _pieces(self, data: bytes, *, is_one: bool = False) -> Iterator[bytes]:
        """Yield the content step by step; ``is_one`` stops where the next chunk would begin."""
        data, at = self._rest + data, 0
        while at < len(data) and not self.finished:
            if self._missing:
                content = data[at : at + self._missing]
                self._missing -= len(content)
                at += len(content)
                yield content
            elif (end := self._step(data, at)) > at:
                at = end
                if is_one and self._is_between:
                    break
            else:
                break
        self._rest = data[at:]
        self.has_surplus = self.finished and bool(self._rest)

    # Each step returns where the next one begins; its own start means that it needs more bytes.

    def _size_line(self, data: bytes, at: int) -> int:
        # Bounded: a server must not make a client buffer an endless line.
        end = data.find(_CRLF, at, at + MAX_TRAILER_BYTES + 2)
        if end < 0 and len(data) - at < MAX_TRAILER_BYTES + 2:
            return at
        size = _SIZE.fullmatch(data, at, end) if end >= 0 else None
        if size is None:
            raise MalformedAnswer(f"bad chunk size: {data[at : at + 80]!r}")
        self._missing = int(size[1], 16)
        self._is_between = False
        self._step = self._line_end if self._missing else self._after_last
        return end + 2

    def _line_end(self, data: bytes, at: int) -> int:
        if data.startswith(_CRLF, at):
            self._is_between = True
            self._step = self._size_line
            return at + 2
        # The line end may be split between two reads.
        if data[at:] == b"\r":
            return at
        raise MalformedAnswer(f"no line end after a chunk: {data[at : at + 80]!r}")

    def _after_last(self, data: bytes, at: int) -> int:
        if self._trailers is None:
            if data.startswith(_CRLF, at):
                self.finished = True
                return at + 2
            if data[at:] == b"\r":
                return at
            self._trailers = _Trailers()
        surplus = self._trailers.feed(data[at:])
        self.finished = surplus is not None
        return len(data) - (0 if surplus is None else len(surplus))


class _Trailers:
    """Checks the fields after the last chunk with h11: they are rare, so the cost is fine."""

    def __init__(self) -> None:
        self._bytes = 0
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_TRAILER_BYTES)
        self._h11.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
        self._h11.send(h11.EndOfMessage())
        # An answer made up to here, since h11 reads trailers only where they belong.
        self._h11.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        self._h11.next_event()

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; return those after the end, or None before the end."""
        try:
            self._h11.receive_data(data)
            is_over = isinstance(self._h11.next_event(), h11.EndOfMessage)
        except h11.RemoteProtocolError as error:
            raise MalformedAnswer(f"bad trailers: {error}") from error
        surplus, _ = self._h11.trailing_data if is_over else (b"", False)
        self._bytes += len(data) - len(surplus)
        if self._bytes > MAX_TRAILER_BYTES:
            raise MalformedAnswer(f"trailers of more than {MAX_TRAILER_BYTES} bytes")
        return surplus if is_over else None


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer, and what is needed to read its body.

    ``first`` is the part of the body that arrived with the head; ``reusable`` tells whether both
    sides keep the connection open afterwards.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: Body
    first: bytes = field(repr=False)
    reusable: bool
    extensions: dict[str, Any]


class Exchange:
    """One request and the head of its answer; create a new one for each request.

    Raises:
        httpcore.LocalProtocolError: from the methods that send, for an invalid request.
        httpcore.RemoteProtocolError: from `receive`, for an invalid answer.
    """

    def __init__(self, method: bytes) -> None:
        self._method = method
        self._plain: PlainRequest | None = None
        self._received_bytes = 0
        self._early_answers = 0
        self._start = b""

    @property
    def is_unanswered(self) -> bool:
        """Return whether no byte of an answer has arrived."""
        return not self._received_bytes

    @cached_property
    def _h11(self) -> h11.Connection:
        # Made only for a head that is not of the usual form.
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        if self._plain is not None:
            self._plain.tell(connection)
        return connection

    def request(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the head of the request as bytes."""
        self._plain = plain_request(self._method, target, headers)
        if self._plain is not None:
            return self._plain.head
        try:
            return self._sent(h11.Request(method=self._method, target=target, headers=headers))
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error

    def content(self, data: bytes) -> bytes:
        """Return a piece of the request's body as bytes to send."""
        if self._plain is not None:
            self._plain.add(data)
            return data
        return self._sent(h11.Data(data=data))

    def end(self) -> bytes:
        """Return the bytes that end the request's body, usually none."""
        if self._plain is not None:
            self._plain.finish()
            return b""
        return self._sent(h11.EndOfMessage())

    def _sent(self, event: h11.Event) -> bytes:
        try:
            data = self._h11.send(event)
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error
        return data if data is not None else b""

    def receive(self, data: bytes) -> Head | None:
        """Take bytes (b"" for the end of the connection); return the head when it is complete."""
        if not data:
            self._check_protocol()
            raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
        if self._plain is not None and not self._start and (head := plain_head(data)) is not None:
            self._received_bytes = len(data)
            return self._plain_head(head, data, self._plain)
        # Nearly always in one piece; the check of `_received_bytes` below bounds it.
        self._start = self._start + data if self._start else data
        self._received_bytes += len(data)
        try:
            self._h11.receive_data(data)
            event = self._h11.next_event()
            while isinstance(event, h11.InformationalResponse):
                self._count_early_answer()
                event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise MalformedAnswer(f"malformed head: {error}") from error
        first, _ = self._h11.trailing_data
        # h11 limits only incomplete heads: without this, the result would depend on the reads.
        if self._received_bytes - len(first) > MAX_HEAD_BYTES:
            raise MalformedAnswer(f"malformed head: longer than {MAX_HEAD_BYTES} bytes")
        return self._head(event, first) if isinstance(event, h11.Response) else None

    def _plain_head(self, head: PlainHead, data: bytes, request: PlainRequest) -> Head:
        if head.end > MAX_HEAD_BYTES:
            raise MalformedAnswer(f"malformed head: longer than {MAX_HEAD_BYTES} bytes")
        body, first = body_of(self._method, head.status, head.named), data[head.end :]
        ends_itself = request.is_complete and not isinstance(body, UntilClosed)
        return Head(
            head.status,
            head.headers,
            body,
            first,
            reusable=ends_itself and not (body.finished and first),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": head.reason},
        )

    def _check_protocol(self) -> None:
        """Raise if the bytes so far cannot begin an HTTP head, such as an SSH banner."""
        if self._start[:5] != b"HTTP/"[: len(self._start)]:
            raise MalformedAnswer(f"malformed head: {self._start[:80]!r} is not HTTP")

    def _check_lengths(self, head_bytes: int) -> None:
        # h11 accepts repeated equal lengths; a proxy in between may have picked another one.
        if len(found := _LENGTHS.findall(self._start, 0, head_bytes)) > 1 or b"," in b"".join(
            found
        ):
            raise MalformedAnswer("malformed head: Content-Length is repeated")

    def _count_early_answer(self) -> None:
        self._early_answers += 1
        if self._early_answers > MAX_EARLY_ANSWERS:
            raise MalformedAnswer(
                f"malformed head: more than {MAX_EARLY_ANSWERS} informational answers before it"
            )

    def _head(self, event: h11.Response, first: bytes) -> Head:
        self._check_lengths(len(self._start) - len(first))
        body = body_of(self._method, event.status_code, dict(event.headers))
        return Head(
            event.status_code,
            event.headers.raw_items(),
            body,
            first,
            # h11 has checked the HTTP versions and the `connection` headers of both sides by now.
            reusable=self._h11.our_state is h11.DONE and not (body.finished and first),
            extensions={
                "http_version": b"HTTP/" + event.http_version,
                "reason_phrase": event.reason,
            },
        )


def body_of(method: bytes, status: int, headers: dict[bytes, bytes]) -> Body:
    """Return the reader of a body (RFC 9112, section 6.3); h11 has checked each header alone.

    Raises:
        httpcore.RemoteProtocolError: for two length headers, which may contradict each other.
    """
    if b"content-length" in headers and b"transfer-encoding" in headers:
        raise MalformedAnswer("malformed head: both Content-Length and Transfer-Encoding")
    # They have no body, whatever their headers announce.
    if method == b"HEAD" or status in (204, 304):
        return Sized(0)
    if b"transfer-encoding" in headers:
        return Chunked()
    size = headers.get(b"content-length")
    return UntilClosed() if size is None else Sized(int(size))
