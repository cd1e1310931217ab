"""Engines and agents on what a real server said: its words, calls, ids and counts arrive."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
from engine_ways import Ran, ask, ran, recorded_calls, recorded_text
from faked import Network
from llama_corpus import OLD_ATTRIBUTES, OLD_QUESTION, SUNSET
from llama_index.core import Document, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import TextNode
from llama_ways import Played, Way
from recorded import recording
from running import Run
from versions import needs

from llamaindex_ollama_ext import Ollama, OllamaEmbedding

pytestmark = [SUNSET, OLD_ATTRIBUTES, OLD_QUESTION, pytest.mark.usefixtures("main_loop")]

Make = Callable[..., Ollama]
SKY = "Why is the sky blue?"
FACT = "The sky is blue because of Rayleigh scattering"


@pytest.fixture
def counter() -> TokenCountingHandler:
    return TokenCountingHandler(tokenizer=str.split)


def counted(counter: TokenCountingHandler) -> list[tuple[int, int]]:
    return [(c.prompt_token_count, c.completion_token_count) for c in counter.llm_token_counts]


def recorded_counts(*names: str) -> list[tuple[int, int]]:
    last = [recording(name).objects[-1] for name in names]
    return [(line["prompt_eval_count"], line["eval_count"]) for line in last]


def sky(way: Way) -> str:
    return f"chat/tiny-chat/sky-{'stream' if way.streams else 'whole'}"


def get_current_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Get the current weather in a city."""
    return f"22 degrees {unit} in {city}"


async def ran_on(*names: str, handler: Any = None, question: str = "", **how: Any) -> Ran:
    """Run an agent whose model says what was recorded; its requests are in `bodies`."""
    network = Played(*names)
    manager = CallbackManager([] if handler is None else [handler])
    model = names[0].split("/")[1]
    client_kwargs = {"transport": network}
    async with Ollama(model, client_kwargs=client_kwargs, callback_manager=manager) as llm:
        make = how.pop("make", FunctionAgent)
        done = await ran(make(tools=[get_current_weather], llm=llm, **how), question, llm)
    done.bodies = network.bodies
    return done


@needs("llama-index-core", "0.14.8", "an agent loses one of two calls")
@pytest.mark.parametrize("model", ["tiny-chat", "tiny-native"])
@pytest.mark.parametrize("kind", ["stream", "whole"])
async def test_an_agent_follows_recorded_calls(
    counter: TokenCountingHandler, model: str, kind: str
) -> None:
    """D5, D12: tools get the recorded arguments, results go back named, counts are the server's."""
    names = [f"chat/{model}/two-tools-{kind}", f"chat/{model}/tool-result-{kind}"]
    question = recording(names[0]).body["messages"][0]["content"]
    done = await ran_on(*names, handler=counter, question=question, streaming=kind == "stream")
    calls = recorded_calls(names[0])
    assert len(calls) == 2
    results = {r.tool_id: (r.tool_name, r.tool_kwargs) for r in done.results}
    assert results == {identity: (name, kwargs) for identity, name, kwargs in calls}
    assert done.answer == recorded_text(names[1])
    assert counted(counter) == recorded_counts(*names)
    first, second = done.bodies
    assert first["messages"] == recording(names[0]).body["messages"]
    assert second["messages"][0] == first["messages"][0]
    assert [(m["tool_call_id"], m["tool_name"], m["content"]) for m in second["messages"][2:]] == [
        (i, name, get_current_weather(**kwargs)) for i, name, kwargs in calls
    ]


async def test_an_agent_shows_recorded_pieces() -> None:
    """The events of a run bring each recorded piece of text and of thinking once, in order."""
    names = ["chat/tiny-think/tool-stream", "chat/tiny-think/sky-think-true-stream"]
    done = await ran_on(*names, question="What is the weather in Paris?")
    thoughts = [event.thinking_delta or "" for event in done.stream]
    texts = [event.delta for event in done.stream]
    assert "".join(thoughts) == "".join(recorded_text(name, "thinking") for name in names)
    assert "".join(texts) == "".join(recorded_text(name) for name in names)
    assert [r.tool_kwargs for r in done.results] == [{"city": "Paris", "unit": "celsius"}]
    assert done.answer == recorded_text(names[1])


def workflow(tools: list[Any], llm: Ollama) -> AgentWorkflow:
    return AgentWorkflow.from_tools_or_functions(tools, llm=llm)


@pytest.mark.parametrize("make", [FunctionAgent, ReActAgent, workflow])
async def test_an_agent_may_answer_at_once(counter: TokenCountingHandler, make: Any) -> None:
    """Words without a call are the answer, in an agent of each kind."""
    name = "chat/tiny-chat/sky-stream"
    done = await ran_on(name, handler=counter, question=SKY, make=make)
    assert done.answer == recorded_text(name)
    assert done.results == []
    assert "".join(event.delta for event in done.stream) == recorded_text(name)
    assert counted(counter) == recorded_counts(name)


def test_a_summary_index_gives_the_recorded_answer(
    ollama: Make, way: Way, counter: TokenCountingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine's answer is what was recorded, whole or in pieces, and counts once."""
    # An engine puts the callbacks of Settings on its model.
    monkeypatch.setattr(Settings, "_callback_manager", CallbackManager([counter]))
    network = Played(sky(way))
    llm = ollama(network)
    index = SummaryIndex.from_documents([Document(text=FACT)])
    engine = index.as_query_engine(llm=llm, streaming=way.streams)
    response = ask(way.run, engine, "query", SKY)
    pieces = gathered(way, response.response_gen) if way.streams else [str(response)]
    said = [line["message"]["content"] for line in recording(sky(way)).objects]
    # The last line of a stream has counts and no text.
    assert [piece for piece in pieces if piece] == [text for text in said if text]
    assert counted(counter) == recorded_counts(sky(way))
    asked = network.body["messages"][-1]["content"]
    assert FACT in asked
    assert SKY in asked


def gathered(way: Way, stream: Any) -> list[str]:
    if not way.run.is_async:
        return list(stream)

    async def gather() -> list[str]:
        return [piece async for piece in stream]

    return way.run(gather())


def test_a_chat_engine_gives_the_recorded_answer(ollama: Make, way: Way) -> None:
    """A chat's answer arrives as it was recorded, and stands in the memory after the question."""
    llm = ollama(Played(sky(way)))
    memory = ChatMemoryBuffer.from_defaults(token_limit=1000, tokenizer_fn=str.split)
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    if not way.streams:
        answer = str(ask(way.run, engine, "chat", SKY))
    elif way.run.is_async:
        answer = way.run(streamed(engine))
    else:
        answer = "".join(engine.stream_chat(SKY).response_gen)
    assert answer == recorded_text(sky(way))
    assert [(message.role.value, message.content) for message in memory.get_all()] == [
        ("user", SKY),
        ("assistant", answer),
    ]


async def streamed(engine: SimpleChatEngine) -> str:
    response = await engine.astream_chat(SKY)
    return "".join([piece async for piece in response.async_response_gen()])


def test_a_chat_engine_sends_what_it_remembers(ollama: Make, run: Run) -> None:
    """The server gets the conversation in the form that the recorded answer was given for."""
    name = "chat/tiny-chat/multi-turn-whole"
    *before, (_, question) = [
        (message["role"], message["content"]) for message in recording(name).body["messages"]
    ]
    network = Played(name)
    history = [ChatMessage(text, role=MessageRole(role)) for role, text in before]
    memory = ChatMemoryBuffer.from_defaults(token_limit=1000, tokenizer_fn=str.split)
    engine = SimpleChatEngine.from_defaults(llm=ollama(network), memory=memory)
    answer = ask(run, engine, "chat", question, chat_history=history)
    assert str(answer) == recorded_text(name) == "Your name is Bob."
    assert network.body["messages"] == recording(name).body["messages"]


def embedding(network: Network) -> OllamaEmbedding:
    return OllamaEmbedding("tiny-embed", client_kwargs={"transport": network}, max_retries=0)


def test_a_vector_index_searches_recorded_vectors(ollama: Make, way: Way) -> None:
    """Recorded vectors find the text that means the same, and the model is shown that one."""
    run, vectors = way.run, Network("embed/three", "embed/one")
    model, network = embedding(vectors), Played(sky(way))
    texts, question = recording("embed/three").body["input"], recording("embed/one").body["input"]
    nodes = [TextNode(text=text) for text in texts]
    index = VectorStoreIndex(nodes, embed_model=model, use_async=run.is_async)
    engine = index.as_query_engine(llm=ollama(network), similarity_top_k=2, streaming=way.streams)
    response = ask(run, engine, "query", question)
    answer = "".join(gathered(way, response.response_gen)) if way.streams else str(response)
    assert answer == recorded_text(sky(way))
    assert [node.text for node in response.source_nodes] == texts[:2]
    assert response.source_nodes[0].score == pytest.approx(1.0, abs=1e-3)
    assert texts[0] in network.body["messages"][-1]["content"]
    assert texts[2] not in network.body["messages"][-1]["content"]
    run(model.aclose()) if run.is_async else model.close()
