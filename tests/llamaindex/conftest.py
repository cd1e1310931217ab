"""Fixtures of the LlamaIndex tests: the ways to call a model, and models to call."""

import asyncio
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import httpx
import pytest
from llama_ways import Way
from running import Run

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama

# Of [test]; the matrix of .ci/run has [test-llamaindex] alone.
collect_ignore = [] if find_spec("chromadb") else ["test_vector_stores.py"]


@pytest.fixture(params=["whole", "streamed"])
def way(request: pytest.FixtureRequest, run: Run) -> Way:
    """Run a test four times: blocking and asynchronous, whole and streamed."""
    return Way(run, streams=request.param == "streamed")


@pytest.fixture
def ollama(run: Run) -> Iterator[Callable[..., Ollama]]:
    """Make models on a played network; they are closed at the end."""
    made: list[Ollama] = []

    def make(network: httpx.MockTransport, model: str = "tiny-chat", **settings: Any) -> Ollama:
        settings.setdefault("max_retries", 0)
        made.append(Ollama(model, client_kwargs={"transport": network}, **settings))
        return made[-1]

    yield make
    for llm in made:
        run(llm.aclose() if run.is_async else llm.close())


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    """Run an embedded server with the demo models."""
    with EmbeddedOllama() as running:
        yield running


@pytest.fixture
def main_loop() -> Iterator[None]:
    """Give the main thread a loop of its own, and close it.

    LlamaIndex's blocking helpers take the loop they find there; else they make one that stays open.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()
