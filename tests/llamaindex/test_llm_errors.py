"""One tree of errors: the same class in all four ways, and how an answer that was cut ends."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from faked import Pieces, status
from llama_index.core.base.llms.types import TextBlock
from llama_index.core.llms import ChatMessage
from llama_ways import Played, Way, answer, chat_lines
from recorded import recording
from running import Run

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import (
    AuthenticationError,
    ContextOverflowError,
    ContextTruncatedWarning,
    ModelNotFoundError,
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    RequestRejectedError,
    ServerBusyError,
    ServerError,
    StatusError,
    StreamFailedError,
    StreamTruncatedError,
    UnsupportedCapabilityError,
)

Make = Callable[..., Ollama]


@pytest.mark.parametrize(
    ("played", "kind"),
    [
        ("errors/missing-model", ModelNotFoundError),
        ("errors/no-tools", UnsupportedCapabilityError),
        ("errors/no-thinking", UnsupportedCapabilityError),
        ("errors/chat-on-embedding-model", UnsupportedCapabilityError),
        ("errors/image-bad-base64", RequestRejectedError),
        (status(401, "unauthorized"), AuthenticationError),
        (status(503, "server busy"), ServerBusyError),
        (status(429, "slow down"), ServerBusyError),
        (status(500, "boom"), ServerError),
        (httpx.ConnectError("refused"), OllamaConnectionError),
        (httpx.ReadError("reset"), OllamaConnectionError),
        (
            httpx.ReadTimeout("silence", request=httpx.Request("POST", "http://x")),
            OllamaTimeoutError,
        ),
    ],
)
def test_the_same_class_in_every_way(
    ollama: Make, way: Way, played: Any, kind: type[OllamaError]
) -> None:
    """D13: blocking or not, streamed or not, chat or completion, a failure is one class."""
    for call in (way.chat, way.complete):
        with pytest.raises(OllamaError) as caught:
            call(ollama(Played(played)), "hi")
        assert type(caught.value) is kind
        if isinstance(caught.value, StatusError):
            assert caught.value.status_code >= 400


def test_a_missing_model_says_what_to_pull(ollama: Make, way: Way) -> None:
    """D13: the error for a model that is not there names the command that gets it."""
    with pytest.raises(ModelNotFoundError, match="ollama pull nope"):
        way.chat(ollama(Played("errors/missing-model"), "nope"), "hi")


def test_a_busy_server_is_asked_again(ollama: Make, way: Way) -> None:
    """D13: a busy server gets another try, and its answer counts."""
    busy = httpx.Response(503, json={"error": "busy"}, headers={"retry-after": "0"})
    network = Played(busy, answer({"content": "hi"}, streams=way.streams))
    network.shown = status(404)
    llm = ollama(network, max_retries=1)
    assert way.chat(llm, "hi")[-1].message.content == "hi"
    assert len(network.requests) == 2


def test_a_stream_without_its_end_is_an_error(ollama: Make, run: Run) -> None:
    """D6: lines without a last one raise, and what came is in the error."""
    lines = recording("chat/tiny-chat/hello-stream").chunks[:3]
    llm = ollama(Played(httpx.Response(200, stream=Pieces(lines))))
    seen, error = run.until_error(_stream(llm, run))
    assert isinstance(error, StreamTruncatedError)
    assert len(seen) == 3
    assert [line.text for line in error.received] == [response.delta for response in seen]


def test_an_error_line_is_an_error(ollama: Make, run: Run) -> None:
    """D13: an error after the first line is raised, with the server's text."""
    first, *_ = chat_lines({"content": "so"}, {"content": "far"})
    body = f"{json.dumps(first)}\n" + '{"error":"boom"}\n'
    llm = ollama(Played(httpx.Response(200, content=body)))
    seen, error = run.until_error(_stream(llm, run))
    assert [response.delta for response in seen] == ["so"]
    assert isinstance(error, StreamFailedError)
    assert error.error == "boom"


def _stream(llm: Ollama, run: Run) -> Any:
    messages = [ChatMessage("hi")]
    return run(llm.astream_chat(messages)) if run.is_async else llm.stream_chat(messages)


def test_silence_is_a_timeout_that_says_what_to_raise(server: EmbeddedOllama, way: Way) -> None:
    """D2: the error of a slow answer names the seconds and the setting."""
    server.script("POST", "/api/chat", Reply.lines([], delay_s=30))
    with pytest.raises(OllamaTimeoutError, match="raise the timeout"):
        way.chat(Ollama("demo", server.url, request_timeout=0.05, max_retries=0), "hi")


LONG = "words " * 3000


@pytest.mark.parametrize("kind", ["chat", "complete"])
def test_a_long_prompt_is_cut_with_a_warning(server: EmbeddedOllama, way: Way, kind: str) -> None:
    """By default a prompt that does not fit is cut, but not without a word."""
    llm = Ollama("demo-rendered", server.url, context_window=512)
    with pytest.warns(ContextTruncatedWarning, match="context 512"):
        assert getattr(way, kind)(llm, LONG)[-1].raw["done"]


@pytest.mark.parametrize("kind", ["chat", "complete"])
def test_a_long_prompt_is_an_error_on_request(server: EmbeddedOllama, way: Way, kind: str) -> None:
    """on_context_overflow="error" raises, with both counts, before anything is generated."""
    llm = Ollama("demo", server.url, context_window=512, on_context_overflow="error")
    with pytest.raises(ContextOverflowError) as caught:
        getattr(way, kind)(llm, LONG)
    assert caught.value.context_length == 512
    assert (caught.value.prompt_tokens or 0) > 3000


def test_a_long_prompt_is_cut_in_silence_on_request(server: EmbeddedOllama, way: Way) -> None:
    """on_context_overflow="truncate", with a call here, leaves it to the server."""
    llm = Ollama("demo-rendered", server.url, context_window=512)
    response = way.chat(llm, LONG, on_context_overflow="truncate")[-1]
    assert isinstance(response.message.blocks[-1], TextBlock)
