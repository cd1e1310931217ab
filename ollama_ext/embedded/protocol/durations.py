"""Go's durations, as ``keep_alive`` takes them (wire reference 3.7)."""

import re

from ollama_ext.embedded.protocol.encoding import FOREVER_NS
from ollama_ext.embedded.protocol.failures import WireError

# Both ways to write micro are in use.
_UNITS_NS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")
_GO_KINDS = {bool: "bool", dict: "map[string]interface {}", list: "[]interface {}"}


def parse_keep_alive(value: object) -> int | None:
    """Return a request's keep_alive in nanoseconds; None leaves it to the server.

    Raises:
        WireError: 400 with Go's own words, for a text without a unit or another type.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _endless_if_negative(parse_duration(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _endless_if_negative(int(value * 10**9))
    raise WireError(400, f"Unsupported type: '{_GO_KINDS[type(value)]}'")


def _endless_if_negative(nanoseconds: int) -> int:
    # Any negative duration means forever, whatever its unit.
    return FOREVER_NS if nanoseconds < 0 else min(nanoseconds, FOREVER_NS)


def parse_duration(text: str) -> int:
    """Parse a Go duration such as ``1h30m`` into nanoseconds.

    Raises:
        WireError: 400 ``time: missing unit in duration "10"`` or ``time: invalid duration …``.
    """
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
