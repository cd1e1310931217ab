"""Decode the bytes of a stream into JSON objects, however they were split: no I/O here.

A decoder takes bytes of any size and returns the objects that are complete. The end of input is a
separate call, `finish`, since only then is it known that something is missing.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from ollama_transport.errors import OllamaError, ProtocolError
from ollama_transport.settings.bounds import MAX_ANSWER_BYTES

S = TypeVar("S")
T = TypeVar("T")

MAX_LINE_BYTES = MAX_ANSWER_BYTES
"""A line may be as long as a whole answer, so that `stream` reads whatever `send` reads."""

SHOWN_BYTES = 80
"""Bytes of an unreadable line that a message shows."""

_LF = b"\n"
DONE = b"[DONE]"
_FIELDS = (b":", b"event", b"id", b"retry")
FIELD_STARTS = (b"data:", b"event:", b"id:", b"retry:", b"error:")
_read_value = json.JSONDecoder().raw_decode


class NDJSONDecoder:
    """Decodes newline-delimited JSON, split on byte 0x0A only.

    Ollama sends U+0085 raw inside JSON text (wire reference 1.8), so `splitlines` and its like
    would cut lines in two. Blank lines are ignored. With ``is_one_allowed`` the input may also be
    one object spread over many lines, the first of which is its bracket alone; `finish` returns it.

    Raises:
        ProtocolError: from `feed` and `finish`, for a line that is not a JSON object (``.line`` is
            its start) or longer than MAX_LINE_BYTES. Objects before it are returned first; the
            call after that raises.
    """

    def __init__(
        self, max_line_bytes: int = MAX_LINE_BYTES, *, is_one_allowed: bool = False
    ) -> None:
        self.finished = False
        self._lines = _Lines(max_line_bytes)
        self._order = FailureLast()
        self._is_first = is_one_allowed
        self._whole: _Lines | None = None

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes of any size and return the objects completed by them, in order."""
        lines = (line for line in self._lines.feed(data) if line and not line.isspace())
        lines = (line for line in lines if not (line.startswith(DONE) and self._end()))
        if self._is_first or self._whole is not None:
            return self._order.each(self._outside_of_one(lines), parse_object)
        return self._order.each(lines, parse_object)

    def _outside_of_one(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the lines, except those of one object that is spread over many."""
        for line in lines:
            if self._is_first and not _is_object(line):
                self._whole = _Lines(self._lines.max_bytes)
            self._is_first = False
            if self._whole is None:
                yield line
            else:
                self._whole.hold(line + _LF)

    def _end(self) -> bool:
        # Some servers mark the end of lines like that of events.
        self.finished = True
        return True

    @property
    def has_rest(self) -> bool:
        """Return whether bytes followed the objects that were returned."""
        return self._order.is_pending or self._lines.has_rest

    @property
    def is_between(self) -> bool:
        """Return whether the next byte begins a line, and nothing is held back."""
        return self._whole is None and not (self._order.is_pending or self._lines.holds_any)

    def finish(self) -> list[dict[str, Any]]:
        """Return the objects of a last line without a newline, and of those over many lines."""
        rest = self._lines.take()
        if self._whole is not None:
            rest = self._whole.take() + rest
        if rest.strip() == DONE and self._end():
            return []
        return self._order.each(one_by_one(rest) if rest.strip() else [], parse_object)


class SSEDecoder:
    """Decodes server-sent events whose data is JSON, with the interface of NDJSONDecoder.

    Lines end in LF, CRLF or CR; the blank line between two events may be missing. Comments and
    fields other than ``data`` are ignored, except for errors: a field ``error`` and a bare JSON
    object are read as well. ``data: [DONE]`` sets ``finished`` and yields nothing (wire reference
    10.1); anything after it sets ``has_rest``. ``stray`` is the start of the first line that is not
    a field, when no data came: a proxy's HTML page, for example.

    Raises:
        ProtocolError: as NDJSONDecoder; the limit holds for a line and for an event's data.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.finished = False
        self._has_rest = False
        self._lines = _Lines(max_line_bytes)
        self._order = FailureLast()
        self._data = _Lines(max_line_bytes)
        self._data_lines = 0
        self._has_had_data = False
        self._is_error = False
        self._after_cr = False
        self._stray = b""

    @property
    def stray(self) -> bytes:
        """Return the start of an answer that is not a stream of events; empty when it is one."""
        return b"" if self._has_had_data else self._stray

    @property
    def has_rest(self) -> bool:
        """Return whether bytes followed the end that the stream marked."""
        return self._has_rest or (self.finished and self._lines.has_rest)

    @property
    def is_between(self) -> bool:
        """Return whether the next byte begins an event, and nothing is held back."""
        is_inside = self._data_lines or self._is_error or self._lines.holds_any
        return not (is_inside or self._after_cr or self.finished or self._order.is_pending)

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes of any size and return the objects of the events completed by them."""
        # The LF of a CRLF that was cut in two ends no second line.
        unread = data.removeprefix(_LF) if self._after_cr else data
        self._after_cr = data.endswith(b"\r") if data else self._after_cr
        lines = self._lines.feed(unread.replace(b"\r\n", _LF).replace(b"\r", _LF))
        return self._order.each(self._events(lines), parse_object)

    def finish(self) -> list[dict[str, Any]]:
        """Return the object of a last event without its blank line, if there is one."""
        return self._order.each(self._events([self._lines.take(), b""]), parse_object)

    def _events(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            if self.finished:
                self._has_rest = self._has_rest or bool(line.strip())
            elif line.startswith(b"data:"):
                # A data line alone may be an event, though no blank line follows it.
                if self._data_lines == 1 and _is_whole(self._data.peek()):
                    yield from self._event()
                # One space after the colon is syntax; further spaces belong to the data.
                self._add(line[5:].removeprefix(b" "))
            elif line.startswith(b"error:"):
                # llama.cpp before September 2025 sends errors in this field, without the key.
                yield b'{"error":' + line[6:] + b"}"
            elif line.startswith(b"{"):
                yield line  # an error in place of an event
            elif not line and self._data_lines:
                yield from self._event()
            else:
                self._note_other(line)

    def _event(self) -> Iterator[bytes]:
        data = self._taken()
        self.finished = data.strip() == DONE
        if data.strip() and not self.finished:
            yield data

    def _note_other(self, line: bytes) -> None:
        if line.startswith(b"event:"):
            self._is_error = line[6:].strip() == b"error"
        elif line and not self._stray and not line.startswith(_FIELDS):
            self._stray = line[:SHOWN_BYTES]

    def _taken(self) -> bytes:
        """Return the data of an event, under the key ``error`` if the event is one."""
        data, is_error = self._data.take(), self._is_error
        self._data_lines, self._is_error = 0, False
        if is_error and data.strip() not in (b"", DONE):
            is_json = data.lstrip().startswith((b"{", b'"'))
            told = data if is_json else json.dumps(data.decode("utf-8", "replace")).encode()
            return b'{"error":' + told + b"}"
        return data

    def _add(self, data: bytes) -> None:
        # Some gateways put the events of the server behind them into events of their own.
        while data.startswith(b"data:"):
            data = data[5:].removeprefix(b" ")
        self._data.hold(_LF + data if self._data_lines else data)
        self._data_lines += 1
        self._has_had_data = True


class _Lines:
    """Splits bytes into lines at 0x0A and keeps the unfinished one, within a limit."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines completed by these bytes, without their ends."""
        *lines, rest = data.split(_LF)
        for line in lines:
            if self._pieces or len(line) > self.max_bytes:
                self.hold(line)
                line = self.take()
            # Usually one chunk is exactly one line (wire reference 1.15), and nothing is kept.
            yield line
        self.hold(rest)

    def hold(self, piece: bytes) -> None:
        """Keep a piece of a line."""
        if not piece:
            return
        self._held += len(piece)
        self._pieces.append(piece)
        if self._held > self.max_bytes:
            start = b"".join(self._pieces)[:SHOWN_BYTES]
            raise ProtocolError(
                f"a line of the answer is longer than {self.max_bytes} bytes; it starts {start!r}",
                line=start,
            )

    @property
    def holds_any(self) -> bool:
        """Return whether an unfinished line is kept, be it blank."""
        return bool(self._pieces)

    @property
    def has_rest(self) -> bool:
        """Return whether the unfinished line has anything but white space."""
        return any(piece.strip() for piece in self._pieces)

    def peek(self) -> bytes:
        """Return what is kept."""
        return b"".join(self._pieces)

    def take(self) -> bytes:
        """Return what is kept, and forget it."""
        # Usually there is one piece, and joining would copy it.
        line = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        return line


class FailureLast:
    """Returns what came before a failure first, and raises the failure at the next call.

    The network decides whether good lines and a bad one arrive in one piece or in several. Either
    way the caller gets the same lines before the error.
    """

    def __init__(self) -> None:
        self._failure: OllamaError | None = None

    @property
    def is_pending(self) -> bool:
        """Return whether the next call raises."""
        return self._failure is not None

    def hold(self, failure: OllamaError) -> None:
        """Have the next call raise a failure, before which something was returned."""
        self._failure = failure

    def each(self, items: Iterable[S], make: Callable[[S], T]) -> list[T]:
        """Return what ``make`` makes of the items, up to the first that fails.

        Raises:
            OllamaError: the failure of the first item, or that of an earlier call.
        """
        if self._failure is not None:
            raise self._failure
        made: list[T] = []
        try:
            for item in items:
                made.append(make(item))
        except OllamaError as error:
            self._failure = error
            if not made:
                raise
        return made


def _is_object(line: bytes) -> bool:
    """Return whether a line may be an object, and not only the first line of one."""
    return line.rstrip() != b"{"


def parse_object(line: bytes) -> dict[str, Any]:
    """Return the JSON object that a line holds.

    Raises:
        ProtocolError: when it is not JSON, or JSON of another type.
    """
    try:
        # Decoded here: given bytes, json.loads would guess the encoding.
        text = line.decode()
        # raw_decode: json.loads also skips white space around the value, which takes longer than
        # parsing a short line.
        value, end = _read_value(text) if text.startswith("{") else (json.loads(text), len(text))
        if end < len(text) and not text[end:].isspace():
            value = json.loads(text)  # raises, and says what is wrong with the rest
    except (ValueError, RecursionError) as error:
        start = line[:SHOWN_BYTES]
        raise ProtocolError(
            f"the answer is not JSON ({error}); it starts {start!r}", line=start
        ) from error
    if not isinstance(value, dict):
        start = line[:SHOWN_BYTES]
        raise ProtocolError(f"the answer is not a JSON object; it starts {start!r}", line=start)
    return value


def _is_whole(data: bytes) -> bool:
    """Return whether data is a complete JSON object, or the mark of a stream's end."""
    text = data.strip()
    if text == DONE or not (text.startswith(b"{") and text.endswith(b"}")):
        return text == DONE
    try:
        parse_object(text)
    except ProtocolError:
        return False
    return True


def one_by_one(data: bytes) -> Iterator[bytes]:
    """Yield the objects that follow each other in a text, with or without white space between."""
    at = 0
    try:
        text = data.decode().strip()
        while at < len(text):
            _, end = _read_value(text, at)
            yield text[at:end].encode()
            at = end + len(text[end:]) - len(text[end:].lstrip())
    except (ValueError, RecursionError):
        # Whatever cannot be read is reported as it came.
        yield data if not at else text[at:].encode()
