"""Cache vectors in a key-value store of LlamaIndex."""

from collections.abc import Sequence
from typing import Any, TypeVar

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.storage.kvstore.types import BaseKVStore

V = TypeVar("V")

_COLLECTION = "embeddings"


class VectorCache:
    """Finds vectors in a store and adds them to it; without a store it never finds any."""

    def __init__(self, store: BaseKVStore | None) -> None:
        self._store = store

    def find(self, keys: Sequence[str]) -> list[Embedding | None]:
        """Return the vectors of keys, None for those that are not stored."""
        if self._store is None:
            return [None] * len(keys)
        return [_stored(self._store.get(key, collection=_COLLECTION)) for key in keys]

    async def afind(self, keys: Sequence[str]) -> list[Embedding | None]:
        """Return the vectors of keys, None for those that are not stored."""
        if self._store is None:
            return [None] * len(keys)
        return [_stored(await self._store.aget(key, collection=_COLLECTION)) for key in keys]

    def keep(self, keys: Sequence[str], vectors: Sequence[Any]) -> None:
        """Store the vectors of keys."""
        if self._store is not None:
            for key, vector in zip(keys, vectors, strict=True):
                self._store.put(key, {"embedding": as_list(vector)}, collection=_COLLECTION)

    async def akeep(self, keys: Sequence[str], vectors: Sequence[Any]) -> None:
        """Store the vectors of keys."""
        if self._store is not None:
            for key, vector in zip(keys, vectors, strict=True):
                entry = {"embedding": as_list(vector)}
                await self._store.aput(key, entry, collection=_COLLECTION)


def _stored(entry: dict[str, Embedding] | None) -> Embedding | None:
    # Under any name: core's own classes store a vector under a random one.
    return None if not entry else next(iter(entry.values()))


def as_list(vector: Any) -> Embedding:
    """Return a vector, be it a list or a row of an array, as a list of floats."""
    found: Embedding = vector if isinstance(vector, list) else vector.tolist()
    return found


def missing(found: Sequence[Embedding | None]) -> list[int]:
    """Return the positions where no vector was found."""
    return [place for place, vector in enumerate(found) if vector is None]


def filled(found: Sequence[Embedding | None], fresh: Sequence[V]) -> list[V | Embedding]:
    """Return the found vectors, with the new ones filled into the gaps in order."""
    rest = iter(fresh)
    return [next(rest) if vector is None else vector for vector in found]


def formatted(text: str, instruction: str | None, prefix: str) -> str:
    """Return the text to embed; with an instruction formatted exactly as the peer does it."""
    if instruction:
        return f"{instruction.strip()} {text.strip()}".strip()
    return prefix + text if prefix else text.strip()
