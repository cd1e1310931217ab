"""validate_model_on_init: the constructor asks once, and raises what a call would."""

import pickle
import socket
from typing import Any

import pytest

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import (
    ConfigError,
    ModelNotFoundError,
    OllamaConnectionError,
    ProtocolError,
    ServerError,
)

_CLASSES: list[Any] = [ChatOllama, OllamaLLM, OllamaEmbeddings]


def _model(kind: Any) -> str:
    return "demo-embed" if kind is OllamaEmbeddings else "demo"


@pytest.mark.parametrize("kind", _CLASSES)
def test_the_constructor_asks_once(server: EmbeddedOllama, kind: Any) -> None:
    """A model that is there costs one question, and calls ask no more."""
    with kind(model=_model(kind), base_url=server.url, validate_model_on_init=True) as model:
        assert [request.path for request in server.requests] == ["/api/show"]
        model.embed_query("x") if kind is OllamaEmbeddings else model.invoke("x")
    assert len(server.requests) == 2


@pytest.mark.parametrize("kind", _CLASSES)
def test_a_missing_model_is_a_value_error_too(server: EmbeddedOllama, kind: Any) -> None:
    """The error is that of a call, and what code written for the peer catches."""
    with pytest.raises(ValueError, match="ollama pull nope") as caught:
        kind(model="nope", base_url=server.url, validate_model_on_init=True)
    assert isinstance(caught.value, ModelNotFoundError)
    assert caught.value.status_code == 404
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, ValueError)
    assert str(again) == str(caught.value)


@pytest.mark.parametrize("kind", _CLASSES)
def test_a_server_that_is_not_there(kind: Any) -> None:
    """No server is a connection error and a ValueError."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(OllamaConnectionError) as caught:
            kind(model="m", base_url=url, max_retries=0, validate_model_on_init=True)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("kind", _CLASSES)
def test_a_server_that_fails(server: EmbeddedOllama, kind: Any) -> None:
    """A failing server is a server error and a ValueError."""
    server.script("POST", "/api/show", Reply.error(500, "boom"))
    with pytest.raises(ServerError, match="boom") as caught:
        kind(model="demo", base_url=server.url, max_retries=0, validate_model_on_init=True)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("kind", "model", "said"),
    [
        (OllamaEmbeddings, "plain", r"cannot embed \(it can: completion"),
        (ChatOllama, "demo-embed", r"cannot chat \(it can: embedding"),
    ],
)
def test_a_model_of_another_kind(server: EmbeddedOllama, kind: Any, model: str, said: str) -> None:
    """A model that cannot do what it is for is named with what it can do instead."""
    with pytest.raises(ConfigError, match=said):
        kind(model=model, base_url=server.url, validate_model_on_init=True)


def test_a_server_of_the_other_wire(server: EmbeddedOllama) -> None:
    """Over /v1 the list of models decides."""
    address = f"{server.url}/v1"
    ChatOllama(model="demo", base_url=address, validate_model_on_init=True).close()
    with pytest.raises(ConfigError, match=r"does not list the model 'nope'; it lists: .*demo"):
        ChatOllama(model="nope", base_url=address, validate_model_on_init=True)


@pytest.mark.parametrize("size", ["1" * 400 + "kb", "1e999", [], -1])
def test_a_list_with_an_impossible_size_is_an_error_of_ours(
    server: EmbeddedOllama, size: Any
) -> None:
    """The default model is chosen from it; pydantic before 2.12 overflows at some of them."""
    server.script("GET", "/api/tags", Reply.json({"models": [{"name": "m", "size": size}]}))
    with ChatOllama(base_url=server.url) as model, pytest.raises(ProtocolError, match="Model"):
        model.invoke("x")
