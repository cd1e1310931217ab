"""Read the event streams of OpenAI-compatible servers (wire reference 10.1 and 10.2)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from ollama_transport.errors import OllamaError, ProtocolError, StreamFailedError
from ollama_transport.wire.calls.any_decoder import AnyDecoder
from ollama_transport.wire.calls.call import truncated
from ollama_transport.wire.calls.decoders import MAX_LINE_BYTES, FailureLast, SSEDecoder
from ollama_transport.wire.calls.said import check_said, empty_answer, says_something
from ollama_transport.wire.errors.mapping import answer_failure, tells_error
from ollama_transport.wire.openai.alike import AlikeEvents
from ollama_transport.wire.openai.answers import (
    FIRST,
    chat_line,
    check_choice,
    choices_of,
    finish_reason,
    first_of,
    read_chat,
    read_text,
    read_usage,
    salt_of,
    text_line,
)
from ollama_transport.wire.openai.tools import CallAssembler
from ollama_transport.wire.values.answers import ChatLine, GenerateLine
from ollama_transport.wire.values.arguments import NOTHING_KNOWN, RequestFacts
from ollama_transport.wire.values.call_shapes import told_calls
from ollama_transport.wire.values.usage import Usage

Line = TypeVar("Line", ChatLine, GenerateLine)

_EVENT_END = b"\n\n"


class EventReader(ABC, Generic[Line]):
    """Reads one stream: events in, lines out, the last of which has ``done``.

    The reason why an answer ended, its usage and the end of the stream are three events; they make
    one last line. An answer is complete when it has a reason, or when ``[DONE]`` came.

    Raises:
        StreamFailedError, StatusError: from `feed` and `finish`, for an error event, after the
            lines that came with it, of the class that such an error has with a failing status;
            from `finish`, for the empty chunk that hides a failure of Ollama (wire reference 10).
        EmptyAnswerError: when the events say nothing at all.
        StreamTruncatedError: from `finish`, when neither a reason nor ``[DONE]`` came.
        ProtocolError: for bytes that are not events of JSON, such as a proxy's page.
    """

    def __init__(self) -> None:
        self.has_surplus = False
        self._decoder = AnyDecoder(SSEDecoder)
        self._objects = 0
        self._received: list[Line] = []
        self._usage: Usage | None = None
        self._raw_usage: Mapping[str, Any] = {}
        self._end: Mapping[str, Any] = {}
        self._reason: str | None = None
        self._is_over = False
        self._is_empty = True
        self._hides_failure = False
        self._order = FailureLast()
        self._numbers: tuple[object, ...] | None = None

    @property
    def received(self) -> tuple[Line, ...]:
        """Return the lines that came so far."""
        return tuple(self._received)

    @property
    def complete(self) -> bool:
        """Return whether the last line was returned."""
        return self._is_over

    def feed(self, data: bytes) -> list[Line]:
        """Take bytes of any size and return the lines completed by them."""
        # Nothing after [DONE] belongs to the answer.
        if self._is_over:
            self.has_surplus = self.has_surplus or bool(data.strip())
            return []
        self._is_empty = self._is_empty and not data.strip()
        # Of two failures the first is raised.
        objects = [] if self._order.is_pending else self._decoder.feed(data)
        lines = self._take_all(objects)
        if self._is_over or not self._decoder.finished or self._order.is_pending:
            return lines
        self.has_surplus = self._decoder.has_rest
        return lines + self._close()

    def finish(self) -> list[Line]:
        """Take the end of the stream and return what it completes."""
        if self._is_over:
            return []
        self.feed(b"")  # a failure that was held back is not a cut
        if self._is_empty:
            raise empty_answer()
        try:
            objects = self._decoder.finish()
        except ProtocolError as error:
            # The rest of an event: the connection was cut inside it.
            raise truncated(self.received) from error
        lines = self._take_all(objects)
        start = self._decoder.stray
        # The connection may be cut inside the name of a field.
        if start and not b"data:".startswith(start):
            raise ProtocolError(
                f"the answer is not a stream of events; it starts {start!r}", line=start
            )
        if not self._is_over and not self._has_end():
            raise self._missing_end()
        return lines + self._close()

    def _has_end(self) -> bool:
        # One object instead of events is a whole answer, and ends with the body.
        is_whole = self._decoder.is_json and self._objects == 1
        return self._decoder.finished or self._reason is not None or is_whole

    def _missing_end(self) -> OllamaError:
        if self._hides_failure:
            return _hidden_failure(self.received)
        says = any(says_something(line) for line in self._received)
        return truncated(self.received) if says else empty_answer()

    def _take_all(self, objects: list[dict[str, Any]]) -> list[Line]:
        lines = self._order.each(objects, self._take)
        return [line for line in lines if line is not None]

    def _take(self, raw: Mapping[str, Any]) -> Line | None:
        if tells_error(raw):
            raise answer_failure(raw, received=self.received, openai=True)
        self._objects += 1
        self._note_usage(raw)
        choice = self._chosen(choices_of(raw))
        if choice is None:
            return None
        check_choice(choice, self.received)
        if choice.get("message") is not None and choice.get("delta") is None:
            return self._take_whole(raw)
        line = self._line(raw, choice)
        if line is not None:
            self._received.append(line)
        self._note_end(raw, choice)
        return line

    def _chosen(self, choices: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Return the choice that is read; the first event with choices decides on its number."""
        first = first_of(choices)
        if first is None:
            return None
        if self._numbers is None:
            number = first.get("index")
            self._numbers = FIRST if number in FIRST else (number,)
        return next((entry for entry in choices if entry.get("index") in self._numbers), None)

    def _take_whole(self, raw: Mapping[str, Any]) -> Line | None:
        """Return a whole answer that came instead of its pieces; it ends the stream."""
        if self._received:
            return None  # it repeats what the pieces said
        line = self._whole(raw)
        self._is_over = True
        self._received.append(line)
        return line

    def _note_usage(self, raw: Mapping[str, Any]) -> None:
        usage = read_usage(raw)
        # Some servers send it with every event, zeros first (wire reference 10.2): the last counts.
        if usage is not None:
            self._usage = usage
            self._raw_usage = {"usage": raw["usage"]}

    def _note_end(self, raw: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta")
        said = delta.get("content") if isinstance(delta, Mapping) else None
        self._hides_failure = raw.get("model") == "" and "" in (choice.get("text"), said)
        # The first reason counts; events after it, such as the usage, have none.
        if self._reason is None:
            self._end = raw
            self._reason = finish_reason(choice)

    def _close(self) -> list[Line]:
        """Return the last line; [] if it was returned before."""
        if self._is_over:
            return []
        self._is_over = True
        last = self._last({**self._end, **self._raw_usage}, self._reason, self._usage)
        self._received.append(last)
        check_said(self._received)
        return [last]

    @abstractmethod
    def _whole(self, raw: Mapping[str, Any]) -> Line:
        """Return a whole answer."""

    @abstractmethod
    def _line(self, raw: Mapping[str, Any], choice: Mapping[str, Any]) -> Line | None:
        """Return what an event adds; None if it adds nothing."""

    @abstractmethod
    def _last(self, raw: Mapping[str, Any], reason: str | None, usage: Usage | None) -> Line:
        """Return the last line; ``raw`` is the event that ended the answer, with the usage."""


class ChatReader(EventReader[ChatLine]):
    """Reads the stream of a chat; calls come as deltas, and complete with the last line."""

    def __init__(self, asked: RequestFacts = NOTHING_KNOWN) -> None:
        super().__init__()
        self._asked = asked
        self._calls = CallAssembler(asked)
        self._alike = AlikeEvents()

    def feed(self, data: bytes) -> list[ChatLine]:
        """Take bytes of any size and return the lines completed by them."""
        if self._is_over or not self._alike.has_hope or len(data) > MAX_LINE_BYTES:
            return super().feed(data)
        found: list[ChatLine] = []
        try:
            self._feed_each(data, found)
        except OllamaError as error:
            if not found:
                raise
            self._order.hold(error)
        return found

    def _feed_each(self, data: bytes, found: list[ChatLine]) -> None:
        """Read event by event, and add their lines to those found."""
        *events, rest = data.split(_EVENT_END)
        is_between = self._is_between
        for at, event in enumerate(events):
            line = self._alike.read(event) if is_between else None
            if line is not None:
                self._received.append(line)
                self._end, self._hides_failure = line.raw, False
                found.append(line)
                continue
            try:
                lines = super().feed(event + _EVENT_END)
            finally:
                # An answer may end, and fail, before the rest of these bytes is looked at.
                more = self._decoder.finished and any(map(bytes.strip, [*events[at + 1 :], rest]))
                self.has_surplus = self.has_surplus or more
            found += lines
            if is_between:
                self._alike.learn(event, lines)
            is_between = self._is_between
        found += super().feed(rest) if rest or not events else []

    @property
    def _is_between(self) -> bool:
        """Return whether the next byte begins an event, of an answer that goes on."""
        is_open = self._reason is None and not (self._is_over or self._order.is_pending)
        return is_open and self._decoder.is_between_events

    def _whole(self, raw: Mapping[str, Any]) -> ChatLine:
        return read_chat(raw, self._asked)

    def _line(self, raw: Mapping[str, Any], choice: Mapping[str, Any]) -> ChatLine | None:
        delta = choice.get("delta")
        line = chat_line(raw, choice, delta, deltas=self._calls.add(told_calls(delta)))
        says = line.text or line.thinking or line.tool_call_deltas or line.logprobs
        return line if says or line.message.refusal else None

    def _last(self, raw: Mapping[str, Any], reason: str | None, usage: Usage | None) -> ChatLine:
        is_cut = reason == "length"
        deltas, calls = self._calls.complete(salt_of(raw, self._asked), is_cut=is_cut)
        line = chat_line(raw, {}, None, calls=calls, deltas=deltas, reason=reason, usage=usage)
        return replace(line, done=True)


class TextReader(EventReader[GenerateLine]):
    """Reads the stream of a completion."""

    def _whole(self, raw: Mapping[str, Any]) -> GenerateLine:
        return read_text(raw)

    def _line(self, raw: Mapping[str, Any], choice: Mapping[str, Any]) -> GenerateLine | None:
        line = text_line(raw, choice)
        return line if line.text or line.thinking or line.logprobs else None

    def _last(
        self, raw: Mapping[str, Any], reason: str | None, usage: Usage | None
    ) -> GenerateLine:
        return replace(text_line(raw, {}, reason=reason, usage=usage), done=True)


def _hidden_failure(received: tuple[Any, ...]) -> StreamFailedError:
    return StreamFailedError(
        f"the answer failed after {len(received)} lines, and the server hid why: Ollama's /v1 "
        "sends an empty chunk instead of the error. What came before is in `received`; the "
        "server's log says more, and its native wire (a base URL without /v1) names the error.",
        received=received,
    )
