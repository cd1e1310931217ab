"""What a recording says, read off its bytes with the json module alone, without asking ours."""

import base64
import json
import struct
from dataclasses import dataclass
from typing import Any

from recorded import Recording


@dataclass(frozen=True)
class Expected:
    """What a user has to get of a recorded answer; ids are None where the server sent none."""

    text: str
    thinking: str
    calls: tuple[tuple[str | None, str, Any], ...]
    prompt_tokens: int | None
    completion_tokens: int | None


def expected(found: Recording) -> Expected:
    """Return what a recorded chat or completion says."""
    return _openai(found) if found.path.startswith("/v1") else _native(found)


def _native(found: Recording) -> Expected:
    lines = found.objects
    messages = [line.get("message", line) for line in lines]
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    return Expected(
        text=_joined(messages, "content") + _joined(lines, "response"),
        thinking=_joined(messages, "thinking"),
        calls=tuple(
            (call.get("id"), call["function"]["name"], call["function"]["arguments"])
            for call in calls
        ),
        prompt_tokens=lines[-1].get("prompt_eval_count"),
        completion_tokens=lines[-1].get("eval_count"),
    )


def _openai(found: Recording) -> Expected:
    chunks = _events(found.data) if found.is_stream else [json.loads(found.data)]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    messages = [choice.get("delta") or choice.get("message") or choice for choice in choices]
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    usage = usages[-1] if usages else {}
    return Expected(
        text=_joined(messages, "content") + _joined(messages, "text"),
        thinking=_joined(messages, "reasoning"),
        calls=_calls([call for message in messages for call in message.get("tool_calls") or ()]),
        prompt_tokens=usage.get("prompt_tokens"),
        completion_tokens=usage.get("completion_tokens"),
    )


def _calls(pieces: list[Any]) -> tuple[tuple[str | None, str, Any], ...]:
    """Return calls put together of their pieces, in the order of their first ones."""
    found: dict[int, list[Any]] = {}
    for place, piece in enumerate(pieces):
        call = found.setdefault(piece.get("index", place), [None, "", ""])
        call[0] = piece.get("id") or call[0]
        call[1] += piece["function"].get("name") or ""
        call[2] += piece["function"].get("arguments") or ""
    return tuple((identity, name, json.loads(text)) for identity, name, text in found.values())


def _events(data: bytes) -> list[Any]:
    lines = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def _joined(parts: list[Any], key: str) -> str:
    return "".join(part.get(key) or "" for part in parts)


def vectors(found: Recording) -> list[list[float]]:
    """Return the vectors of a recorded answer."""
    answer = json.loads(found.data)
    if "embeddings" in answer:
        return list(answer["embeddings"])
    entries = sorted(answer["data"], key=lambda entry: entry["index"])
    return [_numbers(entry["embedding"]) for entry in entries]


def _numbers(value: str | list[float]) -> list[float]:
    if isinstance(value, list):
        return value
    data = base64.b64decode(value)
    return list(struct.unpack(f"<{len(data) // 4}f", data))
