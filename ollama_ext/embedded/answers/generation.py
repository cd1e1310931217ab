"""Running a prompt: the engine's answer as a stream of deltas, with counts and times."""

import asyncio
import secrets
import string
import time
import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing

from ollama_ext.embedded.answers.grammar import check_grammar
from ollama_ext.embedded.answers.prompts import render, tokens_of
from ollama_ext.embedded.answers.run import Delta, End, Run
from ollama_ext.embedded.answers.weights import render_weights, run_weights
from ollama_ext.embedded.engine import Answer, ToolCall
from ollama_ext.embedded.models.loader import Loader
from ollama_ext.embedded.protocol.encoding import dump_json, through_float64
from ollama_ext.embedded.protocol.failures import WireError
from ollama_ext.embedded.protocol.options import whole

_RENDERED_ID = string.ascii_lowercase + string.digits
_NATIVE_ID = string.ascii_letters + string.digits
_FORMAT_EXPECTED = 'expected "json" or a valid JSON Schema object'


async def deltas(run: Run, loader: Loader) -> AsyncGenerator[Delta]:
    """Load the model and stream its answer.

    A stream can end without an ``end`` delta: that is an engine that stopped early (3.2).
    """
    began = time.perf_counter_ns()
    # The model is held until the stream ends or the client disconnects.
    threads = max(whole(run.prompt.options, "num_thread", 0), 0)
    async with loader.use(run.installed, run.window.num_ctx, run.keep_ns, threads) as held:
        if run.refusal is not None:
            # Errors found by the engine come after the load, with its late content type.
            raise run.refusal
        if held.runner is not None:
            async with aclosing(run_weights(run, held.runner, held.load_ns, began)) as said:
                async for delta in said:
                    yield delta
            return
        loaded = time.perf_counter_ns()
        answer = _ask(run)
        evaluated = time.perf_counter_ns()
        pieces = _Pieces(run, answer)
        async with aclosing(pieces.stream()) as stream:
            async for delta in stream:
                yield delta
        if answer.failure is not None:
            raise WireError(answer.failure_status, answer.failure, early=False)
        if answer.ends_early:
            return
        now = time.perf_counter_ns()
        metrics = {
            "total_duration": max(now - began, 1),
            "load_duration": held.load_ns,
            "prompt_eval_count": run.prompt_tokens,
            "prompt_eval_duration": max(evaluated - loaded, 1),
            "eval_count": pieces.count,
            "eval_duration": max(now - evaluated, 1),
        }
        # The native route has gathered the calls; the rendered one has sent them already.
        last = pieces.calls if run.installed.model.native_route else []
        yield Delta(tool_calls=last, end=End(pieces.reason, metrics))


async def rendered_prompt(run: Run, loader: Loader) -> str:
    """Return the prompt as the model receives it."""
    if run.installed.model.weights is None:
        return render(run.prompt.messages, run.prompt.tools)
    async with loader.use(run.installed, run.window.num_ctx, run.keep_ns) as held:
        assert held.runner is not None  # weights have one
        return await render_weights(run, held.runner)


def _ask(run: Run) -> Answer:
    engine = run.installed.model.engine
    if engine is None:
        # Imported here: a server that only plays scripts never needs the demo's rules.
        from ollama_ext.embedded.demo.model import answer

        engine = answer
    answer_made: object = engine(run.prompt)
    if not isinstance(answer_made, Answer):
        kind = type(answer_made).__name__
        raise TypeError(f"the engine of {run.asked!r} returned {kind}: return an Answer(...)")
    return answer_made


class _Pieces:
    """One answer cut into tokens, up to num_predict and the stop texts."""

    def __init__(self, run: Run, answer: Answer) -> None:
        self._run = run
        self._answer = answer
        limit = whole(run.prompt.options, "num_predict", -1)
        # 0 means "unset" on chat (wire reference 14).
        self._limit = limit if limit > 0 else 10 * run.window.num_ctx
        # An iterable may be endless on purpose, so num_predict does not end it.
        self._endless = not isinstance(answer.content, str)
        self.count = 0
        self.reason = "stop"
        self.calls: list[dict[str, object]] = []

    async def stream(self) -> AsyncGenerator[Delta]:
        for token in tokens_of(self._answer.thinking):
            if not await self._next():
                return
            yield Delta(thinking=token, logprobs=self._logprobs(token))
        for token in self._content():
            if not await self._next():
                return
            yield Delta(content=token, logprobs=self._logprobs(token))
        own_line = not self._run.installed.model.native_route
        for index, call in enumerate(self._answer.tool_calls):
            self.count += len(tokens_of(dump_json(dict(call.arguments)).decode()))
            self.calls.append(wire_call(call, index, native=not own_line))
            if own_line:
                await asyncio.sleep(0)
                yield Delta(tool_calls=[self.calls[-1]])

    async def _next(self) -> bool:
        # Even a pause of 0 lets the loop notice that a client has disconnected.
        await asyncio.sleep(self._run.token_delay_s)
        if self.count >= self._limit and not self._endless:
            self.reason = "length"
            return False
        self.count += 1
        return True

    def _content(self) -> Iterator[str]:
        content = self._answer.content
        if not isinstance(content, str):
            return iter(content)
        # The stop text itself is not part of the answer.
        return iter(tokens_of(cut_at_stop(content, self._run.prompt.options.get("stop"))))

    def _logprobs(self, token: str) -> list[dict[str, object]]:
        top = self._run.top_logprobs
        if top is None:
            return []
        entry = _logprob(token, 0)
        if top:
            entry["top_logprobs"] = [_logprob(token, rank) for rank in range(top)]
        return [entry]


def cut_at_stop(text: str, stops: object) -> str:
    """Cut a text before the first of the stop texts."""
    given: Iterable[object] = stops if isinstance(stops, list) else []
    found = [text.find(str(stop)) for stop in given if stop]
    return text[: min((at for at in found if at >= 0), default=len(text))]


def _logprob(token: str, rank: int) -> dict[str, object]:
    text = token if rank == 0 else f"{token}{rank}"
    # Any number is fine if it is the same each time and falls with the rank.
    chance = zlib.crc32(token.encode("utf-8", "replace")) % 1000 / 10000
    return {
        "token": text,
        "logprob": -(chance + rank),
        "bytes": list(text.encode("utf-8", "replace")),
    }


def wire_call(call: ToolCall, index: int, *, native: bool) -> dict[str, object]:
    """Return a tool call as the native API writes it, with an id of the route's form (3.4)."""
    # The form of an id is how clients tell the routes apart, so it is kept.
    letters, length, prefix = (_NATIVE_ID, 32, "") if native else (_RENDERED_ID, 8, "call_")
    arguments = {name: through_float64(value) for name, value in call.arguments.items()}
    return {
        "id": prefix + "".join(secrets.choice(letters) for _ in range(length)),
        "function": {"index": index, "name": call.name, "arguments": arguments},
    }


def check_format(value: object) -> object:
    """Return a request's format, None for ""."""
    if value is None or value == "":
        return None
    if isinstance(value, dict):
        check_grammar(value)
    if value == "json" or isinstance(value, dict):
        return value
    quoted = dump_json(dump_json(value).decode()).decode()
    raise WireError(500, f"invalid format: {quoted}; {_FORMAT_EXPECTED}", early=False)
