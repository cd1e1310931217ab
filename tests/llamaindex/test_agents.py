"""LlamaIndex's agents over a real socket: tools at once, hand-off, ReAct, structured answers."""

from typing import Any

import pytest
from engine_ways import chats, ran
from llama_corpus import OLD_ATTRIBUTES, OLD_QUESTION, SUNSET, memory_of
from llama_index.core.agent.workflow import (
    AgentStreamStructuredOutput,
    AgentWorkflow,
    FunctionAgent,
    ReActAgent,
)
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.tools import FunctionTool
from llama_ways import chat_reply
from pydantic import BaseModel
from versions import needs

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import ServerError

pytestmark = [SUNSET, OLD_ATTRIBUTES, OLD_QUESTION]


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It rains in {city}."


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


TOOLS = [get_weather, add, multiply]


@pytest.fixture
async def llm(server: EmbeddedOllama) -> Any:
    async with Ollama("demo", server.url) as model:
        yield model


async def test_an_agent_calls_tools_at_once(server: EmbeddedOllama, llm: Ollama) -> None:
    """D5: two calls of one tool are both made; results go back named, in the order of the calls."""
    agent = FunctionAgent(tools=TOOLS, llm=llm, system_prompt="Be brief.")
    done = await ran(agent, "What is the weather in Paris and in Rome?", llm)
    assert sorted(done.called, key=str) == [
        ("get_weather", {"city": "Paris"}, "It rains in Paris."),
        ("get_weather", {"city": "Rome"}, "It rains in Rome."),
    ]
    assert "Paris" in done.answer
    assert "Rome" in done.answer
    body: Any = server.requests[-1].json
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    made = body["messages"][2]["tool_calls"]
    results = body["messages"][3:]
    assert [result["tool_call_id"] for result in results] == [call["id"] for call in made]
    assert [result["tool_name"] for result in results] == ["get_weather"] * 2
    assert [result["content"] for result in results] == ["It rains in Paris.", "It rains in Rome."]


async def test_different_tools_at_once(llm: Ollama) -> None:
    """Calls of different tools keep their own arguments and ids."""
    agent = FunctionAgent(tools=TOOLS, llm=llm)
    done = await ran(agent, "Add 2 and 3, and multiply 4 by 5.", llm)
    assert sorted(done.called, key=str) == [
        ("add", {"a": 2, "b": 3}, "5"),
        ("multiply", {"a": 4, "b": 5}, "20"),
    ]
    assert len({result.tool_id for result in done.results}) == 2


async def test_an_agent_streams_its_answer(llm: Ollama) -> None:
    """The pieces of the last answer, and what the model thought, arrive as they come."""
    done = await ran(FunctionAgent(tools=TOOLS, llm=llm), "Add 2 and 3.", llm)
    last = [event for event in done.stream if not event.tool_calls]
    assert "".join(event.delta for event in last).endswith(done.answer)
    assert any(event.thinking_delta for event in done.stream)


async def test_no_parallel_calls_when_forbidden(llm: Ollama) -> None:
    """D9: an agent that allows one call at a time gets one, streaming too."""
    agent = FunctionAgent(tools=TOOLS, llm=llm, allow_parallel_tool_calls=False)
    done = await ran(agent, "What is the weather in Paris and in Rome?", llm)
    assert [call[1] for call in done.called] == [{"city": "Paris"}]


async def test_the_first_tool_can_be_forced(server: EmbeddedOllama, llm: Ollama) -> None:
    """D9: initial_tool_choice holds, for the first call alone."""
    agent = FunctionAgent(tools=TOOLS, llm=llm, initial_tool_choice="add")
    done = await ran(agent, "Please deal with 6 and 7.", llm)
    assert done.called[0] == ("add", {"a": 6, "b": 7}, "13")
    bodies: list[Any] = [request.json for request in server.requests if request.path == "/api/chat"]
    assert "format" in bodies[0]
    assert "format" not in bodies[-1]


async def test_a_failing_tool_is_reported_to_the_model(server: EmbeddedOllama, llm: Ollama) -> None:
    """An exception of a tool goes back as its result, and the agent goes on."""

    def get_stock(name: str) -> str:
        """Get the stock of a company."""
        raise ValueError(f"{name} is not listed")

    done = await ran(FunctionAgent(tools=[get_stock], llm=llm), "Get the stock of Acme.", llm)
    assert done.results[0].tool_output.is_error
    body: Any = server.requests[-1].json
    assert "Acme is not listed" in body["messages"][-1]["content"]


async def test_a_tool_can_give_the_answer_itself(server: EmbeddedOllama, llm: Ollama) -> None:
    """A tool that returns directly ends the run with its own text; the model says nothing more."""
    tool = FunctionTool.from_defaults(get_weather, return_direct=True)
    done = await ran(FunctionAgent(tools=[tool], llm=llm), "What is the weather in Oslo?", llm)
    assert done.answer == "It rains in Oslo."
    assert len(chats(server)) == 1


async def test_a_direct_answer_is_remembered(server: EmbeddedOllama, llm: Ollama) -> None:
    """After a tool answered for a handed-over agent, the next run goes on from a whole history."""
    server.script(
        "POST",
        "/api/chat",
        chat_reply(call("handoff", to_agent="sky", reason="weather")),
        chat_reply(call("get_weather", city="Oslo")),
        chat_reply({"content": "You are welcome."}),
    )
    tool = FunctionTool.from_defaults(get_weather, return_direct=True)
    front = FunctionAgent(
        name="front", description="Greets.", tools=[add], llm=llm, can_handoff_to=["sky"]
    )
    sky = FunctionAgent(name="sky", description="Knows the weather.", tools=[tool], llm=llm)
    flow, memory = AgentWorkflow(agents=[front, sky], root_agent="front"), memory_of(llm)
    first = await ran(flow, "What is the weather in Oslo?", llm, memory=memory)
    assert first.answer == "It rains in Oslo."
    assert len(chats(server)) == 2
    second = await ran(flow, "Thank you.", llm, memory=memory)
    assert second.answer == "You are welcome."
    messages = chats(server)[-1]["messages"]
    made = [made["id"] for message in messages for made in message.get("tool_calls", [])]
    answered = [m["tool_call_id"] for m in messages if m["role"] == "tool"]
    assert made == answered
    assert "It rains in Oslo." in [message["content"] for message in messages]


async def test_an_agent_remembers(llm: Ollama) -> None:
    """Calls and results of the first run stand in the history of the second, and are accepted."""
    agent, memory = FunctionAgent(tools=TOOLS, llm=llm), memory_of(llm)
    await agent.run("What is the weather in Paris?", memory=memory)
    answer = await agent.run("And what is the weather in Rome?", memory=memory)
    assert "Rome" in str(answer)
    history = memory.get_all()
    roles = [message.role for message in history]
    one = [MessageRole.USER, MessageRole.ASSISTANT, MessageRole.TOOL, MessageRole.ASSISTANT]
    assert roles == one * 2
    assert any(isinstance(block, ToolCallBlock) for block in history[1].blocks)


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"content": "", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]}


async def test_agents_hand_off(server: EmbeddedOllama, llm: Ollama) -> None:
    """One agent hands the question on to another, which uses its own tools and answers."""
    server.script(
        "POST",
        "/api/chat",
        chat_reply(call("handoff", to_agent="sums", reason="a sum")),
        chat_reply(call("add", a=2, b=3)),
        chat_reply({"content": "It is 5."}),
    )
    research = FunctionAgent(
        name="research",
        description="Looks up the weather.",
        tools=[get_weather],
        llm=llm,
        can_handoff_to=["sums"],
    )
    sums = FunctionAgent(name="sums", description="Calculates.", tools=[add], llm=llm)
    flow = AgentWorkflow(agents=[research, sums], root_agent="research")
    done = await ran(flow, "How much is 2 and 3?", llm)
    assert done.answer == "It is 5."
    assert [result.tool_name for result in done.results] == ["handoff", "add"]
    assert [output.current_agent_name for output in done.outputs][-1] == "sums"
    offered = [
        [tool["function"]["name"] for tool in body["tools"]]
        for body in (request.json for request in server.requests if request.path == "/api/chat")
        if isinstance(body, dict)
    ]
    assert offered == [["get_weather", "handoff"], ["add", "handoff"], ["add", "handoff"]]


@needs("llama-index-core", "0.14.8", "a ReAct agent fails on an answer with its reasoning")
async def test_a_react_agent_thinks_acts_and_answers(llm: Ollama) -> None:
    """An agent that works by text alone calls its tool and answers from the observation."""
    agent = ReActAgent(tools=[get_weather], llm=llm)
    done = await ran(agent, "What is the weather in Paris?", llm)
    assert done.called == [("get_weather", {"city": "Paris"}, "It rains in Paris.")]
    assert "It rains in Paris" in done.answer


@needs("llama-index-core", "0.14.8", "a ReAct agent fails on an answer with its reasoning")
async def test_a_react_agent_serves_a_model_without_tools(
    server: EmbeddedOllama, llm: Ollama
) -> None:
    """AgentWorkflow takes ReAct for a model that calls no tools (D11), and none are sent."""
    llm.is_function_calling_model = False
    flow = AgentWorkflow.from_tools_or_functions([get_weather], llm=llm)
    done = await ran(flow, "What is the weather in Paris?", llm)
    assert isinstance(next(iter(flow.agents.values())), ReActAgent)
    assert "It rains in Paris" in done.answer
    bodies: list[Any] = [request.json for request in server.requests if request.path == "/api/chat"]
    assert not [body for body in bodies if "tools" in body]


class Weather(BaseModel):
    city: str
    rain: bool


async def test_an_agent_answers_with_an_object(server: EmbeddedOllama, llm: Ollama) -> None:
    """An agent with an output class gives an object of it at the end."""
    said = Weather(city="Paris", rain=True)
    server.script(
        "POST",
        "/api/chat",
        chat_reply(call("get_weather", city="Paris")),
        chat_reply({"content": "It rains."}),
        chat_reply({"content": said.model_dump_json()}),
    )
    agent = FunctionAgent(tools=[get_weather], llm=llm, output_cls=Weather)
    response = await agent.run("What is the weather in Paris?", memory=memory_of(llm))
    assert response.get_pydantic_model(Weather) == said


async def structured_later(messages: list[ChatMessage]) -> dict[str, Any]:
    return structured_now(messages)


def structured_now(messages: list[ChatMessage]) -> dict[str, Any]:
    return {"city": "Paris", "rain": "rain" in str(messages[-1].content)}


@needs("llama-index-core", "0.14.24", "a workflow does not show the object")
@pytest.mark.parametrize("make", [structured_now, structured_later])
@pytest.mark.parametrize("flow", [False, True], ids=["agent", "workflow"])
async def test_a_function_makes_the_object(llm: Ollama, make: Any, flow: bool) -> None:
    """A function of the user's reads the whole conversation, the answer last, and is shown."""
    agent: Any = FunctionAgent(tools=[get_weather], llm=llm, structured_output_fn=make)
    if flow:
        agent = AgentWorkflow(agents=[agent], root_agent=agent.name)
    handler = agent.run("What is the weather in Paris?", memory=memory_of(llm))
    shown = [e.output async for e in handler.stream_events() if is_structured(e)]
    response = await handler
    assert shown == [response.structured_response] == [{"city": "Paris", "rain": True}]


def is_structured(event: Any) -> bool:
    return isinstance(event, AgentStreamStructuredOutput)


async def test_a_workflow_answers_with_an_object(server: EmbeddedOllama, llm: Ollama) -> None:
    """The output class of a workflow is asked for once, as a schema, about what was said."""
    said = Weather(city="Paris", rain=True)
    server.script(
        "POST",
        "/api/chat",
        chat_reply(call("get_weather", city="Paris")),
        chat_reply({"content": "It rains."}),
        chat_reply({"content": said.model_dump_json()}),
    )
    flow = AgentWorkflow.from_tools_or_functions([get_weather], llm=llm, output_cls=Weather)
    response = await flow.run("What is the weather in Paris?", memory=memory_of(llm))
    assert response.get_pydantic_model(Weather) == said
    bodies = chats(server)
    assert [body.get("format") for body in bodies] == [None, None, Weather.model_json_schema()]
    assert "It rains." in str(bodies[-1]["messages"])


@needs("llama-index-core", "0.14.13", "there is no early_stopping_method")
async def test_an_agent_that_runs_too_long_is_asked_to_answer(
    server: EmbeddedOllama, llm: Ollama
) -> None:
    """With early_stopping_method="generate" the model sums up where it would call for ever."""
    looping = [chat_reply(call("add", a=1, b=n)) for n in range(2)]
    server.script("POST", "/api/chat", *looping, chat_reply({"content": "I got to 2."}))
    agent = FunctionAgent(tools=[add], llm=llm, early_stopping_method="generate")
    done = await ran(agent, "Count.", llm, max_iterations=2)
    assert done.answer == "I got to 2."
    assert len(done.results) == 1
    assert "tools" not in chats(server)[-1]


async def test_a_failure_of_the_server_ends_the_run(server: EmbeddedOllama, llm: Ollama) -> None:
    """An agent's caller gets the model's own error."""
    server.script("POST", "/api/chat", Reply.error(500, "boom"), repeat=True)
    with pytest.raises(ServerError, match="boom"):
        await ran(FunctionAgent(tools=TOOLS, llm=llm), "hello", llm)


async def test_history_that_came_from_elsewhere(llm: Ollama) -> None:
    """Messages of another model, their calls as JSON text, are taken as history."""
    history = [
        ChatMessage("What is the weather in Paris?"),
        ChatMessage(
            role=MessageRole.ASSISTANT,
            blocks=[
                ToolCallBlock(
                    tool_call_id="x1", tool_name="get_weather", tool_kwargs='{"city": "Paris"}'
                )
            ],
        ),
        ChatMessage("It rains.", role=MessageRole.TOOL, additional_kwargs={"tool_call_id": "x1"}),
        ChatMessage("It rains there.", role=MessageRole.ASSISTANT),
    ]
    agent = FunctionAgent(tools=TOOLS, llm=llm)
    done = await ran(agent, "And in Rome, what is the weather?", llm, chat_history=history)
    assert "Rome" in done.answer
