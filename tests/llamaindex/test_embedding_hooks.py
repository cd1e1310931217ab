"""Subclasses of `OllamaEmbedding` that embed otherwise are asked by every public method."""

from llama_embeds import Embedder
from running import Run

from llamaindex_ollama_ext import OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama


class Own(OllamaEmbedding):
    """Embed otherwise: each hook tells that it was asked."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return [1.0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return [1.0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return [2.0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return [2.0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [[3.0] for _ in texts]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [[3.0] for _ in texts]


def test_an_overridden_hook_is_used(run: Run) -> None:
    """A subclass that embeds otherwise is asked by every public method, each by its own hook."""
    embed = Embedder(run, Own("m", "http://127.0.0.1:1"))
    assert embed.get_query_embedding("a") == [1.0]
    assert embed.get_text_embedding("a") == [2.0]
    assert embed.get_text_embedding_batch(["a", "b"]) == [[3.0], [3.0]]


def test_an_overridden_general_method_is_used(run: Run) -> None:
    """So is one that replaces what every single text goes through."""

    class General(OllamaEmbedding):
        def get_general_text_embedding(self, texts: str) -> list[float]:
            return [float(len(texts))]

        async def aget_general_text_embedding(self, prompt: str) -> list[float]:
            return [float(len(prompt))]

    embed = Embedder(run, General("m", "http://127.0.0.1:1", text_instruction="t:"))
    assert embed.get_query_embedding("abc") == [3.0]
    assert embed.get_text_embedding("abc") == [6.0]


def test_the_general_methods_may_be_overridden_by_each_other(run: Run) -> None:
    """A subclass for a server without lists asks text by text; neither method calls the other."""

    class OneByOne(OllamaEmbedding):
        def get_general_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return [self.get_general_text_embedding(text) for text in texts]

        async def aget_general_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return [await self.aget_general_text_embedding(text) for text in texts]

    with EmbeddedOllama() as server:
        embed = Embedder(run, OneByOne("demo-embed", server.url))
        assert len(embed.get_text_embedding_batch(["a", "b"])) == 2
        assert [request.json["input"] for request in server.requests] == [["a"], ["b"]]
        run(embed.model.aclose())
