"""Streams of OpenAI-compatible servers for tests: how to write them, and how to read them."""

import json
from collections.abc import Sequence
from typing import Any

from faked import byte_by_byte

from ollama_transport import (
    ChatLine,
    ChatRequest,
    GenerateRequest,
    Message,
    OllamaError,
    ToolCall,
    Usage,
)
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.openai import calls as openai

CHAT = openai.chat(ChatRequest("m", [Message("user", "Hello")]))
ONE_CALL = openai.chat(ChatRequest("m", [Message("user", "Hi")], parallel_tool_calls=False))
TEXT = openai.generate(GenerateRequest("m", "Hello"))


def stream(call: Call[Any], pieces: Sequence[bytes]) -> list[Any]:
    """Return the lines of a stream that comes in these pieces."""
    assert call.reader is not None
    reader = call.reader()
    lines = [line for piece in pieces for line in reader.feed(piece)]
    return lines + reader.finish()


def failed(call: Call[Any], *pieces: bytes) -> tuple[list[Any], Exception]:
    """Return the lines of a stream and the error that ends it."""
    assert call.reader is not None
    reader, lines = call.reader(), []
    try:
        for piece in pieces:
            lines += reader.feed(piece)
        lines += reader.finish()
    except OllamaError as error:
        return lines, error
    raise AssertionError("the stream did not fail")


def cuts(data: bytes) -> dict[str, Sequence[bytes]]:
    return {"whole": [data], "bytes": byte_by_byte(data), "sevens": _sevens(data)}


def _sevens(data: bytes) -> list[bytes]:
    return [data[i : i + 7] for i in range(0, len(data), 7)]


def joined(lines: Sequence[ChatLine]) -> tuple[Any, ...]:
    """Return what a reader of all lines knows in the end."""
    calls = [call for line in lines for call in line.tool_calls]
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    return (
        "".join(line.text for line in lines),
        "".join(line.thinking for line in lines),
        [(call.name, call.arguments, call.index) for call in calls],
        lines[-1].done_reason,
        told_usage(lines[-1]),
    )


def told_usage(line: ChatLine) -> Usage | None:
    """Return the usage that the server told; None for an estimate."""
    return None if line.usage is not None and line.usage.estimated else line.usage


def from_deltas(lines: Sequence[ChatLine]) -> list[ToolCall]:
    """Return the calls as somebody joins them who reads the deltas alone."""
    parts: dict[int, list[str]] = {}
    for delta in (delta for line in lines for delta in line.tool_call_deltas):
        part = parts.setdefault(delta.index, ["", "", ""])
        for place, text in enumerate((delta.name, delta.arguments, delta.id)):
            part[place] += text if text is not None else ""
    return [
        ToolCall(name, json.loads(arguments) if arguments else {}, identity, index)
        for index, (name, arguments, identity) in sorted(parts.items())
    ]


def event(delta: Any = None, *, finish: str | None = None, **more: Any) -> bytes:
    """Return one event of a chat."""
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    chunk = {"id": "c", "created": 1795215192, "model": "m", "choices": [choice], **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def calls(*pieces: dict[str, Any], wrapped: bool = False) -> list[bytes]:
    """Return a stream of pieces of tool calls, each in an event, or all in one."""
    events = [event({"tool_calls": list(pieces)})] if wrapped else []
    events = events if wrapped else [event({"tool_calls": [piece]}) for piece in pieces]
    return [*events, event(finish="tool_calls"), b"data: [DONE]\n\n"]


def piece(
    arguments: Any = None,
    name: str | None = None,
    call_id: str | None = None,
    index: int | None = None,
) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    whole = {
        "index": index,
        "id": call_id,
        "function": {k: v for k, v in function.items() if v is not None},
    }
    return {k: v for k, v in whole.items() if v is not None}
