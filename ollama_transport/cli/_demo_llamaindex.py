"""The demo's half for LlamaIndex: an index and its query engine."""

from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode

from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_transport._ledger import UsageLedger
from ollama_transport.cli._demo import Source, Task, print_answer, print_sources, print_usage


def answer(task: Task, name: str) -> None:
    """Answer by a LlamaIndex query engine, and print the answer, its sources and its cost."""
    ledger = UsageLedger()
    with (
        OllamaEmbedding(
            model_name=task.embed_model, base_url=task.base_url, ledger=ledger
        ) as embedding,
        Ollama(model=task.model, base_url=task.base_url, ledger=ledger) as llm,
    ):
        index = VectorStoreIndex(_nodes(task), embed_model=embedding)
        engine = index.as_query_engine(llm=llm, streaming=True, similarity_top_k=3)
        response: Any = engine.query(task.question)
        print_answer(name, iter(response.response_gen))
    print_sources([_source(found) for found in response.source_nodes])
    print_usage(ledger.snapshot().total)


def _nodes(task: Task) -> list[TextNode]:
    return [
        TextNode(text=passage.text, metadata={"file_name": passage.source})
        for passage in task.passages
    ]


def _source(found: Any) -> Source:
    score = found.score if found.score is not None else 0.0
    return Source(found.node.metadata["file_name"], found.node.get_content(), score)
