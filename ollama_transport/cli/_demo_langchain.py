"""The demo's half for LangChain: a retriever and a chain."""

from collections.abc import Iterator
from typing import Any

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from ollama_transport._ledger import UsageLedger
from ollama_transport.cli._demo import Source, Task, print_answer, print_sources, print_usage

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer the question from the context alone, in one or two sentences."),
        ("human", "Context:\n{context}\n\nQuestion: {question}"),
    ]
)


def answer(task: Task, name: str) -> None:
    """Answer by a LangChain chain, and print the answer, its sources and its cost."""
    ledger = UsageLedger()
    with (
        OllamaEmbeddings(
            model=task.embed_model, base_url=task.base_url, ledger=ledger
        ) as embeddings,
        ChatOllama(model=task.model, base_url=task.base_url, ledger=ledger) as model,
    ):
        store = InMemoryVectorStore(embeddings)
        store.add_documents(
            [
                Document(passage.text, metadata={"source": passage.source})
                for passage in task.passages
            ]
        )
        found = store.similarity_search_with_score(task.question, k=3)
        print_answer(name, _pieces(model, task.question, [document for document, _ in found]))
    print_sources([Source(d.metadata["source"], d.page_content, score) for d, score in found])
    print_usage(ledger.snapshot().total)


def _pieces(model: Any, question: str, documents: list[Document]) -> Iterator[str]:
    chain: Runnable[dict[str, str], str] = PROMPT | model | StrOutputParser()
    context = "\n\n".join(document.page_content for document in documents)
    return chain.stream({"context": context, "question": question})
