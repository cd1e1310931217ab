"""Check vectors before they are stored: a wrong one in an index is noticed months later."""

import math
from collections.abc import Sequence
from typing import Any

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError

_NUMBERS = frozenset({int, float})
"""Not bool, which is an int to Python, and not to JSON."""


class Floats(list[list[float]]):
    """Vectors that are known to be lists of floats, and of nothing else."""

    __slots__ = ()


def checked_vectors(vectors: Sequence[Sequence[Any]], expected: int) -> list[list[float]]:
    """Return vectors as floats, or refuse those that cannot belong to this number of texts.

    A server may write a whole number such as 0 without a point.

    Raises:
        ProtocolError: for a wrong number of vectors, an empty one, different lengths, and for
            anything that is not a finite number; it names the position of the text.
    """
    if len(vectors) != expected:
        raise ProtocolError(
            f"the server sent {len(vectors)} vectors for {expected} texts: they cannot be matched "
            "to the texts, so none is returned."
        )
    lengths = sorted({len(vector) for vector in vectors})
    if len(lengths) > 1 or lengths[:1] == [0]:
        raise ProtocolError(f"the server sent vectors of {lengths} numbers: none is returned.")
    found = vectors if isinstance(vectors, Floats) else map(_floats, vectors, range(expected))
    numbers: list[list[float]] = list(found)
    for place, vector in enumerate(numbers):
        # A number that is not finite makes the sum so; finite ones do that only by overflow.
        if not (math.isfinite(sum(vector)) or all(map(math.isfinite, vector))):
            raise _not_finite(place)
    return numbers


def _floats(vector: Sequence[Any], place: int) -> list[float]:
    types = list(map(type, vector))
    if types.count(float) == len(types):
        return vector if isinstance(vector, list) else list(vector)
    try:
        if _NUMBERS.issuperset(types):
            return list(map(float, vector))
        why = brief(next(each for each in vector if type(each) not in _NUMBERS))
    except OverflowError as error:
        why = str(error)
    raise ProtocolError(
        f"the vector of text {place} holds something that is not a number ({why}): none is "
        "returned."
    )


def _not_finite(place: int) -> ProtocolError:
    return ProtocolError(
        f"the vector of text {place} holds NaN or infinity, which no index can compare: none is "
        "returned. The text may be empty or too long for the model, or the model may be broken."
    )
