"""One question through each adapter, on each wire, whole and streamed, blocking and awaited."""

from collections.abc import Iterator
from typing import Any

import pytest
from both_chats import Chats
from running import Run
from wire_answers import WIRES


@pytest.fixture(params=["LangChain", "LlamaIndex"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def streams(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def chats(run: Run, adapter: str, wire: str, streams: bool) -> Chats:
    return Chats(run, adapter, wire, streams=streams)


@pytest.fixture
def closing(run: Run) -> Iterator[list[Any]]:
    """Models that are closed after the test."""
    models: list[Any] = []
    yield models
    for model in models:
        run(model.aclose() if run.is_async else model.close())
