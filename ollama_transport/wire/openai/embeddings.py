"""Read the vectors of OpenAI-compatible servers, in the forms that they are sent in."""

import binascii
import struct
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError
from ollama_transport.wire.calls.fast_json import parse_numbers
from ollama_transport.wire.calls.lacks import dropped
from ollama_transport.wire.openai.answers import read_usage
from ollama_transport.wire.values.answers import Embeddings
from ollama_transport.wire.values.content_parts import text_of
from ollama_transport.wire.values.vectors import (
    EmbeddingArray,
    Floats,
    checked_array,
    checked_vectors,
    the_numpy,
)

# int() refuses thousands of digits, and no answer has so many vectors.
_INDEX_DIGITS = 9
_MOST_WRAPPERS = 3


def read_embeddings(raw: Mapping[str, Any], expected: int) -> Embeddings:
    """Read an answer of ``/v1/embeddings``: base64 or numbers, sorted by ``index``.

    Raises:
        ProtocolError: when there is not exactly one vector for each of the expected texts.
    """
    given = _in_order(raw, expected)
    vectors = [_vector(value) for value in given]
    is_packed = all(isinstance(value, str) for value in given)
    return Embeddings(
        vectors=checked_vectors(Floats(vectors) if is_packed else vectors, expected),
        model=text_of(raw, "model"),
        usage=read_usage(raw),
        raw=raw,
    )


def read_embedding_array(raw: Mapping[str, Any], expected: int) -> EmbeddingArray:
    """Same as `read_embeddings`, for one array of all vectors."""
    given = _in_order(raw, expected)
    packed = _unpacked(given)
    return EmbeddingArray(
        vectors=checked_array([*map(_vector, given)] if packed is None else packed, expected),
        model=text_of(raw, "model"),
        usage=read_usage(raw),
        raw=dropped(raw, "data"),
    )


def parse_embeddings(data: bytes) -> dict[str, Any]:
    """Return the object of an answer of ``/v1/embeddings``; bare vectors come under ``data``.

    Raises:
        ProtocolError: for anything but JSON.
    """
    if data.lstrip()[:1] != b"[":
        return parse_numbers(data)
    found: list[Any] = parse_numbers(b'{"data":' + data + b"}")["data"]
    only = found[0] if len(found) == 1 else None
    # As Google's API wraps an error, and gateways a whole answer.
    return only if isinstance(only, dict) and "embedding" not in only else {"data": found}


def _unpacked(given: Sequence[Any]) -> Any:
    """Return vectors of base64 as one array; None for others, which are checked as lists."""
    try:
        packed = [b64decode(value, validate=True) for value in given]
    except (ValueError, TypeError):
        return None
    length = len(packed[0])
    if not length or length % 4 or any(len(each) != length for each in packed):
        return None
    return the_numpy().frombuffer(b"".join(packed), "<f4").reshape(len(packed), -1)


def _in_order(raw: Mapping[str, Any], expected: int) -> list[Any]:
    """Return the vectors of an answer as they came, one for each of the expected texts."""
    entries = _listed(_vectors_of(raw))
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ProtocolError("the answer holds no list of vectors under `data`")
    places = _places(entries)
    if sorted(places) != list(range(expected)):
        raise ProtocolError(
            f"the server sent {len(entries)} vectors with the indexes {places!r:.80} for "
            f"{expected} texts: they cannot be matched to the texts, so none is returned."
        )
    placed = dict(zip(places, entries, strict=True))
    vectors = [placed[place].get("embedding") for place in range(expected)]
    # llama.cpp without pooling puts lists of vectors there, which are vectors if each holds one.
    nested = all(isinstance(each, list) and len(each) == 1 for each in vectors)
    alone = nested and all(isinstance(each[0], list) for each in vectors)
    return [each[0] for each in vectors] if alone else vectors


def _vectors_of(raw: Mapping[str, Any]) -> object:
    """Return what an answer holds its vectors in, under whichever name and in a wrapper or not."""
    found: object = raw
    for _ in range(_MOST_WRAPPERS):
        if not isinstance(found, Mapping):
            return found
        names = (name for name in ("data", "embeddings") if found.get(name) is not None)
        name = next(names, None)
        if name is None:
            return found if found.get("embedding") is not None else None
        found = found[name]
    return found


def _listed(data: object) -> object:
    """Return an answer's vectors as a list of objects; some servers send one, or bare lists."""
    if isinstance(data, Mapping):
        return [data]
    if not isinstance(data, list) or not data:
        return data
    if isinstance(data[0], list):
        return [{"embedding": vector} for vector in data]
    # The vector of a single text alone
    is_vector = isinstance(data[0], int | float) and not isinstance(data[0], bool)
    return [{"embedding": data}] if is_vector else data


def _places(entries: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the position of each vector: the API numbers them and promises no order."""
    places = [_place(entry.get("index")) for entry in entries]
    # Some servers give all vectors the same index, which says as little as none.
    if len(set(places)) <= 1:
        return list(range(len(entries)))
    # Servers written in Go leave out the index 0.
    left = set(range(len(entries))) - set(places)
    if places.count(-1) == 1 and len(left) == 1:
        places[places.index(-1)] = left.pop()
    first = min(places)
    # Others count from 1, or through several requests.
    is_whole = first > 0 and sorted(places) == list(range(first, first + len(places)))
    return [place - first for place in places] if is_whole else places


def _place(index: object) -> int:
    """Return an index as a number; -1 if it is missing or no number, -2 if it is negative."""
    if isinstance(index, str) and index.isascii() and index.isdigit():
        return int(index[:_INDEX_DIGITS])
    if isinstance(index, float) and index.is_integer():
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool):
        return -1
    return index if index >= 0 else -2  # wrong, and not left out


def _vector(value: object) -> list[float]:
    if isinstance(value, str):
        return _floats(value)
    if isinstance(value, list):
        return value
    raise ProtocolError(f"the answer holds {brief(value)} instead of a vector")


def _floats(text: str) -> list[float]:
    """Return the little-endian float32 numbers of base64 (wire reference 10.3)."""
    try:
        return _unpack(b64decode(text, validate=True))
    except (binascii.Error, struct.error, ValueError) as error:
        # For a length that is not a multiple of four, numpy raises ValueError, struct its own.
        raise ProtocolError(f"the answer holds {brief(text)} instead of a vector") from error


def _unpack(data: bytes) -> list[float]:
    try:
        import numpy  # optional, and slow to import: only once there are vectors
    except ImportError:
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    numbers: list[float] = numpy.frombuffer(data, dtype="<f4").tolist()
    return numbers
