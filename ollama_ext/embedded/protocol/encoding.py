"""How the server writes: Go's JSON, Go's timestamps, shortest float32 (wire reference 1)."""

import json
import re
import struct
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

# Go keeps durations in an int64 of nanoseconds: the longest one is its "for ever".
FOREVER_NS = 2**63 - 1
_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_ESCAPED = re.compile("[<>&\u2028\u2029]")
# Python texts can hold halves of a pair; UTF-8 cannot, and Go writes U+FFFD for them.
_SURROGATE = re.compile("[\ud800-\udfff]")


def dump_json(value: object) -> bytes:
    """Write a value as Go's encoding/json does: compact, U+0085 raw, ``<`` escaped."""
    # ensure_ascii would escape U+0085 too, which Ollama sends raw (wire reference 1.8).
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # A quote or a backslash never matches, so the escapes stay inside of JSON strings.
    text = _ESCAPED.sub(lambda match: _ESCAPES[match.group()], text)
    return _SURROGATE.sub("\ufffd", text).encode()


def dump_line(value: object) -> bytes:
    """Write one NDJSON line, its 0x0A included."""
    return dump_json(value) + b"\n"


def dump_event(value: object) -> bytes:
    """Write one server-sent event of the ``/v1`` dialect."""
    return b"data: " + dump_json(value) + b"\n\n"


def utc_timestamp(nanoseconds: int) -> str:
    """Write a time as RFC 3339 in UTC, trailing zeros of the fraction trimmed."""
    whole, fraction = divmod(nanoseconds, 10**9)
    moment = datetime.fromtimestamp(whole, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}{_fraction(fraction)}Z"


def local_timestamp(nanoseconds: int) -> str:
    """Write a time as RFC 3339 with this machine's own offset, ``Z`` when that is UTC."""
    whole, fraction = divmod(nanoseconds, 10**9)
    moment = datetime.fromtimestamp(whole, UTC).astimezone()
    # Python writes +0200, RFC 3339 wants +02:00, and Go writes Z for no offset.
    offset = f"{moment:%z}"
    zone = "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:5]}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}{_fraction(fraction)}{zone}"


def _fraction(nanoseconds: int) -> str:
    return f".{nanoseconds:09d}".rstrip("0").rstrip(".")


def now_ns() -> int:
    """Return the wall clock in nanoseconds since 1970."""
    return time.time_ns()


@lru_cache(maxsize=65536)
def float32(value: float) -> float:
    """Return the float whose shortest decimal form is the shortest one of the float32."""
    # Nine digits are always enough for a float32, six sometimes.
    single = struct.unpack("<f", struct.pack("<f", value))[0]
    for digits in range(6, 10):
        shortest = float(f"{single:.{digits}g}")
        if struct.unpack("<f", struct.pack("<f", shortest))[0] == single:
            return shortest
    return float(single)


def through_float64(value: object) -> object:
    """Return a tool argument as it looks after Go decoded it into ``any`` (wire reference 3.4).

    Numbers pass through float64, so ``1.0`` becomes 1 and big integers are rounded; the keys of
    nested objects come out sorted.
    """
    # A bool is an int in Python, and must not become 1.
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _go_number(float(value))
    if isinstance(value, Mapping):
        return {key: through_float64(value[key]) for key in sorted(value)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [through_float64(item) for item in value]
    return value


def _go_number(number: float) -> int | float:
    if number.is_integer() and abs(number) < 1e21:
        # The shortest digits, filled up with zeros: 12345678901234567890 reads …567000.
        return int(Decimal(repr(number)))
    return number
