"""An endpoint as a value: what to send, and how to read what comes back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ollama_transport.errors import OllamaError, StreamTruncatedError
from ollama_transport.wire.calls.decoders import parse_object
from ollama_transport.wire.calls.said import begins

T = TypeVar("T")


class Reader(Protocol[T]):
    """Reads one stream: bytes in, typed lines out; one object for each stream."""

    @property
    def has_surplus(self) -> bool:
        """Return whether bytes followed the end of the answer; they are not in any line."""

    def feed(self, data: bytes) -> list[T]:
        """Take bytes of any size and return the lines completed by them."""

    def finish(self) -> list[T]:
        """Take the end of the stream; return what it completes."""

    @property
    def received(self) -> tuple[Any, ...]:
        """Return the lines that came so far."""

    @property
    def complete(self) -> bool:
        """Return whether the last line was returned; anything after it is ignored."""


class Lack(Protocol):
    """A part of a call that some servers refuse (see `wire.lacks`)."""

    @property
    def name(self) -> str:
        """Return the name under which a client remembers it."""

    def is_refused(self, error: OllamaError) -> bool:
        """Return whether an error refuses this part."""

    def without(self, call: "Call[Any]") -> "Call[Any]":
        """Return the call without this part."""


# Not frozen: each call makes one, and freezing this many fields would cost eight times as much.
# It is never changed; `replace` makes another.
@dataclass(slots=True)
class Call(Generic[T]):
    """One request as a value, without any I/O.

    - ``body`` is JSON (None: no body), to which ``whole_fields`` or ``stream_fields`` are added;
      ``upload`` is a file to send instead.
    - ``parse`` turns the bytes of a whole answer into an object, ``read`` that into a typed value;
      ``reader`` makes the reader of a stream, ``joining_reader`` a faster one that returns plain
      lines as runs, and ``join`` merges lines into one answer. None: not possible.
    - ``model`` None takes the first model with ``capability``, which is None for calls without a
      model; ``pullable``: a missing model may be pulled first.
    - ``repeatable``: sending it twice has the same effect as once; ``may_be_empty``: success may
      have an empty body; ``metered``: it uses tokens; ``is_numbers``: the answer is many floats;
      ``streams_whole``: a whole answer is requested as a stream, unless the caller decides.
    - ``recover`` is called once after a refusal and returns the call to send instead, or None.
      ``lacks`` are the parts that a server may refuse and that can be left out, ``left_out`` the
      names of those left out here.
    - ``count`` turns the lines of an answer into the requests that count its tokens.
    - ``natively`` makes the same call on Ollama's own wire, if the server may be an Ollama.
    """

    method: str
    path: str
    read: Callable[[Mapping[str, Any]], T]
    body: Mapping[str, Any] | None = None
    reader: Callable[[], Reader[T]] | None = None
    whole_fields: Mapping[str, Any] = field(default_factory=dict)
    stream_fields: Mapping[str, Any] = field(default_factory=dict)
    upload: Path | None = None
    model: str | None = None
    repeatable: bool = True
    may_be_empty: bool = False
    metered: bool = False
    recover: "Recover[T] | None" = None
    capability: str | None = None
    pullable: bool = False
    is_numbers: bool = False
    parse: Callable[[bytes], dict[str, Any]] = parse_object
    count: Callable[[Sequence[Any]], Any] | None = None
    join: Callable[[Sequence[T]], T] | None = None
    joining_reader: Callable[[], Reader[T]] | None = None
    streams_whole: bool = False
    lacks: tuple[Lack, ...] = ()
    natively: Callable[[], "Call[T]"] | None = None
    left_out: frozenset[str] = frozenset()

    def with_model(self, model: str) -> "Call[T]":
        """Return the same call for a model, for calls that name none."""
        body = {} if self.body is None else self.body
        return replace(self, model=model, body={"model": model, **body})

    def counting(self, lines: Sequence[Any]) -> Any:
        """Return the requests that count the tokens of an answer, or None."""
        return None if self.count is None else self.count(lines)

    def joined(self, lines: Sequence[T]) -> T:
        """Return the lines of a complete stream as one answer."""
        return lines[-1] if self.join is None else self.join(lines)

    def refused(self, error: OllamaError) -> frozenset[str]:
        """Return the names of the parts that an error refuses."""
        return frozenset(lack.name for lack in self.lacks if lack.is_refused(error))

    def without(self, names: Collection[str]) -> "Call[T]":
        """Return the call without the parts of these names."""
        call = self
        # One by one: the call without a part may have other parts that are refused in turn.
        while (lack := next((one for one in call.lacks if one.name in names), None)) is not None:
            call = lack.without(call)
        return call

    def recovered(self, error: OllamaError) -> "Call[T] | None":
        """Return the call to send after a refusal, for the same model; None raises the refusal."""
        instead = None if self.recover is None else self.recover(error)
        # `recover` builds it from the request, which does not know the model that was chosen.
        if instead is None or instead.model is not None or self.model is None:
            return instead
        return instead.with_model(self.model)

    def whole_body(self) -> dict[str, Any] | None:
        """Return the body that asks for a whole answer."""
        return None if self.body is None else {**self.body, **self.whole_fields}

    def stream_body(self) -> dict[str, Any] | None:
        """Return the body that asks for a stream."""
        return None if self.body is None else {**self.body, **self.stream_fields}


Recover = Callable[[OllamaError], Call[T] | None]
"""Returns the call to send instead of one that was refused; None raises the refusal."""


class Shaper(Protocol[T]):
    """Transforms the lines of one answer; its ``fault``, if any, is raised at the end."""

    def push(self, line: T) -> T:
        """Return the transformed line."""


def shaping(reader: Reader[T], shapers: Sequence[Shaper[T]]) -> Reader[T]:
    """Return a reader whose lines go through shapers; the same reader if there are none."""
    return _ShapedReader(reader, shapers) if shapers else reader


class ReaderAround(ABC, Generic[T]):
    """A reader that changes the lines of another one; ``received`` has them unchanged."""

    def __init__(self, reader: Reader[T]) -> None:
        self._reader: Reader[T] = reader

    @abstractmethod
    def changed(self, lines: list[T]) -> list[T]:
        """Return the lines to pass on instead of these."""

    def feed(self, data: bytes) -> list[T]:
        """Take bytes of any size and return the lines completed by them."""
        return self.changed(self._reader.feed(data))

    def finish(self) -> list[T]:
        """Take the end of the stream; return what it completes.

        Raises:
            OllamaError: for a fault of the whole answer.
        """
        return self.changed(self._reader.finish())

    @property
    def received(self) -> tuple[Any, ...]:
        """Return the lines that came so far, unchanged."""
        return self._reader.received

    @property
    def has_surplus(self) -> bool:
        """Return whether bytes followed the end of the answer."""
        return self._reader.has_surplus

    @property
    def complete(self) -> bool:
        """Return whether the last line was returned."""
        return self._reader.complete


class _ShapedReader(ReaderAround[T]):
    """Passes each line of a stream through shapers, first to last."""

    def __init__(self, reader: Reader[T], shapers: Sequence[Shaper[T]]) -> None:
        super().__init__(reader)
        self._shapers = shapers

    def changed(self, lines: list[T]) -> list[T]:
        """Return the lines to pass on instead of these."""
        # Shaper by shaper, which saves one call per token.
        for shaper in self._shapers:
            lines = list(map(shaper.push, lines))
        return lines

    def finish(self) -> list[T]:
        """Take the end of the stream; return what it completes.

        Raises:
            OllamaError: for the fault that a shaper found in the whole answer.
        """
        lines = super().finish()
        _check_faults(self._shapers)
        return lines


def shaped(line: T, shapers: Sequence[Shaper[T]]) -> T:
    """Return a whole answer transformed by every shaper in turn.

    Raises:
        OllamaError: the fault that a shaper found in it.
    """
    for shaper in shapers:
        line = shaper.push(line)
    _check_faults(shapers)
    return line


def _check_faults(shapers: Sequence[Shaper[Any]]) -> None:
    for shaper in shapers:
        fault: OllamaError | None = getattr(shaper, "fault", None)
        if fault is not None:
            raise fault


def truncated(
    received: tuple[Any, ...], *, url: str = "", whole: bool = False
) -> StreamTruncatedError:
    """Return (not raise) the error for an answer whose end is missing.

    ``whole`` is True for an answer that was not streamed: it has no lines to count.
    """
    at = f" from {url}" if url else ""
    has_begun = whole or begins(received)
    if has_begun:
        lines = "1 line" if len(received) == 1 else f"{len(received)} lines"
        ended = "has no end" if whole else f"ended after {lines} without its last one"
        why = (
            "The connection was cut, or the model repeated itself until the server gave up: what "
            "arrived is in `received`; try again, with another seed or a higher repeat_penalty."
        )
    else:
        ended = "ended before its first text"
        why = "The connection was cut: see the log of the server, and of a proxy in between."
    error = StreamTruncatedError(f"the answer{at} {ended}. {why}", url=url, received=received)
    error.has_begun = has_begun
    return error
