"""Find images and audio in messages, in every provider's format; files are never read from disk.

URLs are fetched only if the caller allows it, before the messages are mapped; the mapping itself
does no I/O.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ollama_transport import UnsupportedContentError
from ollama_transport.conversation import Fetched, data_of, is_address

NO_MEDIA: Fetched = {}

_DATA_KEYS = ("base64", "data", "bytes", "blob")
_IMAGE_KINDS = frozenset({"image", "image_url", "input_image"})
_AUDIO_KINDS = frozenset({"audio", "input_audio", "audio_url"})
_MEDIA_KINDS = _IMAGE_KINDS | _AUDIO_KINDS | {"media", "file", "input_file"}
_REFUSED: Mapping[str, str] = {
    "document": "Extract its text (a document loader does that) and send the text.",
    "file": "Extract its text (a document loader does that) and send the text.",
    "input_file": "Extract its text (a document loader does that) and send the text.",
    "media": "Only images and audio can be sent.",
    "video": "Send single frames of it as images.",
    "video_url": "Send single frames of it as images.",
    "input_video": "Send single frames of it as images.",
}


def media_of(kind: str, block: Mapping[str, Any], fetched: Fetched) -> bytes | str | None:
    """Return the bytes or the base64 of an image or audio block; None when it is not media.

    Raises:
        UnsupportedContentError: for files, video, references to a provider's storage, and
            URLs that were not fetched.
    """
    # Whether "file" and "media" are images or audio depends on the type of their data.
    if kind in _MEDIA_KINDS and (kind in _IMAGE_KINDS | _AUDIO_KINDS or _is_playable(block)):
        return _data(kind, block, fetched)
    if kind in _REFUSED:
        raise UnsupportedContentError(
            f"{_described(kind, block)} cannot be sent to Ollama. {_REFUSED[kind]}"
        )
    return None


def _is_playable(block: Mapping[str, Any]) -> bool:
    """Return whether a block called file or media holds an image or audio."""
    return _mime(block).startswith(("image/", "audio/"))


def _mime(block: Mapping[str, Any]) -> str:
    for part in (block, *_sources(block)):
        for key in ("mime_type", "mimeType", "media_type"):
            if isinstance(part.get(key), str):
                return str(part[key])
    found = next(iter(_values(block)), "")
    if isinstance(found, str) and found.startswith("data:"):
        return found[5:].partition(";")[0].partition(",")[0]
    return ""


def _described(kind: str, block: Mapping[str, Any]) -> str:
    named = [part for part in (block, *_sources(block)) if isinstance(part, Mapping)]
    keys = ("filename", "file_name", "name", "title")
    name = next((part[key] for part in named for key in keys if part.get(key)), None)
    mime = _mime(block)
    label = f"the {kind}" + (f" {name!r}" if name else "")
    return f"{label} ({mime})" if mime else label


def _sources(block: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the objects inside a block that may hold its data, the innermost last."""
    keys = ("source", "image_url", "input_audio", "audio_url", "image", "audio", "file")
    for key in (*keys, "inline_data", "inlineData"):
        inner = block.get(key)
        if isinstance(inner, Mapping):
            yield inner
            yield from _sources(inner)


def _values(block: Mapping[str, Any]) -> Iterator[bytes | str]:
    """Yield a block's data and URLs, data first."""
    parts = [block, *_sources(block)]
    # Data first: a block may give its origin as a URL beside it.
    for keys in ((*_DATA_KEYS, "file_data"), ("url", "image_url", "audio_url", "file_uri")):
        for part in parts:
            for key in keys:
                value = part.get(key)
                if isinstance(value, bytes | bytearray | memoryview | str) and len(value):
                    yield value if isinstance(value, str) else bytes(value)


def _data(kind: str, block: Mapping[str, Any], fetched: Fetched) -> bytes | str:
    value = next(_values(block), None)
    if value is None:
        raise UnsupportedContentError(
            f"{_described(kind, block)} has no data: give base64, bytes or a data URI. Files "
            "stored at another provider (file_id) cannot be read."
        )
    if isinstance(value, bytes):
        return value
    # The rest is text: a URL, a data URI, or base64, which the transport checks. It is never tried
    # as a path, since the author of the message could then choose which of our files is sent.
    if is_address(value):
        return _fetched(value, fetched)
    return data_of(value) if value.startswith("data:") else value


def _fetched(url: str, fetched: Fetched) -> bytes:
    if url not in fetched:
        raise UnsupportedContentError(
            f"{url[:200]} is a URL, but Ollama needs the bytes of images: download it and pass "
            "base64 or bytes, or set fetch_image_urls=True to have images downloaded here."
        )
    return fetched[url]


def image_addresses(contents: Iterable[str | Sequence[Any]]) -> list[str]:
    """Return the http(s) URLs of images in the contents of messages, each once."""
    found: dict[str, None] = {}
    for content in contents:
        for block in () if isinstance(content, str) else content:
            if isinstance(block, Mapping):
                found.update(dict.fromkeys(_addresses(block)))
    return list(found)


def _addresses(block: Mapping[str, Any]) -> list[str]:
    if block.get("type") == "tool_result":
        return image_addresses([block.get("content") or ()])
    kind = block.get("type", "image_url" if "image_url" in block else "")
    if kind not in _IMAGE_KINDS and not (kind in _MEDIA_KINDS and _is_playable(block)):
        return []
    value = next(_values(block), None)
    return [value] if isinstance(value, str) and is_address(value) else []
