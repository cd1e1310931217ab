"""Turn what a server answers into the right error of ours: pure, for every dialect.

The texts are those of wire reference 7.2 to 7.4 and 14, and the usual ones of vLLM and llama.cpp.
Ollama has no error codes; the text is all there is.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from ollama_transport.errors import (
    AuthenticationError,
    ContextOverflowError,
    ModelNotFoundError,
    RequestRejectedError,
    ServerBusyError,
    ServerError,
    StatusError,
    StreamFailedError,
    UnsupportedCapabilityError,
)
from ollama_transport.wire.pages import is_page, page_text

SHOWN_CHARACTERS = 500
"""So much of a body that is no JSON is shown."""

MAX_ERROR_CHARACTERS = 16 * 1024
"""So much of a server's text is kept as ``error``; no pattern sees more (``body`` is whole)."""

_MAX_NESTED = 8
"""So often is JSON unpacked that stands in the text of other JSON; the engine's stands once."""

_MAX_FAULTS = 20
"""So many of the faults that FastAPI finds in a request are told."""

BUSY_STATUSES = frozenset({429, 502, 503, 504})

# No gap in a pattern is without bounds: a hostile text must cost time in proportion to its length.
# The endpoints quote in two ways (wire reference 7.2), vLLM in a third.
_NOT_FOUND = re.compile(
    r"""\b[Mm]odel ['"`](?P<model>[^'"`]{0,512})['"`] """
    r"(?:not found|does not exist)"
)
_UNSUPPORTED = re.compile(
    r"does not support "
    r"(?P<what>tools|insert|thinking|chat|generate|vision|embeddings?|image|audio)\b"
)
_OVERFLOW = re.compile(
    r"exceed_context_size_error|exceeds the available context size|longer than the context length|"
    r"exceeds? (?:the|maximum) context length|maximum context length is|maximum model length|"
    # llama-cpp-python, newer vLLM, LM Studio, embeddings of llama.cpp
    r"exceed context window of|context length is only|with context length of only|"
    r"too large to process. increase the physical batch size",
)
_OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})


def _counting(words: str) -> re.Pattern[str]:
    """Return a pattern from a server's words, where <P> and <N> stand for prompt and context."""
    # Of digits without end, Python makes no number (and no server has such a context).
    for letter, name in (("<P>", "prompt"), ("<N>", "length")):
        words = words.replace(letter, rf"(?P<{name}>\d{{1,15}})(?!\d)")
    return re.compile(words)


_COUNTS = (
    # llama.cpp, and so Ollama (wire reference 7.3)
    _counting(r"\(<P> tokens\) exceeds the available context size \(<N> tokens\)"),
    # vLLM, and what follows OpenAI's words
    _counting(
        r"maximum context length is <N> tokens.{0,300}?"
        r"(?:prompt contains (?:at least )?|\()<P> (?:input|in (?:the|your)) "
    ),
    _counting(
        r"maximum context length is <N> tokens\D{1,300}(?:requested|has|resulted in) <P>",
    ),
    _counting(r"maximum context length is <N>"),
    # newer vLLM
    _counting(r"passed <P> input tokens.{0,300}?context length is only <N>"),
    _counting(r"length <P>\) is longer than the maximum model length of <N>"),
    # llama-cpp-python
    _counting(r"tokens \(<P>\) exceed context window of <N>"),
    # LM Studio
    _counting(r"with context length of only <N>"),
    _counting(r"\(<P> tokens\) is too large to process\D{1,300}<N>"),
)
# These are faults of the request, although the server answers 500 (wire reference 3.6, 3.9 and 6).
_CALLER_FAULTS_500 = re.compile(
    r'^option "|^invalid format: |^template: |^this model only supports one image'
)


def error_text(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the server's text and the innermost JSON object of an error body.

    Reads ``{"error": "text"}``, the OpenAI envelope, vLLM's ``{"object": "error", "message": …}``,
    FastAPI's ``{"detail": …}``, and JSON nested in a string (wire reference 7.3); what is no JSON
    is returned as text, cut at 500 characters, and of a page of HTML the words on one line.
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
    return (_cut(text, MAX_ERROR_CHARACTERS if facts else SHOWN_CHARACTERS), facts)


def _fault(entry: object) -> str:
    """Return one of FastAPI's faults of a request: the field, and what is wrong with it."""
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
        # It came as JSON, but from a shallower place of our own stack.
        return f"JSON nested too deeply ({type(value).__name__})"


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _cut(text: str, most: int = SHOWN_CHARACTERS) -> str:
    if len(text) <= most:
        return text
    return f"{text[:most]}… ({len(text)} characters)"


def status_error(
    *,
    method: str,
    url: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    model: str | None = None,
) -> StatusError:
    """Return (not raise) the error for an answer with a status of 300 or more."""
    text, facts = error_text(body)
    cls, hint = _classify(status, text, facts, model)
    # Neither num_ctx nor `ollama pull` means anything to most servers of that wire.
    hint = _OPENAI_HINTS.get(cls, hint) if "/v1/" in url else hint
    shown = text or _cut(body.decode("utf-8", "replace").strip()) or "an empty body"
    error = cls(
        f"{method} {url} answered {status}: {shown}{_full_stop(shown)} {hint}".rstrip(),
        url=url,
        status=status,
        error=text,
        body=body.decode("utf-8", "replace"),
        headers={name.lower(): value for name, value in headers.items()},
        model=_missing_model(text, model) if cls is ModelNotFoundError else model,
    )
    _add_facts(error, text, facts)
    return error


def _full_stop(text: str) -> str:
    return "" if text.endswith((".", "!", "?", "…")) else "."


def _add_facts(error: StatusError, text: str, facts: Mapping[str, Any]) -> None:
    if isinstance(error, ContextOverflowError):
        error.prompt_tokens, error.context_length = overflow_counts(text, facts)
    elif isinstance(error, UnsupportedCapabilityError):
        error.capability = _capability(text)
    elif isinstance(error, AuthenticationError):
        signin = facts.get("signin_url")
        error.signin_url = signin if isinstance(signin, str) else None


def _classify(
    status: int, text: str, facts: Mapping[str, Any], model: str | None
) -> tuple[type[StatusError], str]:
    """Return the class for an answer, and what the caller can do."""
    # By status first: what proxies write in these cases can be anything.
    if status in (401, 403):
        return AuthenticationError, _auth_hint(status, text, facts)
    if status in BUSY_STATUSES:
        return ServerBusyError, _busy_hint(status, from_server=bool(facts))
    # By text before the other 5xx, since faults of the caller come as 500, too (3.6 and 6).
    by_text = _classify_text(text, _codes(facts), model)
    if by_text is not None:
        return by_text
    if status >= 500:
        return ServerError, _server_hint(text)
    return RequestRejectedError, _rejected_hint(status, text)


def _codes(facts: Mapping[str, Any]) -> set[str]:
    return {code for key in ("code", "type") if isinstance(code := facts.get(key), str)}


def _classify_text(
    text: str, codes: set[str], model: str | None
) -> tuple[type[StatusError], str] | None:
    if _NOT_FOUND.search(text):
        name = _missing_model(text, model)
        return ModelNotFoundError, _pull_hint(name)
    if _OVERFLOW.search(text) or not _OVERFLOW_CODES.isdisjoint(codes):
        return ContextOverflowError, _OVERFLOW_HINT
    if _capability(text):
        return UnsupportedCapabilityError, _CAPABILITY_HINTS[_capability(text)]
    if _CALLER_FAULTS_500.search(text):
        return RequestRejectedError, "Correct the value named there."
    return None


_OVERFLOW_HINT = (
    "Set a larger num_ctx (the model's maximum permitting), shorten the prompt, "
    "or allow truncation."
)
_MEMORY_HINT = "The model may need more memory: try a smaller one or a smaller num_ctx."
_TOOL_CALL_HINT = "The model wrote a tool call that is no JSON: ask again, or choose another model."
# The first that the text holds says what to do.
_TEXT_HINTS = (
    (
        "pull model manifest: file does not exist",
        "The registry has no model of that name, or not that tag of it: check both in its library "
        "(ollama.com/library).",
    ),
    ("pull model manifest: 412", "This model needs a newer Ollama: update the server."),
    ("invalid tool call arguments", _TOOL_CALL_HINT),
    ("failed to parse JSON", _TOOL_CALL_HINT),
    # Models made of one file share an engine while it is loaded, with the flags of the first (14).
    ("requires --jinja", "Another model of the same weights is loaded: unload it, and ask again."),
    ("out-of-memory", _MEMORY_HINT),
    ("terminated", _MEMORY_HINT),
    ("unexpectedly stopped", _MEMORY_HINT),
    ("invalid model name", "A name is MODEL[:TAG], of ASCII letters, digits, '_', '-' and '.'."),
    ("remote model", "Add its host to OLLAMA_REMOTES on the server, or choose a local model."),
    ("invalid input type", "`input` is a list of texts: no numbers, no None."),
    (
        "illegal base64",
        "Images are sent as plain base64 (standard alphabet, padded, no data: prefix).",
    ),
)
_OPENAI_HINTS: dict[type[StatusError], str] = {
    ContextOverflowError: "Shorten the prompt, ask for fewer tokens, or start the server with a "
    "longer context.",
    ModelNotFoundError: "Choose one that `Client.list()` returns; `ollama pull` gets it where the "
    "server is an Ollama.",
    ServerBusyError: "Try again later.",
}
_CAPABILITY_HINTS = {
    "tools": "Choose a model with the capability `tools` (`ollama show MODEL` lists them).",
    "insert": "Choose a model that can fill in the middle, or leave `suffix` out.",
    "thinking": "Leave `think` (LangChain: `reasoning`, LlamaIndex: `thinking`) unset or False.",
    "completion": "This is an embedding model: choose one that can chat.",
    "embedding": "Choose an embedding model, such as nomic-embed-text.",
    "vision": "Choose a model with the capability `vision`, or send no image.",
    "audio": "Choose a model with the capability `audio`.",
    "image": "Choose a model that generates text.",
}
_CAPABILITY_NAMES = {"chat": "completion", "generate": "completion", "embeddings": "embedding"}


def _capability(text: str) -> str:
    """Return the capability that a refusal names, as ``/api/show`` spells it; '' for none."""
    # The engine's words for an image that its model cannot see (wire reference 14).
    if "does not support multimodal" in text or "mmproj" in text:
        return "vision"
    if "image generation models are not" in text:
        return "image"
    match = _UNSUPPORTED.search(text)
    if match is None:
        return ""
    return _CAPABILITY_NAMES.get(match["what"], match["what"])


def _missing_model(text: str, model: str | None) -> str:
    # As it was asked for: the text may have added a tag (wire reference 7.2).
    if model:
        return model
    match = _NOT_FOUND.search(text)
    return match["model"] if match else ""


def _pull_hint(name: str) -> str:
    if not name:
        return "No model was named: set `model`."
    return f"Run `ollama pull {name}` on the server, or choose one that `ollama list` shows."


def _auth_hint(status: int, text: str, facts: Mapping[str, Any]) -> str:
    if isinstance(facts.get("signin_url"), str):
        return f"Sign the server in at {facts['signin_url']}."
    # The filters of hosts and origins answer with an empty body (wire reference 1.12, 1.13).
    if status == 403 and not text:
        return (
            "Ollama refuses a Host or Origin header that it does not know: use its IP address "
            "or localhost, or set OLLAMA_HOST and OLLAMA_ORIGINS on the server."
        )
    if "cloud is disabled" in text:
        return "Allow cloud models on the server, or choose a local one."
    return "Set `api_key` or OLLAMA_API_KEY; for a cloud model, run `ollama signin` on the server."


def _busy_hint(status: int, *, from_server: bool) -> str:
    # A server answers in JSON; a page, or nothing at all, is a proxy's.
    if status == 503 and from_server:
        return "Try again later, or raise OLLAMA_MAX_QUEUE on the server."
    if status == 429:
        # The queue of a server of one's own answers 503: this is a limit of use (8.2).
        return "Try again later, or ask for less: see `requests_per_minute`."
    return "Try again later: what stands between here and the model did not reach it."


def _text_hint(text: str) -> str:
    return next((hint for part, hint in _TEXT_HINTS if part in text), "")


def _server_hint(text: str) -> str:
    hint = _text_hint(text)
    return hint if hint else "The server's log says more."


def _rejected_hint(status: int, text: str) -> str:
    if status in (404, 405):
        return "Is that an Ollama server, and is the path of base_url right?"
    if status == 413:
        # Ollama has no limit of its own (wire reference 1.1).
        return "A proxy before the server takes no requests of that size."
    if 300 <= status < 400:
        return "The server redirects: set base_url to its final address."
    return _text_hint(text)


def overflow_counts(text: str, facts: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the prompt's tokens and the context's, each None where the server did not say."""
    prompt, length = facts.get("n_prompt_tokens"), facts.get("n_ctx")
    if _is_count(prompt) and _is_count(length):
        return prompt, length
    for pattern in _COUNTS:
        if match := pattern.search(text):
            found = match.groupdict()
            return _number(found.get("prompt")), _number(found.get("length"))
    return None, None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def stream_failure(
    raw: Mapping[str, Any], *, url: str = "", received: tuple[Any, ...] = ()
) -> StreamFailedError:
    """Return the error for an error line inside a stream of status 200 (wire reference 7.4)."""
    text, _ = error_text(json.dumps(raw).encode())
    at = f" from {url}" if url else ""
    hint = _server_hint(text)
    return StreamFailedError(
        f"the answer{at} failed after {len(received)} lines: {text}{_full_stop(text)} "
        f"What came before is in `received`. {hint}",
        url=url,
        received=received,
        error=text,
    )
