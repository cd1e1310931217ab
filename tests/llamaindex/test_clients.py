"""`llm.client` and `llm.async_client` are called as ollama-python's, which they are in the peer."""

from collections.abc import Iterator

import pytest

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama, demo_models


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama(demo_models()) as server:
        yield server


def test_the_blocking_client_is_called_as_in_the_peer(server: EmbeddedOllama) -> None:
    """Models, their facts, chat, completion and vectors, by keywords, attributes and keys."""
    client = Ollama(model="demo", base_url=server.url).client
    names = [model.model for model in client.list().models]
    assert any(name.startswith("demo") for name in names)
    shown = client.show("demo")
    assert "completion" in shown["capabilities"]
    assert shown.modelinfo == shown["model_info"]
    message = {"role": "user", "content": "Hello"}
    assert client.chat(model="demo", messages=[message])["message"]["content"]
    parts = client.chat(model="demo", messages=[message], stream=True)
    assert "".join(part["message"]["content"] for part in parts)
    assert client.generate(model="demo", prompt="Hello")["response"]
    assert len(client.embed(model="demo-embed", input=["a", "b"])["embeddings"]) == 2
    assert client.embeddings(model="demo-embed", prompt="a")["embedding"]
    assert {model.model for model in client.ps().models} <= set(names)


async def test_the_asynchronous_client_is_called_as_in_the_peer(server: EmbeddedOllama) -> None:
    """The same, awaited."""
    llm = Ollama(model="demo", base_url=server.url)
    client = llm.async_client
    assert (await client.list()).models
    message = {"role": "user", "content": "Hello"}
    assert (await client.chat(model="demo", messages=[message])).message.content
    parts = await client.generate(model="demo", prompt="Hello", stream=True)
    assert "".join([part["response"] async for part in parts])
    await llm.aclose()
