"""Rules about texts and vectors, which stand below both adapters: each is seen through both."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from running import Run

from langchain_ollama_ext import OllamaEmbeddings
from llamaindex_ollama_ext import OllamaEmbedding
from ollama_transport import ConfigError, ContextOverflowError, OllamaError, ServerError

Embeds = Callable[[Any], list[list[float]]]

# The words of a real server (docs/wire-reference.md, section 5.1).
TOO_LONG = {"error": "the input length exceeds the context length"}


class Picky(httpx.MockTransport):
    """A server that fails for texts that hold a word, as a real one does: the whole request."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.status, self.body = 400, TOO_LONG
        self.requests: list[list[str]] = []

    def _answer(self, request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        self.requests.append(texts)
        if any("bad" in text for text in texts):
            return httpx.Response(self.status, json=self.body)
        return httpx.Response(200, json={"model": "m", "embeddings": [[1.0, 0.0] for _ in texts]})


@pytest.fixture
def server() -> Picky:
    return Picky()


@pytest.fixture(params=["LangChain", "LlamaIndex"])
def model(request: pytest.FixtureRequest, server: Picky) -> Any:
    settings: dict[str, Any] = {
        "client_kwargs": {"transport": server},
        "on_context_overflow": "error",
        "max_concurrency": 1,
    }
    if request.param == "LangChain":
        return OllamaEmbeddings(model="m", batch_size=10, **settings)
    return OllamaEmbedding("m", embed_batch_size=10, **settings)


@pytest.fixture(params=["", "_array"], ids=["lists", "arrays"])
def embeds(request: pytest.FixtureRequest, model: Any, run: Run) -> Embeds:
    """Return what embeds documents, as lists and as arrays, which are lists here."""
    is_langchain = isinstance(model, OllamaEmbeddings)
    name = "embed_documents" if is_langchain else "get_text_embedding_batch"
    ask = getattr(model, ("a" if run.is_async else "") + name + request.param)
    return lambda texts: as_lists(run(ask(texts)))


@pytest.fixture(params=["", "_array"], ids=["list", "array"])
def embeds_query(
    request: pytest.FixtureRequest, model: Any, run: Run
) -> Callable[[Any], list[float]]:
    is_langchain = isinstance(model, OllamaEmbeddings)
    if request.param and not is_langchain:
        pytest.skip("LlamaIndex has arrays of documents only")
    name = "embed_query" if is_langchain else "get_query_embedding"
    ask = getattr(model, ("a" if run.is_async else "") + name + request.param)
    return lambda text: as_lists(run(ask(text)))


def as_lists(vectors: Any) -> Any:
    return vectors if isinstance(vectors, list) else vectors.tolist()


def texts(count: int, *bad: int) -> list[str]:
    return [f"{'bad' if place in bad else 'good'} {place}" for place in range(count)]


@pytest.mark.parametrize("place", [0, 7, 10, 17, 29])
def test_a_text_that_does_not_fit_is_named(embeds: Embeds, server: Picky, place: int) -> None:
    with pytest.raises(ContextOverflowError, match=rf"^texts\[{place}\] of 30: ") as caught:
        embeds(texts(30, place))
    assert caught.value.text_index == place
    # The batches up to that text, and a handful of tries in its batch.
    assert len(server.requests) <= 3 + 7


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_text_that_the_server_fails_at_is_named(
    embeds: Embeds, server: Picky, status: int
) -> None:
    """Such as one whose vector is NaN, for which a real server answers 500."""
    server.status = status
    server.body = {"error": "failed to encode response: json: unsupported value: NaN"}
    with pytest.raises(OllamaError, match=r"^texts\[13\] of 30: ") as caught:
        embeds(texts(30, 13))
    assert caught.value.text_index == 13


def test_no_text_is_named_when_every_text_fails(embeds: Embeds, server: Picky) -> None:
    server.status, server.body = 500, {"error": "out of memory"}
    with pytest.raises(ServerError, match=r"^in texts\[0\] to texts\[9\] of 30: ") as caught:
        embeds(texts(30, *range(30)))
    assert caught.value.text_index is None


@pytest.mark.parametrize(
    ("status", "words"), [(404, "model 'm' not found"), (405, "method not allowed"), (401, "key")]
)
def test_another_failure_is_not_searched_for(
    embeds: Embeds, server: Picky, status: int, words: str
) -> None:
    """What is about the model or the address is about no text."""
    server.status, server.body = status, {"error": words}
    with pytest.raises(OllamaError) as caught:
        embeds(texts(10, 3))
    assert caught.value.text_index is None
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("abc", "list of texts"),
        (["a", None], r"texts\[1\] must be text, got NoneType"),
        (["a", 3], r"texts\[1\] must be text, got int"),
        (None, "documents must be a list of texts, got NoneType"),
        (5, "documents must be a list of texts, got int"),
    ],
)
def test_anything_but_a_list_of_texts_is_refused(
    embeds: Embeds, server: Picky, given: Any, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        embeds(given)
    assert server.requests == []


@pytest.mark.parametrize("given", [None, 3, ["a"]])
def test_a_query_that_is_not_text_is_refused(
    embeds_query: Callable[[Any], list[float]], server: Picky, given: Any
) -> None:
    with pytest.raises(ConfigError, match=f"a query must be text, got {type(given).__name__}"):
        embeds_query(given)
    assert server.requests == []


def test_an_empty_list_sends_no_request(embeds: Embeds, server: Picky) -> None:
    assert embeds([]) == []
    assert server.requests == []


def test_vectors_come_in_the_order_of_the_texts(embeds: Embeds, server: Picky) -> None:
    assert embeds(texts(25)) == [[1.0, 0.0]] * 25
    assert [len(request) for request in server.requests] == [10, 10, 5]
