"""Read the image files that a caller gave by path."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path


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
