"""ChatOllama on a network that is not there, and answers in the shape of wire reference 3.2."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
from faked import Network

from langchain_ollama_ext import ChatOllama

LAST = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 4935886111,
    "load_duration": 5338350,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 130079000,
    "eval_count": 29,
    "eval_duration": 4232710000,
}
"""What the last line of an answer says beside its message."""


def model_on(*answers: Any, **fields: Any) -> tuple[ChatOllama, Network]:
    """Return a model whose server gives these answers, and that server."""
    network = Network(*answers)
    given = {"model": "m", "base_url": "http://127.0.0.1:11434", **fields}
    return ChatOllama(client_kwargs={"transport": network}, **given), network


def body(network: Network, place: int = -1) -> dict[str, Any]:
    """Return what a request asked."""
    asked: dict[str, Any] = json.loads(network.requests[place].content)
    return asked


def line(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return one line of an answer."""
    return {
        "model": "m",
        "created_at": "2026-11-20T22:52:56.331386163Z",
        "message": {"role": "assistant", "content": "", **message},
        "done": False,
        **more,
    }


def whole(message: dict[str, Any] | str = "ok", **more: Any) -> httpx.Response:
    """Return a whole answer."""
    said = {"content": message} if isinstance(message, str) else message
    return httpx.Response(200, json=line(said, **{**LAST, **more}))


def streamed(*messages: dict[str, Any], last: dict[str, Any] | None = None) -> httpx.Response:
    """Return an answer in lines, the last of which carries ``last`` or nothing."""
    lines = [line(message) for message in messages]
    lines.append(line(last if last is not None else {}, **LAST))
    return raw_stream(lines)


def raw_stream(lines: Sequence[Any]) -> httpx.Response:
    """Return lines as they are, without an end of their own."""
    data = "".join(f"{json.dumps(one)}\n" for one in lines)
    return httpx.Response(
        200, content=data.encode(), headers={"content-type": "application/x-ndjson"}
    )


def called(*names: str, first: int = 0) -> dict[str, Any]:
    """Return a message with calls as the server writes them (wire reference 3.4)."""
    return {
        "tool_calls": [
            {
                "id": f"call_{name}{first + place}",
                "function": {"index": first + place, "name": name, "arguments": {"n": place}},
            }
            for place, name in enumerate(names)
        ]
    }
