"""The endpoint ``/v1/messages``: enough of Anthropic's dialect to talk to (wire reference 10.6)."""

import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from ollama_ext.embedded._backend import Fields, chat_run, check_capabilities, find_to_run
from ollama_ext.embedded._chat import backend_of, collect
from ollama_ext.embedded._decoding import (
    ANYTHING,
    FLAG,
    MAYBE_NUMBER,
    MAYBE_WHOLE,
    OBJECT,
    TEXT,
    WHOLE,
    ListOf,
    Struct,
)
from ollama_ext.embedded._failures import WireError
from ollama_ext.embedded._generation import Delta, deltas
from ollama_ext.embedded._openai import late
from ollama_ext.embedded._openai_requests import decode_v1
from ollama_ext.embedded._requests import CHAT
from ollama_ext.embedded._responses import (
    BARE_JSON,
    EVENTS,
    json_response,
    stream_response,
)
from ollama_ext.embedded._store import Installed
from ollama_ext.embedded._wire import dump_json

_REQUEST = Struct(
    "anthropic.MessagesRequest",
    {
        "model": TEXT,
        "max_tokens": WHOLE,
        "messages": ListOf(OBJECT, "[]anthropic.MessageParam"),
        "system": ANYTHING,
        "stream": FLAG,
        "temperature": MAYBE_NUMBER,
        "top_p": MAYBE_NUMBER,
        "top_k": MAYBE_WHOLE,
        "stop_sequences": ListOf(TEXT, "[]string"),
        "tools": ListOf(OBJECT, "[]anthropic.Tool"),
        "thinking": OBJECT,
    },
)
# Whatever else ends an answer is a stop sequence to Ollama (10.6).
_REASONS = {"stop": "end_turn", "length": "max_tokens"}


async def messages(request: Request) -> Response:
    """Answer ``POST /v1/messages``."""
    backend = backend_of(request)
    body = decode_v1(_REQUEST, await request.body())
    _check(body)
    native = CHAT.decode(_native(body), "ChatRequest")
    try:
        asked, installed = find_to_run(backend, native, "chat")
        fields = {**native, "think": _think(body, installed)}
        check_capabilities(installed, asked, "chat", fields)
        run = chat_run(backend, fields, asked, installed)
        stream = deltas(run, backend.loader)
        if not body["stream"]:
            answer = _message(asked, await collect(stream))
            return json_response(answer, content_type=BARE_JSON)
        # The count is not known before the model ran; Ollama estimates like this too.
        estimate = len(dump_json(body["messages"])) // 4
        return await stream_response(_Events(asked, estimate).play(stream), EVENTS)
    except WireError as error:
        raise late(error) from error


def _check(body: Fields) -> None:
    # In this order (wire reference 10.6).
    if not body["model"]:
        raise WireError(400, "model is required")
    if body["max_tokens"] <= 0:
        raise WireError(400, "max_tokens is required and must be positive")
    if not body["messages"]:
        raise WireError(400, "messages is required")


def _native(body: Fields) -> Fields:
    options = {name: body[name] for name in ("temperature", "top_p", "top_k")}
    options |= {"num_predict": body["max_tokens"], "stop": body["stop_sequences"]}
    system = _text(body["system"])
    first = [{"role": "system", "content": system}] if system else []
    return {
        "model": body["model"],
        "messages": first + [part for message in body["messages"] for part in _parts(message)],
        "tools": [_tool(tool) for tool in body["tools"]],
        "options": options,
    }


def _think(body: Fields, installed: Installed) -> bool | None:
    wanted = body["thinking"].get("type") if body["thinking"] is not None else None
    # A model that cannot think is asked not to, instead of refusing.
    able = "thinking" in installed.model.capabilities
    return None if wanted is None else wanted == "enabled" and able


def _tool(tool: Mapping[str, object]) -> Fields:
    function = {
        "name": tool.get("name"),
        "description": tool.get("description"),
        "parameters": tool.get("input_schema"),
    }
    return {"type": "function", "function": function}


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(b.get("text", "") for b in blocks if b.get("type") == "text")


def _parts(message: Fields) -> list[Fields]:
    role, content = message.get("role", ""), message.get("content")
    if not isinstance(content, list):
        return [{"role": role, "content": _text(content)}]
    return [_part(role, block) for block in content]


def _part(role: str, block: Fields) -> Fields:
    kind = block.get("type")
    if kind == "tool_use":
        function = {"name": block.get("name"), "arguments": block.get("input")}
        return {"role": role, "tool_calls": [{"id": block.get("id"), "function": function}]}
    # Anthropic hides results in user messages; Ollama gives them a role.
    if kind == "tool_result":
        found = {"content": _text(block.get("content")), "tool_call_id": block.get("tool_use_id")}
        return {"role": "tool", **found}
    if kind == "image":
        return {"role": role, "images": [block.get("source", {}).get("data", "")]}
    if kind == "thinking":
        return {"role": role, "thinking": block.get("thinking", "")}
    return {"role": role, "content": block.get("text", "")}


def _reason(delta: Delta, *, called: bool) -> str | None:
    if delta.end is None:
        return None
    if called:
        return "tool_use"
    return _REASONS.get(delta.end.reason, "stop_sequence")


def _usage(delta: Delta, tokens: int = 0) -> Fields:
    metrics = delta.end.metrics if delta.end else {}
    prompt = metrics.get("prompt_eval_count", tokens)
    return {"input_tokens": prompt, "output_tokens": metrics.get("eval_count", 0)}


def _head(asked: str) -> Fields:
    identity = f"msg_{secrets.token_hex(12)}"
    return {"id": identity, "type": "message", "role": "assistant", "model": asked}


def _blocks(delta: Delta) -> list[Fields]:
    blocks: list[Fields] = []
    if delta.thinking:
        blocks.append({"type": "thinking", "thinking": delta.thinking})
    if delta.content:
        blocks.append({"type": "text", "text": delta.content})
    return blocks + [_use(call) for call in delta.tool_calls]


def _use(call: Fields) -> Fields:
    function = call["function"]
    named = {"name": function["name"], "input": function["arguments"]}
    return {"type": "tool_use", "id": call["id"], **named}


def _message(asked: str, delta: Delta) -> Fields:
    reason = _reason(delta, called=bool(delta.tool_calls))
    ending = {"stop_reason": reason, "usage": _usage(delta)}
    return {**_head(asked), "content": _blocks(delta), **ending}


class _Events:
    """The events of one streamed message."""

    def __init__(self, asked: str, estimate: int) -> None:
        self._asked = asked
        self._estimate = estimate
        self._index = -1
        # The kind of the block that is being written; "" for none.
        self._open = ""
        self._called = False
        self._begun = False

    async def play(self, stream: AsyncGenerator[Delta]) -> AsyncGenerator[bytes]:
        """Write the stream; a failure in its middle just ends it (10)."""
        try:
            async with aclosing(stream) as opened:
                async for delta in opened:
                    yield b"".join(self._events(delta))
                    self._begun = True
        except WireError:
            if not self._begun:
                raise

    def _events(self, delta: Delta) -> Sequence[bytes]:
        events = []
        if not self._begun:
            usage = _usage(Delta(), self._estimate)
            start = {**_head(self._asked), "content": [], "stop_reason": None, "usage": usage}
            events.append(_event("message_start", message=start))
        for block in _blocks(delta):
            events += self._block(block)
        if delta.end is not None:
            ending = {"stop_reason": _reason(delta, called=self._called)}
            events += [*self._close(), _event("message_delta", delta=ending, usage=_usage(delta))]
            events.append(_event("message_stop"))
        return events

    def _block(self, block: Fields) -> list[bytes]:
        kind = block["type"]
        events = []
        # Two calls in a row are two blocks; two pieces of text are one.
        if kind != self._open or kind == "tool_use":
            events += self._close()
            self._index, self._open = self._index + 1, kind
            events.append(
                _event("content_block_start", index=self._index, content_block=_empty(block))
            )
        self._called = self._called or kind == "tool_use"
        return [*events, _event("content_block_delta", index=self._index, delta=_delta(block))]

    def _close(self) -> list[bytes]:
        if not self._open:
            return []
        self._open = ""
        return [_event("content_block_stop", index=self._index)]


def _empty(block: Fields) -> Fields:
    if block["type"] == "tool_use":
        return {**block, "input": {}}
    return {"type": block["type"], block["type"]: ""}


def _delta(block: Fields) -> Fields:
    kind = block["type"]
    if kind == "tool_use":
        return {"type": "input_json_delta", "partial_json": dump_json(block["input"]).decode()}
    return {"type": f"{kind}_delta", kind: block[kind]}


def _event(name: str, **fields: object) -> bytes:
    return f"event: {name}\n".encode() + b"data: " + dump_json({"type": name, **fields}) + b"\n\n"
