"""Vectors in the forms of servers of /v1, from a real socket: each belongs to its text, or none."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from raw_server import Asked, RawServer
from running import Run

from langchain_ollama_ext import OllamaEmbeddings
from llamaindex_ollama_ext import OllamaEmbedding
from ollama_transport import AuthenticationError, ProtocolError

kinds = pytest.mark.parametrize("kind", [OllamaEmbeddings, OllamaEmbedding])
VECTORS = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
TEXTS = ["a", "b", "c"]


def numbered(*indexes: object, order: tuple[int, ...] = (0, 1, 2)) -> list[dict[str, Any]]:
    return [
        {"object": "embedding", "index": index, "embedding": VECTORS[at]}
        for index, at in zip(indexes, order, strict=True)
    ]


PLAIN = [{"embedding": vector} for vector in VECTORS]
RIGHT: dict[str, Any] = {
    "numbered": {"data": numbered(0, 1, 2)},
    "out of order": {"data": numbered(2, 0, 1, order=(2, 0, 1))},
    # spring-ai #7020, 2026-09-21; mcp-memory-service #612, 2026-03-25
    "without an index": {"data": PLAIN},
    "null": {"data": numbered(None, None, None)},
    "one index for all": {"data": numbered(0, 0, 0)},  # ik_llama.cpp #1303
    "texts": {"data": numbered("1", "0", "2", order=(1, 0, 2))},
    "floats": {"data": numbered(2.0, 0.0, 1.0, order=(2, 0, 1))},
    "from 1": {"data": numbered(3, 1, 2, order=(2, 0, 1))},
    "0 left out": {"data": [{"embedding": VECTORS[0]}, *numbered(1, 2, 0, order=(1, 2, 0))[:2]]},
    "bare vectors": {"data": VECTORS},
    "TEI's /embed": VECTORS,
    "a list of objects": numbered(1, 0, 2, order=(1, 0, 2)),
    "llama.cpp's /embedding": [
        {"index": at, "embedding": [vector]} for at, vector in enumerate(VECTORS)
    ],
    "Ollama's": {"embeddings": VECTORS},
    "in a wrapper": {"data": {"data": numbered(0, 1, 2)}},
    "a wrapper of bare vectors": {"data": {"embeddings": VECTORS}, "model": "m"},
    "null beside": {"data": None, "embeddings": VECTORS},
    "a list of one answer": [{"data": numbered(0, 1, 2)}],
}
ONE: dict[str, Any] = {
    "an object": {"data": {"embedding": VECTORS[0], "index": 0}},
    "a bare vector": {"data": VECTORS[0]},
    "nothing around it": VECTORS[0],
    "TEI's": [VECTORS[0]],
    "its name alone": {"embedding": VECTORS[0]},
    "a list of one object": [{"embedding": VECTORS[0]}],
    "another number": {"data": [{"embedding": VECTORS[0], "index": 5}]},
}
WRONG: dict[str, Any] = {
    "twice the same": {"data": numbered(0, 1, 1)},
    "out of range": {"data": numbered(0, 1, 7)},
    "negative": {"data": numbered(0, 1, -1)},
    "of many digits": {"data": numbered(0, 1, "9" * 5000)},
    "two left out": {"data": [*PLAIN[:2], numbered(2, 0, 1)[0]]},
    "too few": {"data": PLAIN[:2]},
    "too many": {"data": [*PLAIN, *PLAIN]},
    "bare, too few": VECTORS[:2],
    "nested": [[VECTORS]],
    "of tokens": [{"index": at, "embedding": VECTORS} for at in range(3)],
    "numbers": [1, 2, 3],
    "mixed": [VECTORS[0], {"embedding": VECTORS[1]}, None],
    "an empty list": [],
    "wrappers without end": {"data": {"data": {"data": {"data": {"data": VECTORS}}}}},
    "texts": {"data": ["a", "b", "c"]},
    "true": {"data": [True, True, True]},
    "null": {"data": None},
    "uneven": {"data": [[1.0], [1.0, 2.0], [1.0]]},
}


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with RawServer(lambda _: [b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"]) as found:
        yield found


def sending(body: Any) -> Callable[[Asked], list[bytes]]:
    data = json.dumps(body).encode()
    kind = b"Content-Type: application/json"
    head = b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n" % (kind, len(data))
    return lambda _: [head, data]


def embedded(run: Run, kind: Any, server: RawServer, body: Any, texts: list[str]) -> Any:
    server.reset()
    server.play(sending(body))
    name = "model" if kind is OllamaEmbeddings else "model_name"
    given = {"base_url": f"{server.url}/v1", "api": "openai", "max_retries": 0}
    model = kind(**{name: "m"}, **given, count_tokens=False)
    names = {
        (OllamaEmbeddings, False): "embed_documents",
        (OllamaEmbeddings, True): "aembed_documents",
        (OllamaEmbedding, False): "get_text_embedding_batch",
        (OllamaEmbedding, True): "aget_text_embedding_batch",
    }
    ask = getattr(model, names[kind, run.is_async])
    try:
        return run(ask(texts)) if run.is_async else ask(texts)
    finally:
        run(model.aclose() if run.is_async else model.close())


@kinds
@pytest.mark.parametrize("form", RIGHT)
def test_each_vector_belongs_to_its_text(run: Run, kind: Any, form: str, server: RawServer) -> None:
    """In the order of the texts, whatever the server numbers, wraps or leaves out."""
    assert embedded(run, kind, server, RIGHT[form], TEXTS) == VECTORS


@kinds
@pytest.mark.parametrize("form", ONE)
def test_the_vector_of_one_text_is_read(run: Run, kind: Any, form: str, server: RawServer) -> None:
    """There is no order to be wrong about."""
    assert embedded(run, kind, server, ONE[form], TEXTS[:1]) == VECTORS[:1]


@kinds
@pytest.mark.parametrize("form", WRONG)
def test_vectors_that_belong_to_no_text_are_an_error(
    run: Run, kind: Any, form: str, server: RawServer
) -> None:
    """None is returned, since a wrong one in an index is noticed months later."""
    with pytest.raises(ProtocolError):
        embedded(run, kind, server, WRONG[form], TEXTS)


@kinds
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one]], ids=["object", "list"])
def test_an_error_in_place_of_vectors_has_its_class(
    run: Run, kind: Any, wrap: Any, server: RawServer
) -> None:
    """As Google's API writes one, too."""
    error = {"error": {"code": 401, "message": "no such key"}}
    with pytest.raises(AuthenticationError, match="no such key"):
        embedded(run, kind, server, wrap(error), TEXTS)
