"""Parse a structured answer, whole or piece by piece."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers.transform import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import InstanceOf

from langchain_ollama_ext._core_errors import ModelRefusalError
from langchain_ollama_ext._schemas import Shape, with_lists_read
from ollama_transport import ToolCallMissingError
from ollama_transport.conversation import (
    FoundJson,
    NoJsonError,
    NotYetError,
    PartialReader,
    cloud_note,
    first_fitting,
)

_NOTHING = object()
# Enough to see what the model wrote instead, and short enough for a log.
_SHOWN_CHARACTERS = 200


class StructuredOutputError(OutputParserException):
    """Raised when an answer does not fit the schema.

    ``llm_output`` is the whole text of the answer, ``done_reason`` the server's reason for its end
    ("length" if it was cut), None if unknown.
    """

    def __init__(
        self, message: str, *, llm_output: str = "", done_reason: str | None = None
    ) -> None:
        super().__init__(message, llm_output=llm_output)
        self.done_reason = done_reason

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the constructor, which would append core's link to the message again.
        return _restored, (self.args, dict(self.__dict__))


def _restored(args: tuple[Any, ...], state: dict[str, Any]) -> StructuredOutputError:
    error = StructuredOutputError.__new__(StructuredOutputError)
    error.args = args
    error.__dict__.update(state)
    return error


class StructuredRefusalError(StructuredOutputError, ModelRefusalError):
    """Raised when the model refused to answer; ``refusal`` is what it said instead.

    It is also LangChain's ModelRefusalError (since langchain-core 1.7.5).
    """

    def __init__(self, refusal: str, *, done_reason: str | None = None) -> None:
        message = f"the model refused to answer: {refusal}"
        StructuredOutputError.__init__(self, message, done_reason=done_reason)
        self.refusal = refusal
        self.raw_message = None


class StructuredCallMissingError(StructuredOutputError, ToolCallMissingError):
    """Raised when an answer lacks the call that "function_calling" forces.

    A ToolCallMissingError as well: ``text`` and ``thinking`` are what the model wrote instead.
    """

    def __init__(
        self, message: str, *, tool: str, text: str, thinking: str, done_reason: str | None
    ) -> None:
        StructuredOutputError.__init__(self, message, llm_output=text, done_reason=done_reason)
        self.tools = (tool,)
        self.text = text
        self.thinking = thinking
        self.usage = None
        self.raw = {}


@dataclass(slots=True)
class _Call:
    """A call in an answer: its name, the pieces of its arguments, and how many were parsed."""

    name: str = ""
    pieces: list[str] = field(default_factory=list)
    read: int = 0


class Answer:
    """Gathers one structured answer, whole or piece by piece; make one for each answer.

    With ``called``, the answer is the arguments of a call of the shape's tool; otherwise it is the
    text. With ``beside_tools``, it may be calls of other tools instead.
    """

    def __init__(self, shape: Shape, *, called: bool, beside_tools: bool = False) -> None:
        self._shape = shape
        self._called = called
        self._beside_tools = beside_tools
        self._reader = PartialReader(shape.target)
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[Any, _Call] = {}
        self._done_reason: str | None = None
        self._note = ""
        self._changed = False
        self._last: Any = _NOTHING

    def take(self, message: BaseMessage) -> None:
        """Take a message, or the next piece of one."""
        content = message.content
        text = content if isinstance(content, str) else str(message.text)
        self._texts.append(text)
        self._thoughts.append(_reasoning(message))
        self._refusals.append(str(message.additional_kwargs.get("refusal", "")))
        metadata = message.response_metadata
        reason = metadata.get("done_reason")
        self._note = self._note or cloud_note(metadata.get("model"), metadata.get("remote_host"))
        self._done_reason = self._done_reason if reason is None else reason
        if not self._called:
            self._push(text)
        # Not the chunk's tool_calls: those are core's guesses at incomplete arguments.
        if isinstance(message, AIMessageChunk):
            for piece in message.tool_call_chunks:
                self._call(piece["index"], piece["name"], piece["args"])
        elif isinstance(message, AIMessage):
            for place, call in enumerate([*message.tool_calls, *message.invalid_tool_calls]):
                arguments = call["args"]
                json_text = json.dumps(arguments) if isinstance(arguments, Mapping) else arguments
                self._call(place, call["name"], json_text)

    def _call(self, index: Any, name: str | None, arguments: str | None) -> None:
        call = self._calls.setdefault(index, _Call())
        call.name += name if name is not None else ""
        call.pieces.append(arguments if arguments is not None else "")
        if self._called and call is self._asked_call():
            # Including the pieces that arrived before the name.
            for piece in call.pieces[call.read :]:
                self._push(piece)
            call.read = len(call.pieces)

    def _asked_call(self) -> "_Call | None":
        # The first only: one object was requested, so a second call is a repetition.
        named = (call for call in self._calls.values() if call.name == self._shape.name)
        return next(named, None)

    def _push(self, piece: str) -> None:
        self._changed = self._reader.push(piece) or self._changed

    def news(self) -> list[Any]:
        """Return the object for the answer so far, in a list; [] if it did not change."""
        # Most tokens change nothing visible, and readers of a stream want only changes.
        if not self._changed:
            return []
        self._changed = False
        try:
            made = self._reader.snapshot()
        except NotYetError:
            return []
        return [] if made is None else self._new(made)

    def ending(self) -> list[Any]:
        """Return the result in a list; [] if `news` has already returned it.

        Raises:
            StructuredOutputError: from `result`.
        """
        made = self.result()
        return [] if made is None else self._new(made)

    def _new(self, made: Any) -> list[Any]:
        # The end of an answer often shows nothing new, and readers want only changes.
        if self._last is not _NOTHING and self._last == made:
            return []
        self._last = made
        return [made]

    def result(self) -> Any:
        """Return the object for the whole answer; None if the model called other tools instead.

        Raises:
            StructuredRefusalError: for a refusal in place of an answer.
            StructuredOutputError: for an answer that is cut, empty, not JSON, or of another shape.
        """
        text = self._json()
        if not text.strip() and (refusal := "".join(self._refusals)):
            raise StructuredRefusalError(refusal, done_reason=self._done_reason)
        if self._beside_tools and self._calls and not text.strip():
            return None
        try:
            return first_fitting(text, self._thinking(), self._make)
        except NoJsonError as error:
            raise self._failure(self._unreadable(text)) from error
        except ValueError as error:
            what = f"the answer does not fit {self._shape.name}: {error}{self._note}"
            raise self._failure(what) from error

    def _make(self, found: FoundJson) -> Any:
        try:
            return self._made(found.value)
        except ValueError as error:
            opened = with_lists_read(found.value, self._shape.json_schema)
            if not self._called or opened == found.value:
                raise
            try:
                return self._made(opened)
            except ValueError:
                raise error from None

    def _made(self, value: Any) -> Any:
        self._shape.check(value)
        return self._shape.make(value)

    def _json(self) -> str:
        if not self._called:
            return "".join(self._texts)
        call = self._asked_call()
        return "" if call is None else "".join(call.pieces)

    def _text(self) -> str:
        return "".join(self._texts)

    def _thinking(self) -> str:
        return "".join(self._thoughts)

    def _failure(self, message: str) -> StructuredOutputError:
        if self._called and not self._calls:
            return StructuredCallMissingError(
                message,
                tool=self._shape.name,
                text=self._text(),
                thinking=self._thinking(),
                done_reason=self._done_reason,
            )
        written = self._json() if self._called else self._text()
        return StructuredOutputError(message, llm_output=written, done_reason=self._done_reason)

    def _unreadable(self, text: str) -> str:
        """Return what is wrong with an answer that is not JSON, and what to do."""
        reason = f"done_reason {self._done_reason!r}"
        if self._calls and not text.strip():
            names = ", ".join(call.name for call in self._calls.values())
            return f"the model called {names} instead of giving {self._shape.name}: try again."
        if not self._text().strip() and not text and self._thinking():
            more = "raise num_predict, or " if self._done_reason == "length" else ""
            return (
                f"the model only reasoned and wrote no answer ({reason}): {more}"
                "set reasoning=False."
            )
        if not self._text().strip() and not text:
            return f"the model wrote nothing ({reason}): try again, or with another prompt."
        if self._done_reason == "length":
            return (
                f"the answer was cut before its end ({reason}): raise num_predict or num_ctx. It "
                f"began {self._shown()}."
            )
        if self._called and not text:
            return f"the model wrote text instead of calling {self._shape.name}: {self._shown()}."
        return f"the answer is not JSON ({reason}): {self._shown()}.{self._note}"

    def _shown(self) -> str:
        return repr((self._json() or self._text())[:_SHOWN_CHARACTERS])


def _reasoning(message: BaseMessage) -> str:
    told = message.additional_kwargs.get("reasoning_content")
    if isinstance(told, str):
        return told
    parts = message.content if isinstance(message.content, list) else []
    # With output_version="v1", core moves the reasoning into the content.
    found = [p for p in parts if isinstance(p, dict) and p.get("type") == "reasoning"]
    return "".join(str(part.get("reasoning", "")) for part in found)


class StructuredOutputParser(BaseTransformOutputParser[Any]):
    """Turns the messages of a chat model into objects of a shape; used by with_structured_output.

    Streaming yields growing objects: partial dicts, lists item by item, and for a pydantic class
    each state that is valid by itself. The end of a stream is checked like a whole answer.

    Raises:
        StructuredOutputError: an OutputParserException, for an answer that does not fit.
    """

    shape: InstanceOf[Shape]
    called: bool = False
    beside_tools: bool = False

    @property
    def _type(self) -> str:
        return "ollama_structured_output"

    @property
    def OutputType(self) -> Any:  # noqa: N802 - langchain-core's name
        """Return Any: only the caller's schema determines the type."""
        return Any

    def answer(self) -> Answer:
        """Return an object that gathers one answer."""
        return Answer(self.shape, called=self.called, beside_tools=self.beside_tools)

    def parse(self, text: str) -> Any:
        """Return the object in a text."""
        return self.parse_result([Generation(text=text)])

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Return the object in an answer; for a partial answer, None until there is one."""
        answer = self.answer()
        first = result[0]
        answer.take(first.message if isinstance(first, ChatGeneration) else AIMessage(first.text))
        if partial:
            return next(iter(answer.news()), None)
        return answer.result()

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:
        answer = self.answer()
        for piece in input:
            answer.take(as_message(piece))
            yield from answer.news()
        yield from answer.ending()

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        answer = self.answer()
        async for piece in input:
            answer.take(as_message(piece))
            for made in answer.news():
                yield made
        for made in answer.ending():
            yield made


def as_message(piece: str | BaseMessage) -> BaseMessage:
    """Return a piece of an answer as a message."""
    return piece if isinstance(piece, BaseMessage) else AIMessageChunk(content=piece)
