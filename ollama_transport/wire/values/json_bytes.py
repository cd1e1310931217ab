"""Read JSON strings from bytes that a pattern has found, as fast as possible."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

_PLAIN = rb'[^"\\\x00-\x1f]'
_ESCAPE = rb'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})'

TEXT = rb"%s*+(?:%s%s*+)*" % (_PLAIN, _ESCAPE, _PLAIN)
"""A pattern of the content of a JSON string, without escaped surrogates.

No group is possessive: before 3.11.5 Python matched such groups wrongly.
"""


def read_json_text(inner: bytes) -> str:
    """Return the text of a JSON string, given the bytes between its quotes, which match `TEXT`.

    Raises:
        ValueError: when they are not valid UTF-8.
    """
    text: str = json_loads()((b'"' + inner + b'"').decode())
    return text


@cache
def json_loads() -> Callable[[bytes | str], Any]:
    """Return the fastest installed reader of JSON."""
    # orjson takes a third of the time. The two differ in numbers, which no line read here has, and
    # what orjson refuses (NaN, lone surrogates, deep nesting) is left to the general reader.
    try:
        from orjson import loads
    except ImportError:
        return json.loads
    return loads
