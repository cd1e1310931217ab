"""Agents of both frameworks behind a gateway that refuses every field that it does not know."""

import json
from typing import Any

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from llama_corpus import OLD_ATTRIBUTES, OLD_QUESTION, SUNSET
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from running import Run
from strict_server import Strict, told

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama

pytestmark = [SUNSET, OLD_ATTRIBUTES, OLD_QUESTION]

KNOWN = {"model", "messages", "tools", "stream"}
KNOWN_OF_MESSAGES = {"role", "content", "tool_calls", "tool_call_id"}
CALL = {
    "index": 0,
    "id": "call00001",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
}


def unknown(body: Any) -> list[str]:
    found = [f"body.{name}" for name in body if name not in KNOWN]
    for place, message in enumerate(body["messages"]):
        odd = set(message) - KNOWN_OF_MESSAGES
        found += [f"body.messages.{place}.{name}" for name in sorted(odd)]
    return found


class Gateway(Strict):
    """Answers with a thought and a call first, and with text once the result is there."""

    def __init__(self) -> None:
        super().__init__(lambda body: bool(unknown(body)), told(""))

    def _play(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        faults = [
            {"type": "extra_forbidden", "loc": name.split("."), "msg": "Extra inputs"}
            for name in unknown(body)
        ]
        self.refusal = httpx.Response(422, json={"detail": faults})
        has_result = body["messages"][-1]["role"] == "tool"
        called = {"content": "", "reasoning_content": "Hm.", "tool_calls": [CALL]}
        self.message = {"content": "It rains."} if has_result else called
        return super()._play(request)


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"rain in {city}"


async def by_llamaindex(llm: Ollama) -> str:
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(weather)], llm=llm)
    return str(await agent.run("Weather?"))


def by_langchain(run: Run, model: ChatOllama) -> str:
    agent = create_agent(model, [tool(weather)])
    asked: Any = {"messages": [("user", "Weather?")]}
    state = run(agent.ainvoke(asked)) if run.is_async else agent.invoke(asked)
    return str(state["messages"][-1].content)


@pytest.mark.parametrize("kind", ["LangChain", "LangChain, streamed", "LlamaIndex"])
def test_an_agent_works_behind_a_gateway_that_knows_few_fields(run: Run, kind: str) -> None:
    """Each field is refused once; later turns and runs are sent in the form that is taken."""
    if kind == "LlamaIndex" and not run.is_async:
        pytest.skip("LlamaIndex's agents are asynchronous")
    gateway = Gateway()
    given = {"model": "m", "base_url": "http://h/v1", "api": "openai", "count_tokens": False}
    given["client_kwargs"] = {"transport": gateway}
    model: Any
    if kind == "LlamaIndex":
        model = Ollama(**given)
        said = [run(by_llamaindex(model)) for _ in range(2)]
    else:
        model = ChatOllama(**given, streaming="streamed" in kind)
        said = [by_langchain(run, model) for _ in range(2)]
    run(model.aclose() if run.is_async else model.close())
    assert said == ["It rains."] * 2
    refused = [name for body in gateway.bodies for name in unknown(body)]
    assert len(refused) == len(set(refused))
    assert "body.messages.2.name" in refused
    assert len([body for body in gateway.bodies if not unknown(body)]) == 4
