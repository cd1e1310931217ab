"""The examples in the docstrings of the public classes run as they stand."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pages import found_by_environment

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama
from ollama_transport import Budget, UsageLedger

CLASSES = (
    *(ChatOllama, OllamaLLM, OllamaEmbeddings, Ollama, OllamaEmbedding),
    *(EmbeddedOllama, UsageLedger, Budget),
)
CAPABILITIES = ("completion", "tools", "thinking")
MODELS = [
    EmbeddedModel("llama3.2", capabilities=CAPABILITIES),
    EmbeddedModel("qwen3:8b", capabilities=CAPABILITIES),
    EmbeddedModel("nomic-embed-text", capabilities=("embedding",)),
]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    """A server that has the models of the examples, all of which follow rules."""
    with EmbeddedOllama(MODELS) as running:
        yield running


@pytest.mark.parametrize("described", CLASSES, ids=lambda one: one.__name__)
def test_the_example_of_a_class_runs(
    described: type,
    server: EmbeddedOllama,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who copies it out of an editor's help gets an answer, and no error."""
    blocks = re.findall(r"```python\n(.*?)```", inspect.getdoc(described) or "", re.DOTALL)
    names: dict[str, Any] = {"__name__": "__example__"}
    with found_by_environment(server, monkeypatch):
        for block in blocks:
            exec(block, names)
    assert blocks
    assert capsys.readouterr().out.strip()
