"""The demo's half for LlamaIndex: an index and its query engine."""

from typing import Any

from llama_index.core import ChatPromptTemplate, VectorStoreIndex
from llama_index.core.schema import TextNode

from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.cli._demo_task import INSTRUCTION, Answer, DemoLedger, Show, Source, Task

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", INSTRUCTION),
        ("user", "Context:\n{context_str}\n\nQuestion: {query_str}"),
    ]
)


def answer(task: Task, show: Show) -> Answer:
    """Answer with a LlamaIndex query engine; ``show`` receives the pieces as they arrive."""
    ledger = DemoLedger()
    embed = task.embed
    with (
        OllamaEmbedding(
            model_name=embed.model, base_url=embed.base_url, timeout=task.timeout, ledger=ledger
        ) as embedding,
        Ollama(**task.chat_arguments(ledger)) as llm,
    ):
        index = VectorStoreIndex(_nodes(task), embed_model=embedding)
        engine = index.as_query_engine(
            llm=llm, streaming=True, similarity_top_k=2, text_qa_template=PROMPT
        )
        response: Any = engine.query(task.question)
        text = ""
        for piece in response.response_gen:
            text += piece
            show(piece)
    sources = [_source(found) for found in response.source_nodes]
    return Answer(text, sources, ledger.snapshot().total, ledger.cut)


def _nodes(task: Task) -> list[TextNode]:
    return [
        TextNode(text=passage.text, metadata={"file_name": passage.file})
        for passage in task.passages
    ]


def _source(found: Any) -> Source:
    score = found.score if found.score is not None else 0.0
    return Source(found.node.metadata["file_name"], found.node.get_content(), score)
