"""The data of images and sounds: at hand, from a path of the caller's, or from the web.

An address is fetched once in a block's life, since the history of a chat is sent again with every
turn.
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

_FETCHED: dict[tuple[int, str], bytes] = {}


def load_media(blocks: Sequence[MediaBlock], limits: FetchLimits | None) -> Media:
    """Return the data of images and sounds, by the ``id`` of their blocks.

    ``limits`` bounds what is fetched from addresses; None fetches nothing.

    Raises:
        UnsupportedContentError: for an address that is not or cannot be fetched, a block without
            data, or a file that cannot be read.
    """
    # Blocks of pydantic cannot be keys, and equal ones need not be the same image for ever.
    found = {id(block): _at_hand(block) for block in blocks}
    missing = _addresses(blocks, found, limits)
    fetched = {} if limits is None else fetch_media(list(missing.values()), limits)
    files = {key: _read_file(path) for key, path in _paths(blocks, found).items()}
    return {**_present(found), **files, **_kept(blocks, missing, fetched)}


async def aload_media(blocks: Sequence[MediaBlock], limits: FetchLimits | None) -> Media:
    """Same as `load_media`, without blocking the event loop."""
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
        # LlamaIndex keeps bytes as base64; what was assigned later may be raw.
        return data.decode() if data.isascii() else data
    url = _url(block)
    if block.path is None and url.startswith("data:"):
        return data_of(url)
    return None if block.path is not None else _FETCHED.get((id(block), url))


def _read_stream(stream: IOBase) -> bytes:
    # Left as it was: the next turn sends it again, and it is the caller's.
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
    """Return the addresses to fetch, by the ``id`` of their blocks."""
    missing = [block for block in blocks if found[id(block)] is None and block.path is None]
    return {id(block): _checked_url(block, limits) for block in missing}


def _checked_url(block: MediaBlock, limits: FetchLimits | None) -> str:
    url = _url(block)
    if not url:
        raise UnsupportedContentError(
            f"a message has an {type(block).__name__} with nothing in it: give bytes, path or url."
        )
    # No file: and the like: a message may come from anywhere, this machine's files do not.
    if not is_address(url):
        raise UnsupportedContentError(
            f"{url[:80]!r} is not fetched: give an http(s) address or a data URL, or the file as "
            "`path`."
        )
    if limits is None:
        raise UnsupportedContentError(
            f"{url[:200]} is an address, and fetch_image_urls is False: pass bytes or base64."
        )
    return url


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnsupportedContentError(f"the file of a message cannot be read: {error}.") from error


def _kept(
    blocks: Sequence[MediaBlock], missing: Mapping[int, str], fetched: Mapping[str, bytes]
) -> dict[int, bytes]:
    """Return what was fetched by the ``id`` of its block, and keep it as long as the block."""
    kept = {}
    for block in blocks:
        if id(block) in missing:
            url = missing[id(block)]
            kept[id(block)] = _FETCHED[id(block), url] = fetched[url]
            # At the end of the process there is nothing left to tidy up.
            weakref.finalize(block, _FETCHED.pop, (id(block), url), None).atexit = False
    return kept
