"""Find how long a server asks to wait, beside ``Retry-After``: in headers, fields or its words.

Sources: the headers of OpenAI, Azure, Groq and OpenRouter, the drafts of IETF's RateLimit header
(draft-ietf-httpapi-ratelimit-headers), and Google's RetryInfo.
"""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_transport.wire.errors.text import letters_of

_FIELDS = ("retryafter", "retryafterseconds", "retryafters", "retrydelay")
_MILLISECONDS = ("retryafterms",)
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_UNIT = r"(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)"
_PART = re.compile(rf"({_NUMBER})\s?({_UNIT})(?![a-z])")
_DURATION = rf"(?:{_NUMBER}\s?{_UNIT},?\s?){{1,5}}(?![a-z])"
_SAID = re.compile(rf"(?i)\b(?:try again|retry|wait)(?: in| after| for)?(?: about)? ({_DURATION})")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MOST_SECONDS = 1e9
"""More is a time since 1970, in seconds or, above the next limit, in milliseconds."""
_MOST_EPOCH_S = 1e11
_STRUCTURED = re.compile(r"\b(?:r|remaining)=0\b[^,]{0,60}?[;,]\s?(?:t|reset)=(\d{1,9})\b")


def told_wait_s(facts: Mapping[str, Any], headers: Mapping[str, str], text: str) -> float | None:
    """Return the seconds after which an error allows another try; None if it names none.

    Gateways write them into the error itself, or repeat the headers of the server behind them.
    """
    metadata = facts.get("metadata")
    inner: Mapping[Any, Any] = metadata if isinstance(metadata, Mapping) else {}
    repeated = inner.get("headers")
    for place in (headers, facts, inner, repeated, *_details(facts)):
        if isinstance(place, Mapping) and (told := _in_fields(place)) is not None:
            return told
    said = _SAID.search(text)
    return None if said is None else _seconds(said[1])


def _details(facts: Mapping[str, Any]) -> list[Any]:
    details = facts.get("details")
    return details[:20] if isinstance(details, list) else []


def _in_fields(place: Mapping[Any, Any]) -> float | None:
    told = {letters_of(name): value for name, value in place.items() if isinstance(name, str)}
    for name in (*_FIELDS, *_MILLISECONDS):
        if (seconds := _seconds(told.get(name))) is not None:
            return seconds / 1000 if name in _MILLISECONDS else seconds
    found = _STRUCTURED.search(str(told.get("ratelimit", ""))[:500])
    return float(found[1]) if found else max(_resets(told), default=None)


def _resets(told: Mapping[str, Any]) -> Iterator[float]:
    """Yield the seconds until the limits that are used up begin again."""
    resets = [name for name in told if name.removeprefix("x").startswith("ratelimitreset")]
    for name in resets:
        left = told.get(name.replace("reset", "remaining", 1))
        # Another limit may begin again tomorrow, with much of it left.
        is_spent = len(resets) == 1 if left is None else str(left).strip() in ("0", "0.0")
        if is_spent and (seconds := _until(told[name])) is not None:
            yield seconds


def _until(value: object) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"\d{10,14}(?:\.\d{1,9})?", value):
        value = float(value)
    if isinstance(value, int | float) and _MOST_SECONDS <= value < _MOST_EPOCH_S * 1000:
        since = value if value < _MOST_EPOCH_S else value / 1000
        return max(0.0, since - time.time())
    return _seconds(value)


def _seconds(value: object) -> float | None:
    """Return a number of seconds, or the seconds of a duration such as "1m30s"."""
    if isinstance(value, str):
        plain = value.strip().lower()
        if re.fullmatch(_NUMBER, plain):
            return float(plain)
        if len(plain) > 80 or not re.fullmatch(_DURATION, plain):
            return None
        parts = _PART.findall(plain)
        return sum(float(number) * _factor(unit) for number, unit in parts) if parts else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value < _MOST_SECONDS else None


def _factor(unit: str) -> float:
    return 0.001 if unit.startswith(("ms", "milli")) else _UNITS[unit[0]]
