"""Heads of HTTP/1.1 of the usual form, read and written without h11.

h11 takes 430,000 instructions for a call, a sixth of a short one. Most heads have a form that is
simple to check in full: such a head is written and read here as h11 does it (a test compares the
two for any answer). Every other head is left to h11.
"""

import re
from typing import NamedTuple

import h11
import httpcore

Headers = list[tuple[bytes, bytes]]

_METHODS = frozenset({b"GET", b"POST", b"DELETE"})
_CRLF = b"\r\n"
_TARGET = re.compile(rb"[!-~]+")
# Names are letters, digits and hyphens; values are visible ASCII with blanks inside. Possessive, so
# that no input takes more than one pass.
_FIELDS = re.compile(rb"(?:(?<![ -~])[A-Za-z0-9-]++: [!-~][ -~]*+(?<! )\r\n)++")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) ([!-~][ -~]*)")
_BEYOND_US = frozenset({b"expect", b"upgrade", b"te", b"trailer"})
_CODING, _LENGTH = b"transfer-encoding", b"content-length"


class PlainRequest:
    """A request whose head was written here; counts the bytes of its body.

    Raises:
        httpcore.LocalProtocolError: from `add` and `finish`, for a body of another length than
            the head says.
    """

    def __init__(
        self, head: bytes, method: bytes, target: bytes, headers: Headers, length: int
    ) -> None:
        self.head = head
        self._method = method
        self._target = target
        self._headers = headers
        self._left = length
        self.is_complete = False

    def add(self, data: bytes) -> None:
        """Count a piece of the body."""
        self._left -= len(data)
        if self._left < 0:
            raise httpcore.LocalProtocolError("Too much data for declared Content-Length")

    def finish(self) -> None:
        """Check that the body is complete."""
        if self._left:
            raise httpcore.LocalProtocolError("Too little data for declared Content-Length")
        self.is_complete = True

    def tell(self, connection: h11.Connection) -> None:
        """Bring a new connection of h11 into the state in which it can read the answer."""
        # The body that was sent does not matter for reading the answer, so h11 gets none.
        named = [(name, value) for name, value in self._headers if not _is_length(name)]
        length = b"0" if self.is_complete else b"1"
        headers = [*named, (b"content-length", length)]
        connection.send(h11.Request(method=self._method, target=self._target, headers=headers))
        if self.is_complete:
            connection.send(h11.EndOfMessage())


def plain_request(method: bytes, target: bytes, headers: Headers) -> PlainRequest | None:
    """Return a request of the usual form; None for one that h11 must check."""
    named = {name.lower(): value for name, value in headers}
    if len(named) != len(headers) or not _is_usual(named) or _CODING in named:
        return None
    # h11 sends Host first; httpx has it there.
    if method not in _METHODS or not _TARGET.fullmatch(target) or next(iter(named), b"") != b"host":
        return None
    written = _CRLF.join(map(b": ".join, headers)) + _CRLF
    # A line end in a value, or a colon in a name, would begin another field.
    if written.count(_CRLF) != len(headers) or b":" in b"".join(named):
        return None
    if not _FIELDS.fullmatch(written):
        return None
    head = b" ".join((method, target, b"HTTP/1.1\r\n")) + written + _CRLF
    return PlainRequest(head, method, target, headers, int(named.get(_LENGTH, b"0")))


class PlainHead(NamedTuple):
    """The head of an answer; ``end`` is where its body begins in the data."""

    status: int
    reason: bytes
    headers: Headers
    named: dict[bytes, bytes]
    end: int


def plain_head(data: bytes) -> PlainHead | None:
    """Return the head that data begins with, if it is complete and of the usual form."""
    end = data.find(b"\r\n\r\n")
    start, *lines = data[: max(end, 0)].split(_CRLF)
    begin = _STATUS_LINE.fullmatch(start)
    if begin is None or not _FIELDS.fullmatch(data, len(start) + 2, end + 2):
        return None
    headers = [(name, value) for name, _, value in [line.partition(b": ") for line in lines]]
    named = {name.lower(): value for name, value in headers}
    if len(named) != len(headers) or not _is_usual(named) or begin[1] in (b"204", b"304"):
        return None
    if _CODING in named and (named[_CODING] != b"chunked" or _LENGTH in named):
        return None
    return PlainHead(int(begin[1]), begin[2], headers, named, end + 4)


def _is_usual(named: dict[bytes, bytes]) -> bool:
    """Return whether no field changes the state of the connection."""
    if not _BEYOND_US.isdisjoint(named):
        return False
    length = named.get(_LENGTH, b"0")
    if named.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return False
    return length.isdigit() and len(length) < 19


def _is_length(name: bytes) -> bool:
    return name.lower() == _LENGTH
