"""Answers of a model with weights: requests to llama.cpp, and its events as deltas.

Such a model takes Ollama's native route (wire reference 3.4): its own chat template writes the
prompt, llama.cpp reads tool calls and reasoning out of what it says, and the calls come last.
"""

import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from ollama_ext.embedded.answers.run import Delta, End, Run
from ollama_ext.embedded.answers.weights_requests import LlamaRequest, chat_request, text_request
from ollama_ext.embedded.llama.process import Fields, Runner
from ollama_ext.embedded.protocol.encoding import through_float64
from ollama_ext.embedded.protocol.failures import PROMPT_TOO_LONG, WireError

_OVERFLOW = "exceed_context_size_error"
# After this many repeated tokens the completion route stops silently (wire reference 3.2).
_REPEATS = 30


async def run_weights(run: Run, runner: Runner, load_ns: int, began: int) -> AsyncGenerator[Delta]:
    """Stream the answer of a model with weights.

    Args:
        run: The request.
        runner: The model in memory.
        load_ns: How long its load took, in nanoseconds.
        began: When the request came, by ``time.perf_counter_ns``.
    """
    request = await _ask(run, runner)
    answer = _Answer(run)
    async with aclosing(_events(run, runner, request)) as events:
        async for event in events:
            delta = answer.read(event)
            if delta.content or delta.thinking or delta.logprobs:
                yield delta
            if answer.repeats > _REPEATS and run.completion is not None:
                return
    if answer.timings is None:
        return
    context = await _context(run, runner, request, answer)
    metrics = _metrics(answer.timings, load_ns, time.perf_counter_ns() - began)
    yield Delta(tool_calls=answer.calls(), end=End(answer.reason, metrics, context))


async def render_weights(run: Run, runner: Runner) -> str:
    """Return the prompt that the model's own template writes."""
    request = await _ask(run, runner)
    return request.text if request.text is not None else await runner.render(request.body)


async def _ask(run: Run, runner: Runner) -> LlamaRequest:
    completion = run.completion
    if completion is None:
        return chat_request(run, run.prompt.messages)
    if completion.raw:
        return text_request(run, run.prompt.messages[-1].content)
    if not completion.context:
        return chat_request(run, run.prompt.messages)
    # Earlier turns arrive as tokens, and go before the rendered turn.
    before = await runner.detokenize(list(completion.context))
    return text_request(
        run, before + await runner.render(chat_request(run, run.prompt.messages).body)
    )


async def _events(run: Run, runner: Runner, request: LlamaRequest) -> AsyncGenerator[Fields]:
    try:
        async with aclosing(runner.events(request.path, request.body)) as events:
            async for event in events:
                yield event
        return
    except WireError as error:
        # A refusal comes before the first token, so the client has received nothing yet.
        if _OVERFLOW not in error.text or not run.window.truncate:
            raise
        refusal = error
    shorter = await _shorten(run, runner, request, refusal)
    async with aclosing(runner.events(shorter.path, shorter.body)) as events:
        async for event in events:
            yield event


async def _shorten(
    run: Run, runner: Runner, request: LlamaRequest, refusal: WireError
) -> LlamaRequest:
    if run.completion is None:
        return await _drop_oldest(run, runner, refusal)
    if not run.window.shift:
        raise WireError(400, PROMPT_TOO_LONG, early=False)
    if request.text is not None:
        return text_request(run, _cut(run, await runner.tokenize(request.text), frame=0))
    *before, last = run.prompt.messages
    tokens = await runner.tokenize(last.content, special=False)
    total: int = json.loads(refusal.text)["error"]["n_prompt_tokens"]
    kept = await runner.detokenize(_cut(run, tokens, frame=total - len(tokens)))
    return chat_request(run, (*before, replace(last, content=kept)))


def _cut(run: Run, tokens: list[int], *, frame: int) -> list[int]:
    # About half of the context is left free, so that the answer does not fill it at once.
    keep = max(run.window.num_keep, 0)
    room = max(run.window.num_ctx // 2 - frame - keep, 1)
    return [*tokens[:keep], *tokens[-room:]]


async def _drop_oldest(run: Run, runner: Runner, refusal: WireError) -> LlamaRequest:
    messages = run.prompt.messages
    # System messages and the last one stay, whatever they cost (wire reference 3.8).
    old = [index for index, message in enumerate(messages[:-1]) if message.role != "system"]
    if not old:
        raise refusal

    def without(count: int) -> LlamaRequest:
        gone = set(old[:count])
        return chat_request(run, [m for index, m in enumerate(messages) if index not in gone])

    # The more go the shorter it is: the fewest that do are found by halving.
    low, high = 1, len(old)
    while low < high:
        middle = (low + high) // 2
        tokens = await runner.tokenize(await runner.render(without(middle).body))
        low, high = (low, middle) if len(tokens) < run.window.num_ctx else (middle + 1, high)
    return without(low)


async def _context(
    run: Run, runner: Runner, request: LlamaRequest, answer: "_Answer"
) -> list[int] | None:
    if run.completion is None or run.completion.raw:
        return None
    prompt = request.text if request.text is not None else await runner.render(request.body)
    return await runner.tokenize(prompt + answer.said)


def _metrics(timings: Fields, load_ns: int, total_ns: int) -> dict[str, int]:
    return {
        "total_duration": max(total_ns, 1),
        "load_duration": load_ns,
        # Cached tokens are counted, though they take no time (wire reference 3.2).
        "prompt_eval_count": timings["cache_n"] + timings["prompt_n"],
        "prompt_eval_duration": max(int(timings["prompt_ms"] * 10**6), 1),
        "eval_count": timings["predicted_n"],
        "eval_duration": max(int(timings["predicted_ms"] * 10**6), 1),
    }


class _Answer:
    """Collects the events of one answer."""

    def __init__(self, run: Run) -> None:
        self._top = run.top_logprobs
        self._calls: dict[int, Fields] = {}
        self._last = ""
        self.repeats = 0
        self.said = ""
        self.reason = "stop"
        self.timings: Fields | None = None

    def read(self, event: Fields) -> Delta:
        """Return what an event adds, of a chat or of a completion of text."""
        self.timings = event.get("timings", self.timings)
        if "choices" not in event:
            return self._read_text(event)
        # The event with the counts has no choices.
        return self._read_choice(event["choices"][0]) if event["choices"] else Delta()

    def _read_choice(self, choice: Fields) -> Delta:
        if choice["finish_reason"] == "length":
            self.reason = "length"
        said = choice["delta"]
        for part in said.get("tool_calls", []):
            self._add_call(part)
        entries = (choice.get("logprobs") or {}).get("content") or []
        return self._delta(said.get("content"), said.get("reasoning_content"), entries)

    def _read_text(self, event: Fields) -> Delta:
        if event.get("stop_type") == "limit":
            self.reason = "length"
        return self._delta(event.get("content"), None, event.get("completion_probabilities", []))

    def _delta(self, content: str | None, thinking: str | None, entries: Sequence[Fields]) -> Delta:
        content = "" if content is None else content
        thinking = "" if thinking is None else thinking
        self.said += thinking + content
        if content:
            self.repeats = self.repeats + 1 if content == self._last else 0
            self._last = content
        logprobs = [] if self._top is None else [self._logprob(entry) for entry in entries]
        return Delta(content, thinking, logprobs=logprobs)

    def _logprob(self, entry: Fields) -> Fields:
        told = _token(entry)
        if self._top:
            told["top_logprobs"] = [_token(item) for item in entry["top_logprobs"][: self._top]]
        return told

    def _add_call(self, part: Fields) -> None:
        call = self._calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
        call["id"] += part.get("id", "")
        function = part.get("function", {})
        call["name"] += function.get("name", "")
        call["arguments"] += function.get("arguments", "")

    def calls(self) -> list[dict[str, object]]:
        """Return the calls, their arguments joined."""
        return [_call(index, call) for index, call in sorted(self._calls.items())]


def _token(entry: Fields) -> dict[str, Any]:
    return {name: entry[name] for name in ("token", "logprob", "bytes")}


def _call(index: int, call: Fields) -> dict[str, object]:
    try:
        arguments = json.loads(call["arguments"] or "{}")
    except json.JSONDecodeError as error:
        # Go's words for it (wire reference 7.4).
        text = (
            f'llama-server returned invalid tool call arguments for "{call["name"]}": '
            "unexpected end of JSON input"
        )
        raise WireError(500, text, early=False) from error
    named = {name: through_float64(value) for name, value in arguments.items()}
    function = {"index": index, "name": call["name"], "arguments": named}
    return {"id": call["id"], "function": function}
