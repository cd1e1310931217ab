"""A few documents with plain facts, and indexes over them."""

from typing import Any

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.memory import ChatMemoryBuffer

from llamaindex_ollama_ext import Ollama, OllamaEmbedding

FACTS = {
    "Matterhorn": "The Matterhorn is 4478 metres high. It stands on the border of Switzerland and "
    "Italy. It was first climbed in 1865 by Edward Whymper.",
    "Baikal": "Lake Baikal is the deepest lake in the world. It is 1642 metres deep. It lies in "
    "Siberia.",
    "Amazon": "The Amazon river carries more water than any other river. It flows through Brazil, "
    "Peru and Colombia.",
    "Fondue": "Cheese fondue is made of Gruyere and Vacherin. It is eaten with bread.",
}

# llama-index looks whether an embedding is one of langchain's, and that import warns.
SUNSET = pytest.mark.filterwarnings("ignore:`langchain-community` is being sunset")
# llama-index-workflows looks at every attribute of an agent, also at pydantic's old ones.
OLD_ATTRIBUTES = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
# llama-index's ReActAgent asks its workflow in a way that workflows no longer want.
OLD_QUESTION = pytest.mark.filterwarnings("ignore:is_running called from within a step")


def documents() -> list[Document]:
    return [Document(text=text, id_=name, metadata={"topic": name}) for name, text in FACTS.items()]


def index_at(url: str, **settings: Any) -> VectorStoreIndex:
    """Return an index of the facts, embedded by the server."""
    return VectorStoreIndex.from_documents(documents(), embed_model=embedding_at(url, **settings))


def embedding_at(url: str, **settings: Any) -> OllamaEmbedding:
    return OllamaEmbedding("demo-embed", url, **settings)


def model_at(url: str, **settings: Any) -> Ollama:
    return Ollama("demo", url, **settings)


def memory_of(llm: Ollama) -> ChatMemoryBuffer:
    """Return a memory without the default one's database, which nobody can close."""
    return ChatMemoryBuffer.from_defaults(llm=llm)
