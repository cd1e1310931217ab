"""The demo's half for LangChain: a vector store, a prompt and a model."""

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from ollama_ext.cli._demo_task import INSTRUCTION, Answer, DemoLedger, Show, Source, Task

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", INSTRUCTION),
        ("human", "Context:\n{context}\n\nQuestion: {question}"),
    ]
)


def answer(task: Task, show: Show) -> Answer:
    """Answer with LangChain; ``show`` receives the pieces as they arrive."""
    ledger = DemoLedger()
    embed = task.embed
    with (
        OllamaEmbeddings(
            model=embed.model, base_url=embed.base_url, timeout=task.timeout, ledger=ledger
        ) as embeddings,
        ChatOllama(**task.chat_arguments(ledger)) as model,
    ):
        store = InMemoryVectorStore(embeddings)
        store.add_documents(_documents(task))
        found = store.similarity_search_with_score(task.question, k=2)
        context = "\n\n".join(document.page_content for document, _ in found)
        prompt = PROMPT.invoke({"context": context, "question": task.question})
        text = ""
        # The model's own stream: a chain's reads on to the end when it is closed by Ctrl-C.
        for chunk in model.stream(prompt):
            text += chunk.text
            show(chunk.text)
    sources = [Source(d.metadata["source"], d.page_content, score) for d, score in found]
    return Answer(text, sources, ledger.snapshot().total, ledger.cut)


def _documents(task: Task) -> list[Document]:
    return [Document(passage.text, metadata={"source": passage.file}) for passage in task.passages]
