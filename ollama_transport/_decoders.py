"""Turn the bytes of a stream into JSON objects, however they were split: no I/O here.

A decoder is fed with bytes of any size and returns the objects that are complete; the end of
input is a call of its own, `finish`, since only it can tell that something is missing.
"""

import json
from typing import Any, Protocol

from ollama_transport._errors import ProtocolError

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line is no line of a chat but something else, and would only fill the memory."""

SHOWN_BYTES = 80
"""So much of a line that cannot be read is shown."""

_LF = b"\n"


class Decoder(Protocol):
    """Be what a stream's bytes go through: NDJSON for ``/api``, SSE for ``/v1``."""

    finished: bool
    """True when the wire itself said that nothing more comes (the ``[DONE]`` of SSE)."""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes of any size and return the objects completed by them, in order."""

    def finish(self) -> list[dict[str, Any]]:
        """Take the end of input and return what was complete but not terminated."""


class NDJSONDecoder:
    """Decode newline-delimited JSON, cut on byte 0x0A only.

    Ollama sends U+0085 raw inside JSON text (wire reference 1.8), so no splitter with Unicode
    line ends may touch it. Blank lines are passed over.

    Raises:
        ProtocolError: from `feed` and `finish`, for a line that is no JSON object (``.line`` is
            its start) or longer than MAX_LINE_BYTES.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.finished = False
        self._max = max_line_bytes
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes of any size and return the objects completed by them, in order."""
        if _LF not in data:
            self._hold(data)
            return []
        *lines, rest = data.split(_LF)
        if self._pieces:
            self._hold(lines[0])
            lines[0] = self._take()
        self._hold(rest)
        return [parse_object(line) for line in lines if line and not line.isspace()]

    def finish(self) -> list[dict[str, Any]]:
        """Return the object of a last line without a newline, if that is one."""
        line = self._take()
        return [parse_object(line)] if line.strip() else []

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._held += len(piece)
        if self._held > self._max:
            raise ProtocolError(
                f"a line of the answer is longer than {self._max} bytes; it starts "
                f"{_start(b''.join(self._pieces) + piece)!r}",
                line=_start(b"".join(self._pieces) + piece),
            )
        self._pieces.append(piece)

    def _take(self) -> bytes:
        line = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        return line


class SSEDecoder:
    """Decode server-sent events whose data is JSON, with the interface of NDJSONDecoder.

    Lines end in LF, CRLF or CR; comments and fields other than ``data`` are passed over;
    ``data: [DONE]`` sets ``finished`` and yields nothing (wire reference 10.1).

    Raises:
        ProtocolError: as NDJSONDecoder.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.finished = False
        self._max = max_line_bytes
        self._rest = bytearray()
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes of any size and return the objects of the events completed by them."""
        self._rest += data
        # A CR at the very end may be the first half of CRLF: it waits for the next bytes.
        end = len(self._rest) - 1 if self._rest.endswith(b"\r") else len(self._rest)
        block = bytes(self._rest[:end])
        if b"\n" not in block and b"\r" not in block:
            self._check_length()
            return []
        lines = block.replace(b"\r\n", _LF).replace(b"\r", _LF).split(_LF)
        self._rest = bytearray(lines.pop() + bytes(self._rest[end:]))
        self._check_length()
        return [found for line in lines if (found := self._line(line)) is not None]

    def finish(self) -> list[dict[str, Any]]:
        """Return the object of a last event without its blank line, if there is one."""
        line, self._rest = bytes(self._rest).rstrip(b"\r"), bytearray()
        found = [self._line(line), self._line(b"")] if line else [self._line(b"")]
        return [value for value in found if value is not None]

    def _line(self, line: bytes) -> dict[str, Any] | None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            return None
        if line or not self._data:
            return None
        data = b"\n".join(self._data)
        self._data.clear()
        if data.strip() == b"[DONE]":
            self.finished = True
            return None
        return parse_object(data)

    def _check_length(self) -> None:
        if len(self._rest) > self._max:
            start = _start(bytes(self._rest[:SHOWN_BYTES]))
            raise ProtocolError(
                f"a line of the answer is longer than {self._max} bytes; it starts {start!r}",
                line=start,
            )


def parse_object(line: bytes) -> dict[str, Any]:
    """Return the JSON object that a line holds.

    Raises:
        ProtocolError: when it is no JSON, or JSON of another type.
    """
    try:
        value = json.loads(line.decode())
    except ValueError as error:
        raise ProtocolError(
            f"the answer is no JSON ({error}); it starts {_start(line)!r}", line=_start(line)
        ) from error
    if not isinstance(value, dict):
        raise ProtocolError(
            f"the answer is no JSON object; it starts {_start(line)!r}", line=_start(line)
        )
    return value


def _start(line: bytes) -> bytes:
    return line[:SHOWN_BYTES]
