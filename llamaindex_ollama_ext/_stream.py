"""Map a server's answers to LlamaIndex's responses, which are cumulative in a stream.

A whole answer is treated as a stream of one line, so both share one mapping.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ContentBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llamaindex_ollama_ext._text_responses import text_responses
from ollama_transport import ChatLine, GenerateLine, TextRun, ToolCall, ToolCallDelta, Usage


def whole_chat(line: ChatLine) -> ChatResponse:
    """Return the response for a whole answer."""
    response = ChatAnswer().push(line)
    # Only streams have deltas.
    del response.additional_kwargs["thinking_delta"]
    response.delta = None
    return response


def whole_completion(line: GenerateLine) -> CompletionResponse:
    """Return the response for a whole completion; its reasoning, if any, is under "thinking"."""
    response = CompletionAnswer().push(line)
    thinking = response.additional_kwargs.pop("thinking_delta")
    if thinking is not None:
        response.additional_kwargs["thinking"] = thinking
    response.delta = None
    return response


class ChatAnswer:
    """Accumulates one answer of a chat; make one for each answer.

    Each response contains everything so far: the reasoning, one text (possibly empty), and the tool
    calls, in this order. ``delta`` is the text that its line added, "" for none, and
    ``additional_kwargs["thinking_delta"]`` the reasoning, None for none. A refusal in place of an
    answer is in the message's ``additional_kwargs["refusal"]``. ``raw`` is the server's line, with
    ``usage`` added under OpenAI's names if the server sent counts.
    """

    def __init__(self) -> None:
        self._text = ""
        self._thinking = ""
        self._refusal = ""
        self._calls = _Calls()
        self._text_response = text_responses()

    def push(self, line: ChatLine) -> ChatResponse:
        """Take a line and return the response so far."""
        self.add(line)
        return self.response(line)

    def each(self, line: ChatLine) -> Iterator[ChatResponse]:
        """Take a line, or a run of lines, and yield the response after each of them."""
        if type(line) is not TextRun:
            yield self.push(line)
        elif line.is_thinking or not self._has_text_alone():
            yield from map(self.push, line.lines())
        else:
            for text, raw in zip(line.texts, line.raws(), strict=True):
                self._text += text
                yield self._text_response(self._text, text, raw)

    def add(self, line: ChatLine) -> None:
        """Take a line."""
        message = line.message
        self._text += message.content
        self._thinking += message.thinking
        if message.extra:
            self._refusal += message.refusal
        if message.tool_calls or line.tool_call_deltas:
            self._calls.add(line)

    def response(self, line: ChatLine) -> ChatResponse:
        """Return the response so far, given the line that was taken last."""
        if self._is_text_alone(line):
            return self._text_response(self._text, line.message.content, raw_of(line))
        return ChatResponse(
            message=ChatMessage(
                role=MessageRole.ASSISTANT,
                blocks=self._blocks(),
                additional_kwargs={"refusal": self._refusal} if self._refusal else {},
            ),
            delta=line.text,
            raw=raw_of(line),
            logprobs=logprobs_of(line.logprobs),
            additional_kwargs={"thinking_delta": _none_if_empty(line.thinking), **ending_of(line)},
        )

    def _is_text_alone(self, line: ChatLine) -> bool:
        # Nearly every line of a stream is only text, and takes the fast path.
        return not line.done and line.logprobs is None and self._has_text_alone()

    def _has_text_alone(self) -> bool:
        return not (self._thinking or self._refusal or self._calls.has_any)

    def _blocks(self) -> list[ContentBlock]:
        blocks: list[ContentBlock] = []
        if self._thinking:
            blocks.append(ThinkingBlock(content=self._thinking))
        # Always exactly one: core joins two by a line end, and without one content is None.
        blocks.append(TextBlock(text=self._text))
        return [*blocks, *self._calls.blocks()]


class CompletionAnswer:
    """Accumulates one completion; like `ChatAnswer`, with text only."""

    def __init__(self) -> None:
        self._text = ""

    def push(self, line: GenerateLine) -> CompletionResponse:
        """Take a line and return the response so far."""
        self._text += line.text
        return CompletionResponse(
            text=self._text,
            delta=line.text,
            raw=raw_of(line),
            logprobs=logprobs_of(line.logprobs),
            additional_kwargs={"thinking_delta": _none_if_empty(line.thinking), **ending_of(line)},
        )


class _Calls:
    """The complete tool calls of an answer, and those still being written."""

    def __init__(self) -> None:
        self._done: list[ToolCall] = []
        self._open: dict[int, ToolCallDelta] = {}

    @property
    def has_any(self) -> bool:
        """Return whether there is a call, complete or not."""
        return bool(self._done or self._open)

    def add(self, line: ChatLine) -> None:
        """Take the calls and deltas of a line."""
        for delta in line.tool_call_deltas:
            self._grow(delta)
        # Calls are matched by index only: two equal calls are two calls.
        for call in line.tool_calls:
            if call.index is not None:
                self._open.pop(call.index, None)
            self._done.append(call)

    def _grow(self, delta: ToolCallDelta) -> None:
        # Only the first delta of a call has its name and id (wire reference 10.1).
        so_far = self._open.get(delta.index)
        if so_far is not None:
            delta = ToolCallDelta(
                delta.index, so_far.arguments + delta.arguments, so_far.name, so_far.id
            )
        self._open[delta.index] = delta

    def blocks(self) -> list[ToolCallBlock]:
        """Return the calls so far; unfinished ones have the JSON text that has arrived."""
        # New blocks each time: a response that a caller kept must not change later.
        if not self.has_any:
            return []
        done = [
            ToolCallBlock(tool_call_id=identity, tool_name=call.name, tool_kwargs=_plain(call))
            for identity, call in zip(unique_ids(self._done), self._done, strict=True)
        ]
        growing = [
            ToolCallBlock(
                tool_call_id=delta.id,
                tool_name=delta.name if delta.name is not None else "",
                tool_kwargs=delta.arguments,
            )
            for delta in self._open.values()
        ]
        return [*done, *growing]


def _plain(call: ToolCall) -> dict[str, Any] | str:
    return call.arguments if isinstance(call.arguments, str) else dict(call.arguments)


def unique_ids(calls: Sequence[ToolCall]) -> list[str]:
    """Return an id for each call: its own, or a new one if it has none or shares it."""
    # By position, not at random: the same answer read twice gets the same ids.
    ids: list[str] = []
    for place, call in enumerate(calls):
        identity = f"call_{place}" if call.id is None else call.id
        ids.append(f"{identity}-{place}" if identity in ids else identity)
    return ids


def raw_of(line: ChatLine | GenerateLine) -> dict[str, Any]:
    """Return the server's object, with ``usage`` in the form that LlamaIndex's counters read."""
    raw = {**line.raw}
    usage = {} if line.usage is None else usage_of(line.usage)
    if usage:
        return {**raw, "usage": usage}
    # Removed if null: LlamaIndex's counters would fail or look elsewhere.
    raw.pop("usage", None)
    return raw


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return the known counts under OpenAI's names; unknown ones are left out."""
    # LlamaIndex's counter adds the values it finds: None would raise there.
    counts: dict[str, Any] = dict(usage.as_openai())
    if usage.cached_prompt_tokens is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached_prompt_tokens}
    if usage.reasoning_tokens is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return counts


def ending_of(line: ChatLine | GenerateLine) -> dict[str, Any]:
    """Return why an answer ended and how long it took; {} before its end.

    ``done_reason`` is the server's, ``timings`` are in seconds and tokens per second.
    """
    if not line.done:
        return {}
    return {"done_reason": line.done_reason, "timings": timings_of(line.usage)}


def timings_of(usage: Usage | None) -> dict[str, float]:
    """Return the known durations of an answer, in seconds, and its tokens per second."""
    if usage is None:
        return {}
    times = {
        "total_s": usage.total_duration_s,
        "load_s": usage.load_duration_s,
        "prompt_s": usage.prompt_duration_s,
        "completion_s": usage.completion_duration_s,
        "tokens_per_second": usage.tokens_per_second,
    }
    return {name: value for name, value in times.items() if value is not None}


def logprobs_of(found: Sequence[Mapping[str, Any]] | None) -> list[list[LogProb]] | None:
    """Return a list for each token: the chosen one, then its alternatives."""
    if found is None:
        return None
    return [_candidates(token) for token in found]


def _candidates(token: Mapping[str, Any]) -> list[LogProb]:
    # The server lists the chosen token among its alternatives too, at any position.
    others = token.get("top_logprobs")
    alternatives = others if isinstance(others, list) else []
    rest = [other for other in alternatives if other.get("token") != token.get("token")]
    return [_logprob(one) for one in (token, *rest)]


def _logprob(token: Mapping[str, Any]) -> LogProb:
    data = token.get("bytes")
    return LogProb(
        token=token.get("token", ""),
        logprob=token.get("logprob", 0.0),
        bytes=data if data is not None else [],
    )


def _none_if_empty(text: str) -> str | None:
    return text if text else None
