"""The content of an answer, decoded step by step, so that a small body cannot fill the memory.

httpx decodes all that one read of the socket has brought: of 64 KiB gzip makes 64 MiB, and zstd
gigabytes. Here every step makes little, and the sum has a limit.
"""

from collections.abc import AsyncGenerator, Generator, Iterator

import httpx

from ollama_transport.errors import ProtocolError
from ollama_transport.settings.bounds import MAX_ERROR_BYTES

_STEP_BYTES = 256
"""Bytes that are decoded at a time; gzip makes 264 KB of them at most, zstd 8 MB."""


class _Content:
    """Decode one answer's content and count it."""

    def __init__(self, response: httpx.Response, limit: int) -> None:
        codings = response.headers.get_list("content-encoding", split_commas=True)
        coded = [name for name in codings if name.strip().lower() != "identity"]
        if len(coded) > 1:
            raise ProtocolError(f"the answer is coded more than once ({', '.join(coded)}).")
        # Whoever made or watched the response may have read it, and so decoded it, already.
        self.is_plain = not coded or response.is_stream_consumed
        self._response = response
        self._decoder = response._get_content_decoder()
        self._limit = limit
        self._left = limit

    def counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise ProtocolError(
                f"the answer is longer than max_answer_bytes={self._limit}: it is read no further. "
                "Ask for less at once, or raise that limit."
            )
        return data

    def decoded(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _STEP_BYTES):
            yield self._step(data[at : at + _STEP_BYTES])

    def rest(self) -> bytes:
        return self._step(None)

    def _step(self, data: bytes | None) -> bytes:
        try:
            made = self._decoder.flush() if data is None else self._decoder.decode(data)
        except httpx.DecodingError as error:
            error.request = self._response.request
            raise
        return self.counted(made)


def iter_content(response: httpx.Response, limit: int) -> Generator[bytes]:
    """Yield the decoded content of an answer as it comes.

    Raises:
        ProtocolError: when there is more than the limit, in bytes.
        httpx.HTTPError: as `iter_raw`.
    """
    content = _Content(response, limit)
    pieces = response.iter_bytes() if response.is_stream_consumed else response.iter_raw()
    for data in pieces:
        if content.is_plain:
            yield content.counted(data)
        else:
            yield from content.decoded(data)
    if not content.is_plain:
        yield content.rest()


async def aiter_content(response: httpx.Response, limit: int) -> AsyncGenerator[bytes]:
    """Same as `iter_content`, for asyncio."""
    content = _Content(response, limit)
    pieces = response.aiter_bytes() if response.is_stream_consumed else response.aiter_raw()
    async for data in pieces:
        if content.is_plain:
            yield content.counted(data)
        else:
            for piece in content.decoded(data):
                yield piece
    if not content.is_plain:
        yield content.rest()


def read_content(response: httpx.Response, limit: int) -> bytes:
    """Return the whole content; raises as `iter_content`."""
    return b"".join(iter_content(response, limit))


async def aread_content(response: httpx.Response, limit: int) -> bytes:
    """Same as `read_content`, for asyncio."""
    return b"".join([piece async for piece in aiter_content(response, limit)])


def read_start(response: httpx.Response) -> bytes:
    """Return the first MAX_ERROR_BYTES of an error's content, and read no further."""
    start = bytearray()
    for piece in iter_content(response, 2 * MAX_ERROR_BYTES + 8 * 1024 * 1024):
        start += piece
        if len(start) >= MAX_ERROR_BYTES:
            break
    return bytes(start[:MAX_ERROR_BYTES])


async def aread_start(response: httpx.Response) -> bytes:
    """Same as `read_start`, for asyncio."""
    start = bytearray()
    async for piece in aiter_content(response, 2 * MAX_ERROR_BYTES + 8 * 1024 * 1024):
        start += piece
        if len(start) >= MAX_ERROR_BYTES:
            break
    return bytes(start[:MAX_ERROR_BYTES])
