"""Vectors that cannot be those of the texts never leave the transport, over either wire."""

import re
from typing import Any

import httpx
import pytest
from running import Run

from ollama_transport import EmbedRequest, ProtocolError
from ollama_transport.wire.values.vectors import checked_vectors

WRONG = {
    "too few": ([[1.0, 0.0]], "1 vectors .*2 texts"),
    "too many": ([[1.0], [1.0], [1.0]], "3 vectors .*2 texts"),
    "empty": ([[], []], r"vectors of \[0\] numbers"),
    "of two lengths": ([[1.0, 0.0], [1.0]], r"vectors of \[1, 2\] numbers"),
    "one empty": ([[1.0], []], r"vectors of \[0, 1\] numbers"),
    "null inside": ([[1.0, 0.0], [None, 1.0]], "text 1 .*not a number"),
    "text inside": ([["1.0", 0.0], [0.0, 1.0]], "text 0 .*not a number"),
    "true inside": ([[1.0, 0.0], [True, 1.0]], "text 1 .*not a number .*True"),
    "lists inside": ([[[1.0], 0.0], [0.0, 1.0]], "text 0 .*not a number"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("wire", ["/api/embed", "/v1/embeddings"])
def test_wrong_vectors_are_an_error(run: Run, name: str, wire: str) -> None:
    """None of them is returned: in an index they would be found months later."""
    vectors, words = WRONG[name]
    entries = [{"index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    body = {"embeddings": vectors} if wire.startswith("/api") else {"data": entries}

    def serve(request: httpx.Request) -> httpx.Response:
        assert request.url.path == wire
        return httpx.Response(200, json=body)

    base = "http://127.0.0.1:1" + ("" if wire.startswith("/api") else "/v1")
    client = run.client(base, transport=httpx.MockTransport(serve))
    error = run.thrown(client.embed, EmbedRequest("m", ["a", "b"]))
    assert isinstance(error, ProtocolError)
    assert re.search(words, str(error))


@pytest.mark.parametrize(
    "vectors", [[], [[1]], [[1, 2.5], [0, -1]], [[1e308, 5e-324]], [(1.0, 2.0)]]
)
def test_right_vectors_pass(vectors: Any) -> None:
    """Whole numbers are numbers, and no texts have no vectors."""
    assert checked_vectors(vectors, len(vectors)) == [list(vector) for vector in vectors]
