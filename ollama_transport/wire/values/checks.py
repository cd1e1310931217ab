"""Check parts of answers that adapters rely on, the same on both wires."""

from collections.abc import Mapping, Sequence

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError
from ollama_transport.wire.values.by_key import Logprob
from ollama_transport.wire.values.usage import MAX_COUNT


def whole_number(text: str) -> int | None:
    """Return the number that a text spells; None for any other text, and for more than 64 bits."""
    # isdigit alone accepts superscripts, and int() refuses thousands of digits with an error.
    is_number = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if is_number else None


def check_context(value: object) -> list[int] | None:
    """Return the token ids of an answer; null and absent are None.

    Raises:
        ProtocolError: when they are not a list of numbers.
    """
    if value is None or (isinstance(value, list) and all(isinstance(n, int) for n in value)):
        return value
    raise ProtocolError(f"the answer's context is not a list of numbers: {brief(value)}")


def check_logprobs(value: object) -> Sequence[Logprob] | None:
    """Return the log probabilities of an answer; null and absent are None.

    Raises:
        ProtocolError: when they are not a list of tokens, each with text and a number.
    """
    if value is None:
        return None
    if isinstance(value, list) and all(map(_is_scored, value)):
        return [Logprob(token) for token in value]
    raise ProtocolError(f"the answer's logprobs are not a list of tokens: {brief(value)}")


def _is_scored(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    token, score, others = (value.get(key) for key in ("token", "logprob", "top_logprobs"))
    data = value.get("bytes")
    return (
        (token is None or isinstance(token, str))
        and (score is None or _is_float(score))
        and (data is None or (isinstance(data, list) and all(isinstance(n, int) for n in data)))
        and (others is None or (isinstance(others, list) and all(map(_is_scored, others))))
    )


def _is_float(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= MAX_COUNT)
