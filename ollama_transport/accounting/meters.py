"""Meters count, limit or trace calls; every call passes through here at its start and end."""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from ollama_transport.errors import StreamError, ToolCallMissingError
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.calls.counting import about_tokens, prompt_text
from ollama_transport.wire.values.hooks import OnToken
from ollama_transport.wire.values.usage import Usage

logger = logging.getLogger("ollama_transport")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """How a call ended.

    ``usage`` is None if unknown; ``error`` is the class name of the error, or None;
    ``cancelled`` is True for a call that ended early (stream closed, task cancelled, Ctrl-C);
    ``sent`` is False for a call that another meter forbade. ``elapsed_s`` is in seconds, without
    the wait for a concurrency slot.
    """

    model: str
    path: str
    elapsed_s: float
    usage: Usage | None = None
    error: str | None = None
    cancelled: bool = False
    sent: bool = True


class Meter(Protocol):
    """Receives every call that generates or embeds: once when it begins, once when it ends.

    ```python
    from ollama_transport import Client

    class Slowest:
        seconds = 0.0

        def begin(self, call):
            pass

        def end(self, call, record):
            self.seconds = max(self.seconds, record.elapsed_s)

    slowest = Slowest()
    with Client(meters=[slowest]) as client:
        client.generate(model="llama3.2", prompt="Hello")
    print(slowest.seconds)
    ```
    """

    def begin(self, call: Call[Any], /) -> None:
        """Called before a call is sent; raise to forbid it."""

    def end(self, call: Call[Any], record: CallRecord, /) -> None:
        """Called when the call has ended, with its record."""


class Trace(Meter, Protocol):
    """A meter that also receives the lines of an answer, and the error that ends a call."""

    def note(self, line: Any, /) -> None:
        """Called with each line of a stream, or with a whole answer, before the caller has it."""

    def fail(self, error: BaseException, /) -> None:
        """Called before `end` with the error, or with what made the caller leave early."""


class Account:
    """Follows one call to its end, be it success, error or cancellation.

    A sync context manager, also used in async code. Pass each line of the answer to `noted`.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        call: Call[Any],
        on_token: OnToken | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._meters = meters if call.metered else ()
        if trace is not None:
            # Last, so that it does not begin a call that another meter forbids.
            self._meters = (*self._meters, trace)
        self._trace = trace
        self._on_token = on_token if call.metered else None
        self._is_logged = logger.isEnabledFor(logging.DEBUG)
        is_heard = self._meters or self._on_token is not None or self._is_logged
        self.is_unheard = not is_heard
        self._call = call
        self._begun: list[Meter] = []
        self._lines = 0
        self._usage: Usage | None = None
        self._finished = False
        self._start = time.perf_counter()

    def noted(self, line: T) -> T:
        """Record a line of the answer, or a whole answer, and return it."""
        if self.is_unheard:
            return line
        self._lines += 1
        usage = getattr(line, "usage", None)
        if usage is not None:
            self._usage = usage
        # Only lines of a chat or completion have `done`; any other answer is complete.
        self._finished = self._finished or getattr(line, "done", True)
        if self._trace is not None:
            self._trace.note(line)
        if self._on_token is not None:
            _tell(self._on_token, line)
        return line

    def __enter__(self) -> Self:
        for meter in self._meters:
            try:
                meter.begin(self._call)
            except BaseException as error:
                # A later meter forbade the call: tell the earlier ones that nothing was sent.
                self._end(replace(self._record(error), sent=False))
                raise
            self._begun.append(meter)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # Before `end`, which closes the span.
        if self._trace is not None and error is not None:
            self._trace.fail(error)
        if not self._begun and not self._is_logged:
            return
        record = self._record(error)
        if self._is_logged:
            logger.debug("%s", _told(record))
        self._end(record)

    def _end(self, record: CallRecord) -> None:
        with ExitStack() as stack:
            # Every meter is called, even if one of them raises.
            for meter in self._begun:
                stack.callback(meter.end, self._call, record)

    def _record(self, error: BaseException | None) -> CallRecord:
        # GeneratorExit, CancelledError and KeyboardInterrupt mean "left early", not "failed".
        left = error is not None and not isinstance(error, Exception)
        return CallRecord(
            model=self._call.model if self._call.model is not None else "",
            path=self._call.path,
            elapsed_s=time.perf_counter() - self._start,
            usage=self._usage if self._usage is not None else self._guess(error),
            error=type(error).__name__ if error is not None and not left else None,
            cancelled=left and not self._finished,
        )

    def _guess(self, error: BaseException | None) -> Usage | None:
        """Return an estimate for an answer without its end: about one token per line."""
        if isinstance(error, ToolCallMissingError) and isinstance(error.usage, Usage):
            return error.usage  # the answer is whole
        lines = len(error.received) if isinstance(error, StreamError) else self._lines
        if not lines or error is None:
            return None
        return Usage(about_tokens(prompt_text(self._call.body)), lines, estimated=True)


def _told(record: CallRecord) -> str:
    """Return how a call ended, without any text of the caller, the model or the server."""
    how = "was left" if record.cancelled else "ended"
    how = how if record.error is None else f"failed with {record.error}"
    usage = record.usage
    tokens = "" if usage is None else f", {usage.total_tokens} tokens"
    model = f", model {record.model}," if record.model else ""
    return f"{record.path}{model} {how} after {record.elapsed_s:.3f} s{tokens}"


def _tell(on_token: OnToken, line: Any) -> None:
    # A line with both is a whole answer, whose reasoning came first.
    for name, is_thinking in (("thinking", True), ("text", False)):
        if text := getattr(line, name, ""):
            on_token(text, is_thinking)
