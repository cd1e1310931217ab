"""Ours and the peers, made alike. A peer that is not installed is None, and has no figures."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from benchmarks.cases import Case

Factory = Callable[..., Any]


def peer_class(module: str, name: str) -> Factory | None:
    """Return a class of a peer, or None where the peer is not installed."""
    try:
        return getattr(import_module(module), name)  # type: ignore[no-any-return] # a class, by its name
    except ModuleNotFoundError:
        return None


def case_of(model: Any, case: Callable[[Any], Case]) -> Case | None:
    """Return a case about a model, or None for a model that is not there."""
    return None if model is None else case(model)


def langchain_pair(url: str, model: str, **fields: Any) -> tuple[Any, Any]:
    """Return our chat model and langchain-ollama's."""
    from langchain_ollama_ext import ChatOllama

    peer = peer_class("langchain_ollama", "ChatOllama")
    ours = ChatOllama(model=model, base_url=url, **fields)
    return ours, peer and peer(model=model, base_url=url, **fields)


def openai_pair(url: str, model: str) -> tuple[Any, Any]:
    """Return our chat model on `/v1` and langchain-openai's."""
    from langchain_ollama_ext import ChatOllama

    peer = peer_class("langchain_openai", "ChatOpenAI")
    theirs = {"api_key": "x", "stream_usage": True, "max_retries": 0}
    url += "/v1"
    return ChatOllama(model=model, base_url=url), peer and peer(model=model, base_url=url, **theirs)


def llama_index_pair(
    url: str, model: str, *, ours: Mapping[str, Any] | None = None
) -> tuple[Any, Any]:
    """Return our LLM, with further fields of its own, and llama-index-llms-ollama's."""
    from llamaindex_ollama_ext import Ollama

    peer = peer_class("llama_index.llms.ollama", "Ollama")
    fields = {"model": model, "base_url": url, "request_timeout": 120.0, "context_window": 8192}
    return Ollama(**fields, **(ours or {})), peer and peer(**fields)


def langchain_embeddings_pair(url: str, model: str) -> tuple[Any, Any]:
    """Return our embeddings for LangChain and langchain-ollama's."""
    from langchain_ollama_ext import OllamaEmbeddings

    peer = peer_class("langchain_ollama", "OllamaEmbeddings")
    return OllamaEmbeddings(model=model, base_url=url), peer and peer(model=model, base_url=url)


def llama_index_embedding_pair(url: str, model: str, batch: int) -> tuple[Any, Any]:
    """Return our embedding for LlamaIndex and llama-index-embeddings-ollama's."""
    from llamaindex_ollama_ext import OllamaEmbedding

    peer = peer_class("llama_index.embeddings.ollama", "OllamaEmbedding")
    fields = {"model_name": model, "base_url": url, "embed_batch_size": batch}
    return OllamaEmbedding(**fields), peer and peer(**fields)


def langchain_asked() -> list[Any]:
    """Return the messages of a short question, for LangChain."""
    from langchain_core.messages import HumanMessage

    return [HumanMessage("hi")]


def llama_index_asked() -> list[Any]:
    """Return the messages of a short question, for LlamaIndex."""
    from llama_index.core.base.llms.types import ChatMessage

    return [ChatMessage(role="user", content="hi")]
