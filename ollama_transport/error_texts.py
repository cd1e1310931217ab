"""The text and the headers of an error, and pure functions that read them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_SHOWN_CHARACTERS = 80

GATEWAY_TIMEOUTS = frozenset({408, 504, 524})
"""Statuses of a proxy that waited for an answer: OpenRouter's, the standard, and Cloudflare's."""

LONG_SILENCE_S = 2.0
"""After such a wait the proxy had reached the server, which is still generating."""

LATE_SILENCE_S = 20.0
"""Between the seconds that a connection may take, and the 30 of Heroku's router (503)."""

# The wordings of Ollama's cloud, OpenAI, Groq, OpenRouter and Google.
_USED_UP = re.compile(
    r"(?i)usage limit|exceeded your current quota|insufficient_quota|\bper[- ](?:day|week|month)\b|"
    r"\b(?:daily|weekly|monthly) (?:limit|quota)|\b[tr]pd\b"
)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The answer behind a StatusError, for tracers that read ``error.response``."""

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    def json(self) -> Any:
        """Return the body as JSON; json.JSONDecodeError if it is not JSON."""
        return json.loads(self.text)


def is_used_up(text: str) -> bool:
    """Return whether a server's text says that a quota is used up for hours or days."""
    return _USED_UP.search(text) is not None


def gave_up(status: int, waited_s: float | None) -> bool:
    """Return whether a proxy waited for an answer at which the server may still be working."""
    waited = 0.0 if waited_s is None else waited_s
    if status in (502, 503):  # other proxies; at once, they mean that no server was reached
        return waited >= LATE_SILENCE_S
    return status in GATEWAY_TIMEOUTS and waited >= LONG_SILENCE_S


def brief(value: object) -> str:
    """Return the beginning of the repr of a value that a server sent."""
    try:
        return repr(value)[:_SHOWN_CHARACTERS]
    except RecursionError:
        return f"a {type(value).__name__} nested too deeply"


def http_date(text: str) -> datetime | None:
    """Return the time of an HTTP date; None for a text that is not one."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None  # what Python raises depends on which part is odd
    # A zone of -0000 gives a time without one; HTTP dates are GMT.
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def inner_error(text: str) -> str:
    """Return the error inside a JSON body; any other text as it is."""
    # A caller that makes the error may pass the whole body, as ollama-python allows.
    if not text.startswith("{"):
        return text
    try:
        found = json.loads(text).get("error", text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, str) else text
