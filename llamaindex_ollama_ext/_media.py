"""Load the data of images and audio: from the block, from a caller's path, or from the web.

A URL is fetched once in a block's life, since the history of a chat is sent again with every turn.
"""

import asyncio
import weakref
from collections.abc import Mapping, Sequence
from io import IOBase
from pathlib import Path

from llama_index.core.base.llms.types import ImageBlock

from llamaindex_ollama_ext._blocks import Media, MediaBlock
from ollama_transport import UnsupportedContentError
from ollama_transport.conversation import (
    FetchLimits,
    afetch_media,
    data_of,
    fetch_media,
    is_address,
)

# Not on the blocks: LlamaIndex would write the data into every dump of the history.
_FETCHED: dict[tuple[int, str], bytes] = {}


def load_media(blocks: Sequence[MediaBlock], limits: FetchLimits | None) -> Media:
    """Return the data of images and audio, by the ``id`` of their blocks.

    ``limits`` are the limits of downloads; None fetches nothing.

    Raises:
        UnsupportedContentError: for a URL that is not or cannot be fetched, a block without data,
            or a file that cannot be read.
    """
    if not blocks:
        return {}
    # By id: pydantic's blocks are not hashable, and equal ones may later hold different images.
    found = {id(block): _at_hand(block) for block in blocks}
    missing = _addresses(blocks, found, limits)
    fetched = {} if limits is None else fetch_media(list(missing.values()), limits)
    files = {key: _read_file(path) for key, path in _paths(blocks, found).items()}
    return {**_present(found), **files, **_kept(blocks, missing, fetched)}


async def aload_media(blocks: Sequence[MediaBlock], limits: FetchLimits | None) -> Media:
    """Same as `load_media`, without blocking the event loop."""
    if not blocks:
        return {}
    found = {id(block): _at_hand(block) for block in blocks}
    missing = _addresses(blocks, found, limits)
    fetched = {} if limits is None else await afetch_media(list(missing.values()), limits)
    paths = _paths(blocks, found)
    files = {key: await asyncio.to_thread(_read_file, path) for key, path in paths.items()}
    return {**_present(found), **files, **_kept(blocks, missing, fetched)}


def _present(found: Mapping[int, bytes | str | None]) -> dict[int, bytes | str]:
    return {key: data for key, data in found.items() if data is not None}


def _paths(
    blocks: Sequence[MediaBlock], found: Mapping[int, bytes | str | None]
) -> dict[int, Path]:
    missing = [block for block in blocks if found[id(block)] is None]
    return {id(block): Path(block.path) for block in missing if block.path is not None}


def _at_hand(block: MediaBlock) -> bytes | str | None:
    data = block.image if isinstance(block, ImageBlock) else block.audio
    if isinstance(data, IOBase):
        return _read_stream(data)
    if data:
        # LlamaIndex's validators turn bytes into base64; data assigned later may still be raw.
        try:
            return data.decode("ascii")
        except UnicodeDecodeError:
            return data
    url = _url(block)
    if block.path is None and url.startswith("data:"):
        return data_of(url)
    return None if block.path is not None else _FETCHED.get((id(block), url))


def _read_stream(stream: IOBase) -> bytes:
    # The position is restored: the stream is the caller's, and the next turn reads it again.
    position = stream.tell()
    stream.seek(0)
    data = stream.read()
    stream.seek(position)
    return bytes(data)


def _url(block: MediaBlock) -> str:
    return "" if block.url is None else str(block.url)


def _addresses(
    blocks: Sequence[MediaBlock],
    found: Mapping[int, bytes | str | None],
    limits: FetchLimits | None,
) -> dict[int, str]:
    """Return the URLs to fetch, by the ``id`` of their blocks."""
    missing = [block for block in blocks if found[id(block)] is None and block.path is None]
    return {id(block): _checked_url(block, limits) for block in missing}


def _checked_url(block: MediaBlock, limits: FetchLimits | None) -> str:
    url = _url(block)
    if not url:
        raise UnsupportedContentError(
            f"a message has an {type(block).__name__} without data: give bytes, path or url."
        )
    # Never file: or the like: untrusted messages must not name files of this machine.
    if not is_address(url):
        raise UnsupportedContentError(
            f"{url[:80]!r} is not fetched: give an http(s) URL, a data URI, or the file as `path`."
        )
    if limits is None:
        raise UnsupportedContentError(
            f"{url[:200]} is a URL, but fetch_image_urls is False: pass bytes or base64."
        )
    return url


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnsupportedContentError(f"a file in a message cannot be read: {error}.") from error


def _kept(
    blocks: Sequence[MediaBlock], missing: Mapping[int, str], fetched: Mapping[str, bytes]
) -> dict[int, bytes]:
    """Return fetched data by the ``id`` of its block, and cache it as long as the block lives."""
    kept = {}
    for block in blocks:
        if id(block) in missing:
            url = missing[id(block)]
            kept[id(block)] = _FETCHED[id(block), url] = fetched[url]
            # The finalizer also guards against the reuse of an id. It need not run at exit.
            weakref.finalize(block, _FETCHED.pop, (id(block), url), None).atexit = False
    return kept
