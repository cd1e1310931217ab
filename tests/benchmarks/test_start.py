"""What importing and constructing cost, counted in modules and calls: clocks depend on the load."""

import subprocess
import sys
from collections.abc import Callable
from types import FrameType

import pytest

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from llamaindex_ollama_ext import Ollama, OllamaEmbedding

OURS = ("langchain_ollama_ext", "llamaindex_ollama_ext", "ollama_transport")
IMPORTS = """
import sys
import {base}
before = set(sys.modules)
from {package} import {name}
print(*set(sys.modules) - before)
"""
# A constructor that reads certificates, or builds a client for each model, makes over 1,000.
MOST_CALLS = 200


@pytest.mark.parametrize(
    ("base", "package", "name"),
    [
        ("langchain_core.language_models.chat_models", "langchain_ollama_ext", "ChatOllama"),
        ("llama_index.core.llms.function_calling", "llamaindex_ollama_ext", "Ollama"),
    ],
    ids=["LangChain", "LlamaIndex"],
)
def test_an_adapter_imports_hardly_more_than_its_framework(
    base: str, package: str, name: str
) -> None:
    """Beyond the framework's base and our own modules there are next to none."""
    script = IMPORTS.format(base=base, package=package, name=name)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = done.stdout.split()
    assert f"{package}" in loaded
    assert len([module for module in loaded if not module.startswith(OURS)]) < 10, loaded


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
def test_constructing_a_model_is_cheap(make: Callable[[], object]) -> None:
    """A model after the first makes few calls, since it shares what others have made."""
    make()
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        make()
    finally:
        sys.setprofile(None)
    assert 0 < calls < MOST_CALLS
