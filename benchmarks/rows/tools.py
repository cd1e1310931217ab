"""Tools and agents."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, create_model

from benchmarks.cases import Case, Goal, Row, Scale, Variant
from benchmarks.makers import case_of, langchain_pair, llama_index_pair, peer_class
from benchmarks.works import lc_acall, lc_call

TOOLS = 20
STEPS = 2
QUESTION = "What is the weather in Paris?"


class Place(BaseModel):
    """A place on a map."""

    name: str = Field(description="How people call it")
    latitude: float | None = None
    longitude: float | None = None


class Stop(BaseModel):
    """A stop of a journey."""

    place: Place
    nights: int = 1
    wishes: list[str] = Field(default_factory=list)


def _schemas() -> list[type[BaseModel]]:
    return [
        create_model(
            f"plan_{at}",
            __doc__=f"Plan a journey of kind {at}.",
            stops=(list[Stop], Field(description="Where it goes")),
            start=(Place | None, None),
            budget=(float | None, None),
        )
        for at in range(TOOLS)
    ]


def bound(scale: Scale) -> Sequence[Variant]:
    """Ask with 20 nested tools bound."""
    schemas, times = _schemas(), max(1, scale.calls // 4)

    def sync(model: Any) -> Case:
        return lc_call(model.bind_tools(schemas), times=times)

    def asynchronous(model: Any) -> Case:
        return lc_acall(model.bind_tools(schemas), times=times)

    ours, peer = langchain_pair(scale.url, "stream-8")
    return [
        Variant("sync", sync(ours), case_of(peer, sync)),
        Variant("async", asynchronous(ours), case_of(peer, asynchronous)),
    ]


def weather(city: str) -> str:
    """Return the weather in a city."""
    return f"It is sunny in {city}."


def langchain_agent(scale: Scale) -> Sequence[Variant]:
    """Let a LangChain agent ask for a tool, call it and answer."""
    create_agent = peer_class("langchain.agents", "create_agent")
    times = max(1, scale.calls // 8)

    def work(model: Any) -> Case:
        assert create_agent is not None
        agent = create_agent(model, [weather])
        asked = {"messages": [("user", QUESTION)]}

        def run() -> str:
            for _ in range(times):
                answer = agent.invoke(asked)
            return str(answer["messages"][-1].content)

        return Case(run, times * STEPS)

    if create_agent is None:
        return []
    ours, peer = langchain_pair(scale.url, "agent-8")
    return [Variant("sync", work(ours), case_of(peer, work))]


def llama_index_agent(scale: Scale) -> Sequence[Variant]:
    """Let a LlamaIndex agent ask for a tool, call it and answer."""
    from llama_index.core.agent.workflow import FunctionAgent

    times = max(1, scale.calls // 8)

    def work(llm: Any) -> Case:
        agent = FunctionAgent(tools=[weather], llm=llm)

        async def run() -> str:
            for _ in range(times):
                answer = await agent.run(QUESTION)
            await asyncio.sleep(0)
            return str(answer.response.content)

        return Case(run, times * STEPS, is_async=True)

    ours, peer = llama_index_pair(scale.url, "agent-8")
    return [Variant("async", work(ours), case_of(peer, work))]


ROWS = (
    Row("tools", "20 nested tools bound, sync/async", "call",
        Goal((0.4,), text="≤ 0.4 x peer"), bound),
    Row("lc-agent", "agent step, LangChain", "step",
        Goal((0.85,), text="≤ 0.85 x peer"), langchain_agent),
    Row("li-agent", "agent step, LlamaIndex", "step",
        Goal((0.9,), text="≤ 0.9 x peer"), llama_index_agent),
)  # fmt: skip
