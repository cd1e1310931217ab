"""Read answers into objects of pydantic classes, whole or as they grow."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, ThinkingBlock, ToolCallBlock
from llama_index.core.types import Model
from pydantic import BaseModel, ValidationError

from llamaindex_ollama_ext._errors import StructuredOutputError
from llamaindex_ollama_ext._partial import PartialReader
from llamaindex_ollama_ext._stream import ChatAnswer
from ollama_transport import ChatLine

_MAX_SHOWN = 500
_MAX_FAULTS = 5
_MAX_STARTS = 20
_FENCED = re.compile(r"```\w*+(.*?)```", re.DOTALL)
_THOUGHT = "</think>"


def read_object(response: ChatResponse, output_cls: type[Model]) -> Model:
    """Return the object that a whole answer holds: in a tool call, or in its text.

    A fence around the JSON, thinking before it and words around it are passed over.

    Raises:
        StructuredOutputError: when there is none.
    """
    text = _text(response)
    cause: ValidationError | None = None
    for candidate in candidates(text):
        try:
            return output_cls.model_validate_json(candidate)
        except ValidationError as error:
            cause = _better(cause, error)
    raise _failure(response, text, output_cls, cause) from cause


def candidates(text: str) -> Iterator[str]:
    """Yield what of a text may be the JSON that was asked for, the likeliest first."""
    bare = text.strip()
    if not bare:
        return
    yield bare
    if _THOUGHT in bare and not bare.startswith(("{", "[")):
        bare = bare.partition(_THOUGHT)[2].strip()
        yield bare
    for fenced in _FENCED.finditer(bare):
        yield fenced.group(1).strip()
    decoder = json.JSONDecoder()
    # Words hold few brackets; a model that lost itself writes thousands.
    for match in islice(re.finditer(r"[{\[]", bare), _MAX_STARTS):
        try:
            _, end = decoder.raw_decode(bare, match.start())
        except (ValueError, RecursionError):
            continue
        yield bare[match.start() : end]
        return


def _better(one: ValidationError | None, other: ValidationError) -> ValidationError:
    """Return the finding that says more: of JSON that does not fit rather than of no JSON."""
    if one is None or any(fault["type"] == "json_invalid" for fault in one.errors()):
        return other
    return one


def _text(response: ChatResponse) -> str:
    call = _last_call(response)
    if call is None:
        return response.message.content or ""
    return call.tool_kwargs if isinstance(call.tool_kwargs, str) else json.dumps(call.tool_kwargs)


def _last_call(response: ChatResponse) -> ToolCallBlock | None:
    for block in reversed(response.message.blocks):
        if isinstance(block, ToolCallBlock):
            return block
    return None


def _failure(
    response: ChatResponse, text: str, output_cls: type[BaseModel], cause: ValidationError | None
) -> StructuredOutputError:
    reason = response.additional_kwargs.get("done_reason")
    blocks = response.message.blocks
    thinking = "".join(b.content or "" for b in blocks if isinstance(b, ThinkingBlock))
    return StructuredOutputError(
        _message(text, thinking, reason, output_cls.__name__, cause),
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
            f"the model thought ({len(thinking)} characters) and then wrote nothing, so there is "
            f"no {name}: pass think=False, or try another model."
        )
    if cause is None:
        return f"the model wrote nothing, so there is no {name}: try another prompt or model."
    return f"the answer is no {name}: {_faults(cause)}. {_shown(text)}"


def _faults(cause: ValidationError) -> str:
    faults = cause.errors(include_url=False, include_input=False)
    places = [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in faults]
    told = [f"{place}: {said}" if place else said for place, said in places[:_MAX_FAULTS]]
    more = len(places) - len(told)
    return "; ".join([*told, f"and {more} more faults"] if more else told)


def _shown(text: str) -> str:
    if not text:
        return "It wrote nothing."
    cut = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} … ({len(text)} characters)"
    return f"It wrote: {cut}"


class Growth:
    """Follow one streamed answer; made anew for each.

    `push` returns the object so far whenever a line has changed it, else None; `response` is the
    answer so far, and `finish` returns the complete object, validated as a whole answer is.
    """

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._output_cls = output_cls
        self._reader = PartialReader(output_cls)
        self._answer = ChatAnswer()
        self._line: ChatLine | None = None

    def push(self, line: ChatLine) -> Any:
        """Take the next line of the stream."""
        self._line = line
        self._answer.add(line)
        changed = self._reader.push(_piece(line))
        return self._reader.snapshot() if changed and not self._reader.is_complete else None

    def response(self) -> ChatResponse:
        """Return the answer so far."""
        # A stream of no line at all is an error of the transport already.
        assert self._line is not None
        return self._answer.response(self._line)

    def finish(self) -> Any:
        """Return the whole object.

        Raises:
            StructuredOutputError: when there is none.
        """
        return read_object(self.response(), self._output_cls)


def _piece(line: ChatLine) -> str:
    if line.tool_call_deltas:
        return "".join(delta.arguments for delta in line.tool_call_deltas)
    return line.text
