"""IngestionPipeline over `OllamaEmbedding`: caches, processes, asynchrony, and the splitters."""

import json
from pathlib import Path
from typing import Any

import llama_index.core
import pytest
from engine_limits import within
from llama_corpus import FACTS, SUNSET, documents, embedding_at, model_at
from llama_index.core.extractors import TitleExtractor
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SemanticSplitterNodeParser, SentenceSplitter
from llama_index.core.schema import Document
from llama_index.core.storage.docstore import SimpleDocumentStore

from llamaindex_ollama_ext import OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ModelNotFoundError

pytestmark = [SUNSET, pytest.mark.usefixtures("main_loop")]

TIKTOKEN_FILES = Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"
# Far more than it takes: past it something hangs.
PATIENCE_S = 300


def in_processes(test: Any) -> Any:
    """Run a test with core's pool of new processes, and with its executor of forked ones."""
    # Python 3.12 and 3.13 warn of the fork that core's `arun` makes.
    forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
    return forks(pytest.mark.parametrize("way", ["run", "arun"])(test))


def pipeline(model: OllamaEmbedding, **more: Any) -> IngestionPipeline:
    splitter = SentenceSplitter(chunk_size=64, chunk_overlap=0)
    return IngestionPipeline(transformations=[splitter, model], **more)


def embedded(server: EmbeddedOllama) -> list[str]:
    """Return all texts that the server embedded."""
    bodies: list[Any] = [request.json for request in server.requests]
    return [text for body in bodies if "input" in body for text in body["input"]]


def test_a_pipeline_embeds_every_node(server: EmbeddedOllama) -> None:
    """Each node has the vector of its own text."""
    model = embedding_at(server.url)
    nodes = pipeline(model).run(documents=documents())
    assert {node.metadata["topic"] for node in nodes} == set(FACTS)
    for node in nodes:
        assert node.embedding == model.get_text_embedding(node.get_content("embed"))  # type: ignore[arg-type] # the enum's value is taken too


async def test_a_pipeline_runs_asynchronously(server: EmbeddedOllama) -> None:
    """The same nodes come out of an asynchronous run."""
    async with embedding_at(server.url) as model:
        nodes = await pipeline(model).arun(documents=documents())
        again = pipeline(model).run(documents=documents())
    assert [node.embedding for node in nodes] == [node.embedding for node in again]


def test_the_second_run_sends_no_request(server: EmbeddedOllama) -> None:
    """A pipeline that has seen its documents takes their vectors from its cache."""
    flow = pipeline(embedding_at(server.url))
    first = flow.run(documents=documents())
    asked = len(server.requests)
    second = flow.run(documents=documents())
    assert len(server.requests) == asked
    assert [node.embedding for node in second] == [node.embedding for node in first]


def test_a_saved_cache_serves_another_model_object(server: EmbeddedOllama, tmp_path: Path) -> None:
    """The cache knows an equal model after saving and loading, for its dump holds nothing else."""
    flow = pipeline(embedding_at(server.url))
    flow.run(documents=documents())
    flow.persist(str(tmp_path))
    asked = len(server.requests)
    other = pipeline(embedding_at(server.url))
    other.load(str(tmp_path))
    other.run(documents=documents())
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    "change",
    [{"dimensions": 32}, {"text_instruction": "t:"}, {"document_prefix": "d:"}, {"truncate": True}],
)
def test_a_changed_model_embeds_again(server: EmbeddedOllama, change: dict[str, Any]) -> None:
    """What changes vectors changes the dump, so that no stale vector is taken from a cache."""
    cache = IngestionCache()
    pipeline(embedding_at(server.url), cache=cache).run(documents=documents())
    before = len(embedded(server))
    pipeline(embedding_at(server.url, **change), cache=cache).run(documents=documents())
    assert len(embedded(server)) == 2 * before


def test_only_changed_documents_are_embedded(server: EmbeddedOllama) -> None:
    """With a docstore, a second run embeds the one document that is new."""
    flow = pipeline(
        embedding_at(server.url),
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.DUPLICATES_ONLY,
        disable_cache=True,
    )
    flow.run(documents=documents())
    before = len(embedded(server))
    news = Document(text="The Nile is 6650 km long.", id_="Nile", metadata={"topic": "Nile"})
    flow.run(documents=[*documents(), news])
    (text,) = embedded(server)[before:]
    assert "Nile" in text


async def worked(way: str, flow: IngestionPipeline) -> list[Any]:
    """Run a pipeline in two processes, blocking or asynchronous."""
    with within(PATIENCE_S):
        if way == "run":
            return list(flow.run(documents=documents(), num_workers=2))
        return list(await flow.arun(documents=documents(), num_workers=2))


@in_processes
async def test_processes_share_the_work(
    server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Splitter and model travel to worker processes and work there, headers and all."""
    # Core shows tiktoken its own file in the parent alone. A new process looks for it anew, which
    # without a network ends the worker in silence, and core waits for it for ever.
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(TIKTOKEN_FILES))
    model = embedding_at(server.url, client_kwargs={"headers": {"X-Tenant": "7"}})
    model.get_text_embedding("used before it travels")
    asked = len(server.requests)
    nodes = await worked(way, pipeline(model, disable_cache=True))
    assert {node.metadata["topic"] for node in nodes} == set(FACTS)
    there = server.requests[asked:]
    assert len(there) == 2, "each process asks for its half"
    assert {request.headers["x-tenant"] for request in there} == {"7"}
    for node in nodes:
        here = model.get_text_embedding(node.get_content("embed"))  # type: ignore[arg-type] # the enum's value is taken too
        assert node.embedding == here


def test_a_failure_ends_the_run(server: EmbeddedOllama) -> None:
    """A model that is not there stops the pipeline with its own error."""
    with pytest.raises(ModelNotFoundError, match="ollama pull"):
        pipeline(OllamaEmbedding("nothing", server.url)).run(documents=documents())


@in_processes
async def test_a_failure_in_a_process_comes_back_as_itself(
    server: EmbeddedOllama, way: str
) -> None:
    """An error in a worker reaches the parent with its class, its text and its facts."""
    # Without a splitter: what fails here is the model alone.
    flow = IngestionPipeline(
        transformations=[OllamaEmbedding("nothing", server.url)], disable_cache=True
    )
    with pytest.raises(ModelNotFoundError, match="ollama pull nothing") as caught:
        await worked(way, flow)
    assert caught.value.status_code == 404


def test_a_dump_of_the_pipelines_model_is_json(server: EmbeddedOllama) -> None:
    """What the cache's key is made of can be written and read back."""
    model = embedding_at(server.url, keep_alive="5m", timeout=3.0)
    model.get_text_embedding("x")
    assert OllamaEmbedding.from_dict(json.loads(model.to_json())).to_dict() == model.to_dict()


def test_a_semantic_splitter_cuts_between_topics(server: EmbeddedOllama) -> None:
    """Splitting by vectors works over this model."""
    text = " ".join(FACTS.values())
    splitter = SemanticSplitterNodeParser(
        embed_model=embedding_at(server.url), buffer_size=1, breakpoint_percentile_threshold=60
    )
    nodes = splitter.get_nodes_from_documents([Document(text=text)])
    assert len(nodes) > 1
    assert "".join(node.get_content() for node in nodes).split() == text.split()


def test_an_extractor_asks_the_model(server: EmbeddedOllama) -> None:
    """Metadata made by the model lands on every node, beside its vector."""
    flow = IngestionPipeline(
        transformations=[TitleExtractor(llm=model_at(server.url)), embedding_at(server.url)]
    )
    nodes = flow.run(documents=documents())
    assert all(node.metadata["document_title"] for node in nodes)
    assert all(node.embedding for node in nodes)
