"""Agents of both frameworks over a model of weights: they call their tools, and they end."""

from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_corpus import OLD_ATTRIBUTES
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama

SUM = "What is (121 * 3) + 42?"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def test_langchain_agent(engine_url: str) -> None:
    """An agent calls two tools, one on the other's result, and says what came out."""
    with ChatOllama(model="tiny-chat", base_url=engine_url, temperature=0) as model:
        agent: Any = create_agent(model, [add, multiply])
        messages = agent.invoke({"messages": [HumanMessage(SUM)]}, {"recursion_limit": 12})[
            "messages"
        ]
    results = [message for message in messages if isinstance(message, ToolMessage)]
    assert [(r.name, r.content) for r in results] == [("multiply", "363"), ("add", "405")]
    assert isinstance(messages[-1], AIMessage)
    assert "405" in messages[-1].content


@OLD_ATTRIBUTES
async def test_llamaindex_agent(engine_url: str) -> None:
    """The same through LlamaIndex's workflow."""
    async with Ollama(model="tiny-chat", base_url=engine_url, temperature=0) as llm:
        agent = FunctionAgent(tools=[add, multiply], llm=llm)
        handler = agent.run(SUM, max_iterations=6)
        events = [event async for event in handler.stream_events()]
        answer = str(await handler)
    results = [event for event in events if isinstance(event, ToolCallResult)]
    assert [(r.tool_name, str(r.tool_output)) for r in results] == [
        ("multiply", "363"),
        ("add", "405"),
    ]
    assert "405" in answer
