"""Deep agents on our chat model: given as an object, and as a string."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

import langchain_ollama_ext
from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama, Prompt

deepagents = pytest.importorskip(
    "deepagents", reason="deepagents is not installed: pip install deepagents"
)

QUESTION = HumanMessage("What is the weather in Rome?")


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Rain in {city}"


@pytest.fixture(params=["object", "string"])
def model(
    request: pytest.FixtureRequest, server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Give the model as a program may give it."""
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    if request.param == "object":
        with ChatOllama(model="demo", num_ctx=32768) as chat:
            yield chat
    else:
        with langchain_ollama_ext.register():
            yield "ollama:demo"


def test_a_deep_agent_calls_a_tool_and_answers(model: Any) -> None:
    """The whole loop runs: a call, its result, and an answer made of it."""
    found = deepagents.create_deep_agent(model=model, tools=[weather]).invoke(
        {"messages": [QUESTION]}
    )
    asked, call, result, answer = found["messages"]
    assert asked.content == QUESTION.content
    assert call.tool_calls[0]["args"] == {"city": "Rome"}
    assert isinstance(result, ToolMessage)
    assert "Rain in Rome" in answer.content


def test_a_deep_agent_shortens_its_history_before_the_context_is_full() -> None:
    """Its own middleware reads the size of the context out of the profile."""
    seen: list[int] = []

    def counting(prompt: Prompt) -> Answer:
        seen.append(len(prompt.messages))
        return Answer("Short.")

    small = EmbeddedModel("small", ("completion", "tools"), engine=counting, context_length=32768)
    turns: list[Callable[[str], AnyMessage]] = [HumanMessage, AIMessage]
    history = [turns[number % 2]("The tide turns. " * 90) for number in range(40)]
    with EmbeddedOllama([small]) as server:
        model = ChatOllama(model="small", base_url=server.url, num_ctx=16384)
        agent = deepagents.create_deep_agent(model=model, tools=[weather])
        agent.invoke({"messages": [*history, QUESTION]})
        model.close()
    # The last request is the agent's own; those before it asked for the summary.
    assert len(seen) > 1
    assert seen[-1] < len(history) / 2
