"""Map the transport's answers to LangChain's messages, whole or as chunks, with one mapping.

It follows langchain-core's rules for chunks: merging adds up metadata and usage, so they come once,
on the last chunk, which is marked as the last; each tool call has its own index, beyond those that
core gives to blocks of text.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    CallbackManagerForLLMRun,
)
from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import ToolCall as CoreToolCall
from langchain_core.messages.tool import (
    ToolCallChunk,
    invalid_tool_call,
    tool_call,
    tool_call_chunk,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

# Private, but core's own chat models recognise handlers that want tokens by this class alone.
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from langchain_core.tracers.base import BaseTracer

from langchain_ollama_ext._text_chunks import text_chunks
from langchain_ollama_ext._unreadable import refusing_end
from ollama_transport import ChatLine, TextRun, ToolCall, ToolCallDelta, Usage

PROVIDER = "ollama"
"""Also ``ls_provider`` in traces: summarisation trusts token counts only if the two are equal."""

# Core numbers blocks of text 0, 1, … and merges blocks with the same number.
_FIRST_TOOL_INDEX = 1000
# The reasons of both wires; others (load, unload) have no normalised form in core.
_FINISHED: Mapping[str, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
}
_DEAF = (BaseCallbackHandler.on_llm_new_token, AsyncCallbackHandler.on_llm_new_token)
_UNREADABLE = "the arguments are not a complete JSON object"
_NOT_METADATA = frozenset({"message", "logprobs", "choices", "usage", "object"})


def wants_tokens(
    manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
) -> bool:
    """Return whether a handler of a run reads tokens, which invoke must then stream to it.

    Tracers do not count: they record the whole answer.
    """
    return manager is not None and any(_reads_tokens(handler) for handler in manager.handlers)


def _reads_tokens(handler: BaseCallbackHandler) -> bool:
    if isinstance(handler, BaseTracer) or handler.ignore_llm:
        return isinstance(handler, _StreamingCallbackHandler)
    return getattr(type(handler), "on_llm_new_token", None) not in _DEAF


def whole_result(line: ChatLine) -> ChatResult:
    """Return a whole answer as core's result."""
    calls, invalid = _calls(line.tool_calls)
    told = {**metadata(line, called=bool(line.tool_calls)), **_logprobs(line)}
    message = AIMessage(
        content=line.text,
        additional_kwargs=_kwargs(line),
        tool_calls=calls,
        invalid_tool_calls=invalid,
        response_metadata=told,
        usage_metadata=usage_metadata(line.usage),
    )
    # Callbacks read the counts of Ollama from there.
    return ChatResult(generations=[ChatGeneration(message=message, generation_info=dict(told))])


def _kwargs(line: ChatLine) -> dict[str, Any]:
    thought = {"reasoning_content": line.thinking} if line.thinking else {}
    return {**thought, "refusal": refusal} if (refusal := line.message.refusal) else thought


def _calls(calls: Iterable[ToolCall]) -> tuple[list[CoreToolCall], list[InvalidToolCall]]:
    valid: list[CoreToolCall] = []
    invalid: list[InvalidToolCall] = []
    for call in calls:
        if isinstance(call.arguments, Mapping):
            valid.append(tool_call(name=call.name, args=dict(call.arguments), id=call.id))
        else:
            error = call.error if call.error is not None else _UNREADABLE
            invalid.append(
                invalid_tool_call(name=call.name, args=call.arguments, id=call.id, error=error)
            )
    return valid, invalid


def metadata(line: ChatLine, *, called: bool) -> dict[str, Any]:
    """Return ``response_metadata`` of an answer's last line: all fields that the server sent.

    Durations are nanoseconds, as the server sends them. ``called`` says whether the answer has
    tool calls. The finish reason is included under langchain-core's names as well.
    """
    # Everything, including fields that this package does not know.
    said = {name: value for name, value in line.raw.items() if name not in _NOT_METADATA}
    known = {
        "model": line.model,
        "created_at": line.created_at,
        "done": line.done,
        "done_reason": line.done_reason,
    }
    estimated = {"usage_estimated": True} if line.usage and line.usage.estimated else {}
    return {
        **known,
        **said,
        **estimated,
        **_finish(line.done_reason, called=called),
        "model_name": line.model,
        "model_provider": PROVIDER,
    }


def _finish(reason: str | None, *, called: bool) -> dict[str, str]:
    """Return why an answer ended, under the keys that core reads into events since 1.8.4."""
    if reason is None:
        return {}
    normalized = _FINISHED.get(reason)
    if normalized is None:
        return {"finish_reason": reason}
    # Core makes the same correction in events, so messages and events agree.
    as_told = "tool_call" if called and normalized == "stop" else normalized
    return {"finish_reason": reason, "normalized_finish_reason": as_told}


def _logprobs(line: ChatLine) -> dict[str, Any]:
    # Plain dicts, which every serialiser can write.
    told = line.logprobs
    return {} if told is None else {"logprobs": [dict(one) for one in told]}


def usage_metadata(usage: Usage | None) -> UsageMetadata | None:
    """Return token counts as core's UsageMetadata; None when the server sent none.

    Core cannot express an unknown count: it becomes 0 if the other count is known.
    """
    # None rather than 0: budgets and summaries would take 0 for a free answer.
    if usage is None or usage.total_tokens is None:
        return None
    found = UsageMetadata(
        input_tokens=_known(usage.prompt_tokens),
        output_tokens=_known(usage.completion_tokens),
        total_tokens=usage.total_tokens,
    )
    if usage.cached_prompt_tokens is not None:
        found["input_token_details"] = InputTokenDetails(cache_read=usage.cached_prompt_tokens)
    if usage.reasoning_tokens is not None:
        found["output_token_details"] = OutputTokenDetails(reasoning=usage.reasoning_tokens)
    return found


def _known(count: int | None) -> int:
    return 0 if count is None else count


class ChunkMaker:
    """Turns the lines of one stream into chunks; make one for each stream.

    With ``for_events`` the chunks go to core's bridge to events (version 3), which overwrites
    metadata where merging appends: log probabilities then all come on the last chunk, and the
    model's name on the first as well, for the event that opens the message.

    A call that is cut inside its arguments is invalid in a whole answer. When core merges chunks,
    it would complete the JSON: a last piece, an unmatched bracket, prevents that.
    """

    def __init__(self, *, for_events: bool = False) -> None:
        self._for_events = for_events
        self._started = False
        self._logprobs: list[Mapping[str, Any]] = []
        self._indices: dict[object, int] = {}
        self._pieced: dict[int, str | None] = {}
        self._text_chunk = text_chunks()
        self._texts: dict[int, str] = {}

    def push(self, line: ChatLine) -> Iterable[ChatGenerationChunk]:
        """Return the chunks of a line; none when it adds nothing."""
        if type(line) is TextRun:
            return self._of_run(line)
        if self._started and _is_text_alone(line):
            return [self._text_chunk(line.message.content)]
        # Text, calls and the end get separate chunks: core reads a chunk as one of the three.
        messages = [*self._said(line), *self._called(line)]
        if line.done:
            messages.append(self._last(line))
        return [self._chunk(message, line) for message in messages]

    def _of_run(self, run: TextRun) -> Iterator[ChatGenerationChunk]:
        lines, at = run.lines(), 0
        # Until the stream has begun, and with thoughts, a chunk has more than its text.
        while at < len(run.texts) and (run.is_thinking or not self._started):
            yield from self.push(next(lines))
            at += 1
        make = self._text_chunk
        for text in run.texts[at:]:
            if text:
                yield make(text)

    def _chunk(self, message: AIMessageChunk, line: ChatLine) -> ChatGenerationChunk:
        if not self._started:
            self._started = True
            message.response_metadata = {**self._opening(line), **message.response_metadata}
        # As in whole answers, for callbacks.
        info = dict(message.response_metadata) if message.chunk_position == "last" else None
        return ChatGenerationChunk(message=message, generation_info=info)

    def _opening(self, line: ChatLine) -> dict[str, Any]:
        if not self._for_events:
            return {}
        return {"model_name": line.model, "model_provider": PROVIDER}

    def _said(self, line: ChatLine) -> list[AIMessageChunk]:
        told = _logprobs(line)
        if self._for_events and line.logprobs:
            self._logprobs.extend(told["logprobs"])
        if not (line.text or line.thinking or told or line.message.refusal):
            return []
        return [
            AIMessageChunk(
                content=line.text, additional_kwargs=_kwargs(line), response_metadata=told
            )
        ]

    def _called(self, line: ChatLine) -> list[AIMessageChunk]:
        # Separate from text: beside text, core would not treat them as pieces of a call.
        pieces = [self._piece(delta) for delta in line.tool_call_deltas]
        for call in line.tool_calls:
            if self._is_new(call):
                pieces.append(self._whole(call))
            elif isinstance(call.arguments, str) and call.index is not None:
                pieces += self._refusal(call.index)
        return [AIMessageChunk(content="", tool_call_chunks=pieces)] if pieces else []

    def _piece(self, delta: ToolCallDelta) -> ToolCallChunk:
        self._pieced.setdefault(delta.index, delta.id)
        self._texts[delta.index] = self._texts.get(delta.index, "") + delta.arguments
        return tool_call_chunk(
            name=delta.name,
            args=delta.arguments,
            id=delta.id,
            index=self._index(("delta", delta.index)),
        )

    def _whole(self, call: ToolCall) -> ToolCallChunk:
        arguments = call.arguments
        # Text that core cannot parse stays unchanged: core then makes it an invalid call.
        text = self._refused(arguments) if isinstance(arguments, str) else _json(arguments)
        # Numbered by position in the stream: servers reuse their own index from line to line.
        index = self._index(("call", len(self._indices)))
        return tool_call_chunk(name=call.name, args=text, id=call.id, index=index)

    def _refused(self, text: str) -> str:
        return text + refusing_end(text, for_events=self._for_events)

    def _refusal(self, place: int) -> list[ToolCallChunk]:
        """Return the piece that keeps core from completing an unreadable call."""
        end = refusing_end(self._texts.get(place, ""), for_events=self._for_events)
        index = self._index(("delta", place))
        return [tool_call_chunk(name=None, args=end, id=None, index=index)] if end else []

    def _is_new(self, call: ToolCall) -> bool:
        """Return whether a call has not already come in pieces."""
        if call.index not in self._pieced:
            return True
        # A call from the server may have the same index as one that was written as text.
        pieced = self._pieced[call.index]
        return pieced is not None and pieced != call.id

    def _index(self, key: object) -> int:
        return self._indices.setdefault(key, _FIRST_TOOL_INDEX + len(self._indices))

    def _last(self, line: ChatLine) -> AIMessageChunk:
        told = {"logprobs": self._logprobs} if self._logprobs else {}
        return AIMessageChunk(
            content="",
            response_metadata={**metadata(line, called=bool(self._indices)), **told},
            usage_metadata=usage_metadata(line.usage),
            chunk_position="last",
        )


def _is_text_alone(line: ChatLine) -> bool:
    """Return whether a line adds text and nothing else, as nearly every line does."""
    said = line.message
    return bool(said.content) and not (
        line.done
        or said.thinking
        or said.tool_calls
        or said.extra  # a refusal, say
        or line.logprobs
        or line.tool_call_deltas
    )


def _json(arguments: Mapping[str, Any]) -> str:
    return json.dumps(arguments, ensure_ascii=False)
