"""What a program pays before its first call: imports and constructors."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from benchmarks.cases import Case, Goal, Row, Scale, Variant
from benchmarks.makers import peer_class

LANGCHAIN = (
    "import langchain_core.language_models.chat_models",
    "from langchain_ollama_ext import ChatOllama",
    "from langchain_ollama import ChatOllama",
)
LLAMA_INDEX = (
    "import llama_index.core",
    "from llamaindex_ollama_ext import Ollama",
    "from llama_index.llms.ollama import Ollama",
)


def imports(scale: Scale) -> Sequence[Variant]:  # noqa: ARG001 - an import has no scale
    """Import ours, the peer, and what both stand on, each in an interpreter of its own."""
    there = find_spec("langchain_ollama"), find_spec("llama_index.llms.ollama")
    return [
        Variant(name, _import(ours), _import(peer) if spec else None, {"framework": _import(base)})
        for name, (base, ours, peer), spec in zip(
            ("LangChain", "LlamaIndex"), (LANGCHAIN, LLAMA_INDEX), there, strict=True
        )
    ]


def _import(statement: str) -> Case:
    command = [sys.executable, "-c", statement]
    return Case(lambda: subprocess.run(command, check=True) and None, warm_ups=0)


def construct(scale: Scale) -> Sequence[Variant]:
    """Make a model with its client, without sending anything, and throw it away.

    LlamaIndex's peer makes its client at the first look at `client`, ours at the first call: the
    row looks at both, since no model is of use without one.
    """
    from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
    from llamaindex_ollama_ext import Ollama, OllamaEmbedding

    url = scale.url
    made: list[tuple[str, Callable[..., Any], str, dict[str, Any]]] = [
        ("ChatOllama", ChatOllama, "langchain_ollama", {"model": "m"}),
        ("OllamaEmbeddings", OllamaEmbeddings, "langchain_ollama", {"model": "m"}),
        ("Ollama", Ollama, "llama_index.llms.ollama", {"model": "m", "context_window": 8192}),
        ("OllamaEmbedding", OllamaEmbedding, "llama_index.embeddings.ollama", {"model_name": "m"}),
    ]
    found = []
    for name, ours, module, fields in made:
        theirs = peer_class(module, name)
        peer = _constructed(theirs, 2, base_url=url, **fields) if theirs else None
        found.append(Variant(name, _constructed(ours, 20, base_url=url, **fields), peer))
    return found


def _constructed(make: Callable[..., Any], times: int, **fields: Any) -> Case:
    def work() -> None:
        for _ in range(times):
            getattr(make(**fields), "client", None)

    return Case(work, times)


ROWS = (
    Row("construct", "construct a model: ChatOllama/OllamaEmbeddings/Ollama/OllamaEmbedding",
        "model", Goal((200e3,), "instructions", "≤ 200 k"), construct),
    Row("import", "import, LangChain/LlamaIndex", "import",
        Goal((1.10,), "framework", "≤ 1.10 x framework"), imports, counted=False),
)  # fmt: skip
