"""Images and audio in messages: found in every provider's way of writing, never taken from disk.

Addresses are followed only where the caller allowed it, by `fetch_images` and `afetch_images`,
before the messages are mapped; the mapping itself does no I/O.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ollama_transport import UnsupportedContentError

Fetched = Mapping[str, bytes]
"""Images by the address they came from."""

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
    """Return the bytes or the base64 of an image or audio block; None when it is no media at all.

    Raises:
        UnsupportedContentError: for files, video, references to a provider's storage, and
            addresses that were not fetched.
    """
    # "file" and "media" are what the type of their data says they are.
    if kind in _MEDIA_KINDS and (kind in _IMAGE_KINDS | _AUDIO_KINDS or _is_playable(block)):
        return _data(kind, block, fetched)
    if kind in _REFUSED:
        raise UnsupportedContentError(
            f"{_described(kind, block)} cannot be sent to Ollama. {_REFUSED[kind]}"
        )
    return None


def _is_playable(block: Mapping[str, Any]) -> bool:
    """Tell whether something called file or media is an image or audio all the same."""
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
    """Yield what a block holds as data or as an address, data first."""
    parts = [block, *_sources(block)]
    # Data first: a block may tell its origin beside it.
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
            f"{_described(kind, block)} holds no data: give base64, bytes or a data URI. Files "
            "that lie with another provider (file_id) are not within reach."
        )
    if isinstance(value, bytes):
        return value
    # The rest is text: an address, a data URI, or base64, which the transport checks. No path
    # is tried, since whoever writes the message would choose which file of ours is sent.
    if _is_address(value):
        return _fetched(value, fetched)
    return _base64(value) if value.startswith("data:") else value


def _is_address(value: str) -> bool:
    return value[:8].lower().startswith(("http://", "https://"))


def _base64(uri: str) -> str:
    head, comma, data = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise UnsupportedContentError(
            f"the data URI {uri[:40]!r}… is not base64: write data:image/png;base64,…"
        )
    return data


def _fetched(url: str, fetched: Fetched) -> bytes:
    if url not in fetched:
        raise UnsupportedContentError(
            f"{url[:200]} is an address, and Ollama takes the bytes of images: download it and "
            "pass base64 or bytes, or set fetch_image_urls=True to have images downloaded here."
        )
    return fetched[url]


def image_addresses(contents: Iterable[str | Sequence[Any]]) -> list[str]:
    """Return the http(s) addresses of images in the contents of messages, each once."""
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
    return [value] if isinstance(value, str) and _is_address(value) else []


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bound a download: size in bytes, time in seconds for each image."""

    max_bytes: int
    timeout_s: float


def fetch_images(urls: Sequence[str], limits: FetchLimits) -> dict[str, bytes]:
    """Download images, one after the other.

    No key or header of the model's server goes along.

    Raises:
        UnsupportedContentError: when one cannot be had, is no image, or exceeds a limit.
    """
    import httpx  # loaded already wherever a request has been made; not wanted by the import

    images = {}
    with httpx.Client(**_client_arguments(limits)) as http:
        # One after the other: a conversation seldom has many.
        for url in urls:
            download = _Download(url, limits)
            try:
                with http.stream("GET", url) as response:
                    download.begin(response.status_code, response.headers)
                    for piece in response.iter_bytes():
                        download.take(piece)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise download.failed(_reason(error)) from error
            images[url] = bytes(download.data)
    return images


async def afetch_images(urls: Sequence[str], limits: FetchLimits) -> dict[str, bytes]:
    """Download images at the same time; as `fetch_images`."""
    import httpx  # as above

    async def fetch(http: httpx.AsyncClient, url: str) -> bytes:
        download = _Download(url, limits)
        try:
            async with http.stream("GET", url) as response:
                download.begin(response.status_code, response.headers)
                async for piece in response.aiter_bytes():
                    download.take(piece)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise download.failed(_reason(error)) from error
        return bytes(download.data)

    async with httpx.AsyncClient(**_client_arguments(limits)) as http:
        tasks = [asyncio.ensure_future(fetch(http, url)) for url in urls]
        try:
            return dict(zip(urls, await asyncio.gather(*tasks), strict=True))
        finally:
            # The others are of no use once one has failed, and must not outlive the client.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _reason(error: Exception) -> str:
    # The timeouts of httpx's async client have no text of their own.
    said = str(error)
    return said if said else type(error).__name__


def _client_arguments(limits: FetchLimits) -> dict[str, Any]:
    from ollama_transport.net import ssl_context

    return {
        "timeout": limits.timeout_s,
        "follow_redirects": True,
        "verify": ssl_context(),
    }


class _Download:
    """Hold one image as it comes, within its limits."""

    def __init__(self, url: str, limits: FetchLimits) -> None:
        self.data = bytearray()
        self._url = url
        self._limits = limits
        self._deadline = time.monotonic() + limits.timeout_s

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of the answer."""
        # Redirects were followed: what is left is a failure.
        if status != 200:
            raise self.failed(f"the server there answered {status}")
        kind = headers.get("content-type", "")
        if not kind.startswith(("image/", "application/octet-stream")):
            raise self.failed(f"that is {kind if kind else 'of no stated type'}, no image")

    def take(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.data += piece
        if len(self.data) > self._limits.max_bytes:
            raise self.failed(f"it is larger than fetch_max_bytes={self._limits.max_bytes}")
        # httpx bounds each wait, not their sum: a server that drips would hold us for ever.
        if time.monotonic() > self._deadline:
            raise self.failed(f"it took longer than fetch_timeout_s={self._limits.timeout_s:g}")

    def failed(self, why: str) -> UnsupportedContentError:
        """Return (not raise) the error for this image."""
        return UnsupportedContentError(
            f"the image at {self._url[:200]} was not fetched: {why}. Pass its bytes instead."
        )
