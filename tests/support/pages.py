"""What the tests share that run the code of pages and docstrings."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ollama_ext.embedded import EmbeddedOllama
from ollama_transport.client import default


@contextmanager
def found_by_environment(server: EmbeddedOllama, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have OLLAMA_HOST name a server, also for the client of the package's own functions.

    That client lives as long as the process, and asks the environment once. Meanwhile the
    thread has an event loop, which is closed at the end: LlamaIndex asks for the current one, and
    Python would make one that nobody closes.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    patch.setenv("OLLAMA_HOST", server.url)
    patch.setattr(default._client, "_config", None)
    patch.setattr(default._client, "_pool", None)
    try:
        yield
    finally:
        default._client.close()
        asyncio.set_event_loop(None)
        loop.close()
