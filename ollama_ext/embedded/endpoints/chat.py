"""The endpoints ``/api/chat`` and ``/api/generate``: deltas in Ollama's own words."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ollama_ext.embedded.answers.backend import (
    Backend,
    Fields,
    check_capabilities,
    find_to_run,
    load_size,
    run_of,
)
from ollama_ext.embedded.answers.generation import deltas, rendered_prompt
from ollama_ext.embedded.answers.prompts import render
from ollama_ext.embedded.answers.run import Delta, Run
from ollama_ext.embedded.endpoints.requests import CHAT, GENERATE
from ollama_ext.embedded.models.store import Installed
from ollama_ext.embedded.protocol.encoding import now_ns, utc_timestamp
from ollama_ext.embedded.protocol.failures import WireError
from ollama_ext.embedded.protocol.responses import (
    NDJSON,
    json_response,
    native_lines,
    stream_response,
)


def backend_of(request: Request) -> Backend:
    """Return the state the endpoints share."""
    backend: Backend = request.app.state.backend
    return backend


async def chat(request: Request) -> Response:
    """Answer ``POST /api/chat``."""
    backend, fields = backend_of(request), CHAT.read(await request.body())
    asked, installed = find_to_run(backend, fields, "chat")
    # No messages is a request to load or unload, and is never a stream.
    if not fields["messages"]:
        return await _load_or_unload(backend, fields, asked, installed, "chat")
    return await _answer(backend, fields, "chat", asked, installed)


async def generate(request: Request) -> Response:
    """Answer ``POST /api/generate``."""
    backend, fields = backend_of(request), GENERATE.read(await request.body())
    asked, installed = find_to_run(backend, fields, "generate")
    if fields["raw"] and (fields["template"] or fields["system"] or fields["context"]):
        raise WireError(400, "raw mode does not support template, system, or context")
    if not fields["prompt"]:
        return await _load_or_unload(backend, fields, asked, installed, "generate")
    return await _answer(backend, fields, "generate", asked, installed)


async def _answer(
    backend: Backend, fields: Fields, verb: str, asked: str, installed: Installed
) -> Response:
    check_capabilities(installed, asked, verb, fields)
    # Go templates are not rendered here, but a broken one is reported.
    template = fields.get("template", "")
    if template.count("{{") != template.count("}}"):
        raise WireError(500, "template: :1: unclosed action")
    run = run_of(backend, fields, verb, asked, installed)
    if fields["_debug_render_only"]:
        info = {"rendered_template": await rendered_prompt(run, backend.loader)}
        empty = _chat_part(Delta(), role="") if verb == "chat" else {"response": ""}
        return json_response({**_head(asked), **empty, "done": False, "_debug_info": info})
    if fields["stream"] is False:
        delta = await collect(deltas(run, backend.loader))
        return json_response(_line(run, backend, delta, delta.thinking + delta.content))
    return await stream_response(native_lines(_lines(run, backend)), NDJSON)


async def _lines(run: Run, backend: Backend) -> AsyncGenerator[Fields]:
    said = ""
    async with aclosing(deltas(run, backend.loader)) as stream:
        async for delta in stream:
            said += delta.thinking + delta.content
            yield _line(run, backend, delta, said)


def _line(run: Run, backend: Backend, delta: Delta, said: str) -> Fields:
    if run.completion is None:
        return chat_fields(run.asked, delta)
    context = None
    # Only the last line has it, and a raw prompt never does.
    if delta.end is not None and not run.completion.raw:
        context = delta.end.context
        if run.installed.model.weights is None:
            context = backend.vocabulary.encode(render(run.prompt.messages) + said)
    return completion_fields(run.asked, delta, context)


async def _load_or_unload(
    backend: Backend, fields: Fields, asked: str, installed: Installed, verb: str
) -> Response:
    empty: Fields = _chat_part(Delta()) if verb == "chat" else {"response": ""}
    # Unloading works on every model, loaded or not, and checks no capability (3.5).
    if fields["keep_alive"] == 0:
        backend.loader.unload(installed)
        return json_response({**_head(asked), **empty, "done": True, "done_reason": "unload"})
    check_capabilities(installed, asked, verb, fields)
    size = load_size(fields, installed.model)
    async with backend.loader.use(installed, size, fields["keep_alive"]):
        return json_response({**_head(asked), **empty, "done": True, "done_reason": "load"})


def _head(asked: str) -> Fields:
    return {"model": asked, "created_at": utc_timestamp(now_ns())}


def _chat_part(delta: Delta, role: str = "assistant") -> Fields:
    message: dict[str, Any] = {"role": role, "content": delta.content}
    if delta.thinking:
        message["thinking"] = delta.thinking
    if delta.tool_calls:
        message["tool_calls"] = delta.tool_calls
    return {"message": message}


def _ending(delta: Delta, context: list[int] | None = None) -> Fields:
    # Key order is the wire's: done, done_reason, context, then the metrics.
    ending: Fields = {"done": delta.end is not None}
    if delta.end is not None:
        ending["done_reason"] = delta.end.reason
    return ending if context is None else {**ending, "context": context}


def _metrics(delta: Delta) -> Fields:
    return {} if delta.end is None else dict(delta.end.metrics)


def _logprobs(delta: Delta) -> Fields:
    return {"logprobs": delta.logprobs} if delta.logprobs else {}


def chat_fields(asked: str, delta: Delta) -> Fields:
    """Return a line of ``/api/chat``, or its whole answer."""
    head = {**_head(asked), **_chat_part(delta), **_ending(delta)}
    return {**head, **_logprobs(delta), **_metrics(delta)}


def completion_fields(asked: str, delta: Delta, context: list[int] | None = None) -> Fields:
    """Return a line of ``/api/generate``, or its whole answer."""
    head = {**_head(asked), "response": delta.content}
    if delta.thinking:
        head["thinking"] = delta.thinking
    return {**head, **_ending(delta, context), **_metrics(delta), **_logprobs(delta)}


async def collect(stream: AsyncIterator[Delta]) -> Delta:
    """Join a stream to one answer: texts in a row, calls and logprobs collected (3.2)."""
    parts = [delta async for delta in stream]
    return Delta(
        content="".join(part.content for part in parts),
        thinking="".join(part.thinking for part in parts),
        tool_calls=[call for part in parts for call in part.tool_calls],
        logprobs=[entry for part in parts for entry in part.logprobs],
        end=parts[-1].end if parts else None,
    )
