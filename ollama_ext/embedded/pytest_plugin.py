"""The pytest fixture ``ollama_server``: an embedded Ollama for each test that asks for it.

Loaded through the entry point ``pytest11``; nothing of the server is imported before a test uses
the fixture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ollama_ext.embedded import EmbeddedOllama


@pytest.fixture
def ollama_server() -> "Iterator[EmbeddedOllama]":
    """Start an embedded Ollama with the demo models; it stops when the test ends.

    Every test gets its own, so scripts, requests and created models never leak into the next.
    """
    # Imported here, so that a test run without this fixture pays nothing.
    from ollama_ext.embedded import EmbeddedOllama

    with EmbeddedOllama() as server:
        yield server
