"""LangChain's vector stores on real databases, each empty and closed at the end."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from postgres import Postgres
from running import Run

from langchain_ollama_ext import OllamaEmbeddings

# What a store needs: who waits, the vectors, a folder, and a way to a PostgreSQL.
Opener = Callable[[Run, OllamaEmbeddings, Path, Callable[[], Postgres]], Any]


@dataclass
class Store:
    """A vector store whose methods are called blocking, or by their asynchronous names."""

    run: Run
    inner: Any

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.inner, "a" + name if self.run.is_async else name)
        return lambda *given, **named: self.run(method(*given, **named))


@contextlib.contextmanager
def chroma(run: Run, embeddings: OllamaEmbeddings, folder: Path, _: Any) -> Iterator[Any]:
    import chromadb
    from langchain_chroma import Chroma

    settings = chromadb.Settings(anonymized_telemetry=False, is_persistent=True)
    store = Chroma("islands", embeddings, persist_directory=str(folder), client_settings=settings)
    yield store
    store._client.close()


@contextlib.contextmanager
def faiss(run: Run, embeddings: OllamaEmbeddings, folder: Path, _: Any) -> Iterator[Any]:
    import faiss as library
    from langchain_community.docstore.in_memory import InMemoryDocstore
    from langchain_community.vectorstores import FAISS

    index = library.IndexFlatL2(len(embeddings.embed_query("how long is a vector?")))
    yield FAISS(embeddings, index, InMemoryDocstore(), {})


@contextlib.contextmanager
def pgvector(
    run: Run, embeddings: OllamaEmbeddings, _: Path, postgres: Callable[[], Postgres]
) -> Iterator[Any]:
    from langchain_postgres import PGVector

    store = PGVector(
        embeddings,
        connection=postgres().url("psycopg"),
        collection_name=f"islands-{uuid4()}",
        async_mode=run.is_async,
    )
    yield store
    # A key stands once in all collections of a database.
    run(store.adelete_collection() if run.is_async else store.delete_collection())
    if run.is_async:
        run(store._async_engine.dispose())  # type: ignore[union-attr] # it is in this mode
    else:
        store.session_maker.remove()  # type: ignore[union-attr] # it is a scoped one in this mode
        store._engine.dispose()  # type: ignore[union-attr] # likewise


@contextlib.contextmanager
def pgvectorstore(
    run: Run, embeddings: OllamaEmbeddings, _: Path, postgres: Callable[[], Postgres]
) -> Iterator[Any]:
    from langchain_postgres import Column, PGEngine, PGVectorStore
    from sqlalchemy.ext.asyncio import create_async_engine

    table = f"islands_{uuid4().hex}"
    columns = [Column("topic", "TEXT"), Column("year", "INTEGER")]
    # It works on a loop of its own, in a thread, also where the caller has one.
    with loop_in_thread() as loop:
        pool = create_async_engine(postgres().url("psycopg"))
        engine = PGEngine.from_engine(pool, loop)
        engine.init_vectorstore_table(
            table,
            vector_size=len(embeddings.embed_query("how long is a vector?")),
            metadata_columns=columns,
            # Any text may be a key, as in the other stores.
            id_column=Column("langchain_id", "TEXT", nullable=False),
        )
        yield PGVectorStore.create_sync(
            engine, embeddings, table, metadata_columns=[column.name for column in columns]
        )
        asyncio.run_coroutine_threadsafe(pool.dispose(), loop).result(60)
        asyncio.run_coroutine_threadsafe(embeddings.aclose(), loop).result(60)


@contextlib.contextmanager
def loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="a store's loop")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


KINDS: dict[str, Opener] = {
    "chroma": chroma,
    "faiss": faiss,
    "pgvector": pgvector,
    "pgvectorstore": pgvectorstore,
}
