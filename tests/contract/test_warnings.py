"""A warning about the caller's prompt points at the caller's line, through both frameworks."""

import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from core_ways import call
from faked import Network
from llama_index.core.llms import ChatMessage
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama
from ollama_transport import ChatRequest, ContextTruncatedWarning, Message, OnlyThoughtsWarning

LONG = "word " * 200


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    """Yield a server whose model has a context of 32 tokens."""
    small = EmbeddedModel("small", ("completion",), context_length=32, tool_call_placement="own")
    with EmbeddedOllama([small]) as found:
        yield found


def pointed_at(ask: Any) -> str:
    """Return the file that the one warning of a call points at."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        ask()
    (warning,) = [one for one in seen if issubclass(one.category, ContextTruncatedWarning)]
    return warning.filename


@pytest.mark.parametrize("framework", ["langchain", "llamaindex", "neither"])
def test_a_cut_prompt_points_at_the_caller(
    server: EmbeddedOllama, run: Run, framework: str
) -> None:
    """Not at a line of ours, nor of a framework."""
    if framework == "langchain":
        model = ChatOllama(model="small", base_url=server.url)
        found = pointed_at(lambda: call(run, model, "invoke", [("user", LONG), ("user", "Hi")]))
        run(model.aclose())
    elif framework == "llamaindex":
        llm = Ollama(model="small", base_url=server.url, context_window=32)
        found = pointed_at(lambda: call(run, llm, "chat", [ChatMessage(LONG), ChatMessage("Hi")]))
        run(llm.aclose())
    else:
        client = run.client(server.url)
        messages = [Message("user", LONG), Message("user", "Hi")]
        request = ChatRequest("small", messages, on_context_overflow="warn")
        found = pointed_at(lambda: run(client.chat(request)))
    # In an event loop of its own a test's task is started by the helper that runs both ways.
    assert found.rpartition("/")[2] in ("test_warnings.py", "running.py", "core_ways.py")


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_thoughts_alone_point_at_the_caller(run: Run, framework: str) -> None:
    """Every warning about an answer does, not that of a cut prompt alone."""
    line = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": True}
    said = {"role": "assistant", "content": "", "thinking": "Hm."}
    body = {**line, "done_reason": "length", "message": said, "eval_count": 9}
    settings = {
        "base_url": "http://h",
        "client_kwargs": {"transport": Network(httpx.Response(200, json=body))},
    }
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if framework == "langchain":
            call(run, ChatOllama(model="m", **settings), "invoke", "Hi")
        else:
            call(run, Ollama(model="m", **settings), "chat", [ChatMessage("Hi")])
    (warning,) = [one for one in seen if issubclass(one.category, OnlyThoughtsWarning)]
    assert warning.filename.rpartition("/")[2] in ("test_warnings.py", "running.py", "core_ways.py")
