"""A typed program of a LlamaIndex user; it is checked, and never run."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llamaindex_ollama_ext import Ollama, OllamaEmbedding, StructuredOutputError
from ollama_transport import Budget, OllamaError, Usage


class Weather(BaseModel):
    city: str
    celsius: float


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


llm = Ollama(
    "llama3.2",
    "http://127.0.0.1:11434",
    temperature=0,
    num_ctx=8192,
    thinking="high",
    timeout=(5, 60),
    keep_alive="5m",
    budget=Budget(max_tokens=1000),
    headers={"X-Team": "blue"},
    seed=7,
    api_key="key",
    on_context_overflow="error",
    system_prompt="Be brief.",
)
again = Ollama(**llm.model_dump())
embedding = OllamaEmbedding("nomic-embed-text", prefixes="auto", max_concurrency=2)
as_core_has_it: FunctionCallingLLM = llm
also: BaseEmbedding = embedding


def ask() -> str:
    # LlamaIndex's decorators hide these types from mypy: they can be given, and not be asserted.
    answer: CompletionResponse = llm.complete("Hello")
    responses: Iterator[ChatResponse] = llm.stream_chat([ChatMessage("Hello")])
    deltas = [answer.text, *(response.delta or "" for response in responses)]
    try:
        return f"{deltas} {llm.chat([ChatMessage('Hello')])}"
    except OllamaError as error:
        return str(error)


async def ask_later() -> None:
    responses: AsyncIterator[ChatResponse] = await llm.astream_chat([ChatMessage("Hello")])
    assert [response.delta async for response in responses]
    agent = FunctionAgent(tools=[weather], llm=llm)
    await agent.run("What is the weather in Oslo?")


def structured() -> Weather | None:
    try:
        found = llm.structured_predict(Weather, PromptTemplate("{city}"), city="Oslo")
    except StructuredOutputError as error:
        assert_type(error.text, str)
        return None
    assert_type(found, Weather)
    return found


def index() -> str:
    Settings.llm, Settings.embed_model = llm, embedding
    vectors = embedding.get_text_embedding_batch(["a", "b"])
    assert_type(vectors, list[list[float]])
    assert_type(embedding.usage_total, Usage)
    return str(VectorStoreIndex.from_documents([Document(text="a")]).as_query_engine().query("a"))
