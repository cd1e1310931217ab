"""Indexes that outlive their process: on disk, and in Chroma."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import chromadb
import pytest
from llama_corpus import SUNSET, documents, embedding_at, index_at, model_at
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.schema import Document
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.vector_stores.chroma import ChromaVectorStore

from ollama_ext.embedded import EmbeddedOllama

pytestmark = [SUNSET, pytest.mark.usefixtures("main_loop")]

QUESTIONS = ["How deep is Lake Baikal?", "Who first climbed the Matterhorn?", "What is fondue?"]

# Runs in another process: reopens the store, asks, and prints what it found.
REOPEN = """
import json, sys, warnings
warnings.filterwarnings("ignore", message="`langchain-community` is being sunset")
import chromadb
from llama_index.core import VectorStoreIndex
from llama_index.vector_stores.chroma import ChromaVectorStore
from llamaindex_ollama_ext import Ollama, OllamaEmbedding

url, folder, *questions = sys.argv[1:]
settings = chromadb.Settings(anonymized_telemetry=False)
client = chromadb.PersistentClient(folder, settings=settings)
store = ChromaVectorStore(chroma_collection=client.get_collection("facts"))
index = VectorStoreIndex.from_vector_store(store, OllamaEmbedding("demo-embed", url))
engine = index.as_query_engine(llm=Ollama("demo", url), similarity_top_k=2)
answers = [engine.query(question) for question in questions]
sources = [[[n.node_id, n.text, n.score] for n in answer.source_nodes] for answer in answers]
print(json.dumps([[str(answer), found] for answer, found in zip(answers, sources)]))
"""


def collection_in(folder: Path) -> Any:
    settings = chromadb.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(folder), settings=settings)
    return client.get_or_create_collection("facts")


def asked(index: VectorStoreIndex, url: str) -> list[Any]:
    engine = index.as_query_engine(llm=model_at(url), similarity_top_k=2)
    answers = [engine.query(question) for question in QUESTIONS]
    return [[str(a), [[n.node_id, n.text, n.score] for n in a.source_nodes]] for a in answers]


def test_chroma_answers_the_same_in_another_process(server: EmbeddedOllama, tmp_path: Path) -> None:
    """An index that was kept answers there as here: same words, same sources, same scores."""
    store = ChromaVectorStore(chroma_collection=collection_in(tmp_path))
    index = VectorStoreIndex.from_documents(
        documents(),
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=embedding_at(server.url),
    )
    here = asked(index, server.url)
    assert "1642" in here[0][0]
    command = [sys.executable, "-c", REOPEN, server.url, str(tmp_path), *QUESTIONS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout.splitlines()[-1])
    for (text, sources), (other_text, other_sources) in zip(here, there, strict=True):
        assert other_text == text
        assert [source[:2] for source in other_sources] == [source[:2] for source in sources]
        scores = [score for _, _, score in sources]
        assert [score for _, _, score in other_sources] == pytest.approx(scores)


def test_chroma_filters_and_forgets(server: EmbeddedOllama, tmp_path: Path) -> None:
    """Metadata narrow a search, and a deleted document is found no more."""
    store = ChromaVectorStore(chroma_collection=collection_in(tmp_path))
    index = VectorStoreIndex.from_documents(
        documents(),
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=embedding_at(server.url),
    )
    only = MetadataFilters(filters=[MetadataFilter(key="topic", value="Fondue")])
    (found,) = index.as_retriever(filters=only).retrieve("How deep is Lake Baikal?")
    assert found.metadata["topic"] == "Fondue"
    index.delete_ref_doc("Baikal")
    topics = [
        node.metadata["topic"] for node in index.as_retriever(similarity_top_k=9).retrieve("lake")
    ]
    assert sorted(topics) == ["Amazon", "Fondue", "Matterhorn"]


def test_an_index_on_disk_comes_back(server: EmbeddedOllama, tmp_path: Path) -> None:
    """LlamaIndex's own store is read again without embedding anything anew."""
    index = index_at(server.url)
    before = asked(index, server.url)
    index.storage_context.persist(str(tmp_path))
    embedded = len(server.requests)
    context = StorageContext.from_defaults(persist_dir=str(tmp_path))
    again = load_index_from_storage(context, embed_model=embedding_at(server.url))
    assert len(server.requests) == embedded
    assert isinstance(again, VectorStoreIndex)
    assert asked(again, server.url) == before


def test_documents_can_be_added(server: EmbeddedOllama) -> None:
    """A document put in later is found by its words."""
    index = index_at(server.url)
    index.insert(Document(text="The Nile is 6650 km long.", metadata={"topic": "Nile"}))
    (first,) = index.as_retriever(similarity_top_k=1).retrieve("How long is the Nile?")
    assert first.metadata["topic"] == "Nile"


def test_queries_and_documents_are_instructed_apart(server: EmbeddedOllama) -> None:
    """An index embeds documents with one prefix and questions with the other."""
    index = index_at(server.url, query_prefix="query: ", document_prefix="passage: ")
    index.as_retriever(similarity_top_k=1).retrieve("lake")
    sent: list[Any] = [request.json for request in server.requests]
    assert all(text.startswith("passage: ") for text in sent[0]["input"])
    assert sent[1]["input"] == ["query: lake"]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_large_index_keeps_every_vector_in_place(
    server: EmbeddedOllama, asynchronous: bool
) -> None:
    """D15: 120 documents in many batches, each found by its own words, blocking or not."""
    texts = [f"Item number{place} weighs {place} grams." for place in range(120)]
    index = VectorStoreIndex.from_documents(
        [Document(text=text) for text in texts],
        embed_model=embedding_at(server.url, embed_batch_size=7),
        use_async=asynchronous,
    )
    retriever = index.as_retriever(similarity_top_k=1)
    for place in (0, 6, 7, 63, 119):
        (found,) = retriever.retrieve(f"How heavy is item number{place}?")
        assert found.text == texts[place]
