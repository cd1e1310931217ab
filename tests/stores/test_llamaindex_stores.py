"""OllamaEmbedding in Chroma, PostgreSQL and LlamaIndex's own store: index, search, delete."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from islands import ASKED, PASSAGES, Passage
from llama_corpus import SUNSET
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters
from postgres import Postgres
from running import Run

from llamaindex_ollama_ext import OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama

_POSTGRES = pytest.mark.skipif(
    find_spec("llama_index.vector_stores.postgres") is None,
    reason='no llama-index-vector-stores-postgres: pip install -e ".[test-stores]"',
)
pytestmark = [SUNSET, pytest.mark.usefixtures("main_loop")]

Opener = Callable[[Run, Path, Callable[[], Postgres]], AbstractContextManager[Any]]
PATIENCE_S = 300

REOPEN = """
import json, sys, warnings
warnings.filterwarnings("ignore", message="`langchain-community` is being sunset")
from llama_index.core import StorageContext, load_index_from_storage
from llamaindex_ollama_ext import OllamaEmbedding

url, folder, *questions = sys.argv[1:]
context = StorageContext.from_defaults(persist_dir=folder)
with OllamaEmbedding("demo-embed", url) as model:
    retriever = load_index_from_storage(context, embed_model=model).as_retriever(similarity_top_k=3)
    found = [[node.text for node in retriever.retrieve(question)] for question in questions]
print(json.dumps(found))
"""


@contextmanager
def chroma(run: Run, folder: Path, _: Any) -> Iterator[Any]:
    import chromadb
    from llama_index.vector_stores.chroma import ChromaVectorStore

    settings = chromadb.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(folder), settings=settings)
    yield ChromaVectorStore(chroma_collection=client.get_or_create_collection("islands"))
    client.close()


@contextmanager
def postgres_store(run: Run, _: Path, postgres: Callable[[], Postgres]) -> Iterator[Any]:
    from llama_index.vector_stores.postgres import PGVectorStore

    store = PGVectorStore(
        postgres().url("psycopg"),
        postgres().url("asyncpg"),
        table_name=f"islands_{uuid4().hex}",
        embed_dim=256,
        use_jsonb=True,
    )
    yield store
    run(store.close())


@contextmanager
def own(run: Run, _: Path, __: Any) -> Iterator[Any]:
    yield None


KINDS: dict[str, Opener] = {"chroma": chroma, "postgres": postgres_store, "own": own}


def document(passage: Passage) -> Document:
    return Document(text=passage.text, id_=passage.key, metadata=passage.facts)


@pytest.fixture(params=["chroma", pytest.param("postgres", marks=_POSTGRES), "own"])
def index(
    request: pytest.FixtureRequest, run: Run, server: EmbeddedOllama, tmp_path: Path
) -> Iterator[VectorStoreIndex]:
    """An index of all passages in a store of one kind."""
    postgres = lambda: request.getfixturevalue("postgres")  # noqa: E731 - asked where it is needed
    with (
        KINDS[request.param](run, tmp_path, postgres) as store,
        OllamaEmbedding("demo-embed", server.url, embed_batch_size=64) as model,
    ):
        context = StorageContext.from_defaults(vector_store=store) if store is not None else None
        yield VectorStoreIndex.from_documents(
            [document(passage) for passage in PASSAGES], storage_context=context, embed_model=model
        )
        run(model.aclose() if run.is_async else None)


def search(run: Run, index: VectorStoreIndex, question: str, k: int = 3, **how: Any) -> list[Any]:
    """Return the nodes of a search, blocking or not."""
    retriever = index.as_retriever(similarity_top_k=k, **how)
    return run(retriever.aretrieve(question) if run.is_async else retriever.retrieve(question))


def test_the_right_passage_is_first(run: Run, index: VectorStoreIndex) -> None:
    """Each question has its own passage first, out of 300 that share words with it."""
    for passage in ASKED:
        found = search(run, index, passage.question)
        assert len(found) == 3
        assert found[0].node.ref_doc_id == passage.key, passage.question
        assert found[0].text == passage.text
        scores = [node.score for node in found]
        assert scores == sorted(scores, reverse=True)


def test_metadata_narrow_a_search(run: Run, index: VectorStoreIndex) -> None:
    """A filter by topic and by year leaves only passages that fulfil both."""
    filters = MetadataFilters(
        filters=[
            MetadataFilter(key="topic", value="ferry"),
            MetadataFilter(key="year", value=1900, operator=FilterOperator.GTE),
        ]
    )
    found = search(run, index, "When was the lighthouse of Aldra lit?", 10, filters=filters)
    assert len(found) == 10
    assert {node.metadata["topic"] for node in found} == {"ferry"}
    assert all(node.metadata["year"] >= 1900 for node in found)


def test_deleted_passages_are_not_found(run: Run, index: VectorStoreIndex) -> None:
    """A deleted document leaves the index, and the others stay."""
    passage = ASKED[3]
    index.delete_ref_doc(passage.key)
    found = search(run, index, passage.question, 5)
    assert len(found) == 5
    assert passage.key not in {node.node.ref_doc_id for node in found}


def test_a_document_is_replaced(run: Run, index: VectorStoreIndex) -> None:
    """A document that is put in anew under its key is found by its new words alone."""
    passage = ASKED[6]
    index.delete_ref_doc(passage.key)
    index.insert(Document(text="The windmill of Nowhere grinds barley.", id_=passage.key))
    found = search(run, index, "Which windmill grinds barley?")
    assert found[0].node.ref_doc_id == passage.key
    assert passage.text not in [node.text for node in search(run, index, passage.question)]


def test_a_persisted_index_is_read_in_another_process(
    server: EmbeddedOllama, tmp_path: Path
) -> None:
    """LlamaIndex's own files, read by a new process, give the right passages and embed nothing."""
    with OllamaEmbedding("demo-embed", server.url) as model:
        index = VectorStoreIndex.from_documents([*map(document, PASSAGES)], embed_model=model)
    index.storage_context.persist(str(tmp_path))
    questions = [passage.question for passage in ASKED[:10]]
    before = len(server.requests)
    done = subprocess.run(
        [sys.executable, "-c", REOPEN, server.url, str(tmp_path), *questions],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert [texts[0] for texts in found] == [passage.text for passage in ASKED[:10]]
    sent = [request.json["input"] for request in server.requests[before:]]
    assert sent == [[question] for question in questions]
