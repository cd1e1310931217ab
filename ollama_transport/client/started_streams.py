"""A stream whose first line has arrived; until then, its request can be repeated."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from typing import Any, Generic, TypeVar

import httpx

from ollama_transport.wire.calls.body import Writing, encode_body
from ollama_transport.wire.calls.call import Call, Reader
from ollama_transport.wire.calls.said import begins

T = TypeVar("T")

_LARGE_BYTES = 128 * 1024
"""A piece of an image from this size on takes long enough to let other tasks run."""


def content_of(body: Mapping[str, Any] | None) -> bytes | None:
    """Return the bytes of a body; None if there is no body."""
    return None if body is None else encode_body(body)


async def acontent_of(body: Mapping[str, Any] | None) -> bytes | None:
    """Same as `content_of`; other tasks of the loop run between the pieces of large images."""
    if body is None:
        return None
    writing = Writing(body)
    for size in writing.steps():
        if size >= _LARGE_BYTES:
            # No thread would help: base64 is made under the interpreter's lock.
            await asyncio.sleep(0)
    return writing.written()


class Begun(Generic[T]):
    """A stream's call, its response, its reader, and the lines that have already arrived.

    Iterate it for the lines of each piece; the end of the stream is the reader's `finish`.
    """

    def __init__(
        self,
        call: Call[T],
        response: httpx.Response,
        reader: Reader[T],
        pieces: Generator[bytes],
    ) -> None:
        self.call = call
        self.response = response
        self.reader = reader
        self._pieces = pieces
        self._lines: list[T] = []

    def wait(self) -> None:
        """Read until part of the answer has arrived, or the stream has ended."""
        # Servers send lines without text first (a role, keep-alives); a failure after those can
        # still be retried, since the caller has received nothing.
        for piece in self._pieces:
            self._lines += self.reader.feed(piece)
            if begins(self._lines) or self.reader.has_surplus:
                return
        self._lines += self.reader.finish()

    def __iter__(self) -> Iterator[list[T]]:
        yield self._lines
        for piece in self._pieces:
            yield self.reader.feed(piece)


class AsyncBegun(Generic[T]):
    """Same as `Begun`, for asyncio."""

    def __init__(
        self,
        call: Call[T],
        response: httpx.Response,
        reader: Reader[T],
        pieces: AsyncGenerator[bytes],
    ) -> None:
        self.call = call
        self.response = response
        self.reader = reader
        self._pieces = pieces
        self._lines: list[T] = []

    async def wait(self) -> None:
        """Read until part of the answer has arrived, or the stream has ended."""
        async for piece in self._pieces:
            self._lines += self.reader.feed(piece)
            if begins(self._lines) or self.reader.has_surplus:
                return
        self._lines += self.reader.finish()

    async def __aiter__(self) -> AsyncIterator[list[T]]:
        yield self._lines
        async for piece in self._pieces:
            yield self.reader.feed(piece)
