"""What the benchmark's server answers: bytes made once, chosen by the model's name.

A name is a kind, a number and how the answer is written: "stream-2000" has 2,000 tokens in one
write, "stream-200-every1000" one token in 1,000 microseconds, "embed-768" vectors of 768 numbers,
"menu-60" a JSON text of 60 dishes, "agent-1" asks for a tool and answers once it has the result.
"""

import base64
import json
import random
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

TOKENS = (
    " the", " of", "ing", " model", " and", " stream", "s", ",", " a", " to", " in", " is", "\n",
    " with", " client", ".", " response", " token", ' "x"', " per", " over", " <b>", " café",
    " 42", "ation", " request", " server", " data", " can", "-", " time", " each",
)  # fmt: skip
MADE_AT = "2026-01-01T00:00:00.123457Z"
NAME = re.compile(rb'"model":\s*"(?P<whole>(?P<kind>[a-z]+)-(?P<count>\d+)(?:-every(?P<us>\d+))?)')
STREAMED = re.compile(rb'"stream":\s*(true|false)')
TOOL_RESULT = re.compile(rb'"role":\s*"tool"')
TOOL_CALL = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
VECTORS = 16
KEPT = 2048


@dataclass(frozen=True)
class Reply:
    """The writes of one answer, and the pause between two of them in seconds."""

    writes: tuple[bytes, ...]
    pause_s: float = 0.0


@dataclass(frozen=True)
class Wanted:
    """What a request asks for."""

    model: str
    kind: str
    count: int
    pause_s: float
    streamed: bool
    has_result: bool


def text_of(tokens: int) -> str:
    """Return the text of an answer of so many tokens."""
    return "".join(TOKENS[at % len(TOKENS)] for at in range(tokens))


def menu_pieces(dishes: int) -> list[str]:
    """Return the JSON text of a menu in pieces as long as tokens are."""
    menu = [
        {"name": f"Dish number {at}", "price": at + 0.5, "vegan": at % 2 == 0, "tags": ["warm"]}
        for at in range(dishes)
    ]
    text = json.dumps({"restaurant": "The Long Answer", "dishes": menu}, separators=(",", ":"))
    return [text[at : at + 5] for at in range(0, len(text), 5)]


@lru_cache(maxsize=KEPT)
def reply(path: str, body: bytes) -> Reply:
    """Return the answer to a request; the same bytes for the same request."""
    if path == "/api/embed":
        return _plain_bytes(_embeddings(json.loads(body)))
    if path == "/v1/embeddings":
        return _plain(_embeddings_v1(json.loads(body)))
    if path not in ("/api/chat", "/v1/chat/completions"):
        return _plain({"capabilities": ["completion", "tools"], "model_info": {}, "models": []})
    native = path == "/api/chat"
    wanted = _wanted(body, native)
    if not wanted.streamed:
        return _plain(_whole(wanted) if native else _whole_v1(wanted))
    kind = b"application/x-ndjson" if native else b"text/event-stream"
    lines = _lines(wanted) if native else _events(wanted)
    return _streamed(kind, lines, wanted.pause_s)


def _wanted(body: bytes, native: bool) -> Wanted:
    name, stream = NAME.search(body), STREAMED.search(body)
    if name is None:
        raise ValueError(f"no model of the benchmark is asked for: {body[:200]!r}")
    return Wanted(
        model=name["whole"].decode(),
        kind=name["kind"].decode(),
        count=int(name["count"]),
        pause_s=int(name["us"] or 0) / 1e6,
        streamed=native if stream is None else stream[1] == b"true",
        has_result=TOOL_RESULT.search(body) is not None,
    )


def _pieces(wanted: Wanted) -> list[str]:
    if wanted.kind == "menu":
        return menu_pieces(wanted.count)
    return [TOKENS[at % len(TOKENS)] for at in range(wanted.count)]


def _calls_a_tool(wanted: Wanted) -> bool:
    return wanted.kind == "agent" and not wanted.has_result


def _counts(wanted: Wanted) -> dict[str, Any]:
    return {
        "done": True, "done_reason": "stop", "total_duration": 4883583458,
        "load_duration": 1334875, "prompt_eval_count": 26, "prompt_eval_duration": 342546000,
        "eval_count": wanted.count, "eval_duration": 4535599000,
    }  # fmt: skip


def _line(wanted: Wanted, content: str, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    if calls := more.pop("tool_calls", None):
        message["tool_calls"] = calls
    return {"model": wanted.model, "created_at": MADE_AT, "message": message, **more}


def _whole(wanted: Wanted) -> dict[str, Any]:
    if _calls_a_tool(wanted):
        return _line(wanted, "", tool_calls=[TOOL_CALL], **_counts(wanted))
    return _line(wanted, "".join(_pieces(wanted)), **_counts(wanted))


def _lines(wanted: Wanted) -> Iterator[bytes]:
    if _calls_a_tool(wanted):
        yield _dumped(_line(wanted, "", tool_calls=[TOOL_CALL], done=False)) + b"\n"
    else:
        for piece in _pieces(wanted):
            yield _dumped(_line(wanted, piece, done=False)) + b"\n"
    yield _dumped(_line(wanted, "", **_counts(wanted))) + b"\n"


def _usage_v1(wanted: Wanted) -> dict[str, int]:
    return {
        "prompt_tokens": 26,
        "completion_tokens": wanted.count,
        "total_tokens": wanted.count + 26,
    }


def _whole_v1(wanted: Wanted) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(_pieces(wanted))}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "chatcmpl-123", "object": "chat.completion", "created": 1767225600}
    return {**head, "model": wanted.model, "choices": [choice], "usage": _usage_v1(wanted)}


def _events(wanted: Wanted) -> Iterator[bytes]:
    head = {
        "id": "chatcmpl-123", "object": "chat.completion.chunk", "created": 1767225600,
        "model": wanted.model, "system_fingerprint": "fp_ollama",
    }  # fmt: skip
    for piece in [*_pieces(wanted), None]:
        delta = {"role": "assistant", "content": piece or ""}
        end = "stop" if piece is None else None
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        yield b"data: %s\n\n" % _dumped({**head, "choices": [choice]})
    yield b"data: %s\n\n" % _dumped({**head, "choices": [], "usage": _usage_v1(wanted)})
    yield b"data: [DONE]\n\n"


def _embeddings(request: dict[str, Any]) -> bytes:
    texts = request["input"]
    count = len(texts) if isinstance(texts, list) else 1
    vectors = _vectors(int(request["model"].partition("-")[2]))
    tail = {"total_duration": 14143917, "load_duration": 1019500, "prompt_eval_count": count * 8}
    return b'{"model":%s,"embeddings":[%s],%s' % (
        _dumped(request["model"]),
        b",".join(vectors[at % VECTORS] for at in range(count)),
        _dumped(tail)[1:],
    )


def _embeddings_v1(request: dict[str, Any]) -> dict[str, Any]:
    vectors = [json.loads(vector) for vector in _vectors(int(request["model"].partition("-")[2]))]
    if request.get("encoding_format") == "base64":
        vectors = [base64.b64encode(array("f", vector)).decode() for vector in vectors]
    data = [
        {"object": "embedding", "embedding": vectors[at % VECTORS], "index": at}
        for at in range(len(request["input"]))
    ]
    usage = {"prompt_tokens": 8 * len(data), "total_tokens": 8 * len(data)}
    return {"object": "list", "data": data, "model": request["model"], "usage": usage}


@lru_cache(maxsize=4)
def _vectors(size: int) -> list[bytes]:
    # Ollama writes 32-bit numbers in their shortest form: eight digits, give or take one.
    seeded = random.Random(size)
    return [
        _dumped([float(f"{seeded.gauss(0, size**-0.5):.8g}") for _ in range(size)])
        for _ in range(VECTORS)
    ]


def _dumped(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _plain(value: object) -> Reply:
    return _plain_bytes(_dumped(value))


def _plain_bytes(body: bytes) -> Reply:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
    if len(body) <= 2048:
        return Reply((head + b"Content-Length: %d\r\n\r\n" % len(body) + body,))
    # Go's server sends a longer body as one chunk.
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return Reply((head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk,))


def _streamed(kind: bytes, lines: Iterator[bytes], pause_s: float) -> Reply:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % kind
    chunks = [b"%x\r\n%s\r\n" % (len(line), line) for line in lines]
    if not pause_s:
        return Reply((head + b"".join(chunks) + b"0\r\n\r\n",))
    first, *others, last = chunks
    return Reply((head + first, *others, last + b"0\r\n\r\n"), pause_s)
