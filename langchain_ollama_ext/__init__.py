"""Ollama for LangChain: `ChatOllama`, `OllamaEmbeddings` and `OllamaLLM`.

A drop-in for langchain-ollama: change the import line. Errors are those of ``ollama_transport``,
each of them langchain-core's ModelError as well.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from langchain_ollama_ext._registry import register
from ollama_transport import __version__
from ollama_transport.lazy import lazy_name

if TYPE_CHECKING:
    from langchain_ollama_ext.chat_models import ChatOllama
    from langchain_ollama_ext.embeddings import OllamaEmbeddings
    from langchain_ollama_ext.llms import OllamaLLM

__all__ = ["ChatOllama", "OllamaEmbeddings", "OllamaLLM", "__version__", "register"]

_HOMES = {"ChatOllama": "chat_models", "OllamaEmbeddings": "embeddings", "OllamaLLM": "llms"}


def _is_missing(package: str) -> bool:
    try:
        return find_spec(package) is None
    except ImportError:  # an import hook that forbids it
        return True


if _is_missing("langchain_core"):
    raise ImportError(
        'langchain_ollama_ext needs langchain-core: pip install "ollama-ext[langchain]"',
        name="langchain_core",
    )


def __getattr__(name: str) -> object:
    # Lazy: chat models and embeddings each load another part of langchain-core.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = lazy_name(f"{__name__}.{_HOMES[name]}", name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
