"""Runtime options and keep_alive: types, defaults, how they merge (wire reference 3.7, 6)."""

import re
from collections.abc import Mapping

from ollama_ext.embedded.protocol.encoding import FOREVER_NS
from ollama_ext.embedded.protocol.failures import WireError


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Ollama's own table; names that are not in it are ignored with a log line there.
_INTEGERS = _names(
    "num_ctx num_batch num_gpu main_gpu num_thread draft_num_predict num_keep seed num_predict "
    "top_k repeat_last_n"
)
_FLOATS = _names(
    "top_p min_p typical_p temperature repeat_penalty presence_penalty frequency_penalty"
)
DEFAULT_NUM_KEEP = 4
# Ollama's own on a machine with less than 23 GiB of video memory (3.8).
DEFAULT_NUM_CTX = 4096
_SECOND_NS = 10**9
# Both ways to write micro are in use.
_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6}
_UNITS_NS |= {"s": _SECOND_NS, "m": 60 * _SECOND_NS, "h": 3600 * _SECOND_NS}
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")
_GO_KINDS = {bool: "bool", dict: "map[string]interface {}", list: "[]interface {}"}


def merge_options(*layers: Mapping[str, object] | None) -> dict[str, object]:
    """Merge options, later layers over earlier ones; unknown names and nulls are dropped."""
    merged: dict[str, object] = {}
    for layer in layers:
        for name, value in (layer or {}).items():
            if value is not None:
                merged.update(_checked(name, value))
    return merged


def _checked(name: str, value: object) -> dict[str, object]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _INTEGERS:
        if not number:
            raise _wrong(name, "integer")
        # Fractions are cut off, as Go does.
        return {name: int(value)}  # type: ignore[call-overload] # number says it is one
    if name in _FLOATS and not number:
        raise _wrong(name, "float32")
    if name == "use_mmap" and not isinstance(value, bool):
        raise _wrong(name, "boolean")
    if name == "stop":
        if not isinstance(value, list):
            raise _wrong(name, "array")
        if not all(isinstance(item, str) for item in value):
            raise WireError(500, 'option "stop" must be of an array of strings')
    return {name: value} if name in (*_FLOATS, "use_mmap", "stop") else {}


def _wrong(name: str, wanted: str) -> WireError:
    return WireError(500, f'option "{name}" must be of type {wanted}')


def whole(options: Mapping[str, object], name: str, default: int) -> int:
    """Return an integer option, or its default."""
    value = options.get(name, default)
    return value if isinstance(value, int) else default


def context_size(options: Mapping[str, object], trained: int, *, vision: bool) -> int:
    """Return the context in tokens a request runs with (wire reference 3.8)."""
    # Below 4 the engine cannot run, and pictures need 2048.
    asked = whole(options, "num_ctx", DEFAULT_NUM_CTX)
    return min(max(asked, 2048 if vision else 4), trained)


def keep_alive(value: object, _path: str = "") -> int | None:
    """Return a request's keep_alive in nanoseconds; None leaves it to the server."""
    if value is None:
        return None
    if isinstance(value, str):
        found = _duration(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = int(value * _SECOND_NS)
    else:
        raise WireError(400, f"Unsupported type: '{_GO_KINDS[type(value)]}'")
    # Any negative duration means forever, whatever its unit.
    return FOREVER_NS if found < 0 else min(found, FOREVER_NS)


def _duration(text: str) -> int:
    """Return the nanoseconds of a Go duration such as ``1h30m``."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    # The one number that needs no unit.
    if rest == "0":
        return 0
    total, at = 0.0, 0
    while match := _TERM.match(rest, at):
        amount, unit = match.groups()
        if not unit:
            raise WireError(400, f'time: missing unit in duration "{text}"')
        if unit not in _UNITS_NS:
            raise WireError(400, f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(amount) * _UNITS_NS[unit]
        at = match.end()
    if at == 0 or at != len(rest):
        raise WireError(400, f'time: invalid duration "{text}"')
    return sign * round(total)
