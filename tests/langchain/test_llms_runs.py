"""OllamaLLM: batches, callbacks, traces and caches."""

import threading
from collections.abc import Iterator
from typing import Any

import core_family as core
import pytest
from core_ways import call, pieces
from langchain_core.caches import InMemoryCache
from langchain_core.runnables import RunnableConfig, RunnableLambda
from llm_ways import Listener, answer, bodies
from running import Run

from langchain_ollama_ext import OllamaLLM
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import (
    __version__,
)


@pytest.fixture
def llm(server: EmbeddedOllama) -> Iterator[OllamaLLM]:
    with OllamaLLM(model="demo", base_url=server.url) as made:
        yield made


@pytest.mark.parametrize(("way", "limit"), [("batch", 3), ("batch", None), ("generate", None)])
def test_prompts_run_side_by_side(
    server: EmbeddedOllama, run: Run, way: str, limit: int | None
) -> None:
    """So many requests arrive before one is answered as the limit says; the peer's one (c26)."""
    expected = 4 if limit is None else limit
    gate = Gate()
    server.script("POST", "/api/generate", Reply.json(answer(), gate=gate), repeat=True)
    llm = OllamaLLM(model="m", base_url=server.url)
    seen: list[int] = []

    def open_when_full() -> None:
        server.wait_for_requests(expected)
        seen.append(len(server.requests))
        gate.set()

    watcher = threading.Thread(target=open_when_full)
    watcher.start()
    config = {} if limit is None else {"config": {"max_concurrency": limit}}
    answers = call(run, llm, way, [f"p{i}" for i in range(9)], **config)
    watcher.join()
    run(llm.aclose())
    assert seen == [expected]
    assert len(answers.generations if way == "generate" else answers) == 9


def test_answers_keep_the_order_of_the_prompts(
    server: EmbeddedOllama, llm: OllamaLLM, run: Run
) -> None:
    """Whichever answer is first, each stands where its prompt stood, and usage adds up."""
    prompts = [f"What is {word}?" for word in ("one", "two", "three", "four", "five", "six")]
    single = [call(run, llm, "invoke", prompt) for prompt in prompts]
    assert call(run, llm, "batch", prompts) == single
    result = call(run, llm, "generate", prompts)
    assert [found[0].text for found in result.generations] == single
    tokens = [
        found[0].generation_info["usage_metadata"]["total_tokens"] for found in result.generations
    ]
    assert result.llm_output["token_usage"]["total_tokens"] == sum(tokens)


def test_one_failure_of_a_batch_leaves_the_others(server: EmbeddedOllama, run: Run) -> None:
    """return_exceptions gives each prompt its own end, where core gives all of them the first."""
    server.script(
        "POST",
        "/api/generate",
        Reply.json(answer("a")),
        Reply.error(500, "boom"),
        Reply.json(answer("c")),
    )
    llm = OllamaLLM(model="m", base_url=server.url)
    found = call(run, llm, "batch", ["1", "2", "3"], {"max_concurrency": 1}, return_exceptions=True)
    run(llm.aclose())
    assert [found[0], found[2]] == ["a", "c"]
    assert isinstance(found[1], core.ModelAPIError)


def test_invoke_reports_tokens_unless_streaming_is_off(
    server: EmbeddedOllama, llm: OllamaLLM, run: Run
) -> None:
    """A handler that reads tokens gets them; not where streaming is switched off (c16)."""
    listener = Listener()
    call(run, llm, "invoke", "Hello", config={"callbacks": [listener]}, streaming=False)
    assert bodies(server)[-1]["stream"] is True
    assert listener.tokens == []
    text = call(run, llm, "invoke", "Hello", config={"callbacks": [listener]})
    assert bodies(server)[-1]["stream"] is True
    assert "".join(listener.tokens) == text == listener.ends[-1].generations[0][0].text


async def test_events_of_a_chain_carry_tokens(llm: OllamaLLM) -> None:
    """A plain ainvoke inside a chain streams when somebody waits for its events (c16)."""

    async def ask(text: str, config: RunnableConfig) -> str:
        return await llm.ainvoke(text, config)

    events = RunnableLambda(ask).astream_events("Hello", version="v2")
    tokens = [e["data"]["chunk"].text async for e in events if e["event"] == "on_llm_stream"]
    assert len(tokens) > 5
    assert "".join(tokens) == await llm.ainvoke("Hello")


def test_traces_say_what_was_asked(server: EmbeddedOllama, llm: OllamaLLM, run: Run) -> None:
    """Handlers see model, options of the call and our version, and no secret (c5, c13, c23)."""
    listener = Listener()
    config = {"callbacks": [listener]}
    asked: dict[str, Any] = {"temperature": 0.3, "api_key": "hush-hush"}
    call(run, llm, "invoke", "x", config=config, **asked)
    pieces(run, llm, "x", config=config, **asked)
    for start in listener.starts:
        params = start["invocation_params"]
        assert params["model"] == "demo"
        assert params["temperature"] == 0.3
        if hasattr(llm, "_add_version"):  # core keeps versions from 1.5 on
            assert start["metadata"]["lc_versions"]["ollama-ext"] == __version__
        assert "hush-hush" not in str(start)
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer hush-hush"] * 2


def test_tracing_parameters_honour_the_call() -> None:
    """LangSmith hears the model, temperature, limit and stops of the call (c23)."""
    llm = OllamaLLM(model="a", temperature=0.1, num_predict=5, stop=["X"])
    assert llm._get_ls_params() == {
        "ls_provider": "ollama",
        "ls_model_type": "llm",
        "ls_model_name": "a",
        "ls_temperature": 0.1,
        "ls_max_tokens": 5,
        "ls_stop": ["X"],
    }
    found = llm._get_ls_params(stop=["Y"], model="b", temperature=0.9, max_tokens=7)
    assert found["ls_model_name"] == "b"
    assert found["ls_temperature"] == 0.9
    assert found["ls_max_tokens"] == 7
    assert found["ls_stop"] == ["X", "Y"]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ({}, {}, True),
        ({}, {"model": "demo-rendered"}, False),
        ({}, {"temperature": 1}, False),
        ({"options": {"seed": 1}}, {"seed": 1}, True),
        ({}, {"system": "Be brief"}, False),
        ({"images": [b"a"]}, {"images": [b"b"]}, False),
        ({"stop": ["a"]}, {"stop": ["b"]}, False),
    ],
)
def test_caches_keep_different_questions_apart(
    server: EmbeddedOllama, run: Run, first: dict[str, Any], second: dict[str, Any], shared: bool
) -> None:
    """Per call or by constructor, what changes the answer changes the cache's key (c5)."""
    server.script("POST", "/api/generate", Reply.json(answer()), repeat=True)
    llm = OllamaLLM(model="demo", base_url=server.url, cache=InMemoryCache())
    call(run, llm, "invoke", "x", **first)
    call(run, llm, "invoke", "x", **second)
    run(llm.aclose())
    assert len(server.requests) == (1 if shared else 2)


def test_two_models_share_a_cache_and_no_entry(server: EmbeddedOllama) -> None:
    """One cache under two models never gives one model's answer for the other (c5)."""
    cache = InMemoryCache()
    for _ in range(2):
        for name, heat in (("demo", 0.0), ("demo-rendered", 0.0), ("demo", 1.0)):
            OllamaLLM(model=name, base_url=server.url, temperature=heat, cache=cache).invoke("x")
    assert len(server.requests) == 3


def test_two_servers_share_a_cache_and_no_entry(server: EmbeddedOllama) -> None:
    """The same name may be another model on another server (c5)."""
    cache = InMemoryCache()
    with EmbeddedOllama() as other:
        for url in (server.url, other.url, server.url):
            OllamaLLM(model="demo", base_url=url, cache=cache).invoke("x")
        assert len(server.requests) == len(other.requests) == 1
