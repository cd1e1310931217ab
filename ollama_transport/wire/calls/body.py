"""Encode the JSON body of a request, splicing base64 images in unchanged."""

import json
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ollama_transport.errors import ConfigError, UnsupportedContentError
from ollama_transport.schema.remembered import FlattenedTool

_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class Base64:
    """Data that is already base64."""

    data: bytes


def image_data(image: bytes | str) -> Base64:
    """Return an image as base64; text must be that already, a data URI's head is removed.

    Raises:
        UnsupportedContentError: for text that is not base64 (standard alphabet, padded): a path or
            an address is not opened here.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return Base64(b64encode(image))
    if not isinstance(image, str):
        raise UnsupportedContentError(
            f"an image is {image!r:.80}: `images` must be a list of bytes, base64 or data URIs. "
            "Paths are not opened here: pass Path(…).read_bytes()."
        )
    text = image.partition(",")[2] if image.startswith("data:") else image
    # Line ends are removed: the server would skip them, but JSON strings cannot hold them raw.
    data = text.encode("ascii", "replace")
    if b"\n" in data or b"\r" in data:  # rare, and this check takes a tenth of translate's time
        data = data.translate(None, b"\r\n")
    digits = data.rstrip(b"=")
    if len(data) % 4 or len(data) - len(digits) > 2 or digits.translate(None, _DIGITS):
        raise _no_base64(text)
    return Base64(data)


def _no_base64(text: str) -> UnsupportedContentError:
    return UnsupportedContentError(
        f"an image starts {text[:40]!r}, which is not base64 (standard alphabet, padded). Pass its "
        "bytes, base64 or a data URI. Text is never opened as a path or an address; a Client's "
        "keyword forms read a pathlib.Path and an Image(path=…)."
    )


def without_none(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not None."""
    # Ollama treats absent and null alike; where other servers differ, absent is what is meant.
    return {name: value for name, value in body.items() if value is not None}


def encode_body(body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON bytes; that of tools is written once, however often they are sent.

    Raises:
        ConfigError: for a value that JSON cannot represent, such as NaN or a custom object.
    """
    tools = body.get("tools")
    if not isinstance(tools, list) or not all(type(tool) is FlattenedTool for tool in tools):
        return _encoded(body)
    names = list(body)
    at = names.index("tools")
    before, after = (_encoded({n: body[n] for n in part}) for part in (names[:at], names[at + 1 :]))
    whole = b'"tools":[' + b",".join(map(_tool_text, tools)) + b"]"
    return b"{" + b",".join(part for part in (before[1:-1], whole, after[1:-1]) if part) + b"}"


def _tool_text(tool: FlattenedTool) -> bytes:
    if tool.text is None:
        tool.text = _encoded(tool)
    return tool.text


def _encoded(body: Mapping[str, Any]) -> bytes:
    """Return an object as JSON bytes.

    Base64 bypasses the JSON encoder, which would scan megabytes again, on the event loop.
    """
    pieces: list[bytes] = []
    mark = ""

    def splice(value: object) -> str:
        nonlocal mark
        if not isinstance(value, Base64):
            raise TypeError(
                f"JSON cannot represent a {type(value).__name__}; give plain values: {value!r:.80}"
            )
        # Lazily: random bytes cost a system call, and most bodies have no image.
        mark = mark if mark else uuid.uuid4().hex
        pieces.append(value.data)
        return mark

    text = _dumps(body, splice)
    if not pieces:
        return text
    outside = text.split(mark.encode())
    return b"".join(part for pair in zip(outside, [*pieces, b""], strict=True) for part in pair)


def _dumps(body: Mapping[str, Any], splice: Any) -> bytes:
    try:
        text = json.dumps(
            body, default=splice, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the request cannot be written as JSON: {error}") from error
    try:
        return text.encode()
    except UnicodeEncodeError:
        # UTF-8 has no lone surrogates: the server reads them as U+FFFD (wire reference 1.9).
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
