"""Parse answers of many numbers, with orjson where it is installed."""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from ollama_transport.wire.calls.decoders import parse_object
from ollama_transport.wire.values.vectors import Floats


def parse_numbers(data: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer, in about a third of the time that `parse_object` takes.

    Integers of more than 64 bits may become floats, which vectors consist of anyway. Vectors that
    are seen to be floats alone are `Floats`.

    Raises:
        ProtocolError: under the same conditions as parse_object.
    """
    loads = _fast_loads()
    if loads is not None:
        try:
            value = loads(data)
        except ValueError:
            value = None  # NaN, lone surrogates and deep nesting: parse_object decides
        if isinstance(value, dict):
            vectors = value.get("embeddings")
            if isinstance(vectors, list) and _are_floats(vectors, data):
                value["embeddings"] = Floats(vectors)
            return value
    return parse_object(data)


def _are_floats(vectors: list[Any], data: bytes) -> bool:
    """Return whether vectors are lists of floats alone, by the bytes that they were read from.

    That takes half of what a look at each number takes, and a sixth where numpy is in use.
    """
    if not all(type(vector) is list for vector in vectors):
        return False
    inside = data[data.find(b"[") : data.rfind(b"]")]
    # As many brackets as lists, none of them in a text, since no text stands between the outer
    # ones: then each point there belongs to a number of a vector, and no number has two.
    if _count(inside, b"[") != len(vectors) + 1 or b'"' in inside:
        return False
    return _count_points(inside) == sum(map(len, vectors))


def _count_points(data: bytes) -> int:
    # To import numpy would take longer than it saves.
    if "numpy" not in sys.modules:
        return _count(data, b".")
    import numpy

    return int(numpy.count_nonzero(numpy.frombuffer(data, numpy.uint8) == ord(".")))


def _count(data: bytes, byte: bytes) -> int:
    # Faster than `data.count`, which does not search by memchr.
    return len(data) - len(data.replace(byte, b""))


@cache
def _fast_loads() -> Callable[[bytes], Any] | None:
    try:
        from orjson import loads
    except ImportError:
        return None
    return loads
