"""Parse answers into objects of pydantic classes, whole or as they grow."""

import json
from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, ThinkingBlock, ToolCallBlock
from llama_index.core.types import Model
from pydantic import BaseModel, ValidationError

from llamaindex_ollama_ext._errors import (
    StructuredCallMissingError,
    StructuredOutputError,
    StructuredRefusalError,
)
from llamaindex_ollama_ext._partial import ObjectReader
from llamaindex_ollama_ext._stream import ChatAnswer
from ollama_transport import ChatLine
from ollama_transport.conversation import cloud_note, first_fitting

_MAX_SHOWN = 500
_MAX_FAULTS = 5


def read_object(response: ChatResponse, output_cls: type[Model], *, forced: bool = False) -> Model:
    """Return the object in a whole answer: in a tool call, or in its text.

    ``forced`` is True where the answer had to be a call.

    A code fence around the JSON, reasoning before it and prose around it are skipped. If the text
    is empty, JSON that makes up all of the reasoning is used.

    Raises:
        StructuredRefusalError: for a refusal in place of an answer.
        StructuredCallMissingError: when the forced call is missing, and the text has no object.
        StructuredOutputError: when there is no such object.
    """
    text, thinking = _text(response), _thinking(response)
    refusal = response.message.additional_kwargs.get("refusal")
    # Text that came with a refusal may still be the object.
    if refusal and not text.strip():
        raise StructuredRefusalError(
            f"the model refused to answer: {refusal}",
            refusal=refusal,
            done_reason=response.additional_kwargs.get("done_reason"),
        )
    try:
        return first_fitting(
            text, thinking, lambda found: output_cls.model_validate_json(found.text)
        )
    except ValueError as error:
        cause = _finding(error, text, output_cls)
    raise _failure(response, text, output_cls, cause, forced=forced) from cause


def _finding(error: ValueError, text: str, output_cls: type[BaseModel]) -> ValidationError | None:
    """Return pydantic's error for an answer; None for an answer without text."""
    if isinstance(error, ValidationError) or not text.strip():
        return error if isinstance(error, ValidationError) else None
    try:
        output_cls.model_validate_json(text)
    except ValidationError as finding:
        return finding
    return None


def _text(response: ChatResponse) -> str:
    call = _last_call(response)
    if call is None:
        return response.message.content or ""
    return call.tool_kwargs if isinstance(call.tool_kwargs, str) else json.dumps(call.tool_kwargs)


def _thinking(response: ChatResponse) -> str:
    blocks = response.message.blocks
    return "".join(b.content or "" for b in blocks if isinstance(b, ThinkingBlock))


def _last_call(response: ChatResponse) -> ToolCallBlock | None:
    for block in reversed(response.message.blocks):
        if isinstance(block, ToolCallBlock):
            return block
    return None


def _failure(
    response: ChatResponse,
    text: str,
    output_cls: type[BaseModel],
    cause: ValidationError | None,
    *,
    forced: bool,
) -> StructuredOutputError:
    reason = response.additional_kwargs.get("done_reason")
    thinking = _thinking(response)
    if forced and _last_call(response) is None:
        return StructuredCallMissingError(
            f"the model did not call {output_cls.__name__}, as tool_choice required: "
            + _message(text, thinking, reason, output_cls.__name__, cause),
            text=text,
            thinking=thinking,
            done_reason=reason,
            tools=(output_cls.__name__,),
        )
    raw = response.raw if isinstance(response.raw, Mapping) else {}
    note = cloud_note(raw.get("model"), raw.get("remote_host")) if cause is not None else ""
    return StructuredOutputError(
        _message(text, thinking, reason, output_cls.__name__, cause) + note,
        text=text,
        thinking=thinking,
        done_reason=reason,
    )


def _message(
    text: str, thinking: str, reason: str | None, name: str, cause: ValidationError | None
) -> str:
    if reason == "length":
        spent = f" after {len(thinking)} characters of thinking" if thinking else ""
        return (
            f"the answer was cut off{spent} before its {name} was complete (done_reason length): "
            f"raise num_predict or num_ctx. {_shown(text)}"
        )
    if cause is None and thinking:
        return (
            f"the model only reasoned ({len(thinking)} characters) and wrote no {name}: pass "
            "think=False, or try another model."
        )
    if cause is None:
        return f"the model wrote nothing, so there is no {name}: try another prompt or model."
    return f"the answer does not fit {name}: {_faults(cause)}. {_shown(text)}"


def _faults(cause: ValidationError) -> str:
    # Without the inputs, which repeat the answer that follows.
    faults = cause.errors(include_url=False, include_input=False)
    places = [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in faults]
    told = [f"{place}: {said}" if place else said for place, said in places[:_MAX_FAULTS]]
    more = len(places) - len(told)
    return "; ".join([*told, f"and {more} more errors"] if more else told)


def _shown(text: str) -> str:
    if not text:
        return "It wrote nothing."
    cut = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} … ({len(text)} characters)"
    return f"It wrote: {cut}"


class Growth:
    """Follows one streamed answer; make one for each answer.

    `push` returns the object so far if a line changed it, else None; `response` is the answer so
    far, and `finish` returns the complete object, validated like a whole answer.
    """

    def __init__(self, output_cls: type[BaseModel], *, forced: bool = False) -> None:
        self._output_cls = output_cls
        self._forced = forced
        self._reader = ObjectReader(output_cls)
        self._answer = ChatAnswer()
        self._line: ChatLine | None = None

    def push(self, line: ChatLine) -> Any:
        """Take the next line of the stream."""
        self._line = line
        self._answer.add(line)
        changed = self._reader.push(_piece(line))
        # The complete object is left to `finish`, which validates it.
        return self._reader.snapshot() if changed and not self._reader.is_complete else None

    def response(self) -> ChatResponse:
        """Return the answer so far."""
        # Never None here: the transport raises for a stream without any line.
        assert self._line is not None
        return self._answer.response(self._line)

    def finish(self) -> Any:
        """Return the complete object.

        Raises:
            StructuredOutputError: when there is no such object.
        """
        return read_object(self.response(), self._output_cls, forced=self._forced)


def _piece(line: ChatLine) -> str:
    # A forced call streams the object as its arguments.
    if line.tool_call_deltas:
        return "".join(delta.arguments for delta in line.tool_call_deltas)
    return line.text
