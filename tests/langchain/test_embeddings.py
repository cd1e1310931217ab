"""OllamaEmbeddings: batches, order, concurrency, prefixes and what does not fit."""

import threading
from collections.abc import Iterator
from typing import Any

import core_family as core
import httpx
import pytest
from core_ways import call
from faked import Network
from recorded import recording
from running import Run

from langchain_ollama_ext import OllamaEmbeddings
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import (
    ContextOverflowError,
    ContextTruncatedWarning,
    ProtocolError,
    ServerError,
)

_WORDS = ["cat", "dog", "sea", "sun", "hat", "tea", "ice"]
_LONG = "word " * 9000


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


def test_batches_keep_the_order_of_the_texts(server: EmbeddedOllama, run: Run) -> None:
    """Seven texts in batches of two give the vectors of the texts one by one, in their order."""
    with OllamaEmbeddings(model="demo-embed", base_url=server.url, batch_size=2) as batched:
        vectors = call(run, batched, "embed_documents", _WORDS)
        sizes = sorted(len(body["input"]) for body in _bodies(server))
        assert sizes == [1, 2, 2, 2]
        assert vectors == [call(run, batched, "embed_query", word) for word in _WORDS]


def test_200_texts_are_4_requests(embeddings: OllamaEmbeddings, server: EmbeddedOllama) -> None:
    """Batches have 64 texts where nothing is said; the peer sent everything at once (c20)."""
    embeddings.embed_documents([f"text {i}" for i in range(200)])
    assert sorted(len(body["input"]) for body in _bodies(server)) == [8, 64, 64, 64]


@pytest.mark.parametrize(("limit", "expected"), [(2, 2), (3, 3), (None, 4)])
def test_so_many_batches_are_under_way_at_once(
    server: EmbeddedOllama, run: Run, limit: int | None, expected: int
) -> None:
    """Exactly `max_concurrency` requests arrive before the first of them is answered (c20)."""
    gate = Gate()
    answer = {"model": "m", "embeddings": [[1.0]]}
    server.script("POST", "/api/embed", Reply.json(answer, gate=gate), repeat=True)
    embeddings = OllamaEmbeddings(
        model="m", base_url=server.url, batch_size=1, max_concurrency=limit
    )
    seen: list[int] = []

    def open_when_full() -> None:
        server.wait_for_requests(expected)
        seen.append(len(server.requests))
        gate.set()

    watcher = threading.Thread(target=open_when_full)
    watcher.start()
    vectors = call(run, embeddings, "embed_documents", _WORDS)
    watcher.join()
    run(embeddings.aclose())
    assert seen == [expected]
    assert len(vectors) == len(_WORDS)


def test_an_empty_text_sends_no_request(
    embeddings: OllamaEmbeddings, server: EmbeddedOllama, run: Run
) -> None:
    """An empty list gives an empty list, and the server is not bothered (c20)."""
    assert call(run, embeddings, "embed_documents", []) == []
    assert server.requests == []


def test_an_empty_text_has_a_vector(run: Run) -> None:
    """The empty text goes as a list of one, for which the server has a vector (5.1)."""
    embeddings, network = _played(
        httpx.Response(
            200,
            json={"embeddings": [recording("embed/list-with-empty").objects[0]["embeddings"][1]]},
        )
    )
    vector = call(run, embeddings, "embed_query", "")
    assert b'"input":[""]' in network.requests[0].content
    assert len(vector) == 128


@pytest.mark.parametrize(
    "name", ["one", "three", "dimensions", "list-with-empty", "long-truncated"]
)
def test_recorded_vectors_come_out_as_they_are(run: Run, name: str) -> None:
    """What a real server said are the vectors, number by number, as floats."""
    found = recording(f"embed/{name}")
    texts = found.body["input"]
    embeddings, _ = _played(f"embed/{name}", dimensions=found.body.get("dimensions"))
    vectors = call(run, embeddings, "embed_documents", [texts] if isinstance(texts, str) else texts)
    assert vectors == found.objects[0]["embeddings"]
    assert all(type(number) is float for vector in vectors for number in vector)
    assert embeddings.usage_total.prompt_tokens == found.objects[0]["prompt_eval_count"]


def test_whole_numbers_are_floats(run: Run) -> None:
    """Go writes 0 for 0.0; a vector store that wants floats gets floats."""
    embeddings, _ = _played(httpx.Response(200, json={"embeddings": [[0, 1, 0.5]]}))
    assert [type(n) for n in call(run, embeddings, "embed_query", "x")] == [float] * 3


@pytest.mark.parametrize(
    "answer",
    [
        {"embeddings": [[1.0]]},
        {"embeddings": []},
        {"embeddings": [[1.0], [1.0], [1.0]]},
        {"embeddings": None},
        {},
    ],
)
def test_a_wrong_count_of_vectors_is_an_error(run: Run, answer: dict[str, Any]) -> None:
    """Two texts with any other number of vectors than two give none at all (c20)."""
    embeddings, _ = _played(httpx.Response(200, json=answer))
    with pytest.raises(ProtocolError):
        call(run, embeddings, "embed_documents", ["a", "b"])


def test_everything_set_is_sent(embeddings: OllamaEmbeddings, server: EmbeddedOllama) -> None:
    """Options, dimensions and keep_alive travel; what is not set does not (c20: 13 nulls)."""
    model = OllamaEmbeddings(
        model="demo-embed",
        base_url=server.url,
        dimensions=16,
        keep_alive="5m",
        num_ctx=512,
        truncate=True,
    )
    assert len(model.embed_query("a cat")) == 16
    embeddings.embed_query("a cat")
    full, bare = _bodies(server)
    assert full == {
        "model": "demo-embed",
        "input": ["a cat"],
        "dimensions": 16,
        "keep_alive": "5m",
        "options": {"num_ctx": 512},
        "truncate": True,
    }
    assert bare == {"model": "demo-embed", "input": ["a cat"], "truncate": False}


@pytest.mark.parametrize(
    ("given", "sent"), [("300", 300), ("-1", -1), (-1, -1), ("1h30m", "1h30m")]
)
def test_keep_alive_is_sent_as_the_server_takes_it(
    server: EmbeddedOllama, given: int | str, sent: int | str
) -> None:
    """Durations as texts are fine, which the peer refused, and bare numbers in texts too (c20)."""
    OllamaEmbeddings(model="demo-embed", base_url=server.url, keep_alive=given).embed_query("x")
    assert _bodies(server)[0]["keep_alive"] == sent


def test_prefixes_go_before_queries_and_documents(server: EmbeddedOllama, run: Run) -> None:
    """Given prefixes are put in front as they stand (c20)."""
    model = OllamaEmbeddings(
        model="demo-embed", base_url=server.url, query_prefix="q: ", document_prefix="d: "
    )
    call(run, model, "embed_query", "cat")
    call(run, model, "embed_documents", ["dog"])
    run(model.aclose())
    assert [body["input"] for body in _bodies(server)] == [["q: cat"], ["d: dog"]]


def test_published_prefixes_are_known(server: EmbeddedOllama) -> None:
    """prefixes="auto" takes those of the model's makers; a given one wins over them (c20)."""
    server.script("POST", "/api/embed", Reply.json({"embeddings": [[1.0]]}), repeat=True)
    model = OllamaEmbeddings(model="nomic-embed-text", base_url=server.url, prefixes="auto")
    model.embed_query("cat")
    model.embed_documents(["dog"])
    OllamaEmbeddings(
        model="nomic-embed-text", base_url=server.url, prefixes="auto", query_prefix=""
    ).embed_query("cat")
    OllamaEmbeddings(model="nomic-embed-text", base_url=server.url).embed_query("cat")
    assert [body["input"][0] for body in _bodies(server)] == [
        "search_query: cat",
        "search_document: dog",
        "cat",
        "cat",
    ]


def test_too_long_a_text_is_cut_with_a_warning(embeddings: OllamaEmbeddings, run: Run) -> None:
    """Nothing is cut in silence: the batch goes again with truncation, and a warning says so."""
    with pytest.warns(ContextTruncatedWarning, match="num_ctx"):
        vectors = call(run, embeddings, "embed_documents", ["a", _LONG, "b"])
    assert len(vectors) == 3


def test_too_long_a_text_is_named(server: EmbeddedOllama, run: Run) -> None:
    """With "error" the message tells which text of the list it was, whatever its batch (c7)."""
    texts = [*_WORDS, _LONG, "a little longer than the others"]
    model = OllamaEmbeddings(
        model="demo-embed", base_url=server.url, batch_size=4, on_context_overflow="error"
    )
    with pytest.raises(ContextOverflowError, match=r"^texts\[7\] of 9: ") as caught:
        call(run, model, "embed_documents", texts)
    run(model.aclose())
    assert isinstance(caught.value, core.ContextOverflowError)


def test_truncate_leaves_it_to_the_server(server: EmbeddedOllama, run: Run) -> None:
    """With "truncate" the server cuts, and nobody warns (warnings are errors here)."""
    model = OllamaEmbeddings(
        model="demo-embed", base_url=server.url, on_context_overflow="truncate"
    )
    assert len(call(run, model, "embed_documents", [_LONG])) == 1
    run(model.aclose())
    assert "truncate" not in _bodies(server)[0]


def test_a_single_long_query_is_not_a_list(run: Run) -> None:
    """A refused query raises the server's words, without a place in any list."""
    embeddings, _ = _played("embed/long-refused", on_context_overflow="error")
    with pytest.raises(ContextOverflowError, match=r"^POST .*the input length exceeds"):
        call(run, embeddings, "embed_query", "x")


def test_a_failure_names_its_batch(server: EmbeddedOllama, run: Run) -> None:
    """Where the server fails at every text of a batch, the message tells their places."""
    server.script(
        "POST",
        "/api/embed",
        Reply.json({"embeddings": [[1.0], [1.0]]}),
        *[Reply.error(500, "embed boom")] * 4,
    )
    model = OllamaEmbeddings(model="m", base_url=server.url, batch_size=2, max_concurrency=1)
    with pytest.raises(ServerError, match=r"^in texts\[2\] to texts\[3\] of 7: .*embed boom"):
        call(run, model, "embed_documents", _WORDS)
    run(model.aclose())
    # Each text fails alone as well, so none of them is the reason.
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    "held", [tuple, iter, lambda texts: (text for text in texts), dict.fromkeys]
)
def test_documents_come_from_any_iterable(server: EmbeddedOllama, run: Run, held: Any) -> None:
    """Each text gets its vector, whatever holds the texts; a generator is not used up unread."""
    model = OllamaEmbeddings(model="demo-embed", base_url=server.url)
    found = call(run, model, "embed_documents", held(["tea", "ship"]))
    assert found == [call(run, model, "embed_query", text) for text in ("tea", "ship")]
    call(run, model, "close")
