"""Messages as OpenAI-compatible servers take them."""

import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ollama_transport.errors import UnsupportedContentError
from ollama_transport.wire.calls.body import Base64, image_data
from ollama_transport.wire.values.media_types import mime_of_bytes
from ollama_transport.wire.values.messages import Message, ToolCall

_HEAD_CHARACTERS = 16
"""Characters of base64 that hold the twelve bytes needed to recognise a type."""


def write_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return a history as ``/v1/chat/completions`` takes it; roles stay unchanged.

    Tool calls without an id, as older Ollama servers send them, get one each, and their results
    refer to it.

    Raises:
        UnsupportedContentError: for an image of unknown type.
    """
    ids = _CallIds()
    return [_write_message(message, ids) for message in messages]


class _CallIds:
    """Tracks the calls of one history that still wait for their results."""

    def __init__(self) -> None:
        self._made = 0
        self._waiting: list[tuple[str, str]] = []

    def of_call(self, call: ToolCall) -> str:
        identity = call.id if call.id is not None else self._next()
        self._waiting.append((call.name, identity))
        return identity

    def of_result(self, message: Message) -> str | None:
        """Return the id of the call that a result belongs to; None when there is none."""
        for name, identity in self._waiting:
            if message.tool_call_id == identity or (
                message.tool_call_id is None and message.tool_name in (None, name)
            ):
                self._waiting.remove((name, identity))
                return identity
        return message.tool_call_id

    def _next(self) -> str:
        self._made += 1
        return f"call{self._made:05}"  # Mistral's templates require nine letters and digits


def _write_message(message: Message, ids: _CallIds) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.thinking:
        # Ollama and newer vLLM read the first name, llama.cpp and older vLLM the second; each
        # ignores the other, so the model sees the text once.
        written |= {"reasoning": message.thinking, "reasoning_content": message.thinking}
    if message.tool_calls:
        written["tool_calls"] = [_tool_call(call, ids.of_call(call)) for call in message.tool_calls]
    if message.role == "tool":
        named = {"tool_call_id": ids.of_result(message), "name": message.tool_name}
        written |= {key: value for key, value in named.items() if value is not None}
    return {**written, **message.extra}


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.content
    text = [{"type": "text", "text": message.content}] if message.content else []
    return [*text, *(media_part(image) for image in message.images)]


def _tool_call(call: ToolCall, identity: str) -> dict[str, Any]:
    given = call.arguments
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return {"id": identity, "type": "function", "function": {"name": call.name, "arguments": text}}


def media_part(media: bytes | str) -> dict[str, Any]:
    """Return an image as a part with a data URI, or audio as a part with its format.

    Raises:
        UnsupportedContentError: for text that is not base64; and when the type is not png, jpeg,
            webp, gif, wav or mp3, and no data URI names it.
    """
    data = image_data(media)
    head = _head(data)
    mime = mime_of_bytes(head)
    mime = _declared(media) if mime is None else mime
    if mime is None:
        raise UnsupportedContentError(
            f"an image of unknown type begins with {head!r}: png, jpeg, webp, gif, wav and "
            "mp3 are recognised; pass anything else as a data URI that names its type."
        )
    kind, _, subtype = mime.partition("/")
    if kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": data, "format": subtype}}
    uri = replace(data, prefix=f"data:{mime};base64,".encode())
    return {"type": "image_url", "image_url": {"url": uri}}


def _head(data: Base64) -> bytes:
    whole = min(_HEAD_CHARACTERS, len(data.head) // 4 * 4)
    return b64decode(data.head[:whole])


def _declared(media: bytes | str) -> str | None:
    if not isinstance(media, str) or not media.startswith("data:"):
        return None
    mime = media[5 : media.find(",")].partition(";")[0]
    return mime if "/" in mime else None
