"""A server that takes fewer texts in one request: its refusal names the option, at once."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from faked import Network
from running import Run

from langchain_ollama_ext import OllamaEmbeddings
from llamaindex_ollama_ext import OllamaEmbedding
from ollama_transport import OllamaError, RequestRejectedError

TEXTS = [f"text {place}" for place in range(8)]
SAID = [
    (413, "batch size 60 > maximum allowed batch size 32"),
    (400, "Value error, batch size is invalid, it should not be larger than 10.: input.contents"),
    (400, "Too many inputs in request, split into more batches."),
    (400, "Invalid 'input': array too long. Expected an array with maximum length 2048"),
    (422, "body.input: List should have at most 2048 items after validation, not 3000"),
]


class Embeds(Network):
    """A server of /v1 that refuses some batches."""

    def __init__(self, status: int, words: str, most: int = 0, bad: str = "") -> None:
        super().__init__(httpx.Response(status, json={"error": {"message": words}}))
        self.most, self.bad = most, bad

    def _play(self, request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        if len(texts) > self.most or self.bad in texts:
            return super()._play(request)
        self.requests.append(request)
        data = [{"index": place, "embedding": [1.0, 2.0]} for place in range(len(texts))]
        return httpx.Response(200, json={"data": data})


@pytest.fixture(params=[OllamaEmbeddings, OllamaEmbedding], ids=["LangChain", "LlamaIndex"])
def kind(request: pytest.FixtureRequest) -> Iterator[Any]:
    return request.param


def refusal(run: Run, kind: Any, network: Network, **more: Any) -> OllamaError:
    given = {"base_url": "http://h/v1", "api": "openai", "count_tokens": False, **more}
    name = "model" if kind is OllamaEmbeddings else "model_name"
    model = kind(**{name: "m"}, client_kwargs={"transport": network}, max_retries=2, **given)
    names = {
        (OllamaEmbeddings, False): "embed_documents",
        (OllamaEmbeddings, True): "aembed_documents",
        (OllamaEmbedding, False): "get_text_embedding_batch",
        (OllamaEmbedding, True): "aget_text_embedding_batch",
    }
    ask = getattr(model, names[kind, run.is_async])
    try:
        with pytest.raises(OllamaError) as caught:
            run(ask(TEXTS)) if run.is_async else ask(TEXTS)
    finally:
        run(model.aclose() if run.is_async else model.close())
    return caught.value


@pytest.mark.parametrize(("status", "words"), SAID)
def test_too_many_texts_name_the_option_after_one_request(
    run: Run, kind: Any, status: int, words: str
) -> None:
    """No text is at fault, so that none is searched for."""
    network = Embeds(status, words)
    error = refusal(run, kind, network)
    assert isinstance(error, RequestRejectedError)
    assert "`batch_size`" in str(error)
    assert "embed_batch_size" in str(error)
    assert "texts[" not in str(error)
    assert error.text_index is None
    assert len(network.requests) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "json: unsupported value: NaN"), (500, "boom"), (413, "too big"), (400, "odd text")],
)
def test_a_text_that_fails_is_still_found(run: Run, kind: Any, status: int, words: str) -> None:
    """Whatever the server says of the batch, within few requests."""
    network = Embeds(status, words, most=8, bad=TEXTS[5])
    error = refusal(run, kind, network)
    assert error.text_index == 5
    assert "texts[5]" in str(error)
    assert len(network.requests) <= 7
