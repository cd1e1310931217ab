"""The data of images and sounds: at hand, from a path of the caller's, or from the web.

Addresses are fetched in async code without blocking the loop, and once for a block's life: the
history of a chat is sent again with every turn. Nothing of the Ollama server's credentials goes
along.
"""

import asyncio
import weakref
from collections.abc import Sequence
from io import IOBase
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import httpx
from llama_index.core.base.llms.types import AudioBlock, ImageBlock

from llamaindex_ollama_ext._blocks import Media, MediaBlock
from ollama_transport import UnsupportedContentError
from ollama_transport.net import ssl_context

FETCH_TIMEOUT_S = 60.0
MAX_BYTES = 64 * 1024 * 1024
"""Longest image or sound that is fetched."""

# A client for each fetch: addresses are many and seldom the same, and none may see our headers.
_HOW: dict[str, Any] = {"timeout": FETCH_TIMEOUT_S, "follow_redirects": True}
_FETCHED: dict[tuple[int, str], bytes] = {}


def load_media(blocks: Sequence[MediaBlock]) -> Media:
    """Return the data of images and sounds, by the ``id`` of their blocks.

    Raises:
        UnsupportedContentError: for an address that cannot be fetched, a block without data, or a
            file that cannot be read.
    """
    # Blocks of pydantic cannot be keys, and equal ones need not be the same image for ever.
    found = {id(block): _at_hand(block) for block in blocks}
    missing = [block for block in blocks if found[id(block)] is None]
    return {**_present(found), **{id(block): _load(block) for block in missing}}


async def aload_media(blocks: Sequence[MediaBlock]) -> Media:
    """Do as `load_media`, the addresses all at once."""
    found = {id(block): _at_hand(block) for block in blocks}
    missing = [block for block in blocks if found[id(block)] is None]
    loaded = await asyncio.gather(*(_aload(block) for block in missing))
    return {**_present(found), **{id(b): data for b, data in zip(missing, loaded, strict=True)}}


def _present(found: dict[int, bytes | str | None]) -> dict[int, bytes | str]:
    return {key: data for key, data in found.items() if data is not None}


def _at_hand(block: MediaBlock) -> bytes | str | None:
    data = block.image if isinstance(block, ImageBlock) else block.audio
    if isinstance(data, IOBase):
        return _read_stream(data)
    if data:
        # LlamaIndex keeps bytes as base64; what was assigned later may be raw.
        return data.decode() if data.isascii() else data
    url = _url(block)
    if block.path is None and url.startswith("data:"):
        return _data_url(url)
    return None if block.path is not None else _FETCHED.get((id(block), url))


def _read_stream(stream: IOBase) -> bytes:
    # Left as it was: the next turn sends it again, and it is the caller's.
    position = stream.tell()
    stream.seek(0)
    data = stream.read()
    stream.seek(position)
    return bytes(data)


def _data_url(url: str) -> bytes | str:
    head, _, data = url.partition(",")
    # Base64 goes to the server as it stands, without being decoded and encoded again.
    return data if head.endswith(";base64") else unquote_to_bytes(data)


def _url(block: MediaBlock) -> str:
    return "" if block.url is None else str(block.url)


def _load(block: MediaBlock) -> bytes:
    if block.path is not None:
        return _read_file(Path(block.path))
    url = _checked_url(block)
    try:
        with httpx.Client(**_HOW, verify=ssl_context()) as http, http.stream("GET", url) as answer:
            body = bytearray()
            for piece in _checked(answer, url).iter_bytes():
                body += _within_limit(piece, len(body), url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(url, error) from error
    return _keep(block, url, bytes(body))


async def _aload(block: MediaBlock) -> bytes:
    if block.path is not None:
        return await asyncio.to_thread(_read_file, Path(block.path))
    url = _checked_url(block)
    try:
        async with (
            httpx.AsyncClient(**_HOW, verify=ssl_context()) as http,
            http.stream("GET", url) as answer,
        ):
            body = bytearray()
            async for piece in _checked(answer, url).aiter_bytes():
                body += _within_limit(piece, len(body), url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(url, error) from error
    return _keep(block, url, bytes(body))


def _checked_url(block: MediaBlock) -> str:
    url = _url(block)
    # No file: and the like: a message may come from anywhere, this machine's files do not.
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        return url
    kind = "sound" if isinstance(block, AudioBlock) else "image"
    if not url:
        raise UnsupportedContentError(
            f"a message has an {type(block).__name__} with nothing in it: give bytes, path or url."
        )
    raise UnsupportedContentError(
        f"the {kind} at {url[:80]!r} is not fetched: give an http(s) address or a data URL, or the "
        "file as `path`."
    )


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnsupportedContentError(f"the file of a message cannot be read: {error}.") from error


def _checked(response: httpx.Response, url: str) -> httpx.Response:
    if response.is_success:
        return response
    raise UnsupportedContentError(
        f"what a message names at {url} cannot be fetched: its server answered "
        f"{response.status_code}. Fetch it yourself and give the bytes."
    )


def _within_limit(piece: bytes, so_far: int, url: str) -> bytes:
    # While it comes, since a server need not say beforehand how much it is going to send.
    if so_far + len(piece) <= MAX_BYTES:
        return piece
    raise UnsupportedContentError(f"what a message names at {url} is over {MAX_BYTES} bytes long.")


def _unreachable(url: str, error: Exception) -> UnsupportedContentError:
    return UnsupportedContentError(
        f"what a message names at {url} cannot be fetched: {type(error).__name__}: {error}."
    )


def _keep(block: MediaBlock, url: str, data: bytes) -> bytes:
    key = (id(block), url)
    _FETCHED[key] = data
    # At the end of the process there is nothing left to tidy up.
    weakref.finalize(block, _FETCHED.pop, key, None).atexit = False
    return data
