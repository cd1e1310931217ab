"""register(): LangChain's strings make our classes."""

from importlib.util import find_spec
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.chat_models import base, init_chat_model
from langchain.embeddings import init_embeddings

import langchain_ollama_ext
from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from ollama_ext.embedded import EmbeddedOllama


def test_the_name_ollama_is_ours_within_a_block(server: EmbeddedOllama) -> None:
    """Chat models, embeddings and agents are made of strings, with their arguments."""
    before = base._BUILTIN_PROVIDERS["ollama"]
    with langchain_ollama_ext.register():
        model: Any = init_chat_model("ollama:demo", base_url=server.url, num_ctx=4096)
        other: Any = init_embeddings("ollama:demo-embed", base_url=server.url)
        assert isinstance(model, ChatOllama)
        assert isinstance(other, OllamaEmbeddings)
        assert model.profile["max_input_tokens"] == 4096
        assert model.invoke("Hello").content
        assert other.embed_query("a")
    assert base._BUILTIN_PROVIDERS["ollama"] == before
    model.close()
    other.close()


def test_an_agent_made_of_a_string(monkeypatch: pytest.MonkeyPatch) -> None:
    """A framework that takes a name asks our class, also after it knew another."""
    if find_spec("langchain_ollama") is not None:
        init_chat_model("ollama:demo")
    with EmbeddedOllama() as server, langchain_ollama_ext.register():
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        create_agent("ollama:demo").invoke({"messages": [("human", "Hello")]})
        assert server.requests[-1].headers["user-agent"].startswith("ollama-ext/")


def test_undo_twice_and_in_any_order() -> None:
    """Each registration takes back its own, once."""
    before = base._BUILTIN_PROVIDERS["ollama"]
    first, second = langchain_ollama_ext.register(), langchain_ollama_ext.register()
    second.undo()
    second.undo()
    assert base._BUILTIN_PROVIDERS["ollama"][0] == "langchain_ollama_ext"
    first.undo()
    assert base._BUILTIN_PROVIDERS["ollama"] == before


def test_a_langchain_without_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that keeps its providers elsewhere is told, and nothing is half done."""
    import langchain.embeddings.base as embeddings

    before = base._BUILTIN_PROVIDERS["ollama"]
    monkeypatch.delattr(embeddings, "_BUILTIN_PROVIDERS")
    with pytest.raises(ImportError, match=r"use langchain_ollama_ext\.OllamaEmbeddings directly"):
        langchain_ollama_ext.register()
    assert base._BUILTIN_PROVIDERS["ollama"] == before
