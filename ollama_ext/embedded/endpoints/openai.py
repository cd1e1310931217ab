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
    Backend,
    Fields,
    check_capabilities,
    find_to_run,
    run_of,
)
from ollama_ext.embedded.answers.generation import deltas
from ollama_ext.embedded.answers.run import Delta
from ollama_ext.embedded.endpoints.chat import backend_of, collect
from ollama_ext.embedded.endpoints.embed import embed_texts, input_texts
from ollama_ext.embedded.endpoints.openai_requests import (
    CHAT_COMPLETION,
    COMPLETION,
    EMBEDDING,
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
_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
# What the compatible layer says of a request without a body.
_EMPTY = "EOF"


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
    body = CHAT_COMPLETION.read(await request.body(), when_empty=_EMPTY)
    return await _answer(backend_of(request), body, native_chat(body), "chat")


async def completions(request: Request) -> Response:
    """Answer ``POST /v1/completions``."""
    body = COMPLETION.read(await request.body(), when_empty=_EMPTY)
    return await _answer(backend_of(request), body, native_completion(body), "generate")


async def _answer(backend: Backend, body: Fields, fields: Fields, verb: str) -> Response:
    chat = verb == "chat"
    try:
        asked, installed = find_to_run(backend, fields, verb)
        check_capabilities(installed, asked, verb, fields)
        # Unlike chat, where this is refused: an empty prompt counts as a load (10.2).
        if not chat and not fields["prompt"]:
            return json_line(completion(asked, Delta(), reason="load"))
        stream = deltas(run_of(backend, fields, verb, asked, installed), backend.loader)
        if not body["stream"]:
            whole = await collect(stream)
            return json_line(chat_completion(asked, whole) if chat else completion(asked, whole))
        chunks = (ChatChunks if chat else TextChunks)(asked, usage=wants_usage(body))
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
    choice = _text(delta.content, delta.end.reason if delta.end else reason)
    head = _head("cmpl", "text_completion", asked)
    return {**head, "choices": [choice], "usage": _usage(delta)}


def _text(text: str, reason: str | None = None) -> Fields:
    return {"text": text, "index": 0, "finish_reason": reason}


class _Chunks:
    """The events of one stream; they share an id and a time."""

    prefix = ""
    kind = ""
    order = ("id", "object", "created", "model", "system_fingerprint", "choices", "usage")

    def __init__(self, asked: str, *, usage: bool) -> None:
        self._head = _head(self.prefix, self.kind, asked)
        self._wants_usage = usage

    async def play(self, stream: AsyncGenerator[Delta]) -> AsyncGenerator[bytes]:
        """Write the stream; a failure in its middle is swallowed, as Ollama does (10)."""
        begun = False
        try:
            async with aclosing(stream) as opened:
                async for delta in opened:
                    for chunk in self.written(delta):
                        yield chunk
                        begun = True
        except WireError:
            if not begun:
                raise
            # The error line decodes to an empty chunk in Ollama; clients never see the text.
            self._head["model"] = ""
            yield self._event(self._empty())

    def written(self, delta: Delta) -> list[bytes]:
        """Return the events of one step; those of the last are one write, as Ollama sends them."""
        # Chats and completions each have their own form.
        raise NotImplementedError

    def _empty(self) -> Fields:
        # See `written`.
        raise NotImplementedError

    def _event(self, choice: Fields | None, usage: Fields | None = None) -> bytes:
        event = {**self._head, "choices": [] if choice is None else [choice], "usage": usage}
        return dump_event({name: event[name] for name in self.order if event[name] is not None})

    def _done(self, delta: Delta) -> bytes:
        usage = self._event(None, _usage(delta)) if self._wants_usage else b""
        return usage + b"data: [DONE]\n\n"


def _choice(delta: Fields, reason: str | None = None) -> Fields:
    return {"index": 0, "delta": delta, "finish_reason": reason}


class ChatChunks(_Chunks):
    """The events of one streamed chat."""

    prefix, kind = "chatcmpl", "chat.completion.chunk"
    _begun = _called = False

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
            reason = _reason(delta.end.reason, called=self._called)
            end = self._event(_choice({}, reason))
            chunks.append(end + self._done(delta))
        return chunks

    def _said(self, part: Fields, delta: Delta) -> bytes:
        role = {} if self._begun else {"role": "assistant"}
        self._begun = True
        choice = _choice({**role, **part})
        if delta.logprobs:
            choice["logprobs"] = {"content": delta.logprobs}
        return self._event(choice)

    def _empty(self) -> Fields:
        return _choice({"content": ""})


class TextChunks(_Chunks):
    """The events of one streamed completion, without its reasoning."""

    prefix, kind = "cmpl", "text_completion"
    # Another order than in chat, and the recordings have it.
    order = ("id", "object", "created", "choices", "model", "system_fingerprint", "usage")

    def written(self, delta: Delta) -> list[bytes]:
        """Return the events of one step."""
        if delta.end is not None:
            return [self._event(_text(delta.content, delta.end.reason)) + self._done(delta)]
        return [self._event(_text(delta.content))] if delta.content else []

    def _empty(self) -> Fields:
        return _text("")

    def _event(self, choice: Fields | None, usage: Fields | None = None) -> bytes:
        # Once a usage was asked for, every chunk has one, of zeros but for the last (10.2).
        return super()._event(choice, usage or (_NO_USAGE if self._wants_usage else None))


async def embeddings(request: Request) -> Response:
    """Answer ``POST /v1/embeddings``; base64 is little-endian float32."""
    fields = EMBEDDING.read(await request.body(), when_empty=_EMPTY)
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
