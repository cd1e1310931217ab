"""One place where every call begins and ends: who counts, bounds or traces calls stands here."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from ollama_transport.errors import StreamError
from ollama_transport.wire.calls import Call
from ollama_transport.wire.counting import about_tokens, prompt_text
from ollama_transport.wire.hooks import OnToken
from ollama_transport.wire.usage import Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Tell how a call ended.

    ``usage`` is None when nothing is known; ``error`` is the error's class name, None for none;
    ``cancelled`` is True for a call that was left early (its stream closed, its task cancelled,
    Ctrl-C), ``sent`` False for a call that another meter forbade. ``elapsed_s`` is in seconds,
    without the wait for a place among the calls at once.
    """

    model: str
    path: str
    elapsed_s: float
    usage: Usage | None = None
    error: str | None = None
    cancelled: bool = False
    sent: bool = True


class Meter(Protocol):
    """Hears of every call that generates or embeds: once when it begins, once when it ends."""

    def begin(self, call: Call[Any], /) -> None:
        """Take note of a call about to be sent; raise to forbid it."""

    def end(self, call: Call[Any], record: CallRecord, /) -> None:
        """Take note of how it ended."""


class Account:
    """Follow one call from its beginning to its end, whatever that is.

    A plain context manager, for async code as well. `noted` takes each line of the answer.
    """

    def __init__(
        self, meters: Sequence[Meter], call: Call[Any], on_token: OnToken | None = None
    ) -> None:
        self._meters = meters if call.metered else ()
        self._on_token = on_token if call.metered else None
        self._call = call
        self._begun: list[Meter] = []
        self._lines = 0
        self._usage: Usage | None = None
        self._finished = False
        self._start = time.perf_counter()

    def noted(self, line: T) -> T:
        """Take a line of the answer, or the whole of it, and return it."""
        self._lines += 1
        usage = getattr(line, "usage", None)
        if usage is not None:
            self._usage = usage
        self._finished = self._finished or getattr(line, "done", True)
        if self._on_token is not None:
            _tell(self._on_token, line)
        return line

    def __enter__(self) -> Self:
        for meter in self._meters:
            try:
                meter.begin(self._call)
            except BaseException as error:
                # A later meter forbade it: the earlier ones learn that nothing was sent.
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
        self._end(self._record(error))

    def _end(self, record: CallRecord) -> None:
        with ExitStack() as stack:
            # All are told, also when one of them raises.
            for meter in self._begun:
                stack.callback(meter.end, self._call, record)

    def _record(self, error: BaseException | None) -> CallRecord:
        # Leaving is GeneratorExit, CancelledError or KeyboardInterrupt, none of which is a fault.
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
        """Return an estimate for an answer without its end: about a token each line."""
        lines = len(error.received) if isinstance(error, StreamError) else self._lines
        if not lines or error is None:
            return None
        return Usage(about_tokens(prompt_text(self._call.body)), lines, estimated=True)


def _tell(on_token: OnToken, line: Any) -> None:
    for name, is_thinking in (("thinking", True), ("text", False)):
        if text := getattr(line, name, ""):
            on_token(text, is_thinking)
