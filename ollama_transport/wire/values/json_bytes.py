"""Read JSON from bytes that a pattern has found, in the fastest way."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

_PLAIN = rb'[^"\\\x00-\x1f]'
_ESCAPE = rb'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})'

TEXT = rb"%s*+(?:%s%s*+)*" % (_PLAIN, _ESCAPE, _PLAIN)
"""A pattern of what stands between the quotes of a text, without surrogates by number.

No group is possessive: before 3.11.5 Python matched such groups wrongly.
"""


def read_json_text(inner: bytes) -> str:
    """Return the text whose quotes stand around these bytes, which match `TEXT`.

    Raises:
        ValueError: when they are not valid UTF-8.
    """
    text: str = json_loads()((b'"' + inner + b'"').decode())
    return text


def read_json_texts(inner: Sequence[bytes]) -> list[str]:
    """Return `read_json_text` of each of these, read at once."""
    texts: list[str] = json_loads()((b'["' + b'","'.join(inner) + b'"]').decode())
    return texts


@cache
def json_loads() -> Callable[[bytes | str], Any]:
    """Return the quickest reader of JSON that is there."""
    # It takes a third of the time. Numbers, where the two differ, are on no line that is kept, and
    # what orjson refuses (NaN, lone surrogates, deep nesting) is left to the other reader.
    try:
        from orjson import loads
    except ImportError:
        return json.loads
    return loads
