"""Read the text of an error body, whatever shape a server or a proxy gave it: pure."""

import json
from typing import Any

from ollama_transport.wire.errors.pages import is_page, page_text

SHOWN_CHARACTERS = 500
"""Characters of a non-JSON body that a message shows."""

MAX_ERROR_CHARACTERS = 16 * 1024
"""Characters of a server's text that are kept as ``error``; no pattern sees more."""

_MAX_NESTED = 8
"""How many layers of JSON nested in JSON strings are unpacked; the engine nests one."""

_MAX_FAULTS = 20
"""How many validation errors of one request, as FastAPI lists them, a message names."""


def error_text(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the server's text and the innermost JSON object of an error body.

    Reads ``{"error": "text"}``, the OpenAI envelope, vLLM's ``{"object": "error", "message": …}``,
    FastAPI's ``{"detail": …}``, and JSON nested in a string (wire reference 7.3). Anything else is
    returned as text, cut at 500 characters; an HTML page is reduced to its words on one line.
    """
    text = body.decode("utf-8", "replace").strip()
    facts: dict[str, Any] = {}
    # The engine's JSON is text inside the server's (wire reference 7.3).
    for _ in range(_MAX_NESTED):
        inner = _json_object(text)
        if inner is None:
            break
        facts = {**facts, **inner}
        error = inner.get("error", inner.get("message", inner.get("detail")))
        if isinstance(error, dict):
            facts = {**facts, **error}
            error = error.get("message", _json_text(error))
        elif isinstance(error, list):
            error = "; ".join(_fault(entry) for entry in error[:_MAX_FAULTS])
        if not isinstance(error, str):
            return (text[:SHOWN_CHARACTERS], facts)
        text = error.strip()
    if not facts and is_page(text):
        text = page_text(text)
    return (cut(text, MAX_ERROR_CHARACTERS if facts else SHOWN_CHARACTERS), facts)


def _fault(entry: object) -> str:
    """Return one validation error of FastAPI's: the field, and what is wrong with it."""
    if not isinstance(entry, dict) or "msg" not in entry:
        return _json_text(entry)
    loc = entry.get("loc")
    # FastAPI writes a list of names and places; other servers may write anything.
    parts = loc if isinstance(loc, list) else [] if loc is None else [loc]
    where = ".".join(_plain(part) for part in parts)
    return f"{where}: {_plain(entry['msg'])}" if where else _plain(entry["msg"])


def _plain(value: object) -> str:
    return value if isinstance(value, str) else _json_text(value)


def _json_text(value: object) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        # It was parsed, but our own stack is deeper here.
        return f"JSON nested too deeply ({type(value).__name__})"


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def cut(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """Return a text, cut to a number of characters and then followed by its full length."""
    if len(text) <= most:
        return text
    return f"{text[:most]}… ({len(text)} characters)"


def full_stop(text: str) -> str:
    """Return the full stop that a text is missing; "" if it has one."""
    return "" if text.endswith((".", "!", "?", "…")) else "."
