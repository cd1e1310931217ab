"""Read the streams of Ollama's own wire."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from ollama_transport.errors import OllamaError, ProtocolError
from ollama_transport.wire.calls.any_decoder import AnyDecoder
from ollama_transport.wire.calls.call import truncated
from ollama_transport.wire.calls.decoders import MAX_LINE_BYTES, FailureLast, NDJSONDecoder
from ollama_transport.wire.calls.said import check_said, empty_answer, other_wire, says_something
from ollama_transport.wire.errors.mapping import answer_failure, tells_error

T = TypeVar("T")

_OWN_KEYS = frozenset({"message", "response", "done"})


class LineReader(Generic[T]):
    """Reads a native stream: NDJSON lines, the last of which proves that nothing is missing.

    Server-sent events are read as well, since some gateways send them instead. ``unended`` turns a
    ``done`` line that only says that the model was loaded into an ordinary line; None: every
    ``done`` line ends the answer. ``texts`` is a faster reader, which returns the lines of plain
    text at the start of its input.

    Raises:
        StreamFailedError, StatusError: from `feed` and `finish`, for an error line (wire reference
            7.4): the class that such a text has with a failing status.
        StreamTruncatedError: from `finish`, when no last line came (wire reference 3.2).
        EmptyAnswerError: from `finish`, when the lines say nothing.
        ProtocolError: for bytes that are not lines of JSON, and for lines of another shape.

    Lines that arrived together with the cause of an error are returned first; the next call
    raises.
    """

    def __init__(
        self,
        read: Callable[[Mapping[str, Any]], T],
        is_last: Callable[[T], bool],
        unended: Callable[[T], T] | None = None,
        texts: Callable[[Sequence[bytes]], list[T]] | None = None,
    ) -> None:
        self._read = read
        self._texts = texts
        self._is_last = is_last
        self._unended = unended
        self.has_surplus = False
        self._decoder = AnyDecoder(NDJSONDecoder)
        self._received: list[T] = []
        self._complete = False
        self._is_empty = True
        self._order = FailureLast()

    def feed(self, data: bytes) -> list[T]:
        """Take bytes of any size and return the lines completed by them."""
        if self._complete:
            self.has_surplus = self.has_surplus or bool(data.strip())
            return []
        self._is_empty = self._is_empty and not data.strip()
        if self._texts is None or len(data) > MAX_LINE_BYTES:
            return self._fed(data)
        if self._order.is_pending or not self._decoder.is_between_lines:
            return self._fed_first(data)
        return self._shortly(data, self._texts)

    def _shortly(self, data: bytes, texts: Callable[[Sequence[bytes]], list[T]]) -> list[T]:
        *whole, rest = data.split(b"\n")
        found = texts(whole)
        if found:
            self._received += found
            self._decoder.note_lines()
        if len(found) == len(whole) and not rest:
            return found
        rest = b"\n".join([*whole[len(found) :], rest])
        return self._after(found, self._fed, rest)

    def _fed_first(self, data: bytes) -> list[T]:
        # The read began inside a line: after that line, the faster reader can continue.
        end = data.find(b"\n") + 1
        if not 0 < end < len(data):
            return self._fed(data)
        found = self._fed(data[:end])
        feed = self.feed if self._decoder.is_between_lines else self._fed
        return self._after(found, feed, data[end:])

    def _after(self, found: list[T], feed: Callable[[bytes], list[T]], data: bytes) -> list[T]:
        try:
            return found + feed(data)
        except OllamaError as error:
            if not found:
                raise
            self._order.hold(error)
            return found

    def _fed(self, data: bytes) -> list[T]:
        lines = self._order.each(self._decoder.feed(data), self._take)
        if self.complete:
            self.has_surplus = self._order.is_pending or self._decoder.has_rest
        return lines

    def finish(self) -> list[T]:
        """Take the end of the stream and return what it completes."""
        if self._complete:
            return []
        self.feed(b"")  # a failure that was held back is not a cut
        if self._is_empty:
            raise empty_answer()
        try:
            objects = self._decoder.finish()
        except ProtocolError as error:
            if not self._received and not error.line.lstrip().startswith((b"{", b"data:")):
                raise  # not the start of a line: a proxy's page
            # The rest of a line: the connection was cut inside it.
            raise truncated(self.received) from error
        lines = self._order.each(objects, self._take)
        if not self.complete and self._is_untold():
            # Not Ollama, whose every line says whether it is the last.
            lines.append(self._take({"done": True}))
        if not self.complete:
            raise self._missing_end()
        return lines

    def _is_untold(self) -> bool:
        raws = [getattr(line, "raw", {"done": False}) for line in self._received]
        return bool(raws) and self._unended is not None and not any("done" in raw for raw in raws)

    def _missing_end(self) -> OllamaError:
        says = self._unended is None or any(says_something(line) for line in self._received)
        return truncated(self.received) if says else empty_answer()

    @property
    def received(self) -> tuple[T, ...]:
        """Return the lines that came so far."""
        return tuple(self._received)

    @property
    def complete(self) -> bool:
        """Return whether the last line was returned."""
        return self._complete

    def _take(self, raw: dict[str, Any]) -> T:
        if self._complete:
            # Only marks the surplus: FailureLast holds it back, and is not called again.
            raise ProtocolError("a line came after the last one")
        # After the first line the status is 200 whatever happens (wire reference 7.4).
        if tells_error(raw):
            raise answer_failure(raw, received=self.received)
        if "choices" in raw and not (raw.keys() & _OWN_KEYS):
            raise other_wire("/api")
        line = self._read(raw)
        if self._is_last(line):
            line = line if self._unended is None else self._unended(line)
            self._complete = self._is_last(line)
        self._received.append(line)
        if self._complete and self._unended is not None:
            check_said(self._received)
        return line
