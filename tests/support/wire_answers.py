"""Answers of a server on either wire, whole or streamed, in pieces of a test's choice."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

WIRES: dict[str, dict[str, Any]] = {
    "native": {"base_url": "http://127.0.0.1:11434"},
    "openai": {"base_url": "http://127.0.0.1:8000/v1"},
}
_THINKING = {"native": "thinking", "openai": "reasoning_content"}


def replied(
    wire: str, messages: Sequence[dict[str, Any]], *, streams: bool, reason: str = "stop"
) -> httpx.Response:
    """Return an answer that says these messages: a line each, or all of them in one.

    Texts are under "content", "thinking" and "refusal"; what else there is goes out as it is.
    """
    named = [{_THINKING[wire] if k == "thinking" else k: v for k, v in m.items()} for m in messages]
    if not streams:
        named = [_joined(named)]
    make = _native if wire == "native" else _openai
    return make(named, reason, streams)


def completed(wire: str, pieces: Sequence[str], *, streams: bool) -> httpx.Response:
    """Return a completion of a prompt whose text comes in these pieces."""
    texts = pieces if streams else ["".join(pieces)]
    if wire == "openai":
        head = {"id": "c", "created": 1767225600, "model": "m"}
        ends = [None] * (len(texts) - 1) + ["stop"]
        objects = [
            {**head, "choices": [{"index": 0, "text": text, "finish_reason": end}]}
            for text, end in zip(texts, ends, strict=True)
        ]
        if not streams:
            return httpx.Response(200, json=objects[0])
        events = "".join(f"data: {json.dumps(event)}\n\n" for event in objects)
        kind = {"content-type": "text/event-stream"}
        return httpx.Response(200, text=f"{events}data: [DONE]\n\n", headers=kind)
    head = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
    lines = [{**head, "response": text, "done": False} for text in texts]
    lines[-1] |= {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}
    if not streams:
        return httpx.Response(200, json=lines[0])
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return httpx.Response(200, text=text, headers={"content-type": "application/x-ndjson"})


def pieces_of(text: str, size: int) -> list[str]:
    """Return a text in pieces of a size."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def _joined(messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for message in messages:
        for name, value in message.items():
            whole[name] = whole[name] + value if name in whole else value
    return {"content": "", **whole}


def _native(messages: Sequence[dict[str, Any]], reason: str, streams: bool) -> httpx.Response:
    head = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
    end = {"done": True, "done_reason": reason, "prompt_eval_count": 7, "eval_count": 3}
    if not streams:
        message = {"role": "assistant", **messages[0]}
        return httpx.Response(200, json={**head, "message": message, **end})
    lines = [
        {**head, "message": {"role": "assistant", "content": "", **m}, "done": False}
        for m in messages
    ]
    lines.append({**head, "message": {"role": "assistant", "content": ""}, **end})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return httpx.Response(200, text=text, headers={"content-type": "application/x-ndjson"})


def _openai(messages: Sequence[dict[str, Any]], reason: str, streams: bool) -> httpx.Response:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    head = {"id": "c", "created": 1767225600, "model": "m"}
    if not streams:
        choice = {
            "index": 0,
            "message": {"role": "assistant", **messages[0]},
            "finish_reason": reason,
        }
        return httpx.Response(200, json={**head, "choices": [choice], "usage": usage})
    events = "".join(f"data: {json.dumps(event)}\n\n" for event in _events(head, messages, reason))
    last = {**head, "choices": [], "usage": usage}
    text = f"{events}data: {json.dumps(last)}\n\ndata: [DONE]\n\n"
    return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})


def _events(
    head: dict[str, Any], messages: Sequence[dict[str, Any]], reason: str
) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield {**head, "choices": [{"index": 0, "delta": message, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
