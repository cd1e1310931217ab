"""Check vectors before anybody stores them: a wrong one in an index is found months later."""

import math
from array import array
from collections.abc import Sequence
from typing import Any

from ollama_transport.errors import ProtocolError


def check_vectors(vectors: Sequence[Sequence[Any]], expected: int) -> None:
    """Refuse vectors that cannot be those of so many texts.

    Raises:
        ProtocolError: for another number of them, an empty one, different lengths, and for what
            is no finite number; it names the place of the text.
    """
    if len(vectors) != expected:
        raise ProtocolError(
            f"the server sent {len(vectors)} vectors for {expected} texts: none of them "
            "can be told apart, so none is returned."
        )
    lengths = sorted({len(vector) for vector in vectors})
    if len(lengths) > 1 or lengths[:1] == [0]:
        raise ProtocolError(f"the server sent vectors of {lengths} numbers: none is returned.")
    for place, vector in enumerate(vectors):
        try:
            # The quickest way to ask each number whether it is one.
            numbers = array("d", vector)
        except (TypeError, OverflowError) as error:
            raise ProtocolError(
                f"the vector of text {place} holds something that is no number ({error}): "
                "none is returned."
            ) from error
        # One that is not finite makes the sum so; finite ones can only by overflow.
        if not math.isfinite(sum(numbers)) and not all(map(math.isfinite, numbers)):
            raise ProtocolError(
                f"the vector of text {place} holds NaN or infinity, which no index can compare: "
                "none is returned. The text may be empty or too long for the model, or the model "
                "broken."
            )
