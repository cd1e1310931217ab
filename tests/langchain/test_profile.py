"""What a model is known to do before anybody asks the server."""

import pickle
from typing import Any

import httpx
import pytest
from chat_ways import called, model_on, streamed, whole
from core_ways import call, pieces
from faked import Network
from langchain.agents import create_agent
from langchain.agents.factory import _supports_provider_strategy
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import ConfigurableField
from running import Run

from langchain_ollama_ext import ChatOllama
from langchain_ollama_ext._families import FAMILIES, family_can
from ollama_ext.embedded import EmbeddedOllama


def test_the_constructor_fills_the_profile_from_num_ctx_and_family() -> None:
    """num_ctx bounds the input; tools, reasoning and images are the family's."""
    profile = ChatOllama(model="qwen3:8b", num_ctx=8192).profile
    assert profile is not None
    assert profile["max_input_tokens"] == 8192
    assert profile["tool_calling"]
    assert profile["reasoning_output"]
    assert profile["structured_output"]
    assert "image_inputs" not in profile


def test_unknown_profile_fields_are_left_out() -> None:
    """A model of an unknown name, and an unknown context, are neither promised nor denied."""
    profile = ChatOllama(model="mine").profile
    assert profile is not None
    assert {"max_input_tokens", "tool_calling", "image_inputs"}.isdisjoint(profile)


def test_a_given_profile_stays() -> None:
    """What the caller says is all there is."""
    given: Any = {"max_input_tokens": 5}
    assert ChatOllama(model="qwen3", num_ctx=9, profile=given).profile == given


@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("llama3.2", {"tools"}),
        ("LLAMA3.2:1b-instruct-q4_K_M", {"tools"}),
        ("library/llava:13b", {"vision"}),
        ("registry.ollama.ai/library/gpt-oss:20b", {"tools", "thinking"}),
        ("gemma3", {"vision"}),
        ("gemma3:1b-it-qat", set()),
        ("qwen3:4b-instruct-2507-q8_0", {"tools"}),
        ("someone/qwen3", set()),
        ("hf.co/unsloth/qwen3", set()),
        ("qwen", set()),
    ],
)
def test_families_by_name(name: str, can: set[str]) -> None:
    """A tag that can do less says less, and other people's models are unknown."""
    assert family_can(name) == can


def test_the_table_has_three_words() -> None:
    """A typo in the table is no capability."""
    assert {word for can in FAMILIES.values() for word in can} == {"tools", "thinking", "vision"}


def test_langchain_constrains_answers_by_schema() -> None:
    """Agents use the server's own structured output, without asking anybody."""
    assert _supports_provider_strategy(ChatOllama(model="mine"))


def test_an_agent_summarises_before_the_context_is_full(server: EmbeddedOllama) -> None:
    """A trigger by fraction works on num_ctx alone: a long conversation is made short."""
    model = ChatOllama(model="demo", base_url=server.url, num_ctx=2048)
    shorten = SummarizationMiddleware(
        model, trigger=("fraction", 0.8), keep=("messages", 2), trim_tokens_to_summarize=400
    )
    agent = create_agent(model, middleware=[shorten])
    said = [kind(f"{n} " + "tea " * 40) for n in range(20) for kind in (HumanMessage, AIMessage)]
    found = agent.invoke({"messages": [*said, HumanMessage("Hello")]})
    assert len(found["messages"]) < len(said)
    model.close()


def _changed(model: ChatOllama, way: str) -> ChatOllama:
    """Return a model with another num_ctx, by one of the ways that LangChain has."""
    if way == "copy":
        return model.model_copy(update={"num_ctx": 4096}, deep=True)
    if way == "assign":
        model.num_ctx = 4096
        return model
    if way == "pickle":
        again: ChatOllama = pickle.loads(pickle.dumps(model))
        again.num_ctx = 4096
        return again
    field = ConfigurableField(id="num_ctx")
    chosen, _ = model.configurable_fields(num_ctx=field)._prepare(
        {"configurable": {"num_ctx": 4096}}
    )  # type: ignore[attr-defined] # a configurable model's own hook
    assert isinstance(chosen, ChatOllama)
    return chosen


@pytest.mark.parametrize("way", ["copy", "assign", "pickle", "configurable"])
def test_a_profile_follows_the_context(run: Run, server: EmbeddedOllama, way: str) -> None:
    """Another num_ctx is another size of input, whether the server was asked or not."""
    make = ChatOllama.afrom_server if run.is_async else ChatOllama.from_server
    for model in (
        ChatOllama(model="qwen3", num_ctx=8192),
        run(make("demo", base_url=server.url, num_ctx=2048)),
    ):
        before: Any = model.profile
        after = _changed(model, way).profile
        assert after == {**before, "max_input_tokens": 4096}
        run(model.aclose()) if run.is_async else model.close()


@pytest.mark.parametrize("way", ["copy", "assign", "pickle", "configurable"])
def test_a_profile_by_hand_follows_nothing(way: str) -> None:
    """What the caller said stays as it is."""
    given: Any = {"max_input_tokens": 5}
    model = ChatOllama(model="qwen3", num_ctx=8192, profile=given)
    assert _changed(model, way).profile == given


@pytest.mark.parametrize(
    ("bound", "size"),
    [
        (lambda model: model.bind(num_ctx=4096), 4096),
        (lambda model: model.bind(options={"num_ctx": 2048}), 2048),
        (lambda model: model.bind_tools([]).bind(num_ctx=1024), 1024),
        (lambda model: model.bind(num_ctx=512).with_config(tags=["a"]).bind(seed=1), 512),
        (lambda model: model.bind(stop=["x"]), 8192),
        (lambda model: model.with_config(tags=["a"]), 8192),
    ],
)
def test_a_profile_follows_bound_arguments(bound: Any, size: int) -> None:
    """Middlewares that are given a bound model read the context that its calls have."""
    model = ChatOllama(model="qwen3", num_ctx=8192)
    assert bound(model).profile["max_input_tokens"] == size
    assert model.profile is not None
    assert model.profile["max_input_tokens"] == 8192


def test_a_bound_model_has_its_own_profile() -> None:
    """Another model that is bound is not described as the first one; a given profile stays."""
    assert "image_inputs" in ChatOllama(model="qwen3").bind(model="llava").profile
    given: Any = {"max_input_tokens": 5}
    assert ChatOllama(model="qwen3", profile=given).bind(num_ctx=9).profile == given


def test_a_binding_is_dumped_as_cores_own() -> None:
    """What is stored has the name that langchain-core loads."""
    assert ChatOllama(model="qwen3").bind(num_ctx=9).lc_id()[-1] == "RunnableBinding"


def test_another_model_has_a_profile_of_its_own() -> None:
    """A copy with another name knows what its name says, and nothing of the first."""
    model = ChatOllama(model="qwen3", num_ctx=8192)
    other = model.model_copy(update={"model": "gemma3"}).profile
    assert other == ChatOllama(model="gemma3", num_ctx=8192).profile
    given: Any = {"max_input_tokens": 5}
    assert model.model_copy(update={"profile": given}).profile == given


@pytest.mark.parametrize(
    ("listed", "size"),
    [
        ({"max_model_len": 32768}, 32768),
        ({"meta": {"n_ctx_train": 131072, "n_ctx": 8192}}, 8192),
        ({"context_length": 4096}, 4096),
        ({"context_window": 131072, "created": None}, 131072),
        ({"max_context_length": 32768, "loaded_context_length": 4096}, 4096),
        ({"max_model_len": "long", "meta": None, "capabilities": {"completion_chat": True}}, None),
        ({"parent": "n"}, 512),
    ],
)
def test_the_other_wire_lists_its_context(run: Run, listed: dict[str, Any], size: int) -> None:
    """On /v1 `from_server` reads the list of models, and asks for nothing else."""
    entries = [{"id": "qwen3", **listed}, {"id": "n", "max_model_len": 512}]
    network = Network(httpx.Response(200, json={"data": entries}))
    make = ChatOllama.afrom_server if run.is_async else ChatOllama.from_server
    model = run(make("qwen3", base_url="http://h/v1", client_kwargs={"transport": network}))
    assert network.paths == ["/v1/models"]
    assert model.profile.get("max_input_tokens") == size
    assert model.profile["tool_calling"]


def test_a_profile_on_the_other_wire_takes_the_smaller_size(run: Run) -> None:
    """A num_ctx below what the server has is the size, and what the caller gives wins."""
    network = Network(httpx.Response(200, json={"data": [{"id": "m", "max_model_len": 512}]}))
    make = ChatOllama.afrom_server if run.is_async else ChatOllama.from_server
    told: Any = {"client_kwargs": {"transport": network}, "profile": {"tool_calling": False}}
    model = run(make("m", base_url="http://h/v1", **told))
    assert (model.profile["max_input_tokens"], model.profile["tool_calling"]) == (512, False)
    model.num_ctx = 100
    assert (model.profile["max_input_tokens"], model.profile["tool_calling"]) == (100, False)


@pytest.mark.parametrize(
    ("message", "reason", "normalized"),
    [
        ({"content": "a"}, "stop", "stop"),
        ({"content": "a"}, "length", "length"),
        (called("f"), "stop", "tool_call"),
        ({"content": "a"}, "unheard-of", None),
    ],
)
def test_why_an_answer_ended(run: Run, message: Any, reason: str, normalized: str | None) -> None:
    """Whole and streamed, the reason stands under core's names, beside the server's own."""
    model, _ = model_on(whole(message, done_reason=reason))
    answer = call(run, model, "invoke", "x").response_metadata
    assert (answer["done_reason"], answer["finish_reason"]) == (reason, reason)
    assert answer.get("normalized_finish_reason") == normalized


def test_a_stream_has_one_finish_reason(run: Run) -> None:
    """Chunks add up to one reason, which knows of the calls before it."""
    model, _ = model_on(streamed({"content": "a"}, called("f")))
    chunks = pieces(run, model, "x")
    told = sum(chunks[1:], chunks[0]).response_metadata
    assert (told["finish_reason"], told["normalized_finish_reason"]) == ("stop", "tool_call")
