"""Find the status that an error inside an answer of status 200 stands for: pure."""

from collections.abc import Mapping
from typing import Any

from ollama_transport.wire.errors.text import letters_of

_FIELDS = ("code", "status", "status_code", "http_status", "statusCode", "StatusCode")
_NAMES = {
    "authenticationerror": 401,
    "badgateway": 502,
    "badrequest": 400,
    "badrequesterror": 400,
    "forbidden": 403,
    "gatewaytimeout": 504,
    "insufficientquota": 429,
    "internalservererror": 500,
    "invalidapikey": 401,
    "invalidrequesterror": 400,
    "modelnotfound": 404,
    "notfounderror": 404,
    "overloaded": 503,
    "overloadederror": 503,
    "permissiondenied": 403,
    "permissionerror": 403,
    "ratelimiterror": 429,
    "ratelimitexceeded": 429,
    "resourceexhausted": 429,
    "servererror": 500,
    "serviceunavailable": 503,
    "serviceunavailableerror": 503,
    "toomanyrequests": 429,
    "unauthorized": 401,
    "unavailable": 503,
    "unavailableerror": 503,
    "validationerror": 422,
}
# MiniMax' own codes (the list of its API; 2049: MiniMax-M2.5 #18, 2026-03-12)
_CODES = {
    1000: 500,
    1001: 504,
    1002: 429,
    1004: 401,
    1008: 402,
    1013: 500,
    1024: 500,
    1026: 400,
    1027: 400,
    1033: 503,
    1039: 429,
    1041: 429,
    2013: 400,
    2049: 401,
    2056: 429,
}
# What servers write where their status would be another than 200.
_TEXTS = (
    ("server busy, please try again", 503),
    ("error loading model", 500),
    ("loading model", 503),
    ("rate limit", 429),
    ("too many requests", 429),
    ("usage limit", 429),
    ("unexpected endpoint", 404),
)


def told_status(facts: Mapping[str, Any], text: str) -> int | None:
    """Return the status that an error names, by number or by word; None if it names none."""
    for name in _FIELDS:
        if (status := _number(facts.get(name))) is not None:
            return status
    own = facts.get("status_code") if "status_msg" in facts else None
    if isinstance(own, int) and own in _CODES:
        return _CODES[own]
    words = [facts.get(name) for name in ("code", "type", "status")]
    named = (_NAMES.get(letters_of(word)) for word in words if isinstance(word, str))
    if (found := next((status for status in named if status is not None), None)) is not None:
        return found
    start = text[:200].lower()
    return next((status for part, status in _TEXTS if part in start), None)


def _number(value: object) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    is_status = isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599
    return value if is_status and isinstance(value, int) else None
