"""Check vectors before they are stored: a wrong one in an index is noticed months later."""

import math
from collections.abc import Sequence
from typing import Any

from ollama_transport.errors import ProtocolError


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
    return [_checked(vector, place) for place, vector in enumerate(vectors)]


def _checked(vector: Sequence[Any], place: int) -> list[float]:
    try:
        # sum() is the quickest check that all are numbers; float() alone would also parse text.
        total = sum(vector)
        numbers = list(map(float, vector))
        # A number that is not finite makes the sum so; finite ones do that only by overflow.
        is_finite = math.isfinite(total) or all(map(math.isfinite, numbers))
    except (TypeError, OverflowError) as error:
        raise ProtocolError(
            f"the vector of text {place} holds something that is not a number ({error}): "
            "none is returned."
        ) from error
    if not is_finite:
        raise ProtocolError(
            f"the vector of text {place} holds NaN or infinity, which no index can compare: "
            "none is returned. The text may be empty or too long for the model, or the model may "
            "be broken."
        )
    return numbers
