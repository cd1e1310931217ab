"""What is logged: each request at DEBUG, each retry at INFO, and nothing of what is said."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama, Reply
from ollama_transport import ChatRequest, EmbedRequest, Message, OllamaError, RetryPolicy

SECRET, ASKED, ANSWERED = "key-48151623", "the asked words", "the answered words"
HELLO = ChatRequest("demo", [Message("user", ASKED)])
AT_ONCE = RetryPolicy(first_wait_s=0)


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    models = [EmbeddedModel("demo", engine=lambda _: Answer(ANSWERED))]
    with EmbeddedOllama([*models, EmbeddedModel("vectors", capabilities=("embedding",))]) as one:
        yield one


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "ollama_transport")
    return caplog


def lines(log: pytest.LogCaptureFixture, level: int = logging.DEBUG) -> list[str]:
    """Return the lines of our loggers at a level."""
    ours = [one for one in log.records if one.name.partition(".")[0] == "ollama_transport"]
    return [one.getMessage() for one in ours if one.levelno == level]


@pytest.mark.parametrize("suffix", ["", "/v1"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_request_is_a_line_at_debug(
    run: Run, server: EmbeddedOllama, log: pytest.LogCaptureFixture, suffix: str, streams: bool
) -> None:
    """Method, URL and model when it is sent; seconds and tokens when the answer has ended."""
    client = run.client(server.url + suffix)
    run.lines(client.chat_stream(HELLO)) if streams else run(client.chat(HELLO))
    path = "/v1/chat/completions" if suffix else "/api/chat"
    sent, ended = lines(log)
    assert sent == f"POST {server.url}{path}, model demo"
    assert ended.startswith(f"{path}, model demo, ended after ")
    assert ended.endswith(" tokens")


def test_other_calls_are_a_line_too(
    run: Run, server: EmbeddedOllama, log: pytest.LogCaptureFixture
) -> None:
    """Calls that no model answers have their request's line."""
    run(run.client(server.url).list())
    sent, ended = lines(log)
    assert sent == f"GET {server.url}/api/tags"
    assert ended.startswith("/api/tags ended after ")


def test_a_retry_is_a_line_at_info(
    run: Run, server: EmbeddedOllama, log: pytest.LogCaptureFixture
) -> None:
    """Each try has its request's line; the wait between them is told at INFO."""
    busy = Reply.error(f"busy with {ASKED}", 503)
    server.script("POST", "/api/chat", busy, Reply.chat(ANSWERED))
    run(run.client(server.url, retry=AT_ONCE).chat(HELLO))
    (retried,) = lines(log, logging.INFO)
    assert retried.endswith("ServerBusyError 503")
    assert sum(line.startswith("POST") for line in lines(log)) == 2
    assert ASKED not in log.text


def test_a_failure_and_an_early_end_are_reported(
    run: Run, server: EmbeddedOllama, log: pytest.LogCaptureFixture
) -> None:
    """A log shows what became of each call."""
    client = run.client(server.url)
    run.thrown(client.chat, ChatRequest("missing", HELLO.messages))
    run.take(client.chat_stream(HELLO), 1)
    ended = [line for line in lines(log) if line.startswith("/api/chat,")]
    assert "failed with ModelNotFoundError after" in ended[0]
    assert "was left after" in ended[1]


def langchain(url: str, **how: Any) -> None:
    with ChatOllama(model="demo", base_url=url, api_key=SECRET, **how) as model:
        model.invoke(ASKED)
        list(model.stream(ASKED))


def llamaindex(url: str, **how: Any) -> None:
    with Ollama("demo", base_url=url, api_key=SECRET, **how) as model:
        model.chat([ChatMessage(ASKED)])
        list(model.stream_chat([ChatMessage(ASKED)]))


@pytest.mark.parametrize("ask", [langchain, llamaindex])
def test_no_message_content_is_logged(
    server: EmbeddedOllama, log: pytest.LogCaptureFixture, ask: Any
) -> None:
    """Neither what was asked, nor what was answered, nor the key, at the lowest level."""
    ask(server.url)
    assert sum("/api/chat, model demo" in line for line in lines(log)) == 4
    for hidden in (SECRET, ASKED, ANSWERED):
        assert hidden not in log.text


@pytest.mark.parametrize("status", [400, 500, 503])
def test_the_words_of_a_failing_server_are_not_logged(
    run: Run, server: EmbeddedOllama, log: pytest.LogCaptureFixture, status: int
) -> None:
    """They may quote what was asked; the error has them, and the log has not."""
    server.script("POST", "/api/chat", Reply.error(f"cannot do: {ASKED}", status), repeat=True)
    error = run.thrown(run.client(server.url, retry=AT_ONCE).chat, HELLO)
    assert isinstance(error, OllamaError)
    assert ASKED in str(error)
    assert ASKED not in log.text


def test_texts_to_embed_are_not_logged(
    run: Run, server: EmbeddedOllama, log: pytest.LogCaptureFixture
) -> None:
    """The texts of an index are content, too."""
    run(run.client(server.url).embed(EmbedRequest("vectors", [ASKED])))
    assert lines(log)
    assert ASKED not in log.text
