"""Embed with LlamaIndex's `OllamaEmbedding` both ways, so that a test is written once."""

import json
from typing import Any

import httpx
from faked import Network
from running import Run


class Embedder:
    """Call the methods of a model by their blocking names, blocking or awaited."""

    def __init__(self, run: Run, model: Any) -> None:
        self.run = run
        self.model = model

    def __getattr__(self, name: str) -> Any:
        if self.run.is_async:
            private = name.startswith("_")
            name = f"_a{name[1:]}" if private else f"a{name}"
        method = getattr(self.model, name)
        return lambda *args, **kwargs: self.run(method(*args, **kwargs))


class Vectors(httpx.MockTransport):
    """A server that embeds each text as its length and its first character, and keeps requests."""

    def __init__(self, **more: Any) -> None:
        super().__init__(self._answer)
        self.more = more
        self.bodies: list[Any] = []

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        vectors = [vector_of(text) for text in body["input"]]
        return httpx.Response(200, json={"embeddings": vectors, **self.more})

    @property
    def inputs(self) -> list[list[str]]:
        """Return the texts of each request."""
        return [body["input"] for body in self.bodies]


def vector_of(text: str) -> list[float]:
    return [float(len(text)), float(ord(text[0])) if text else 0.0]


def bodies_of(network: Network) -> list[Any]:
    return [json.loads(request.content) for request in network.requests]
