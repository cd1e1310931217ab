"""Scripted replies fitted to the request: its endpoint, its wire, its stream flag."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ollama_ext.embedded.answers.run import Delta, End
from ollama_ext.embedded.endpoints.chat import chat_fields, completion_fields
from ollama_ext.embedded.endpoints.openai import (
    ChatChunks,
    TextChunks,
    chat_completion,
    completion,
    embedding_list,
)
from ollama_ext.embedded.protocol.encoding import dump_line
from ollama_ext.embedded.protocol.failures import error_body
from ollama_ext.embedded.scripting.recorder import Request
from ollama_ext.embedded.scripting.replies import Reply, Said

Body = Mapping[str, Any]
_PIECES = re.compile(r"\s*\S+\s*?(?=\s|$)|\s+")
# A millisecond, the unit of the made-up durations.
_MILLISECOND_NS = 1_000_000


def fitted(reply: Reply, request: Request) -> Reply:
    """Return the reply to play to a request; a reply of bytes is returned unchanged."""
    said = reply.said
    if said is None:
        return reply
    if said.error is not None:
        if not request.path.startswith("/v1/"):
            return reply
        body = error_body(request.path, reply.status, said.error, newline=True)
        return replace(reply, chunks=(body,))
    # Vectors for a chat, or text for an embedding, would look like a fault of the client.
    write = (_EMBEDDERS if said.vectors is not None else _WRITERS).get(request.path)
    if write is None:
        return _misfit(said, request)
    made = write(said, _body_of(request))
    # The other fields (delays, gates, headers) stay as scripted.
    fit = replace(
        reply, chunks=made.chunks, sized=made.sized, headers={**made.headers, **reply.headers}
    )
    if said.after is None or made.sized:
        return fit
    return replace(fit, chunks=made.chunks[: said.after])


def _body_of(request: Request) -> Body:
    try:
        body = request.json
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def _misfit(said: Said, request: Request) -> Reply:
    kind = "vectors" if said.vectors is not None else "text"
    asked = f"{request.method} {request.path}"
    text = f"the script's next reply is {kind}, which does not answer {asked}"
    return Reply.raw(
        error_body(request.path, 500, text),
        status=500,
        headers={"content-type": "application/json"},
    )


def _deltas(said: Said, body: Body) -> list[Delta]:
    """Return the steps of an answer: reasoning and text by words, then the calls, then the end."""
    steps = [Delta(thinking=piece) for piece in _PIECES.findall(said.thinking)]
    steps += [Delta(content=piece) for piece in _PIECES.findall(said.content)]
    calls: list[dict[str, object]] = []
    for index, (name, arguments) in enumerate(said.tool_calls):
        function = {"index": index, "name": name, "arguments": dict(arguments)}
        calls.append({"id": f"call_{index + 1:08d}", "function": function})
    steps += [Delta(tool_calls=calls)] if calls else []
    return [*steps, Delta(end=End("stop", _metrics(said, body)))]


def _metrics(said: Said, body: Body) -> dict[str, int]:
    asked = body.get("messages", body.get("prompt", ""))
    # Words stand for tokens: a test needs numbers that are stable, not exact.
    prompt = max(1, len(str(asked).split()))
    count = len(_PIECES.findall(said.thinking + " " + said.content)) + len(said.tool_calls)
    return {
        "total_duration": 3 * _MILLISECOND_NS,
        "load_duration": _MILLISECOND_NS,
        "prompt_eval_count": prompt,
        "prompt_eval_duration": _MILLISECOND_NS,
        "eval_count": max(1, count),
        "eval_duration": _MILLISECOND_NS,
    }


def _whole(said: Said, body: Body) -> Delta:
    steps = _deltas(said, body)
    calls = [call for step in steps for call in step.tool_calls]
    return Delta(said.content, said.thinking, calls, end=steps[-1].end)


def _native(fields: Callable[[str, Delta], dict[str, Any]]) -> Callable[[Said, Body], Reply]:
    def write(said: Said, body: Body) -> Reply:
        model = str(body.get("model", ""))
        # Absent means a stream on this wire, and none on the other (wire reference 2).
        if body.get("stream") is False:
            return Reply.json(fields(model, _whole(said, body)))
        chunks = [dump_line(fields(model, step)) for step in _deltas(said, body)]
        return Reply.lines(chunks)

    return write


def _openai(
    whole: Callable[[str, Delta], dict[str, Any]],
    chunks: type[ChatChunks | TextChunks],
) -> Callable[[Said, Body], Reply]:
    def write(said: Said, body: Body) -> Reply:
        model = str(body.get("model", ""))
        if not body.get("stream"):
            return Reply.json(whole(model, _whole(said, body)))
        options = body.get("stream_options")
        usage = isinstance(options, Mapping) and options.get("include_usage") is True
        stream = chunks(model, usage=usage)
        events = [event for step in _deltas(said, body) for event in stream.written(step)]
        return Reply(chunks=tuple(events), headers={"content-type": "text/event-stream"})

    return write


def _embed(said: Said, body: Body) -> Reply:
    count = len(said.vectors or ())
    answer = {"model": body.get("model", ""), "embeddings": said.vectors}
    return Reply.json({**answer, "prompt_eval_count": count})


def _embed_legacy(said: Said, _: Body) -> Reply:
    vectors = said.vectors or ((),)
    return Reply.json({"embedding": list(vectors[0])})


def _embed_openai(said: Said, body: Body) -> Reply:
    vectors = [list(vector) for vector in said.vectors or ()]
    form = str(body.get("encoding_format", "float"))
    answer = embedding_list(str(body.get("model", "")), vectors, form, len(vectors))
    return Reply.json(answer)


_WRITERS: dict[str, Callable[[Said, Body], Reply]] = {
    "/api/chat": _native(chat_fields),
    "/api/generate": _native(completion_fields),
    "/v1/chat/completions": _openai(chat_completion, ChatChunks),
    "/v1/completions": _openai(completion, TextChunks),
}
_EMBEDDERS: dict[str, Callable[[Said, Body], Reply]] = {
    "/api/embed": _embed,
    "/api/embeddings": _embed_legacy,
    "/v1/embeddings": _embed_openai,
}
