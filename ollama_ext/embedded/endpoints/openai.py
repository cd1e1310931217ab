"""The OpenAI compatible endpoints: deltas as chunks of ``/v1`` (wire reference 10)."""

import base64
import secrets
import struct
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from ollama_ext.embedded.answers.backend import (
    Fields,
    chat_run,
    check_capabilities,
    completion_run,
    find_to_run,
)
from ollama_ext.embedded.answers.generation import deltas
from ollama_ext.embedded.answers.run import Delta
from ollama_ext.embedded.endpoints.chat import backend_of, collect
from ollama_ext.embedded.endpoints.embed import embed_texts, input_texts
from ollama_ext.embedded.endpoints.openai_requests import (
    CHAT_COMPLETION,
    COMPLETION,
    EMBEDDING,
    decode_v1,
    native_chat,
    native_completion,
    wants_usage,
)
from ollama_ext.embedded.models.store import CloudDisabledError, Installed
from ollama_ext.embedded.protocol.encoding import dump_event, dump_json
from ollama_ext.embedded.protocol.failures import WireError
from ollama_ext.embedded.protocol.responses import (
    BARE_JSON,
    EVENTS,
    body_response,
    stream_response,
)

_FORMATS = ("", "float", "base64")
# Every chunk of a completion has a usage once it was asked for, of zeros but for the last (10.2).
_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
DONE = b"data: [DONE]\n\n"


def json_line(value: object) -> Response:
    """Return a value as the compatible layer writes it: with a newline."""
    return body_response(dump_json(value) + b"\n", BARE_JSON)


def late(error: WireError) -> WireError:
    """Return a refusal of the native handler as the compatible layer relays it."""
    # It refuses cloud models itself, before that layer (8.2).
    if isinstance(error, CloudDisabledError):
        return error
    return WireError(error.status, error.text, early=False)


async def chat_completions(request: Request) -> Response:
    """Answer ``POST /v1/chat/completions``."""
    backend = backend_of(request)
    body = decode_v1(CHAT_COMPLETION, await request.body())
    fields = native_chat(body)
    try:
        asked, installed = find_to_run(backend, fields, "chat")
        check_capabilities(installed, asked, "chat", fields)
        run = chat_run(backend, fields, asked, installed)
        stream = deltas(run, backend.loader)
        if not body["stream"]:
            return json_line(chat_completion(asked, await collect(stream)))
        chunks = _ChatChunks(asked, usage=wants_usage(body))
        return await stream_response(chunks.play(stream), EVENTS)
    except WireError as error:
        raise late(error) from error


async def completions(request: Request) -> Response:
    """Answer ``POST /v1/completions``."""
    backend = backend_of(request)
    body = decode_v1(COMPLETION, await request.body())
    fields = native_completion(body)
    try:
        asked, installed = find_to_run(backend, fields, "generate")
        check_capabilities(installed, asked, "generate", fields)
        # Unlike chat, where this is refused: an empty prompt counts as a load (10.2).
        if not fields["prompt"]:
            return json_line(completion(asked, Delta(), reason="load"))
        run = completion_run(backend, fields, asked, installed)
        stream = deltas(run, backend.loader)
        if not body["stream"]:
            return json_line(completion(asked, await collect(stream)))
        chunks = _TextChunks(asked, usage=wants_usage(body))
        return await stream_response(chunks.play(stream), EVENTS)
    except WireError as error:
        raise late(error) from error


def _usage(delta: Delta) -> Fields:
    metrics = delta.end.metrics if delta.end else {}
    prompt, said = metrics.get("prompt_eval_count", 0), metrics.get("eval_count", 0)
    return {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}


def _calls(delta: Delta) -> list[Fields]:
    return [_call(call) for call in delta.tool_calls]


def _call(call: Fields) -> Fields:
    function = call["function"]
    arguments = dump_json(function["arguments"]).decode()
    named = {"name": function["name"], "arguments": arguments}
    return {"id": call["id"], "index": function["index"], "type": "function", "function": named}


def _head(prefix: str, kind: str, asked: str) -> Fields:
    return {
        "id": f"{prefix}-{secrets.randbelow(999)}",
        "object": kind,
        "created": int(time.time()),
        "model": asked,
        "system_fingerprint": "fp_ollama",
    }


def chat_completion(asked: str, delta: Delta) -> Fields:
    """Return a whole answer of ``/v1/chat/completions``."""
    message: Fields = {"role": "assistant", "content": delta.content}
    if delta.thinking:
        message["reasoning"] = delta.thinking
    if delta.tool_calls:
        message["tool_calls"] = _calls(delta)
    reason = delta.end.reason if delta.end else None
    choice: Fields = {
        "index": 0,
        "message": message,
        "finish_reason": _reason(reason, called=bool(delta.tool_calls)),
    }
    if delta.logprobs:
        choice["logprobs"] = {"content": delta.logprobs}
    head = _head("chatcmpl", "chat.completion", asked)
    return {**head, "choices": [choice], "usage": _usage(delta)}


def _reason(reason: str | None, *, called: bool) -> str | None:
    # Calls that were cut are no calls to an OpenAI client: "length" has to stay.
    return "tool_calls" if called and reason == "stop" else reason


def completion(asked: str, delta: Delta, reason: str | None = None) -> Fields:
    """Return a whole answer of ``/v1/completions``."""
    ended = delta.end.reason if delta.end else reason
    choice = {"text": delta.content, "index": 0, "finish_reason": ended}
    head = _head("cmpl", "text_completion", asked)
    return {**head, "choices": [choice], "usage": _usage(delta)}


def chat_chunks(asked: str, steps: list[Delta], usage: bool) -> list[bytes]:
    """Return the events of a streamed chat."""
    chunks = _ChatChunks(asked, usage=usage)
    return [event for step in steps for event in chunks.written(step)]


def completion_chunks(asked: str, steps: list[Delta], usage: bool) -> list[bytes]:
    """Return the events of a streamed completion, without its reasoning."""
    chunks = _TextChunks(asked, usage=usage)
    return [chunks.written(step) for step in steps if step.content or step.end is not None]


class _ChatChunks:
    """The chunks of one chat stream; they share an id and a time."""

    def __init__(self, asked: str, *, usage: bool) -> None:
        self._head = _head("chatcmpl", "chat.completion.chunk", asked)
        self._wants_usage = usage
        self._begun = False
        self._called = False

    async def play(self, stream: AsyncGenerator[Delta]) -> AsyncGenerator[bytes]:
        """Write the stream; a failure in its middle is swallowed, as Ollama does (10)."""
        try:
            async with aclosing(stream) as opened:
                async for delta in opened:
                    for chunk in self.written(delta):
                        yield chunk
        except WireError:
            if not self._begun:
                raise
            # The error line decodes to an empty chunk in Ollama; clients never see the text.
            yield self._chunk({"content": ""}, None, model="")

    def written(self, delta: Delta) -> list[bytes]:
        """Return the events of one step."""
        chunks = []
        # A line with both becomes two chunks (10.1).
        if delta.thinking:
            chunks.append(self._said({"content": "", "reasoning": delta.thinking}, delta))
        if delta.tool_calls:
            self._called = True
            chunks.append(self._said({"content": "", "tool_calls": _calls(delta)}, delta))
        if delta.content:
            chunks.append(self._said({"content": delta.content}, delta))
        if delta.end is not None:
            chunks.append(self._last(delta, delta.end.reason))
        return chunks

    def _said(self, part: Fields, delta: Delta) -> bytes:
        role = {} if self._begun else {"role": "assistant"}
        self._begun = True
        return self._chunk({**role, **part}, None, logprobs=delta.logprobs)

    def _last(self, delta: Delta, reason: str) -> bytes:
        # These come in one write, as Ollama sends them.
        end = self._chunk({}, _reason(reason, called=self._called))
        if self._wants_usage:
            end += dump_event({**self._head, "choices": [], "usage": _usage(delta)})
        return end + DONE

    def _chunk(
        self, part: Fields, reason: str | None, *, model: str | None = None, logprobs: object = None
    ) -> bytes:
        head = self._head if model is None else {**self._head, "model": model}
        choice: Fields = {"index": 0, "delta": part, "finish_reason": reason}
        if logprobs:
            choice["logprobs"] = {"content": logprobs}
        return dump_event({**head, "choices": [choice]})


class _TextChunks:
    """The chunks of one completion stream."""

    def __init__(self, asked: str, *, usage: bool) -> None:
        self._head = _head("cmpl", "text_completion", asked)
        self._wants_usage = usage
        self._begun = False

    async def play(self, stream: AsyncGenerator[Delta]) -> AsyncGenerator[bytes]:
        """Write the stream; reasoning is dropped, a failure in its middle swallowed."""
        try:
            async with aclosing(stream) as opened:
                async for delta in opened:
                    if delta.content or delta.end is not None:
                        yield self.written(delta)
                        self._begun = True
        except WireError:
            if not self._begun:
                raise
            yield self._chunk("", None, _NO_USAGE, model="")

    def written(self, delta: Delta) -> bytes:
        """Return the events of one step, in one write."""
        if delta.end is None:
            return self._chunk(delta.content, None, _NO_USAGE)
        end = self._chunk(delta.content, delta.end.reason, _NO_USAGE)
        if self._wants_usage:
            end += self._event([], self._head["model"], _usage(delta))
        return end + DONE

    def _chunk(
        self, text: str, reason: str | None, usage: Fields, *, model: str | None = None
    ) -> bytes:
        choice = {"text": text, "index": 0, "finish_reason": reason}
        return self._event([choice], self._head["model"] if model is None else model, usage)

    def _event(self, choices: list[Fields], model: str, usage: Fields) -> bytes:
        # Another order of keys than in chat, and the recordings have it.
        head = self._head
        event = {"id": head["id"], "object": head["object"], "created": head["created"]}
        event |= {"choices": choices, "model": model}
        event["system_fingerprint"] = head["system_fingerprint"]
        if self._wants_usage:
            event["usage"] = usage
        return dump_event(event)


async def embeddings(request: Request) -> Response:
    """Answer ``POST /v1/embeddings``; base64 is little-endian float32."""
    fields = decode_v1(EMBEDDING, await request.body())
    wanted = fields["encoding_format"]
    if wanted.lower() not in _FORMATS:
        allowed = "Supported values: ['float', 'base64']."
        raise WireError(400, f"Invalid value for 'encoding_format' = {wanted}. {allowed}")
    # Unlike /api/embed, an empty text is embedded here.
    texts = [""] if fields["input"] == "" else input_texts(fields["input"])
    if not texts:
        raise WireError(400, "invalid input")
    native = {**fields, "truncate": None, "keep_alive": None, "options": None}
    try:
        found = await embed_texts(backend_of(request), native, texts)
    except WireError as error:
        raise late(error) from error
    return json_line(embedding_list(found.asked, found.vectors, wanted.lower(), found.tokens))


def embedding_list(asked: str, vectors: list[list[float]], form: str, tokens: int) -> Fields:
    """Return the answer of ``/v1/embeddings``."""
    data = [
        {"object": "embedding", "embedding": _coded(vector, form), "index": index}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": asked, "usage": usage}


def _coded(vector: list[float], form: str) -> object:
    if form != "base64":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


async def models(request: Request) -> Response:
    """Answer ``GET /v1/models``; without a model ``data`` is null."""
    listed = [_listed(m, m.name.short) for m in backend_of(request).store.listed()]
    return json_line({"object": "list", "data": listed if listed else None})


def _listed(installed: Installed, shown: str) -> Fields:
    created = installed.modified_ns // 10**9
    owner = installed.name.namespace
    return {"id": shown, "object": "model", "created": created, "owned_by": owner}


async def model(request: Request) -> Response:
    """Answer ``GET /v1/models/{model}``; it echoes the asked id."""
    asked: str = request.path_params["model"]
    try:
        _, installed = backend_of(request).store.resolve(asked, "model '{short}' not found")
    except WireError as error:
        raise late(error) from error
    return json_line(_listed(installed, asked))
