"""The demo's vectors: hashed words and word pairs, so that lexical retrieval works."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise

from ollama_ext.embedded.demo.text import key_words, words

_PAIR_WEIGHT = 0.5
_FIRST_BLOCK = 16


def embed_text(text: str, dimensions: int) -> list[float]:
    """Return the unit vector of a text: the same in every process and on every machine.

    Case, punctuation and very common words are ignored; texts that share words are near.
    """
    stems = key_words(text)
    if not stems:
        # A text of common words only still needs a direction.
        stems = [word.lower() for word in words(text)] or ["<empty>"]
    vector = [0.0] * dimensions
    for feature, weight in _features(stems):
        for index, share in _places(feature, dimensions):
            vector[index] += share * weight
    return normalise(vector)


def _features(stems: Sequence[str]) -> Iterable[tuple[str, float]]:
    # The logarithm keeps a repeated word from drowning the others.
    for word, count in Counter(stems).items():
        yield word, 1 + math.log(count)
    for pair, count in Counter(pairwise(stems)).items():
        yield " ".join(pair), _PAIR_WEIGHT * (1 + math.log(count))


@lru_cache(maxsize=65536)
def _places(feature: str, dimensions: int) -> tuple[tuple[int, float], ...]:
    # One place in each of the blocks 0-15, 16-31, 32-63, 64-127, ...: a vector that was cut to
    # its first numbers still knows every word.
    digest = blake2b(feature.encode("utf-8", "replace"), digest_size=64).digest()
    places: list[tuple[int, float]] = []
    start, size = 0, min(_FIRST_BLOCK, dimensions)
    while size > 0:
        at = 4 * len(places) % len(digest)
        number = int.from_bytes(digest[at : at + 4], "little")
        share = math.sqrt(size / dimensions)
        places.append((start + (number >> 1) % size, share if number & 1 else -share))
        start += size
        size = min(start, dimensions - start)
    return tuple(places)


def normalise(vector: Sequence[float]) -> list[float]:
    """Scale a vector to length 1; one of zeros gets its first number set."""
    length = math.sqrt(sum(value * value for value in vector))
    if length == 0:
        return [1.0, *([0.0] * (len(vector) - 1))]
    return [value / length for value in vector]


def shorten(vector: Sequence[float], dimensions: int) -> list[float]:
    """Cut a vector to its first numbers and scale it to length 1 again."""
    return normalise(vector[:dimensions])
