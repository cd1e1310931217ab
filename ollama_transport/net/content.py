"""The content of an answer, decoded step by step, so that a small body cannot fill the memory.

httpx decodes everything that one read of the socket returned: 64 KiB can become 64 MiB with gzip,
and gigabytes with zstd. Here each step decodes a little, and the total has a limit.
"""

from collections.abc import AsyncGenerator, Generator, Iterator

import httpx

from ollama_transport.errors import ProtocolError
from ollama_transport.settings.bounds import MAX_ERROR_BYTES

_STEP_BYTES = 256
"""Bytes decoded at a time; they become 264 KB at most with gzip, 8 MB with zstd."""


class _Content:
    """Decodes the content of one answer and counts its bytes."""

    def __init__(self, response: httpx.Response, limit: int) -> None:
        coded = _codings(response.headers)
        if len(coded) > 1:
            raise ProtocolError(
                f"the answer has more than one content encoding ({', '.join(coded)}): make the "
                "server, or the proxy in between, use at most one."
            )
        # A mock or an event hook may have read the response, and so decoded it, already.
        self.is_plain = not coded or response.is_stream_consumed
        self._response = response
        self._limit = limit
        self._left = limit

    def counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise ProtocolError(
                f"the answer is longer than max_answer_bytes={self._limit}: reading has stopped. "
                "Ask for less at once, or raise the limit."
            )
        return data

    def decoded(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _STEP_BYTES):
            yield self._step(data[at : at + _STEP_BYTES])

    def rest(self) -> bytes:
        return self._step(None)

    def _step(self, data: bytes | None) -> bytes:
        try:
            decoder = self._response._get_content_decoder()
            made = decoder.flush() if data is None else decoder.decode(data)
        except httpx.DecodingError as error:
            # httpx sets it only when it decodes itself; `secrets_of` needs it.
            error.request = self._response.request
            raise
        return self.counted(made)


def _codings(headers: httpx.Headers) -> list[str]:
    if "content-encoding" not in headers:  # the usual case, at a fifth of the cost
        return []
    names = headers.get_list("content-encoding", split_commas=True)
    return [name for name in names if name.strip().lower() != "identity"]


def iter_content(response: httpx.Response, limit: int) -> Generator[bytes]:
    """Yield the decoded content of an answer as it arrives.

    Raises:
        ProtocolError: when there are more bytes than the limit.
        httpx.HTTPError: see `httpx.Response.iter_raw`.
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
    """Return the whole content; raises the errors of `iter_content`."""
    return b"".join(iter_content(response, limit))


async def aread_content(response: httpx.Response, limit: int) -> bytes:
    """Same as `read_content`, for asyncio."""
    return b"".join([piece async for piece in aiter_content(response, limit)])


def read_start(response: httpx.Response) -> bytes:
    """Return the first MAX_ERROR_BYTES of an error's content, and read no further."""
    start = bytearray()
    # A limit that is never reached, even if the last step decodes to 8 MB (see `_STEP_BYTES`).
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


def waited_s(response: httpx.Response) -> float | None:
    """Return how long a closed answer took, in seconds; None if it was not measured."""
    try:
        return response.elapsed.total_seconds()
    except RuntimeError:  # the caller's transport had read it already
        return None
