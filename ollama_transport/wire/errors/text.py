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


# A text this short may be the name of a status or a kind, with the reason in another field.
_VAGUE_CHARACTERS = 60
_NAMES = (
    "error",
    "message",
    "detail",
    "msg",
    "error_msg",
    "errorMessage",
    "fault",
    "errors",
    "title",
    "base_resp",
)
_INNER_NAMES = (
    "message",
    "msg",
    "status_msg",
    "faultstring",
    "detail",
    "error",
    "error_description",
)
_REASONS = ("message", "detail", "error_description", "details", "errors", "issues")


def error_text(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the server's text and the innermost JSON object of an error body.

    Reads ``{"error": "text"}``, the OpenAI envelope, vLLM's ``{"object": "error", "message": …}``,
    FastAPI's ``{"detail": …}``, JSON nested in a string (wire reference 7.3), and the reason that
    a gateway repeats in ``metadata.raw``. A short text is followed by the reason in another field,
    and by the name of ``param``. Anything else is returned as text, cut at 500 characters; an HTML
    page is reduced to its words on one line.
    """
    text, facts = _read(body.decode("utf-8", "replace").strip(), _MAX_NESTED)
    if not facts and is_page(text):
        text = page_text(text)
    return (cut(text, MAX_ERROR_CHARACTERS if facts else SHOWN_CHARACTERS), facts)


def _read(text: str, layers: int) -> tuple[str, dict[str, Any]]:
    found = _json_object(text) if layers else None
    if found is None:
        return (text, {})
    main = _first(found, _NAMES)
    if isinstance(main, list) and len(main) == 1 and isinstance(main[0], dict):
        # FastAPI's faults are read below, with the field that each names.
        main = main[0] if "loc" not in main[0] else main
    facts = {**found, **main} if isinstance(main, dict) else found
    if isinstance(main, dict):
        inner = _first(main, _INNER_NAMES)
        main = _json_text(main) if inner is None else inner
    if isinstance(main, dict | list):
        main = _listed(main)
    if not isinstance(main, str):
        return (text[:SHOWN_CHARACTERS], facts)
    # The engine's JSON is text inside the server's (wire reference 7.3).
    told, deeper = _read(main.strip(), layers - 1)
    raw, repeated = _repeated(facts, layers - 1)
    told = _with_reasons(told, facts, raw)
    return (told, {**facts, **repeated, **deeper})


def _first(found: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return the first value of these names that tells something; None for none."""
    values = [found[name] for name in names if isinstance(found.get(name), str | dict | list)]
    return next((value for value in values if value), values[0] if values else None)


def _repeated(facts: dict[str, Any], layers: int) -> tuple[str, dict[str, Any]]:
    """Return the text and facts of the server behind a gateway, as OpenRouter repeats them."""
    metadata = facts.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, dict):
        raw = _json_text(raw)
    return _read(raw.strip(), layers) if isinstance(raw, str) else ("", {})


def _with_reasons(text: str, facts: dict[str, Any], raw: str) -> str:
    reasons = [raw]
    if len(text) <= _VAGUE_CHARACTERS:
        given = [facts.get(name) for name in _REASONS]
        reasons += [_listed(value) for value in given if isinstance(value, str | list)]
    for reason in reasons:
        if text in reason:
            text = cut(reason, MAX_ERROR_CHARACTERS)
        elif reason and reason not in text:
            text = f"{text.removesuffix('.')}: {cut(reason, MAX_ERROR_CHARACTERS)}"
    named = facts.get("param")
    if not isinstance(named, str) or named[:SHOWN_CHARACTERS] in text:
        return text
    return f"{text} (param: {named[:SHOWN_CHARACTERS]})".lstrip()


def _listed(value: Any) -> str:
    """Return a list of faults, or whatever else tells a reason, as text."""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, list):
        return _json_text(value)
    return "; ".join(_fault(entry) for entry in value[:_MAX_FAULTS])


def _fault(entry: object) -> str:
    """Return one of several errors: the field, as FastAPI and others name it, and what is wrong."""
    if not isinstance(entry, dict):
        return _plain(entry)
    told = entry.get("msg", entry.get("message"))
    if told is None:
        return _json_text(entry)
    named = (entry.get(name) for name in ("loc", "path", "field", "param"))
    loc: Any = next((place for place in named if place), [])
    # FastAPI writes a list of names and places; other servers may write anything.
    where = ".".join(_plain(part) for part in (loc if isinstance(loc, list) else [loc]))
    return f"{where}: {_plain(told)}" if where else _plain(told)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else _json_text(value)


def _json_text(value: object) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        # It was parsed, but our own stack is deeper here.
        return f"JSON nested too deeply ({type(value).__name__})"


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # as Google's API wraps an error
    return value if isinstance(value, dict) else None


def cut(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """Return a text, cut to a number of characters and then followed by its full length."""
    if len(text) <= most:
        return text
    return f"{text[:most]}… ({len(text)} characters)"


def full_stop(text: str) -> str:
    """Return the full stop that a text is missing; "" if it has one."""
    return "" if text.endswith((".", "!", "?", "…")) else "."


def letters_of(name: str) -> str:
    """Return the letters and digits of a name in lower case: servers spell names in many ways."""
    return "".join(letter for letter in name[:60].lower() if letter.isalnum())
