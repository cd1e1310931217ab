"""What the LangChain tests stand on: an embedded server, and where cassettes lie."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fixture_models import fixture_models
from langchain_tests.conftest import base_vcr_config

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama

_HERE = Path(__file__).parent

# Of [test]; the matrix of .ci/run has [test-langchain] alone.
collect_ignore = [] if find_spec("langchain_classic") else ["test_vector_stores.py"]

ALL_SENSES = EmbeddedModel(
    "demo-senses", ("completion", "tools", "vision", "audio"), context_length=32768
)


@pytest.fixture(scope="session")
def _running_server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama([*fixture_models(), ALL_SENSES]) as running:
        yield running


@pytest.fixture
def server(_running_server: EmbeddedOllama) -> EmbeddedOllama:
    """Return an embedded server with its demo and fixture models, as good as new."""
    _running_server.reset()
    return _running_server


@pytest.fixture(scope="session")
def vcr_config() -> dict[str, Any]:
    """Play cassettes and never record: they are made of recordings of a real server."""
    return base_vcr_config() | {
        "cassette_library_dir": str(_HERE / "cassettes"),
        "record_mode": "none",
    }
