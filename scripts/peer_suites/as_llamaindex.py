"""A pytest plugin: LlamaIndex's classes for Ollama are ours, on a server in this process."""

import os
import sys
from types import ModuleType
from typing import Any

import llamaindex_ollama_ext as ours
from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama, Prompt, ToolCall


def _module(name: str, **names: Any) -> None:
    module = ModuleType(name)
    vars(module).update(names)
    sys.modules[name] = module


def _not_there(*_: object) -> None:
    raise NotImplementedError("a function of the peer's module")


def _singer(prompt: Prompt) -> Answer:
    """Do what the suite hopes of a model: call the one tool, else greet."""
    if prompt.tools:
        song = {"artist_name": "Ada", "song_name": "Tides"}
        return Answer(tool_calls=[ToolCall("generate_song", song)])
    return Answer("Hello there.")


_module("llama_index.llms.ollama", Ollama=ours.Ollama, __path__=[])
_module("llama_index.llms.ollama.base", Ollama=ours.Ollama, get_additional_kwargs=_not_there)
_module("llama_index.embeddings.ollama", OllamaEmbedding=ours.OllamaEmbedding)

SERVER = EmbeddedOllama(
    [
        EmbeddedModel("llama3.1", ("completion", "tools", "embedding"), engine=_singer),
        EmbeddedModel("qwen3:0.6b", ("completion", "tools", "thinking"), context_length=32768),
    ]
)


def pytest_configure() -> None:
    """Start the server before the suite is imported: it looks for its models then."""
    os.environ["OLLAMA_HOST"] = SERVER.__enter__().url


def pytest_unconfigure() -> None:
    """Stop the server."""
    SERVER.__exit__(None, None, None)
