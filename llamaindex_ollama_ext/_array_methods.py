"""The methods of `OllamaEmbedding` that return arrays instead of lists."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from llama_index.core.base.embeddings.base import Embedding

from ollama_transport import EmbeddingArray
from ollama_transport.conversation import EmbeddingFields, joined_array

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    FloatArray = NDArray[numpy.float32]

V = TypeVar("V")


class ArrayMethods(EmbeddingFields):
    """Embeds into arrays, in the same batches as into lists."""

    def get_text_embedding_batch_array(
        self, texts: list[str], show_progress: bool = False
    ) -> "FloatArray":
        """Return the vectors of texts as one numpy array, as FAISS and other stores take it.

        It has 32-bit floats and the shape (number of texts, length of a vector); (0, `dimensions`
        or 0) for an empty list, without a request. Batches, cache, order, checks, events and
        errors are those of `get_text_embedding_batch`. The hook `_get_text_embeddings`, which a
        subclass may override, is not called.

        Raises:
            ImportError: when numpy is not installed (LlamaIndex brings it).
        """
        rows = self._batched(texts, self._text_rows, show=show_progress)
        return joined_array(rows, self.dimensions)

    async def aget_text_embedding_batch_array(
        self, texts: list[str], show_progress: bool = False
    ) -> "FloatArray":
        """Same as `get_text_embedding_batch_array`, awaited."""
        rows = await self._abatched(texts, self._atext_rows, show=show_progress)
        return joined_array(rows, self.dimensions)

    def _text_rows(self, texts: list[str]) -> "list[FloatArray]":
        return list(self._array(texts).vectors)

    async def _atext_rows(self, texts: list[str]) -> "list[FloatArray]":
        return list((await self._aarray(texts)).vectors)

    @abstractmethod
    def _array(self, texts: list[str]) -> EmbeddingArray:
        """Return the counted answer of one request for the vectors of documents."""

    @abstractmethod
    async def _aarray(self, texts: list[str]) -> EmbeddingArray:
        """Return the counted answer of one request for the vectors of documents."""

    @abstractmethod
    def _batched(
        self, texts: list[str], embed: Callable[[list[str]], list[V]], *, show: bool
    ) -> list[V | Embedding]:
        """Return the vectors of texts, as ``embed`` makes them or as the cache has them."""

    @abstractmethod
    async def _abatched(
        self, texts: list[str], embed: Callable[[list[str]], Awaitable[list[V]]], *, show: bool
    ) -> list[V | Embedding]:
        """Return the vectors of texts, as ``embed`` makes them or as the cache has them."""
