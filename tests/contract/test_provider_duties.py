"""What an application expects of a provider, each as one test through the public names."""

import json
import logging
import socket

import httpx
import pytest

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Gate, Reply
from ollama_transport import (
    ChatRequest,
    Client,
    Message,
    OllamaConnectionError,
    OllamaTimeoutError,
)

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def test_a_client_of_ones_own_has_a_host_and_a_timeout(ollama_server: EmbeddedOllama) -> None:
    """A client made with host and timeout asks that host, and waits no longer than that."""
    gate = Gate()
    ollama_server.script("GET", "/api/version", Reply.json({"version": "9"}))
    ollama_server.script("POST", "/api/show", Reply.json({}, gate=gate))
    with Client(f"127.0.0.1:{ollama_server.port}", timeout=1.0) as client:
        assert client.version() == "9"
        with pytest.raises(OllamaTimeoutError) as caught:
            client.show("m")
    gate.set()
    assert (caught.value.phase, caught.value.timeout_s) == ("read", 1.0)


def test_an_image_goes_with_a_chat(ollama_server: EmbeddedOllama) -> None:
    """An image's bytes reach the model as base64, and the model says what it got."""
    with Client(ollama_server.url) as client:
        answer = client.chat(
            ChatRequest("demo-vision", [Message("user", "What is this?", images=[PNG])])
        )
    sent = json.loads(ollama_server.requests[-1].body)
    assert sent["messages"][0]["images"][0].startswith("iVBORw0KGgo")
    assert "png" in answer.text.lower()


def test_three_retries_with_random_exponential_waits(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is not there is tried four times, each wait up to twice the one before."""
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    bounds: list[tuple[float, float]] = []

    def highest(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr("tenacity.wait.random.uniform", highest)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        model = ChatOllama(model="m", base_url=url, max_retries=3)
        with caplog.at_level(logging.INFO), pytest.raises(OllamaConnectionError), model:
            model.invoke("Hello!")
    assert [high for _, high in bounds][:3] == [0.5, 1, 2]
    assert all(low == 0 for low, _ in bounds)
    assert waits == [0.5, 1, 2]
    assert sum("next one in" in record.message for record in caplog.records) == 3


def test_a_refusal_has_text_and_status_and_a_pull_mends_it() -> None:
    """A 404 tells text and status; asked to, the client pulls the model and goes on."""
    with EmbeddedOllama(pullable=[EmbeddedModel("later")]) as server:
        with (
            Client(server.url) as client,
            pytest.raises(Exception, match="model 'later' not found") as caught,
        ):
            client.chat(ChatRequest("later", [Message("user", "Hello!")]))
        assert getattr(caught.value, "status_code", None) == httpx.codes.NOT_FOUND
        with ChatOllama(model="later", base_url=server.url, pull_missing=True) as model:
            assert model.invoke("Hello!").content
        assert [r.path for r in server.requests][-3:] == ["/api/chat", "/api/pull", "/api/chat"]
