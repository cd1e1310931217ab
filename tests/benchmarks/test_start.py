"""What importing and constructing cost, as ratios within one run; reported, hardly asserted."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from llamaindex_ollama_ext import Ollama, OllamaEmbedding

ROUNDS = 5
IMPORTS = """
import time
start = time.perf_counter()
import langchain_core.language_models.chat_models
base = time.perf_counter() - start
import langchain_ollama_ext
print((time.perf_counter() - start) / base)
"""


def test_importing_the_adapter_adds_little_to_importing_the_framework(
    record_property: Callable[[str, object], None],
) -> None:
    """Importing langchain_ollama_ext is aimed at 1.15 times the chat-model base of the core."""
    ratios = [
        float(
            subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, check=True).stdout
        )
        for _ in range(ROUNDS)
    ]
    record_property("import_ratio_best", round(min(ratios), 3))
    assert min(ratios) < 1.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: ChatOllama(model="m"),
        lambda: OllamaEmbeddings(model="m"),
        lambda: Ollama(model="m"),
        lambda: OllamaEmbedding(model_name="m"),
    ],
    ids=["ChatOllama", "OllamaEmbeddings", "Ollama", "OllamaEmbedding"],
)
def test_constructing_a_model_is_cheap(
    make: Callable[[], object], record_property: Callable[[str, object], None]
) -> None:
    """A model after the first is aimed at less than a millisecond."""
    make()
    start = time.perf_counter()
    for _ in range(100):
        make()
    milliseconds = (time.perf_counter() - start) * 10
    record_property("construct_ms", round(milliseconds, 3))
    assert milliseconds < 10
