"""Encode the JSON body of a request; images are encoded and checked in pieces, around the JSON."""

import json
import uuid
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from ollama_transport.errors import ConfigError, UnsupportedContentError
from ollama_transport.schema.remembered import FlattenedTool

PIECE_BYTES = 1024 * 1024
"""Bytes of base64 that are made or checked at a time, which takes a millisecond or two."""

_CHECKED_AT_ONCE = 64 * 1024
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class Base64:
    """Data that is sent as base64, after ``prefix``.

    ``data`` is bytes to encode, or text that is base64 already and begins at ``start``.
    """

    data: bytes | str
    start: int = 0
    prefix: bytes = b""

    @property
    def most_bytes(self) -> int:
        """Return an upper bound of the bytes that are sent."""
        given = len(self.data)
        made = given if isinstance(self.data, str) else (given + 2) // 3 * 4
        return len(self.prefix) + made

    @property
    def head(self) -> bytes:
        """Return the first characters of the data as base64: those of twelve bytes or more."""
        if isinstance(self.data, str):
            return _ascii(self.data[self.start : self.start + 64])
        return b64encode(self.data[:12])

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes to send, piece by piece.

        Raises:
            UnsupportedContentError: for text that is not base64.
        """
        yield self.prefix
        if isinstance(self.data, str):
            yield from _checked(self.data, self.start)
            return
        view, step = memoryview(self.data), PIECE_BYTES // 4 * 3
        for at in range(0, len(view), step):
            yield b64encode(view[at : at + step])


def image_data(image: bytes | str) -> Base64:
    """Return an image as base64; text must be that already, a data URI's head is removed.

    Text is checked here as far as its first 64 KiB, and the rest where it is written.

    Raises:
        UnsupportedContentError: for text that is not base64 (standard alphabet, padded): a path or
            an address is not opened here.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        # A copy of what its owner may change before it is sent.
        return Base64(image if isinstance(image, bytes) else bytes(image))
    if not isinstance(image, str):
        raise UnsupportedContentError(
            f"an image is {image!r:.80}: `images` must be a list of bytes, base64 or data URIs. "
            "Paths are not opened here: pass Path(…).read_bytes()."
        )
    # Not cut here: a copy of megabytes takes as long as checking them.
    start = image.find(",") + 1 if image.startswith("data:") else 0
    if len(image) - start > _CHECKED_AT_ONCE:
        check = _Check(image, start)
        check.piece(start, start + _CHECKED_AT_ONCE)
        check.goes_on()
    else:
        for _ in _checked(image, start):
            pass
    return Base64(image, start=start)


def _checked(text: str, start: int) -> Iterator[bytes]:
    """Yield text of base64 as bytes, without line ends, piece by piece."""
    check = _Check(text, start)
    for at in range(start, len(text), PIECE_BYTES):
        yield check.piece(at, at + PIECE_BYTES)
    check.end()


class _Check:
    """Checks text of base64 piece by piece."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self._length = 0
        self._pads = 0

    def piece(self, start: int, stop: int) -> bytes:
        data = _ascii(self._text[start:stop])
        digits = data.rstrip(b"=")
        if digits:
            self.goes_on()
        self._length += len(data)
        self._pads += len(data) - len(digits)
        if digits.translate(None, _DIGITS):
            raise self._failure()
        return data

    def goes_on(self) -> None:
        if self._pads:
            raise self._failure()

    def end(self) -> None:
        if self._length % 4 or self._pads > 2:
            raise self._failure()

    def _failure(self) -> UnsupportedContentError:
        return _no_base64(self._text[self._start : self._start + 40])


def _ascii(text: str) -> bytes:
    # Line ends are removed: the server would skip them, but JSON strings cannot hold them raw.
    data = text.encode("ascii", "replace")
    if b"\n" in data or b"\r" in data:  # rare, and this check takes a tenth of translate's time
        data = data.translate(None, b"\r\n")
    return data


def _no_base64(text: str) -> UnsupportedContentError:
    return UnsupportedContentError(
        f"an image starts {text!r}, which is not base64 (standard alphabet, padded). Pass its "
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
        UnsupportedContentError: for an image of text that is not base64.
    """
    writing = Writing(body)
    for _ in writing.steps():
        pass
    return writing.written()


class Writing:
    """Writes a body as JSON bytes: the JSON at once, then images piece by piece.

    Raises:
        ConfigError: see `encode_body`.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._parts = _with_tools(body)
        self._file: BytesIO | None = None

    def steps(self) -> Iterator[int]:
        """Write pieces of images, and yield the size of each in bytes; nothing without images.

        Raises:
            UnsupportedContentError: see `encode_body`.
        """
        if len(self._parts) == 1:
            return
        # Room for all of it from the start: growing would copy megabytes.
        self._file = BytesIO(bytes(sum(map(_most_bytes, self._parts))))
        for part in self._parts:
            for piece in (part,) if isinstance(part, bytes) else part.pieces():
                yield self._file.write(piece)
        self._file.truncate()

    def written(self) -> bytes:
        """Return the body after the last step."""
        # Without a copy: the file gives away what it holds.
        return self._parts[0] if self._file is None else self._file.getvalue()


def _most_bytes(part: bytes | Base64) -> int:
    return len(part) if isinstance(part, bytes) else part.most_bytes


def _with_tools(body: Mapping[str, Any]) -> list[Any]:
    """Return a body as one text of JSON; as several with images between them where it has some."""
    tools = body.get("tools")
    if not isinstance(tools, list) or not all(type(tool) is FlattenedTool for tool in tools):
        return _encoded(body)
    names = list(body)
    at = names.index("tools")
    before, after = (_encoded({n: body[n] for n in part}) for part in (names[:at], names[at + 1 :]))
    # Their brackets become one pair around all three.
    ends = b"," if len(before) > 1 or len(before[0]) > 2 else b"", b"," if after != [b"{}"] else b""
    whole = b'%b"tools":[%b]%b' % (ends[0], b",".join(map(_tool_text, tools)), ends[1])
    joint = before[-1][:-1] + whole + after[0][1:]
    return [*before[:-1], joint, *after[1:]]


def _tool_text(tool: FlattenedTool) -> bytes:
    if tool.text is None:
        tool.text = b"".join(_encoded(tool))
    return tool.text


def _encoded(body: Mapping[str, Any]) -> list[Any]:
    """Return an object as one text of JSON, or as several with images between them.

    The encoder does not see images: it would scan megabytes again, on the event loop.
    """
    images: list[Base64] = []
    mark = ""

    def splice(value: object) -> str:
        nonlocal mark
        if not isinstance(value, Base64):
            raise TypeError(
                f"JSON cannot represent a {type(value).__name__}; give plain values: {value!r:.80}"
            )
        # Lazily: random bytes cost a system call, and most bodies have no image.
        mark = mark if mark else uuid.uuid4().hex
        images.append(value)
        return mark

    text = _dumps(body, splice)
    if not images:
        return [text]
    first, *others = text.split(mark.encode())
    pairs = zip(images, others, strict=True)
    return [first, *(part for pair in pairs for part in pair)]


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
