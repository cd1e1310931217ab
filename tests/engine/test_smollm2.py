"""A language model answers: SmolLM2-135M-Instruct, through both frameworks and over both wires.

What it says is asserted by what must hold, not by its prose.
"""

import subprocess
import sys
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.vectorstores import InMemoryVectorStore
from llama_corpus import SUNSET
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from pydantic import BaseModel, Field
from terminals import CLOSED, environment

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama

QUESTION = "When was the lighthouse of Skerry Point built?"
# The fact stands in one of them alone.
PASSAGES = [
    "The lighthouse of Skerry Point was built in 1871, after three ships were lost on the reef.",
    "Green tea is steeped for two minutes in water of 75 degrees.",
    "Spring tides come when the sun and the moon pull in one line.",
]
PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer the question from the context alone, in one sentence."),
        ("human", "Context:\n{context}\n\nQuestion: {question}"),
    ]
)
BOUND = {"temperature": 0, "num_predict": 60}


class Person(BaseModel):
    """A person."""

    name: str
    age: int = Field(ge=0, le=150)


@pytest.fixture(params=["native", "openai"])
def url(request: pytest.FixtureRequest, smollm2: EmbeddedOllama) -> str:
    return smollm2.url if request.param == "native" else f"{smollm2.url}/v1"


@pytest.fixture
def embed_url() -> Any:
    """Retrieval is lexical: the rules' vectors."""
    with EmbeddedOllama() as server:
        yield server.url


def test_langchain_answers_from_its_context(url: str, embed_url: str) -> None:
    """A chain finds the passage and answers with its fact, in pieces, with the tokens counted."""
    with (
        OllamaEmbeddings(model="demo-embed", base_url=embed_url) as embeddings,
        ChatOllama(model="smollm2", base_url=url, **BOUND) as model,
    ):
        store = InMemoryVectorStore(embeddings)
        store.add_documents([Document(text) for text in PASSAGES])
        found = store.similarity_search(QUESTION, k=2)
        asked = {"context": "\n".join(d.page_content for d in found), "question": QUESTION}
        pieces = list((PROMPT | model | StrOutputParser()).stream(asked))
        whole = (PROMPT | model).invoke(asked)
    assert len(pieces) > 3
    assert "1871" in "".join(pieces)
    # At temperature 0 the whole answer is the streamed one.
    assert whole.content == "".join(pieces)
    usage = whole.usage_metadata
    assert usage is not None
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert 0 < usage["output_tokens"] <= 60


@SUNSET
def test_llamaindex_answers_from_its_context(url: str, embed_url: str) -> None:
    """A query engine finds the passage and streams an answer with its fact."""
    with (
        OllamaEmbedding(model_name="demo-embed", base_url=embed_url) as embedding,
        Ollama(model="smollm2", base_url=url, **BOUND) as llm,
    ):
        index = VectorStoreIndex([TextNode(text=text) for text in PASSAGES], embed_model=embedding)
        engine = index.as_query_engine(llm=llm, streaming=True, similarity_top_k=2)
        response: Any = engine.query(QUESTION)
        pieces = list(response.response_gen)
    assert len(pieces) > 3
    assert "1871" in "".join(pieces)
    assert response.source_nodes[0].node.get_content() == PASSAGES[0]


def test_both_frameworks_fill_a_schema(url: str) -> None:
    """What a language model says in a schema is an object of it."""
    told = "Maria is 34 years old and flies planes. Extract the person as JSON."
    with ChatOllama(model="smollm2", base_url=url, temperature=0) as model:
        person = model.with_structured_output(Person).invoke(told)
    with Ollama(model="smollm2", base_url=url, temperature=0) as llm:
        same = llm.as_structured_llm(Person).complete(told).raw
    for found in (person, same):
        assert isinstance(found, Person)
        assert found.name.startswith("Maria")
        assert found.age == 34


@pytest.mark.usefixtures("smollm2")
def test_the_demo_is_answered_by_a_language_model() -> None:
    """Without an Ollama the demo says who answers, and shows two answers with their sources."""
    done = subprocess.run(
        [sys.executable, "-m", "ollama_ext.cli", "demo"],
        env=environment(CLOSED),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (
        0,
        "No server answers at http://127.0.0.1:1: SmolLM2-135M runs here instead.\n",
    )
    assert "embedded by demo-embed, answered by smollm2:135m" in done.stdout
    for framework in ("LangChain ─", "LlamaIndex ─"):
        half = done.stdout.partition(framework)[2].partition(" requests")[0]
        answer, _, sources = half.partition("Sources:")
        assert "1871" in answer
        assert "1. lighthouse.md (0." in sources
        assert " tokens, 3" in half
