"""OllamaEmbeddings in Chroma, FAISS and PostgreSQL: index, search, filter, delete."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from islands import ASKED, PASSAGES
from lc_stores import KINDS, Store
from running import Run

from langchain_ollama_ext import OllamaEmbeddings
from ollama_ext.embedded import EmbeddedOllama

_POSTGRES = pytest.mark.skipif(
    find_spec("langchain_postgres") is None,
    reason='no langchain-postgres: pip install -e ".[test-stores]"',
)
pytestmark = [
    # faiss-cpu's compiled classes name no module, of which Python 3.12 and later warn.
    pytest.mark.filterwarnings("ignore:builtin type .* has no __module__:DeprecationWarning"),
    # langchain-community announces its end whenever it is imported.
    pytest.mark.filterwarnings("ignore:.*langchain-community.*:DeprecationWarning"),
]


@pytest.fixture(
    params=[
        "chroma",
        "faiss",
        pytest.param("pgvector", marks=_POSTGRES),
        pytest.param("pgvectorstore", marks=_POSTGRES),
    ]
)
def store(
    request: pytest.FixtureRequest, run: Run, server: EmbeddedOllama, tmp_path: Path
) -> Iterator[Store]:
    """An open store of one kind with all passages, used blocking and asynchronously."""
    postgres = lambda: request.getfixturevalue("postgres")  # noqa: E731 - asked where it is needed
    embeddings = OllamaEmbeddings(model="demo-embed", base_url=server.url)
    with KINDS[request.param](run, embeddings, tmp_path, postgres) as inner:
        opened = Store(run, inner)
        opened.add_texts(
            [passage.text for passage in PASSAGES],
            [passage.facts for passage in PASSAGES],
            ids=[passage.key for passage in PASSAGES],
        )
        yield opened
        run(embeddings.aclose() if run.is_async else embeddings.close())
    embeddings.close()


def texts(found: list[Any]) -> list[str]:
    return [document.page_content for document in found]


def test_the_right_passage_is_first(store: Store) -> None:
    """Each question has its own passage first, out of 300 that share words with it."""
    for passage in ASKED:
        found = store.similarity_search(passage.question, k=3)
        assert len(found) == 3
        assert found[0].page_content == passage.text, passage.question
        assert found[0].metadata["topic"] == passage.topic


def test_scores_go_from_near_to_far(store: Store) -> None:
    """A passage searched by its own words is at distance nought, and others lie farther away."""
    found = store.similarity_search_with_score(PASSAGES[17].text, k=5)
    distances = [distance for _, distance in found]
    assert found[0][0].page_content == PASSAGES[17].text
    assert distances[0] == pytest.approx(0, abs=1e-5)
    assert distances == sorted(distances)
    assert distances[1] > 0.01


def test_metadata_narrow_a_search(store: Store) -> None:
    """A filter by topic and one by year leave only passages that fulfil them."""
    question = "When was the lighthouse of Aldra lit?"
    # FAISS sorts out by metadata what it has found: all passages, here.
    more = {"fetch_k": len(PASSAGES)} if type(store.inner).__name__ == "FAISS" else {}
    ferries = store.similarity_search(question, k=20, filter={"topic": "ferry"}, **more)
    assert {document.metadata["topic"] for document in ferries} == {"ferry"}
    assert "ferry to Aldra" in ferries[0].page_content
    late = store.similarity_search(question, k=20, filter={"year": {"$gte": 1950}}, **more)
    assert len(late) == 20
    assert all(document.metadata["year"] >= 1950 for document in late)


def test_deleted_passages_are_not_found(store: Store) -> None:
    """The first passage is deleted by its key; the next search gives another one, and no error."""
    passage = ASKED[3]
    store.delete([passage.key])
    found = texts(store.similarity_search(passage.question, k=5))
    assert len(found) == 5
    assert passage.text not in found


def test_a_store_is_a_retriever(store: Store, run: Run) -> None:
    """LangChain's retriever over a store gives the right passage first."""
    retriever = store.inner.as_retriever(search_kwargs={"k": 2})
    question = ASKED[8].question
    found = run(retriever.ainvoke(question) if run.is_async else retriever.invoke(question))
    assert texts(found)[0] == ASKED[8].text


def test_diverse_passages_can_be_asked_for(store: Store) -> None:
    """Maximal marginal relevance gives the right passage first, then passages unlike it."""
    passage = ASKED[5]
    found = texts(store.max_marginal_relevance_search(passage.question, k=4, fetch_k=40))
    assert found[0] == passage.text
    assert len(set(found)) == 4


def test_few_requests_fill_a_store(store: Store, server: EmbeddedOllama) -> None:
    """300 passages travel in five requests of at most 64 texts, one after another or at once."""
    sizes = [len(request.json["input"]) for request in server.requests if _is_filling(request)]
    assert sorted(sizes, reverse=True) == [64, 64, 64, 64, 44]


def _is_filling(request: Any) -> bool:
    # Some stores ask beforehand how long a vector is.
    return len(request.json["input"]) > 1
