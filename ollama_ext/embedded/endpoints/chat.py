"""The endpoints ``/api/chat`` and ``/api/generate``: deltas in Ollama's own words."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ollama_ext.embedded.answers.backend import (
    Backend,
    Fields,
    chat_run,
    check_capabilities,
    completion_run,
    find_to_run,
    load_size,
)
from ollama_ext.embedded.answers.generation import deltas, rendered_prompt
from ollama_ext.embedded.answers.prompts import render
from ollama_ext.embedded.answers.run import Delta, Run
from ollama_ext.embedded.endpoints.requests import CHAT, GENERATE
from ollama_ext.embedded.models.store import Installed
from ollama_ext.embedded.protocol.decoding import decode_body
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
    backend = backend_of(request)
    fields = decode_body(CHAT, await request.body())
    asked, installed = find_to_run(backend, fields, "chat")
    # No messages is a request to load or unload, and is never a stream.
    if not fields["messages"]:
        return await _load_or_unload(backend, fields, asked, installed, "chat")
    check_capabilities(installed, asked, "chat", fields)
    run = chat_run(backend, fields, asked, installed)
    if fields["_debug_render_only"]:
        return await _rendered(run, backend, _chat_part(Delta(), role=""))
    if fields["stream"] is False:
        return json_response(_chat_line(run, await collect(deltas(run, backend.loader))))
    return await stream_response(native_lines(_chat_lines(run, backend)), NDJSON)


async def generate(request: Request) -> Response:
    """Answer ``POST /api/generate``."""
    backend = backend_of(request)
    fields = decode_body(GENERATE, await request.body())
    asked, installed = find_to_run(backend, fields, "generate")
    _check_raw(fields)
    if not fields["prompt"]:
        return await _load_or_unload(backend, fields, asked, installed, "generate")
    check_capabilities(installed, asked, "generate", fields)
    # Go templates are not rendered here, but a broken one is reported.
    if fields["template"].count("{{") != fields["template"].count("}}"):
        raise WireError(500, "template: :1: unclosed action")
    run = completion_run(backend, fields, asked, installed)
    if fields["_debug_render_only"]:
        return await _rendered(run, backend, {"response": ""})
    if fields["stream"] is False:
        delta = await collect(deltas(run, backend.loader))
        context = _context(backend, run, fields, delta.thinking + delta.content, delta)
        return json_response(_generate_line(run, delta, context))
    return await stream_response(native_lines(_generate_lines(run, backend, fields)), NDJSON)


def _check_raw(fields: Fields) -> None:
    if fields["raw"] and (fields["template"] or fields["system"] or fields["context"]):
        raise WireError(400, "raw mode does not support template, system, or context")


async def _load_or_unload(
    backend: Backend, fields: Fields, asked: str, installed: Installed, verb: str
) -> Response:
    empty: Fields = _chat_part(Delta()) if verb == "chat" else {"response": ""}
    # Unloading works on every model, loaded or not, and checks no capability (3.5).
    if fields["keep_alive"] == 0:
        backend.loader.unload(installed)
        return json_response({**_head(asked), **empty, "done": True, "done_reason": "unload"})
    check_capabilities(installed, asked, verb, fields)
    size = load_size(fields, installed)
    async with backend.loader.use(installed, size, fields["keep_alive"]):
        return json_response({**_head(asked), **empty, "done": True, "done_reason": "load"})


async def _rendered(run: Run, backend: Backend, part: Fields) -> Response:
    text = await rendered_prompt(run, backend.loader)
    info = {"rendered_template": text}
    return json_response({**_head(run.asked), **part, "done": False, "_debug_info": info})


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
    if context is not None:
        ending["context"] = context
    return ending


def _metrics(delta: Delta) -> Fields:
    return {} if delta.end is None else dict(delta.end.metrics)


def _logprobs(delta: Delta) -> Fields:
    return {"logprobs": delta.logprobs} if delta.logprobs else {}


def chat_fields(asked: str, delta: Delta) -> Fields:
    """Return a line of ``/api/chat``, or its whole answer."""
    head = {**_head(asked), **_chat_part(delta), **_ending(delta)}
    return {**head, **_logprobs(delta), **_metrics(delta)}


def _chat_line(run: Run, delta: Delta) -> Fields:
    return chat_fields(run.asked, delta)


async def _chat_lines(run: Run, backend: Backend) -> AsyncGenerator[Fields]:
    async with aclosing(deltas(run, backend.loader)) as stream:
        async for delta in stream:
            yield _chat_line(run, delta)


def _generate_line(run: Run, delta: Delta, context: list[int] | None) -> Fields:
    return completion_fields(run.asked, delta, context)


def completion_fields(asked: str, delta: Delta, context: list[int] | None = None) -> Fields:
    """Return a line of ``/api/generate``, or its whole answer."""
    head = {**_head(asked), "response": delta.content}
    if delta.thinking:
        head["thinking"] = delta.thinking
    return {**head, **_ending(delta, context), **_metrics(delta), **_logprobs(delta)}


async def _generate_lines(run: Run, backend: Backend, fields: Fields) -> AsyncGenerator[Fields]:
    said = ""
    async with aclosing(deltas(run, backend.loader)) as stream:
        async for delta in stream:
            said += delta.thinking + delta.content
            yield _generate_line(run, delta, _context(backend, run, fields, said, delta))


def _context(
    backend: Backend, run: Run, fields: Fields, said: str, last: Delta
) -> list[int] | None:
    # Only the last line has it, and a raw prompt never does.
    if fields["raw"] or last.end is None:
        return None
    if run.installed.model.weights is not None:
        return last.end.context
    return backend.vocabulary.encode(render(run.prompt.messages) + said)


async def collect(stream: AsyncIterator[Delta]) -> Delta:
    """Join a stream to one answer: texts in a row, calls and logprobs collected (3.2).

    Raises:
        WireError: The engine's failure; its output until then is lost.
    """
    parts = [delta async for delta in stream]
    return Delta(
        content="".join(part.content for part in parts),
        thinking="".join(part.thinking for part in parts),
        tool_calls=[call for part in parts for call in part.tool_calls],
        logprobs=[entry for part in parts for entry in part.logprobs],
        end=parts[-1].end if parts else None,
    )
