"""Check vectors before they are stored: a wrong one in an index may go unnoticed for months."""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError
from ollama_transport.wire.values.usage import Usage

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    FloatArray = NDArray[numpy.float32]

_NUMBERS = frozenset({int, float})
"""Not bool, which is an int to Python, and not to JSON."""


class Floats(list[list[float]]):
    """Vectors that are known to be lists of floats, and of nothing else."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingArray:
    """The vectors of a batch of texts as one array, in the order of the texts.

    ```python
    from ollama_transport import Client

    with Client() as client:
        print(client.embed_array("nomic-embed-text", ["a cat", "a dog"]).vectors.shape)
    ```

    ``vectors`` is a numpy array of 32-bit floats, of the shape (number of texts, length of a
    vector), and yours to write to. ``usage`` is None if unknown; ``raw`` is the object as
    the server sent it, without the vectors.
    """

    vectors: "FloatArray"
    model: str = ""
    usage: Usage | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def the_numpy() -> Any:
    """Return the module numpy, which only arrays need.

    Raises:
        ImportError: when it is not installed; it says what to install.
    """
    try:
        import numpy
    except ImportError as error:
        raise ImportError(
            "embeddings as arrays need numpy: pip install 'ollama-ext[arrays]'."
        ) from error
    return numpy


def checked_array(vectors: Any, expected: int) -> "FloatArray":
    """Return vectors, lists or one array of two dimensions, as an array of 32-bit floats.

    Raises:
        ProtocolError: under the same conditions as `checked_vectors`, and for a number that is
            too large for 32 bits.
    """
    np = the_numpy()
    if not isinstance(vectors, np.ndarray):
        lists = checked_vectors(vectors, expected)
        pack = struct.Struct(f"{len(lists[0])}d").pack
        # A third of the time that numpy.array takes.
        packed = b"".join([pack(*vector) for vector in lists])
        vectors = np.frombuffer(packed, np.float64).reshape(expected, -1)
    _check_count(len(vectors), expected)
    with np.errstate(over="ignore"):
        array: FloatArray = vectors.astype(np.float32)
    finite = np.isfinite(array)
    if not finite.all():
        what = "NaN, infinity or a number too large for 32 bits"
        raise _not_finite(int(finite.all(axis=1).argmin()), what)
    return array


def joined_array(
    parts: Sequence["FloatArray | Sequence[float]"], dimensions: int | None
) -> "FloatArray":
    """Return the vectors of all parts as one array; a part is an array or a single vector.

    Without parts its shape is (0, ``dimensions``), or (0, 0) if that is None.

    Raises:
        ProtocolError: for vectors of different lengths.
        ImportError: when numpy is not installed.
    """
    np = the_numpy()
    if not parts:
        empty: FloatArray = np.empty((0, 0 if dimensions is None else dimensions), np.float32)
        return empty
    arrays = [np.atleast_2d(np.asarray(part, np.float32)) for part in parts]
    _check_lengths({array.shape[1] for array in arrays})
    joined: FloatArray = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return joined


def checked_vectors(vectors: Sequence[Sequence[Any]], expected: int) -> list[list[float]]:
    """Return vectors as floats, or refuse those that cannot belong to this number of texts.

    A server may write a whole number such as 0 without a point.

    Raises:
        ProtocolError: for a wrong number of vectors, an empty one, different lengths, and for
            anything that is not a finite number; it names the position of the text.
    """
    _check_count(len(vectors), expected)
    _check_lengths({len(vector) for vector in vectors})
    found = vectors if isinstance(vectors, Floats) else map(_floats, vectors, range(expected))
    numbers: list[list[float]] = list(found)
    for place, vector in enumerate(numbers):
        # A number that is not finite makes the sum so; finite ones do that only by overflow.
        if not (math.isfinite(sum(vector)) or all(map(math.isfinite, vector))):
            raise _not_finite(place)
    return numbers


def _check_count(count: int, expected: int) -> None:
    if count != expected:
        raise ProtocolError(
            f"the server sent {count} vectors for {expected} texts: they cannot be matched to the "
            "texts, so none is returned."
        )


def _check_lengths(lengths: set[int]) -> None:
    if len(lengths) > 1 or 0 in lengths:
        raise ProtocolError(
            f"the server sent vectors of {sorted(lengths)} numbers: none is returned."
        )


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


def _not_finite(place: int, what: str = "NaN or infinity") -> ProtocolError:
    return ProtocolError(
        f"the vector of text {place} holds {what}, which no index can compare: none is returned. "
        "The text may be empty or too long for the model, or the model may be broken."
    )
