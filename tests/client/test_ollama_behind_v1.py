"""A real Ollama behind ``/v1`` is recognised, and the way to its own wire is told once."""

import logging

import pytest
from faked import Network
from running import Run

from ollama_transport import ChatRequest, Message
from ollama_transport.client import memory

ASKED = ChatRequest("tiny-chat", [Message("user", "hi")])


@pytest.mark.parametrize("streams", [False, True])
def test_the_hint_is_logged_once(run: Run, caplog: pytest.LogCaptureFixture, streams: bool) -> None:
    """The recordings of a real Ollama's ``/v1`` carry its mark."""
    memory.tell_ollama.cache_clear()  # the process may have met the server before
    name = "openai/hello-stream" if streams else "openai/hello-whole"
    client = run.client("http://h:11434/v1", transport=Network(name, name))
    with caplog.at_level(logging.WARNING, "ollama_transport"):
        for _ in range(2):
            run.lines(client.chat_stream(ASKED)) if streams else run(client.chat(ASKED))
    (told,) = [record.getMessage() for record in caplog.records]
    assert "leave /v1 out of base_url" in told


def test_the_native_wire_logs_no_hint(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    client = run.client("http://h:11434", transport=Network("chat/tiny-chat/hello-stream"))
    with caplog.at_level(logging.WARNING, "ollama_transport"):
        run(client.chat(ASKED))
    assert caplog.records == []
