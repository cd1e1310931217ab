"""Read files that a caller gave by path: images whole, uploads piece by piece."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path

PIECE_BYTES = 1024 * 1024
"""Bytes of a file that are read at a time."""


def _read(paths: Sequence[Path]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in paths}


class Files:
    """Reads files, blocking."""

    def _files(self, paths: Sequence[Path]) -> dict[Path, bytes]:
        return _read(paths) if paths else {}


class AsyncFiles(ABC):
    """Reads files in a thread, so that a slow disk does not block the event loop."""

    async def _files(self, paths: Sequence[Path]) -> dict[Path, bytes]:
        # Without files not even a thread is started.
        return await asyncio.to_thread(_read, paths) if paths else {}

    async def close(self) -> None:
        """Close the client: ``aclose`` under ollama-python's name."""
        await self.aclose()

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections."""


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
