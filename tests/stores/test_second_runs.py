"""Caches and docstores on files: a second run over the same passages sends no request."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from islands import PASSAGES
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_classic.storage import LocalFileStore
from llama_corpus import SUNSET
from llama_index.core import Document
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from postgres import Postgres
from running import Run

from langchain_ollama_ext import OllamaEmbeddings
from llamaindex_ollama_ext import OllamaEmbedding
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama

pytestmark = [SUNSET, pytest.mark.usefixtures("main_loop")]

TEXTS = [passage.text for passage in PASSAGES]
DOCUMENTS = [Document(text=passage.text, id_=passage.key) for passage in PASSAGES]


def cached(run: Run, url: str, folder: Path, texts: list[str], **settings: Any) -> list[Any]:
    """Embed texts over a cache of files, with objects that know nothing of an earlier run."""
    name = settings.pop("model", "demo-embed")
    with OllamaEmbeddings(model=name, base_url=url, **settings) as embeddings:
        over = CacheBackedEmbeddings.from_bytes_store(
            embeddings, LocalFileStore(folder), namespace=name, key_encoder="sha256"
        )
        if not run.is_async:
            return over.embed_documents(texts)
        vectors = run(over.aembed_documents(texts))
        run(embeddings.aclose())
        return list(vectors)


def test_cached_texts_are_never_sent_again(
    run: Run, server: EmbeddedOllama, tmp_path: Path
) -> None:
    """The second run takes 300 vectors from the files; a third one sends what is new, alone."""
    first = cached(run, server.url, tmp_path, TEXTS)
    asked = len(server.requests)
    assert cached(run, server.url, tmp_path, TEXTS) == first
    assert len(server.requests) == asked
    cached(run, server.url, tmp_path, [*TEXTS[:50], "The windmill of Nowhere grinds barley."])
    assert [request.json["input"] for request in server.requests[asked:]] == [
        ["The windmill of Nowhere grinds barley."]
    ]


def test_a_namespace_keeps_models_apart(run: Run, tmp_path: Path) -> None:
    """Another model embeds for itself, over the same folder."""
    small = EmbeddedModel("small-embed", ("embedding",), dimensions=16)
    with EmbeddedOllama([small]) as server:
        lengths = [
            len(cached(run, server.url, tmp_path, TEXTS[:3], model=name)[0])
            for name in ("demo-embed", "small-embed", "demo-embed")
        ]
        assert lengths == [256, 16, 256]
        assert len(server.requests) == 2


def pipeline(url: str, **more: Any) -> IngestionPipeline:
    splitter = SentenceSplitter(chunk_size=64, chunk_overlap=0)
    model = OllamaEmbedding("demo-embed", url, embed_batch_size=64)
    return IngestionPipeline(transformations=[splitter, model], **more)


def ran(run: Run, flow: IngestionPipeline, documents: list[Document]) -> list[Any]:
    """Run a pipeline, blocking or not, and close its model."""
    model = flow.transformations[-1]
    if run.is_async:
        nodes = run(flow.arun(documents=documents))
        run(model.aclose())
    else:
        nodes = flow.run(documents=documents)
        model.close()
    return list(nodes)


def test_a_pipeline_on_files_asks_once(run: Run, server: EmbeddedOllama, tmp_path: Path) -> None:
    """A pipeline loaded from the files of an earlier one has all vectors in its cache."""
    first = pipeline(server.url)
    vectors = [node.embedding for node in ran(run, first, DOCUMENTS)]
    first.persist(str(tmp_path))
    asked = len(server.requests)
    second = pipeline(server.url)
    second.load(str(tmp_path))
    assert [node.embedding for node in ran(run, second, DOCUMENTS)] == vectors
    assert len(server.requests) == asked


@contextmanager
def store_of(kind: str, postgres: Any) -> Iterator[Any]:
    """Yield an empty vector store, None for a pipeline without one."""
    if kind == "files":
        yield None
        return
    from llama_index.vector_stores.postgres import PGVectorStore

    here: Postgres = postgres()
    table = f"pipeline_{uuid4().hex}"
    store = PGVectorStore(here.url("psycopg"), here.url("asyncpg"), table_name=table, embed_dim=256)
    yield store


@pytest.mark.parametrize(
    "kind",
    [
        "files",
        pytest.param(
            "postgres",
            marks=pytest.mark.skipif(
                find_spec("llama_index.vector_stores.postgres") is None,
                reason='no PostgreSQL: pip install -e ".[test-stores]"',
            ),
        ),
    ],
)
def test_a_docstore_skips_documents_already_embedded(
    request: pytest.FixtureRequest, run: Run, server: EmbeddedOllama, tmp_path: Path, kind: str
) -> None:
    """A second run sends nothing; a third one sends the one document that was changed."""
    postgres = lambda: request.getfixturevalue("postgres")  # noqa: E731 - asked where it is needed
    strategy = DocstoreStrategy.UPSERTS if kind == "postgres" else DocstoreStrategy.DUPLICATES_ONLY
    changed = Document(text="The windmill of Nowhere grinds barley.", id_=DOCUMENTS[7].id_)
    sent: list[int] = []
    with store_of(kind, postgres) as store:
        for documents in (DOCUMENTS, DOCUMENTS, [*DOCUMENTS[:7], changed, *DOCUMENTS[8:]]):
            before = len(server.requests)
            flow = pipeline(
                server.url,
                docstore=docstore_in(tmp_path),
                docstore_strategy=strategy,
                disable_cache=True,
                vector_store=store,
            )
            ran(run, flow, documents)
            flow.persist(str(tmp_path))
            sent.append(sum(len(each.json["input"]) for each in server.requests[before:]))
        if store is not None:
            run(store.close())
    assert sent == [300, 0, 1]


def docstore_in(folder: Path) -> SimpleDocumentStore:
    """Return the docstore of an earlier run, an empty one before the first."""
    file = folder / "docstore.json"
    return (
        SimpleDocumentStore.from_persist_path(str(file)) if file.exists() else SimpleDocumentStore()
    )
