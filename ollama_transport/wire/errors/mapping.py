"""Map failures of a server to our error classes: pure, for every dialect.

The texts are those of wire reference 7.2 to 7.4 and 14, and the usual ones of vLLM and llama.cpp.
Ollama has no error codes; only the text tells errors apart.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from ollama_transport.error_texts import gave_up
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
from ollama_transport.wire.errors.hints import (
    CAPABILITY_HINTS,
    GAVE_UP_HINT,
    LOAD_HINT,
    OVERFLOW_HINT,
    auth_hint,
    busy_hint,
    is_loading,
    is_openai,
    openai_hint,
    pull_hint,
    rejected_hint,
    server_hint,
)
from ollama_transport.wire.errors.overflow_counts import is_overflow, overflow_counts
from ollama_transport.wire.errors.pages import is_page, without_engine_advice
from ollama_transport.wire.errors.status import told_status
from ollama_transport.wire.errors.text import cut, error_text, full_stop
from ollama_transport.wire.errors.waits import told_wait_s
from ollama_transport.wire.errors.words import known

# From 520 on they are Cloudflare's, whose server failed or could not be reached, and Anthropic's.
BUSY_STATUSES = frozenset({408, 429, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530})

# Every gap in a pattern is bounded, so that a hostile text takes linear time.
# The endpoints quote in two ways (wire reference 7.2), vLLM in a third.
_NOT_FOUND = re.compile(
    r"""\b[Mm]odel ['"`](?P<model>[^'"`]{0,512})['"`] """
    r"(?:not found|does not exist)"
)
_UNSUPPORTED = re.compile(
    r"(?:does not support|endpoints found that support) (?P<what>tools?|insert|thinking|"
    r"chat(?: completions)?|generate|completions|vision|embeddings?|images?|audio)\b",
    re.IGNORECASE,
)
_NO_PICTURES = re.compile(
    r"(?i)does not support multimodal|is not a multimodal model|mmproj|at most 0 image|"
    r"does not support image|support image input"
)
# LM Studio and others that load no model by themselves; the code is OpenAI's.
_NOTHING_LOADED = re.compile(
    r"\bno models? (?:is |are |has been |have been )?loaded\b|"
    r"\bmodel (?:\S{1,200} )?is not loaded\b|^model unloaded",
    re.IGNORECASE,
)
# DeepSeek, LiteLLM, Fireworks, Together, Google, Azure, OpenRouter, llama-swap
_NO_SUCH_MODEL = re.compile(
    r"\bmodel (?:not found|not exist|does not exist)|"
    r"\b(?:unknown|no such) model(?:: | ?['\"`]|\W*$)|"
    r"\binvalid model(?:: | name passed)|is not a valid model(?: id\b| identifier| name|\W*$)|"
    r"\bcould not find real model|"
    r"\bmodels/\S{1,200} is not found|\bunable to access model|"
    r"\bno endpoints found for \S|API deployment for this resource does not exist",
    re.IGNORECASE,
)
_NOT_FOUND_CODES = frozenset({"model_not_found", "model_not_available", "DeploymentNotFound"})


def status_error(
    *,
    method: str,
    url: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    model: str | None = None,
    waited_s: float | None = None,
) -> StatusError:
    """Return (not raise) the error for an answer with a status of 300 or more.

    ``waited_s`` are the seconds until the answer arrived; None if they are unknown.
    """
    text, facts = error_text(body)
    cls, hint = _classify(
        status, text, facts, model, is_html=is_page(body[:200].decode("utf-8", "replace").strip())
    )
    late = gave_up(status, waited_s) and cls is ServerBusyError and not is_loading(status, text)
    hint = GAVE_UP_HINT if late else hint
    # Neither num_ctx nor `ollama pull` means anything to most servers of that wire.
    hint = openai_hint(cls, status, hint, url) if is_openai(url) else hint
    shown = text or cut(body.decode("utf-8", "replace").strip()) or "an empty body"
    shown = without_engine_advice(shown, url)
    error = cls(
        f"{method} {url} answered {status}: {shown}{full_stop(shown)} {hint}".rstrip(),
        url=url,
        status=status,
        error=text,
        body=body.decode("utf-8", "replace"),
        headers={name.lower(): value for name, value in headers.items()},
        model=_missing_model(text, model) if cls is ModelNotFoundError else model,
    )
    error.waited_s = waited_s
    _add_facts(error, text, facts)
    return error


def _add_facts(error: StatusError, text: str, facts: Mapping[str, Any]) -> None:
    error._told_wait_s = told_wait_s(facts, error.headers, text)
    if isinstance(error, ContextOverflowError):
        error.prompt_tokens, error.context_length = overflow_counts(text, facts)
    elif isinstance(error, ServerBusyError):
        error.is_loading = is_loading(error.status, text)
    elif isinstance(error, UnsupportedCapabilityError):
        error.capability = _capability(text)
    elif isinstance(error, AuthenticationError):
        signin = facts.get("signin_url")
        error.signin_url = signin if isinstance(signin, str) else None


def _classify(
    status: int,
    text: str,
    facts: Mapping[str, Any],
    model: str | None,
    *,
    is_html: bool = False,
) -> tuple[type[StatusError], str]:
    """Return the error class for an answer, and what to do about it."""
    # By status first: proxies write anything in these cases.
    if status in (401, 403):
        return AuthenticationError, auth_hint(status, text, facts)
    if status in BUSY_STATUSES or is_loading(status, text):
        return ServerBusyError, busy_hint(status, text, from_server=bool(facts))
    # By text before the other 5xx, since the caller's mistakes come as 500 too (3.6 and 6).
    by_text = _classify_text(text, _codes(facts), model)
    if by_text is not None:
        return by_text
    if status >= 500:
        return ServerError, server_hint(text, status, from_server=not is_html)
    return RequestRejectedError, rejected_hint(status, text)


def _codes(facts: Mapping[str, Any]) -> set[str]:
    return {code for key in ("code", "type") if isinstance(code := facts.get(key), str)}


def _classify_text(
    text: str, codes: set[str], model: str | None
) -> tuple[type[StatusError], str] | None:
    if _NOTHING_LOADED.search(text):
        return ModelNotFoundError, LOAD_HINT
    if is_overflow(text, codes):
        return ContextOverflowError, OVERFLOW_HINT
    found = _NOT_FOUND.search(text) or _NO_SUCH_MODEL.search(text)
    if found or not _NOT_FOUND_CODES.isdisjoint(codes):
        return ModelNotFoundError, pull_hint(_missing_model(text, model))
    if _capability(text):
        return UnsupportedCapabilityError, CAPABILITY_HINTS[_capability(text)]
    row = known(text)
    if row is not None and row.is_callers:
        return RequestRejectedError, row.hint or "Correct the value named there."
    return None


_ANSWER_KEYS = frozenset({"message", "choices", "response", "data", "embeddings", "embedding"})
_ERROR_KEYS = frozenset(
    {"detail", "errors", "message", "messages", "msg", "code", "type", "param", "success"}
    | {"status", "status_code", "statusCode", "request_id", "requestId", "timestamp", "path"}
)
_CAPABILITY_NAMES = {
    "chat": "completion",
    "chat completions": "completion",
    "completions": "completion",
    "generate": "completion",
    "embeddings": "embedding",
    "tool": "tools",
}


def _capability(text: str) -> str:
    """Return the capability that a refusal names, as ``/api/show`` spells it; '' for none."""
    # The engine's words for an image that its model cannot see (wire reference 14).
    if _NO_PICTURES.search(text):
        return "vision"
    if "image generation models are not" in text:
        return "image"
    match = _UNSUPPORTED.search(text)
    if match is None:
        return ""
    what = match["what"].lower()
    return _CAPABILITY_NAMES.get(what, what)


def _missing_model(text: str, model: str | None) -> str:
    # As the caller wrote it: the server's text may add a tag (wire reference 7.2).
    if model:
        return model
    match = _NOT_FOUND.search(text)
    return match["model"] if match else ""


def tells_error(raw: Mapping[str, Any]) -> bool:
    """Return whether an object of an answer is an error, whichever key holds it."""
    error = raw.get("error")
    if error or raw.get("object") == "error" or _failed_base(raw):
        return True
    # Some servers send an empty error with each answer.
    if error is not None and not (raw.keys() & _ANSWER_KEYS):
        return True
    # Ollama itself writes a line with an odd key for a call that it cannot parse.
    return _odd_key(raw) is not None or _is_bare_error(raw)


def _failed_base(raw: Mapping[str, Any]) -> bool:
    """Return whether an object holds MiniMax' way to report a failure; its code 0 is a success."""
    base = raw.get("base_resp")
    code = base.get("status_code", 0) if isinstance(base, Mapping) else 0
    return code not in (0, "0", None) and not raw.get("choices")


def _is_bare_error(raw: Mapping[str, Any]) -> bool:
    """Return whether an object holds nothing but the words of an error, as FastAPI's and others."""
    if not raw.keys() <= _ERROR_KEYS:
        return False
    if raw.get("detail") or raw.get("errors"):
        return True
    told = raw.get("message", raw.get("msg"))
    return isinstance(told, str) and bool(told) and len(raw) > 1


def _odd_key(raw: Mapping[str, Any]) -> str | None:
    if "message" in raw or "choices" in raw or "response" in raw:
        return None
    return next((key for key in raw if key.lower().startswith("error ")), None)


def answer_failure(
    raw: Mapping[str, Any], *, received: tuple[Any, ...] = (), openai: bool = False
) -> StatusError | StreamFailedError:
    """Return (not raise) the error for a failure inside an answer of status 200.

    Its class and hint are those of the same code and text with a failing status; any other text
    is a StreamFailedError (wire reference 7.4).
    """
    key = _odd_key(raw)
    told = raw if key is None else {"error": f"{key}: {raw[key]}"}
    text, facts = error_text(json.dumps(told).encode())
    found = _answer_class(text, facts)
    lines = "1 line" if len(received) == 1 else f"{len(received)} lines"
    after = f"after {lines}" if received else "immediately"
    what = f"the answer failed {after}: {text}{full_stop(text)}"
    if received:
        what = f"{what} What came before is in `received`."
    if found is None:
        hint = server_hint(text)
        return StreamFailedError(f"{what} {hint}", received=received, error=text)
    status, cls, hint = found
    hint = openai_hint(cls, status, hint, "") if openai else hint
    error = cls(f"{what} {hint}".rstrip(), url="", status=status, error=text, body=json.dumps(raw))
    error.received = received
    if isinstance(error, ModelNotFoundError):
        error.model = _missing_model(text, None) or None
    _add_facts(error, text, facts)
    return error


def _answer_class(text: str, facts: Mapping[str, Any]) -> tuple[int, type[StatusError], str] | None:
    status = told_status(facts, text)
    if status is not None:
        return (status, *_classify(status, text, facts, None))
    by_text = _classify_text(text, _codes(facts), None)
    if by_text is None:
        return None
    return (404 if by_text[0] is ModelNotFoundError else 400, *by_text)
