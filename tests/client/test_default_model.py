"""Without a model's name, the first of the server's list that can do it is taken."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply
from ollama_transport import (
    AsyncClient,
    ChatRequest,
    ConfigError,
    ContextTruncatedWarning,
    EmbedRequest,
    GenerateRequest,
    Message,
    ModelNotFoundError,
    Price,
    UsageLedger,
)

HELLO = ChatRequest(None, [Message("user", "Hello")])
OVERFLOW = "prompt is too long (9 tokens) exceeds the available context size (4 tokens)"


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    models = [EmbeddedModel("embedder:v1", ("embedding",)), EmbeddedModel("talker:8b")]
    with EmbeddedOllama(models, demo=False) as running:
        yield running


def asked(server: EmbeddedOllama, path: str) -> int:
    return sum(request.path == path for request in server.requests)


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_the_first_that_can_is_taken(run: Run, server: EmbeddedOllama, suffix: str) -> None:
    """A chat takes one that talks, vectors one that embeds, on either wire."""
    client = run.client(server.url + suffix)
    assert run(client.chat(HELLO)).model == "talker:8b"
    assert run.lines(client.chat_stream(HELLO))[-1].model == "talker:8b"
    assert run(client.generate(GenerateRequest(None, "Hi"))).model == "talker:8b"
    assert run(client.embed(EmbedRequest(None, ["a"]))).model == "embedder:v1"


def test_it_is_looked_up_once_and_logged(
    run: Run, server: EmbeddedOllama, caplog: pytest.LogCaptureFixture
) -> None:
    """One list for any number of calls, and one line that says which model it is."""
    caplog.set_level(logging.INFO, "ollama_transport")
    client = run.client(server.url)
    assert server.requests == []
    for _ in range(3):
        run(client.chat(HELLO))
    assert asked(server, "/api/tags") == 1
    assert caplog.text.count("using talker:8b") == 1


async def test_calls_at_once_share_the_look_up(server: EmbeddedOllama) -> None:
    """Ten first calls ask for one list."""
    async with AsyncClient(server.url) as client:
        lines = await asyncio.gather(*(client.chat(HELLO) for _ in range(10)))
    assert {line.model for line in lines} == {"talker:8b"}
    assert asked(server, "/api/tags") == 1


def test_a_server_without_models_says_what_to_do(run: Run) -> None:
    """The error names the capability that nobody has."""
    with EmbeddedOllama(demo=False) as empty:
        client = run.client(empty.url, pull_missing=True)
        error = run.thrown(client.chat, HELLO)
        assert isinstance(error, ModelNotFoundError)
        assert "completion" in str(error)
        assert "ollama pull" in str(error)
        assert asked(empty, "/api/pull") == 0


def test_a_model_that_is_gone_is_forgotten(run: Run, server: EmbeddedOllama) -> None:
    """After one refusal the next call looks again."""
    client = run.client(server.url)
    run(client.chat(HELLO))
    run(client.copy("talker:8b", "other:8b"))
    run(client.delete("talker:8b"))
    assert isinstance(run.thrown(client.chat, HELLO), ModelNotFoundError)
    assert run(client.chat(HELLO)).model == "other:8b"


def test_a_prompt_that_is_cut_goes_to_the_same_model(run: Run, server: EmbeddedOllama) -> None:
    """The second request of a call names the model that the first one did."""
    server.script("POST", "/api/chat", Reply.error(400, OVERFLOW))
    request = ChatRequest(None, HELLO.messages, on_context_overflow="warn")
    with pytest.warns(ContextTruncatedWarning):
        assert run(run.client(server.url).chat(request)).model == "talker:8b"


def test_the_ledger_records_the_default_models_name(run: Run, server: EmbeddedOllama) -> None:
    """What was taken is what is counted, and priced."""
    ledger = UsageLedger({"talker:8b": Price(1, 1)})
    run(run.client(server.url, meters=[ledger]).chat(HELLO))
    totals = ledger.snapshot().models
    assert list(totals) == ["talker:8b"]
    assert totals["talker:8b"].cost > 0


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_langchain_models_need_no_name(server: EmbeddedOllama, suffix: str) -> None:
    """The answer says which model it was; identity is known without asking anybody."""
    where: dict[str, Any] = {"base_url": server.url + suffix, "on_context_overflow": "truncate"}
    if suffix:
        where["unsupported_options"] = "drop"
    with (
        ChatOllama(**where) as chat,
        OllamaLLM(**where) as text,
        OllamaEmbeddings(**where) as vectors,
    ):
        before = dict(chat._identifying_params), dict(text._identifying_params)
        assert server.requests == []
        assert chat.invoke("Hi").response_metadata["model_name"] == "talker:8b"
        assert text.invoke("Hi")
        assert len(vectors.embed_query("a")) == len(vectors.embed_documents(["a"])[0])
        assert (dict(chat._identifying_params), dict(text._identifying_params)) == before
        assert "model" not in before[0]
        assert chat.chosen_model() == "talker:8b"
        assert vectors.chosen_model("embedding") == "embedder:v1"


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_llamaindex_models_need_no_name(server: EmbeddedOllama, suffix: str) -> None:
    """The metadata knows the model after the first call, and asks nobody before."""
    where: dict[str, Any] = {"base_url": server.url + suffix}
    with Ollama(**where) as llm, OllamaEmbedding(**where) as vectors:
        assert llm.metadata.model_name == "unknown"
        assert server.requests == []
        assert llm.complete("Hi").text
        assert llm.metadata.model_name == "talker:8b"
        assert vectors.get_query_embedding("a") == vectors.get_text_embedding("a")
        assert vectors.chosen_model("embedding") == "embedder:v1"


async def test_the_two_clients_of_a_model_take_the_same(server: EmbeddedOllama) -> None:
    """What the blocking one learnt the asynchronous one knows."""
    with Ollama(base_url=server.url) as llm:
        await llm.acomplete("Hi")
        await asyncio.to_thread(llm.complete, "Hi")
        assert asked(server, "/api/tags") == 1
        await llm.aclose()


def test_published_prefixes_go_by_the_model_that_is_taken() -> None:
    """Which model it is has to be known before the text is made, and it is."""
    model = EmbeddedModel("nomic-embed-text", ("embedding",))
    with EmbeddedOllama([model], demo=False) as server:
        where: dict[str, Any] = {"base_url": server.url, "prefixes": "auto"}
        with OllamaEmbeddings(**where) as first, OllamaEmbedding(**where) as second:
            first.embed_query("a")
            first.embed_documents(["a"])
            second.get_query_embedding("a")
            second.get_text_embedding("a")
        bodies = [r.json for r in server.requests if r.path == "/api/embed"]
        texts = [body["input"][0] for body in bodies if isinstance(body, dict)]
        assert texts == ["search_query: a", "search_document: a"] * 2


def test_a_blank_name_does_not_choose_the_default(run: Run, server: EmbeddedOllama) -> None:
    """An empty variable is a mistake, which is said."""
    client = run.client(server.url)
    with pytest.raises(ConfigError, match="names no model"):
        run(client.chat(ChatRequest(" ", HELLO.messages)))
