"""The bytes of a file for an upload or a digest, read piece by piece."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

PIECE_BYTES = 1024 * 1024
"""Bytes of a file that are read at a time."""


class Pieces:
    """The bytes of a file, read again for each iteration, since a redirect sends them again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Generator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece


class AsyncPieces:
    """Same as `Pieces`, read in threads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        # Opening can block too, on a network drive.
        file = await asyncio.to_thread(self._path.open, "rb")
        try:
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                yield piece
        finally:
            file.close()
