"""OllamaEmbeddings: errors, progress, usage, secrets, loops, threads and processes."""

import asyncio
import copy
import pickle
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import core_family as core
import httpx
import pytest
from core_ways import call
from faked import Network
from running import Run

from langchain_ollama_ext import OllamaEmbeddings
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import (
    ConfigError,
    ModelNotFoundError,
    OllamaConnectionError,
    OllamaTimeoutError,
    ProtocolError,
    UnsupportedCapabilityError,
)

_WORDS = ["cat", "dog", "sea", "sun", "hat", "tea", "ice"]


@pytest.fixture
def embeddings(server: EmbeddedOllama) -> Iterator[OllamaEmbeddings]:
    with OllamaEmbeddings(model="demo-embed", base_url=server.url) as made:
        yield made


def _played(*answers: Any, **fields: Any) -> tuple[OllamaEmbeddings, Network]:
    network = Network(*answers)
    given: dict[str, Any] = {"model": "tiny-embed", "base_url": "http://127.0.0.1:1"} | fields
    return OllamaEmbeddings(**given, client_kwargs={"transport": network}), network


def _bodies(server: EmbeddedOllama) -> list[dict[str, Any]]:
    return [request.json for request in server.requests]  # type: ignore[misc] # objects all


@pytest.mark.parametrize(
    ("answer", "ours", "cores", "retryable"),
    [
        ("embed/missing-model", ModelNotFoundError, core.ModelNotFoundError, False),
        ("embed/chat-model", UnsupportedCapabilityError, core.ModelInvalidRequestError, False),
        (httpx.ConnectError("no"), OllamaConnectionError, core.ModelConnectionError, True),
        (httpx.ReadTimeout("slow"), OllamaTimeoutError, core.ModelTimeoutError, True),
        ("show/tiny-embed", ProtocolError, core.ModelAPIError, False),
    ],
)
def test_errors_are_of_both_families(
    run: Run, answer: Any, ours: type[Exception], cores: type[Exception], retryable: bool
) -> None:
    """Whatever fails is one class of ours and of langchain-core's, sync and async alike (c6)."""
    embeddings, _ = _played(answer, max_retries=0)
    with pytest.raises(ours) as caught:
        call(run, embeddings, "embed_documents", ["a", "b"])
    assert isinstance(caught.value, cores)
    assert caught.value.is_retryable is retryable


def test_async_failure_is_raised_bare_and_stops_the_others(server: EmbeddedOllama) -> None:
    """No exception group comes out, and requests under way are cancelled at the server."""
    gate = Gate()
    server.script(
        "POST",
        "/api/embed",
        Reply.json({"embeddings": [[1.0]]}, gate=gate),
        Reply.error(400, "embedding contains NaN or Inf values"),
    )

    async def embed() -> None:
        model = OllamaEmbeddings(model="m", base_url=server.url, batch_size=1, max_concurrency=2)
        async with model:
            await model.aembed_documents(["a", "b", "c", "d"])

    with pytest.raises(core.ModelInvalidRequestError, match="NaN"):
        asyncio.run(embed())
    assert server.wait_for_disconnects(1)
    gate.set()
    assert len(server.requests) == 2


def test_progress_counts_texts(server: EmbeddedOllama, run: Run) -> None:
    """The callback hears after each batch how many texts are done, of how many."""
    heard: list[tuple[int, int]] = []
    model = OllamaEmbeddings(
        model="demo-embed",
        base_url=server.url,
        batch_size=3,
        max_concurrency=1,
        on_progress=lambda done, total: heard.append((done, total)),
    )
    call(run, model, "embed_documents", _WORDS)
    run(model.aclose())
    assert heard == [(3, 7), (6, 7), (7, 7)]


def test_usage_adds_up_over_threads(server: EmbeddedOllama) -> None:
    """The total counts every call once, however many threads call at a time."""
    model = OllamaEmbeddings(model="demo-embed", base_url=server.url, batch_size=1)
    threads = [
        threading.Thread(target=model.embed_documents, args=(["one two", "three"],))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert model.usage_total.prompt_tokens == 8 * 3
    assert model.reset_usage().prompt_tokens == 8 * 3
    assert model.usage_total.prompt_tokens is None


def test_two_loops_and_a_pickle(server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    """One object works in two event loops, in its pickle and in its deep copy (c10)."""
    # The key stays out of the pickle, which asks the environment where it arrives.
    monkeypatch.setenv("OLLAMA_API_KEY", "hush-hush")
    model = OllamaEmbeddings(model="demo-embed", base_url=server.url, api_key="hush-hush")
    first = asyncio.run(model.aembed_query("cat"))
    assert asyncio.run(model.aembed_query("cat")) == first
    travelled = pickle.dumps(model)
    assert b"hush-hush" not in travelled
    assert pickle.loads(travelled).embed_query("cat") == first
    assert copy.deepcopy(model).embed_query("cat") == first
    assert model.usage_total.prompt_tokens == 2


def test_no_secret_is_shown() -> None:
    """repr, str and dumps hide the key, the URL's password and Authorization headers (c13)."""
    for given in (
        {"api_key": "hush"},
        {"base_url": "http://me:hush@127.0.0.1"},
        {"client_kwargs": {"headers": {"Authorization": "Bearer hush"}}},
    ):
        model = OllamaEmbeddings(model="m", **given)
        assert "hush" not in f"{model!r} {model} {model.model_dump_json()}"


@pytest.mark.parametrize("name", ["mirostat", "mirostat_eta", "mirostat_tau", "tfs_z"])
def test_obsolete_options_warn_and_stay_here(server: EmbeddedOllama, name: str) -> None:
    """What the server no longer knows is accepted with a DeprecationWarning and not sent."""
    with pytest.warns(DeprecationWarning, match=name):
        model = OllamaEmbeddings(model="demo-embed", base_url=server.url, **{name: 1})
    model.embed_query("x")
    assert "options" not in _bodies(server)[0]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"modle": "x"}, "did you mean 'model'"),
        ({"batch_size": 0}, "batch_size"),
        ({"dimensions": 0}, "dimensions"),
        ({"keep_alive": "banana"}, "keep_alive"),
        ({"prefixes": "all"}, "prefixes"),
        ({"on_context_overflow": "cut"}, "on_context_overflow"),
        ({"top_p": 7}, "top_p"),
    ],
)
def test_wrong_arguments_are_refused_at_once(given: dict[str, Any], hint: str) -> None:
    """A constructor refuses what cannot work, and says what is wrong with it (c4)."""
    with pytest.raises(ConfigError, match=hint):
        OllamaEmbeddings(**{"model": "m"} | given)


@pytest.mark.parametrize(
    ("texts", "hint"),
    [("one", "list of texts"), (["a", 1], r"texts\[1\]"), ([None], r"texts\[0\]")],
)
def test_values_other_than_text_are_refused(run: Run, texts: Any, hint: str) -> None:
    """A single text, which would go letter by letter, and other values are errors."""
    embeddings, network = _played("embed/one")
    with pytest.raises(ConfigError, match=hint):
        call(run, embeddings, "embed_documents", texts)
    assert network.requests == []


def test_a_constructor_costs_no_socket(server: EmbeddedOllama) -> None:
    """A hundred of them open nothing; all share the connections of the first call (c18)."""
    made = [OllamaEmbeddings(model="demo-embed", base_url=server.url) for _ in range(100)]
    assert server.requests == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {len(model.embed_query("x")) for model in made[:3]} == {256}
    assert len({id(model.sync_client().pool()) for model in made}) == 1
