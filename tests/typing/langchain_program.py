"""A typed program of a LangChain user; it is checked, and never run."""

from typing import Any, assert_type

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import BaseModel

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from ollama_transport import Budget, ContextOverflowError, OllamaError, UsageLedger


class Weather(BaseModel):
    city: str
    celsius: float


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


ledger = UsageLedger()
model = ChatOllama(
    model="llama3.2",
    base_url="http://127.0.0.1:11434",
    temperature=0,
    num_ctx=8192,
    reasoning="high",
    timeout=(5, 60),
    keep_alive="5m",
    ledger=ledger,
    budget=Budget(max_tokens=1000),
    headers={"X-Team": "blue"},
)
as_core_has_it: BaseChatModel = model


def ask() -> str:
    answer = model.invoke([HumanMessage("Hello")])
    assert_type(answer, AIMessage)
    for chunk in model.stream("Hello", temperature=0.5):
        assert_type(chunk, AIMessageChunk)
    try:
        model.invoke("Hello")
    except ContextOverflowError as error:
        assert_type(error.prompt_tokens, int | None)
    except OllamaError as error:
        return str(error)
    return answer.text


async def ask_later() -> list[BaseMessage]:
    chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | model | StrOutputParser()
    assert_type(await chain.ainvoke({"question": "Why?"}), str)
    found: list[BaseMessage] = []
    async for chunk in model.astream("Hello"):
        found.append(chunk)
    return found


def structured() -> None:
    chain = model.with_structured_output(Weather, method="json_schema")
    assert_type(chain.invoke("Weather in Oslo?"), Weather)
    plain: Runnable[Any, Any] = model.with_structured_output({"type": "object"})
    assert plain.invoke("Weather in Oslo?")
    with_calls = model.with_structured_output(Weather, tools=[weather])
    assert_type(with_calls.invoke("Weather in Oslo?"), Weather | None)
    raw = model.with_structured_output(Weather, include_raw=True)
    assert_type(raw.invoke("Weather in Oslo?"), dict[str, Any])
    calling = model.bind_tools([weather], tool_choice="any")
    assert_type(calling.invoke("Weather?"), AIMessage)


def embed() -> list[Document]:
    with OllamaEmbeddings(model="nomic-embed-text", prefixes="auto") as embeddings:
        assert_type(embeddings.embed_query("a"), list[float])
        assert_type(embeddings.embed_documents(["a", "b"]), list[list[float]])
        return InMemoryVectorStore(embeddings).similarity_search("a")


def complete() -> str:
    llm: BaseLLM = OllamaLLM(model="llama3.2", num_predict=5)
    return llm.invoke("Once upon")
