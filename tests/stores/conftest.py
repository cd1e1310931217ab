"""Fixtures of the tests on real vector databases: a server of vectors, and a PostgreSQL."""

import asyncio
from collections.abc import Iterator

import pytest
from postgres import Postgres, programs, running_postgres

from ollama_ext.embedded import EmbeddedOllama


@pytest.fixture(scope="session")
def _running_server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as running:
        yield running


@pytest.fixture
def server(_running_server: EmbeddedOllama) -> EmbeddedOllama:
    """Return an embedded server with its demo models, as good as new."""
    _running_server.reset()
    return _running_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL with pgvector of its own for the session."""
    if programs() is None:
        pytest.skip('no PostgreSQL with pgvector: pip install -e ".[test-stores]"')
    with running_postgres() as running:
        yield running


@pytest.fixture
def main_loop() -> Iterator[None]:
    """Give the main thread a loop of its own, and close it: LlamaIndex's blocking helpers take it.

    Without one they make one that stays open.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()
