"""Agents of langchain and graphs of langgraph over ChatOllama, on the embedded server."""

from collections.abc import Iterator
from typing import Any

import pytest
from chat_ways import body, called, model_on, streamed, whole
from core_ways import call, pieces
from faked import status
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
)
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel
from running import Run
from versions import needs

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama
from ollama_transport import ContextOverflowError, ModelNotFoundError

# The v3 protocol of langchain-core and langgraph is in beta, of which both warn.
pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")

_QUESTION = "add 3 and 4, then multiply 5 and 6"
_ROUTES = ["demo", "demo-rendered"]


class Result(BaseModel):
    """The result."""

    value: int
    note: str


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@pytest.fixture
def model(run: Run, server: EmbeddedOllama, request: pytest.FixtureRequest) -> Iterator[ChatOllama]:
    """Return a chat model on the embedded server, closed after the test."""
    name = getattr(request, "param", "demo")
    made = ChatOllama(model=name, base_url=server.url, temperature=0)
    yield made
    call(run, made, "close")


def _ask(run: Run, agent: Any, text: str = _QUESTION) -> dict[str, Any]:
    found: dict[str, Any] = call(run, agent, "invoke", {"messages": [("human", text)]})
    return found


def _results(messages: list[AnyMessage]) -> list[tuple[str | None, Any]]:
    return [(one.name, one.content) for one in messages if isinstance(one, ToolMessage)]


@pytest.mark.parametrize("model", _ROUTES, indirect=True)
def test_parallel_calls_of_two_tools(run: Run, model: ChatOllama) -> None:
    """An agent calls both tools at once and answers from their results."""
    messages = _ask(run, create_agent(model, [add, multiply]))["messages"]
    calls = [made["name"] for made in messages[1].tool_calls]
    assert calls == ["add", "multiply"]
    assert _results(messages) == [("add", "7"), ("multiply", "30")]
    assert "7" in messages[-1].content
    assert "30" in messages[-1].content


@pytest.mark.parametrize("model", _ROUTES, indirect=True)
@pytest.mark.parametrize("shape", [ToolStrategy(Result), ProviderStrategy(Result), Result])
def test_structured_response(run: Run, model: ChatOllama, shape: Any) -> None:
    """By both strategies and by a plain schema, tools are used and the end has the shape (c3)."""
    found = _ask(run, create_agent(model, [add], response_format=shape), "add 3 and 4")
    assert isinstance(found["structured_response"], Result)
    assert ("add", "7") in _results(found["messages"])


def test_a_known_profile_chooses_the_server_s_own_way(run: Run, server: EmbeddedOllama) -> None:
    """With a profile, a plain schema constrains the answer instead of forcing a tool."""
    make = ChatOllama.afrom_server if run.is_async else ChatOllama.from_server
    model = run(make("demo", base_url=server.url))
    found = _ask(run, create_agent(model, [add], response_format=Result), "add 3 and 4")
    assert isinstance(found["structured_response"], Result)
    assert {name for name, _ in _results(found["messages"])} == {"add"}
    call(run, model, "close")


@needs("langchain-core", "1.4", "there is no stream_events")
@pytest.mark.parametrize("model", _ROUTES, indirect=True)
def test_event_streaming_runs_every_tool(run: Run, model: ChatOllama) -> None:
    """stream_events(version="v3") of an agent runs both calls and ends with the answer (c2)."""
    agent = create_agent(model, [add, multiply])
    asked: Any = {"messages": [("human", _QUESTION)]}
    if run.is_async:

        async def output() -> Any:
            stream = await agent.astream_events(asked, version="v3")
            return await stream.output()

        found = run(output())
    else:
        found = agent.stream_events(asked, version="v3").output
    assert _results(found["messages"]) == [("add", "7"), ("multiply", "30")]
    assert "30" in found["messages"][-1].text


@pytest.mark.parametrize("how", [{}, {"disable_streaming": True}, {"streaming": False}])
def test_each_token_is_shown_once(run: Run, server: EmbeddedOllama, how: Any) -> None:
    """A graph's stream of messages has the text once, streamed or not (c16)."""
    model = ChatOllama(model="demo", base_url=server.url, **how)

    def chat(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    async def achat(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("chat", achat if run.is_async else chat)
    graph.add_edge(START, "chat")
    asked = {"messages": [("human", "Hello")]}
    shown = pieces(run, graph.compile(), asked, stream_mode="messages")
    text = "".join(chunk.text for chunk, _ in shown if isinstance(chunk, AIMessage))
    assert text == call(run, model, "invoke", "Hello").text
    assert (len(shown) > 5) is (how == {})
    call(run, model, "close")


def test_settings_of_middleware_reach_the_server(run: Run) -> None:
    """Options that a middleware sets for a call are sent (c4)."""
    model, network = model_on(whole("done"))

    class Cool(AgentMiddleware):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return handler(request.override(model_settings={"temperature": 0.25, "num_ctx": 99}))

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            changed = request.override(model_settings={"temperature": 0.25, "num_ctx": 99})
            return await handler(changed)

    _ask(run, create_agent(model, [add], middleware=[Cool()]))
    assert body(network)["options"] == {"temperature": 0.25, "num_ctx": 99}


@needs("langchain", "1.4", "the middleware does not ask is_retryable")
def test_only_what_may_succeed_is_tried_again(run: Run) -> None:
    """Retry middleware asks a busy server again, and not for a missing model (c6)."""
    again = ModelRetryMiddleware(max_retries=2, on_failure="error", initial_delay=0, jitter=False)
    model, network = model_on(status(503, "busy"), whole("done"), max_retries=0)
    messages = _ask(run, create_agent(model, [], middleware=[again]))["messages"]
    assert (messages[-1].content, len(network.requests)) == ("done", 2)
    model, network = model_on("errors/missing-model", max_retries=0)
    with pytest.raises(ModelNotFoundError):
        _ask(run, create_agent(model, [], middleware=[again]))
    assert len(network.requests) == 1


def test_summarisation_recovers_from_an_overflow(run: Run) -> None:
    """A summary that does not fit is made of less, since the overflow is langchain-core's (c7)."""
    tiny = EmbeddedModel("tiny", ("completion",), context_length=1100, tool_call_placement="own")
    with EmbeddedOllama([tiny]) as server:
        make = ChatOllama.afrom_server if run.is_async else ChatOllama.from_server
        model = run(make("tiny", base_url=server.url, on_context_overflow="error"))
        shortening = SummarizationMiddleware(
            model=model, trigger=("messages", 6), keep=("messages", 1)
        )
        agent = create_agent(model, [], middleware=[shortening])
        history = [
            message
            for turn in range(6)
            for message in (HumanMessage(f"word {turn} " * 120), AIMessage("fine"))
        ]
        with pytest.raises(ContextOverflowError):
            call(run, model, "invoke", history)
        asked: Any = {"messages": [*history, HumanMessage("Hello")]}
        found = call(run, agent, "invoke", asked)["messages"]
        assert len(found) < len(history)
        assert found[-1].content
        call(run, model, "close")


def test_a_history_of_calls_goes_on_in_another_turn(run: Run) -> None:
    """After a turn with parallel calls, the next one carries calls and results with their ids."""
    model, network = model_on(whole(called("add", "multiply")), whole("both"))

    def n(n: int) -> int:
        """Return n."""
        return n

    given = [{"type": "function", "function": {"name": name}} for name in ("add", "multiply")]
    first = call(run, model.bind_tools([n, *given]), "invoke", "x")
    results = [ToolMessage("7", tool_call_id=made["id"]) for made in first.tool_calls]
    call(run, model, "invoke", [HumanMessage("x"), first, *results])
    sent = network.requests[-1].content.decode()
    assert sent.count('"tool_name":"add","tool_call_id":"call_add0"') == 1
    assert sent.count('"tool_name":"multiply","tool_call_id":"call_multiply1"') == 1


def test_a_call_on_the_last_line_runs_in_an_agent(run: Run) -> None:
    """Where the server puts a call and the end on one line, the streaming agent runs it."""
    with_call = {"tool_calls": [{"function": {"name": "add", "arguments": {"a": 1, "b": 2}}}]}
    model, _ = model_on(streamed(last=with_call), streamed({"content": "three"}), streaming=True)
    messages = _ask(run, create_agent(model, [add]))["messages"]
    assert _results(messages) == [("add", "3")]
    assert messages[-1].content == "three"
