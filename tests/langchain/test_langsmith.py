"""LangSmith sees of each run its model, options, tools, usage and error, and no secret."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.tools import tool
from langchain_core.tracers import LangChainTracer
from langsmith_api import LangSmith, langsmith, served
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaLLM
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply
from ollama_transport import ModelNotFoundError

KEY = "key-48151623"
PATIENCE_S = 120
PROGRAM = f"""
from langchain_core.tracers.langchain import wait_for_all_tracers
from langchain_ollama_ext import ChatOllama

with ChatOllama(model="demo", seed=7, api_key="{KEY}") as model:
    model.invoke("hi")
    for _ in model.stream("hi"):
        pass
wait_for_all_tracers()
"""


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama([EmbeddedModel("demo", capabilities=("completion", "tools"))]) as server:
        yield server


@pytest.fixture
def server(running: EmbeddedOllama) -> EmbeddedOllama:
    running.reset()
    return running


@pytest.fixture
def told() -> Iterator[tuple[LangSmith, LangChainTracer]]:
    with langsmith() as serving:
        yield serving


@tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"sunny in {city}"


async def _listed(stream: Any) -> None:
    async for _ in stream:
        pass


def ask(run: Run, model: Any, tracer: LangChainTracer, *, streams: bool, bound: Any = None) -> None:
    """Ask a model, or what was bound of it, and close it."""
    asked, config = model if bound is None else bound, {"callbacks": [tracer]}
    try:
        if streams:
            run(_listed(asked.astream("hi", config))) if run.is_async else [
                *asked.stream("hi", config)
            ]
        else:
            run(asked.ainvoke("hi", config)) if run.is_async else asked.invoke("hi", config)
    finally:
        run(model.aclose() if run.is_async else model.close())


def message(run: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the message that a run ended with."""
    fields: dict[str, Any] = run["outputs"]["generations"][0][0]["message"]["kwargs"]
    return fields


@pytest.mark.parametrize("suffix", ["", "/v1"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_chat(
    run: Run,
    server: EmbeddedOllama,
    told: tuple[LangSmith, LangChainTracer],
    streams: bool,
    suffix: str,
) -> None:
    """Model, provider, options and the server's counts, whole and streamed."""
    model = ChatOllama(
        model="demo",
        base_url=server.url + suffix,
        temperature=0.2,
        num_predict=30,
        seed=7,
        stop=["END"],
        api_key=KEY,
    )
    ask(run, model, told[1], streams=streams)
    seen = told[0].of("llm")
    metadata, params = seen["extra"]["metadata"], seen["extra"]["invocation_params"]
    assert metadata["ls_provider"] == "ollama"
    assert metadata["ls_model_name"] == params["model"] == "demo"
    assert metadata["ls_temperature"] == params["temperature"] == 0.2
    assert metadata["ls_max_tokens"] == params["num_predict"] == 30
    assert metadata["ls_stop"] == ["END"]
    assert params["seed"] == 7
    usage = message(seen)["usage_metadata"]
    assert usage["input_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert "error" not in seen
    assert KEY not in "".join(told[0].bodies)


@pytest.mark.parametrize("streams", [False, True])
def test_tools(
    run: Run, server: EmbeddedOllama, told: tuple[LangSmith, LangChainTracer], streams: bool
) -> None:
    """The tools that were offered, and the call that the model made."""
    server.script("POST", "/api/chat", Reply.chat(tool_calls=[("weather", {"city": "Rome"})]))
    model = ChatOllama(model="demo", base_url=server.url)
    ask(run, model, told[1], streams=streams, bound=model.bind_tools([weather]))
    seen = told[0].of("llm")
    (offered,) = seen["extra"]["invocation_params"]["tools"]
    assert offered["function"]["name"] == "weather"
    (call,) = message(seen)["tool_calls"]
    assert (call["name"], call["args"]) == ("weather", {"city": "Rome"})


@pytest.mark.parametrize("streams", [False, True])
def test_an_error(
    run: Run, server: EmbeddedOllama, told: tuple[LangSmith, LangChainTracer], streams: bool
) -> None:
    """A run that failed has the class and the words of the error."""
    with pytest.raises(ModelNotFoundError):
        ask(run, ChatOllama(model="no", base_url=server.url), told[1], streams=streams)
    assert "ModelNotFoundError" in told[0].of("llm")["error"]


@pytest.mark.parametrize("streams", [False, True])
def test_a_completion(
    run: Run, server: EmbeddedOllama, told: tuple[LangSmith, LangChainTracer], streams: bool
) -> None:
    """A language model is a run with its options and its counts."""
    ask(run, OllamaLLM(model="demo", base_url=server.url, seed=3), told[1], streams=streams)
    seen = told[0].of("llm")
    assert seen["extra"]["metadata"]["ls_model_name"] == "demo"
    assert seen["extra"]["invocation_params"]["seed"] == 3
    assert '"eval_count"' in json.dumps(seen["outputs"])


def test_the_environment_alone_turns_it_on(server: EmbeddedOllama) -> None:
    """LANGSMITH_TRACING and a key: runs leave in batches, from a thread of LangSmith's.

    In a process of its own, since LangSmith reads the environment once and its thread stays.
    """
    kept = {name: value for name, value in os.environ.items() if "LANG" not in name}
    with served() as (told, url):
        settings = {
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_ENDPOINT": url,
            "LANGSMITH_API_KEY": "lsv2_pt_test",
            "OLLAMA_HOST": server.url,
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=kept | settings,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
    assert done.returncode == 0, done.stderr
    assert told.batches
    assert all(batch["x-api-key"] == "lsv2_pt_test" for batch in told.batches)
    runs = [run for run in told.runs.values() if run["run_type"] == "llm"]
    assert len(runs) == 2
    for run in runs:
        assert run["extra"]["metadata"]["ls_model_name"] == "demo"
        assert run["extra"]["invocation_params"]["seed"] == 7
        assert message(run)["usage_metadata"]["input_tokens"] > 0
        assert run["end_time"]
    assert KEY not in "".join(told.bodies)
