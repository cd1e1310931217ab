"""Advice on what to do about an error, by its status and the server's text."""

import re
from collections.abc import Mapping
from typing import Any

from ollama_transport.error_texts import GATEWAY_TIMEOUTS, is_used_up
from ollama_transport.errors import (
    ContextOverflowError,
    ModelNotFoundError,
    StatusError,
)
from ollama_transport.wire.errors.words import (
    LM_STUDIO_HINT,
    MEMORY_HINT,
    OPENAI_MEMORY_HINT,
    known,
)

OVERFLOW_HINT = (
    "Set a larger num_ctx (the model's maximum permitting), shorten the prompt, "
    "or allow truncation if it is off."
)
_LOADING_HINT = (
    "Try again later, or wait longer: calls wait up to `loading_max_wait_s` seconds for a model "
    "that is being loaded, unless max_retries is 0."
)
GAVE_UP_HINT = (
    "A proxy in front of the server gave up waiting for the answer to begin: raise its timeout, "
    "load the model beforehand, or shorten the prompt."
)
_STREAM_HINT = (
    "A proxy in front of the server gave up waiting. Have the answer streamed, so that the "
    "connection is not silent (LangChain: `streaming=True`; LangChain and LlamaIndex: "
    "`wire_streaming=True`), or raise the proxy's timeout."
)
_NATIVE_PATH_HINT = (
    "Is that an Ollama server, and is the path of base_url right? The request used Ollama's own "
    "wire: an OpenAI-compatible server needs a base_url that ends in /v1, or api='openai' with the "
    "root of its API as base_url."
)
_OPENAI_PATH_HINT = (
    "Is the path of base_url right? The request used the OpenAI-compatible wire: give the root of "
    "the API as base_url with api='openai' (…/v1, …/v3, …/v1beta/openai), or for Ollama's own wire "
    "a base_url without /v1."
)
_NO_SYSTEM_ONE_HINT = "This server has no System One endpoint: newer versions of Ollama have it."
_FEWER_TEXTS_HINT = (
    "A proxy in front of the server gave up waiting: send fewer texts at once, or raise its "
    "timeout."
)
# llama.cpp; Hugging Face's inference servers; LocalAI, KServe, llama-swap and others.
_LOADING = re.compile(
    r"(?i)\bloading (?:the )?model|\b(?:model|upstream) (?:\S{1,200} )?is (?:currently |still )?"
    r"(?:loading|being loaded|starting|warming)|"
    r"\bmodel (?:\S{1,200} )?is not (?:yet )?(?:ready|loaded)|"
    r"\bstill (?:being )?load(?:ing|ed)\b|\bmodel loading\b|\bwarming up\b|\bstarting up\b|"
    r"\bnot (?:ready yet|yet ready)\b"
)
# With a status that says something else, the text must say so, and nothing besides.
_ONLY_LOADING = re.compile(
    r"(?i)^\W*(?:the )?(?:loading model|model (?:\S{1,200} )?is (?:currently |still )?"
    r"(?:loading|being loaded|warming up|starting))\b.{0,60}$"
)
_LOADING_STATUSES = frozenset({400, 425, 429, 500})
_NO_LOADING = re.compile(r"(?i)\b(?:fail|error|unable|could not|cannot)")
_USED_UP_HINT = "This is not retried: wait until the limit is renewed, or raise it on the account."
_QUEUE_HINT = "Try again later, or raise OLLAMA_MAX_QUEUE on the server."
_QUEUE = re.compile(r"(?i)server busy|pending requests|\bqueue")
_LATER_HINT = "Try again later."
_CONCURRENCY_HINT = "Ask for less at a time: see `max_concurrency`."
_PROXY_HINT = "Try again later: a proxy in front of the model could not reach it."
_LIMIT_HINT = "Try again later, or ask for less: see `requests_per_minute`."
_PAGE_HINT = "A proxy in front of the server wrote this page: look at its log first."
_KEY_HINT = "Set `api_key` or OLLAMA_API_KEY; for a cloud model, run `ollama signin` on the server."
_ORIGIN_HINT = (
    "Ollama refuses unknown Host and Origin headers: use its IP address or localhost, or set "
    "OLLAMA_HOST and OLLAMA_ORIGINS on the server."
)
_OPENAI_KEY_HINT = (
    "Set `api_key` (or OLLAMA_API_KEY) to a key of this server; if it is one already, check its "
    "rights and limits."
)
# Ollama's cloud (ollama #15990, 2026-05-06; #15741, 2026-05-03)
_PAID = re.compile(r"(?i)requires a subscription|upgrade for access")
_PLAN_HINT = (
    "The account's plan does not have this model: upgrade it, or choose another model; another key "
    "of the same account does not help."
)
_PROXY_AUTH_HINT = (
    "A proxy asks for credentials: give them in its address, as "
    "client_kwargs={'proxy': 'http://USER:PASSWORD@HOST:PORT'}."
)
_TLS_HINT = (
    "A proxy in front of the server cannot set up TLS with it: look at the settings of both."
)
_PAY_HINT = (
    "The account has no credits for this: add some, ask for a shorter answer with num_predict "
    "(max_tokens), or choose another model."
)
LOAD_HINT = (
    "The server loads no model by itself: load one there (LM Studio: `lms load MODEL`, or switch "
    "on loading just in time), or choose one that `Client.list()` returns."
)
_OPENAI_HINTS: dict[type[StatusError], str] = {
    ContextOverflowError: "Shorten the prompt, ask for fewer tokens, or start the server with a "
    "longer context.",
    ModelNotFoundError: "Choose one that `Client.list()` returns; `ollama pull` gets it where the "
    "server is an Ollama.",
}
_IN_OTHER_WORDS = {
    _NATIVE_PATH_HINT: _OPENAI_PATH_HINT,
    LM_STUDIO_HINT: _OPENAI_PATH_HINT,
    _KEY_HINT: _OPENAI_KEY_HINT,
    _ORIGIN_HINT: _OPENAI_KEY_HINT,
    MEMORY_HINT: OPENAI_MEMORY_HINT,
    _QUEUE_HINT: _LATER_HINT,
}
# Cloudflare's
_TLS_STATUSES = frozenset({525, 526})
CAPABILITY_HINTS = {
    "tools": "Choose a model with the capability `tools` (`ollama show MODEL` lists them).",
    "insert": "Choose a model that can fill in the middle, or leave `suffix` out.",
    "thinking": "Leave `think` (LangChain: `reasoning`, LlamaIndex: `thinking`) unset or False.",
    "completion": "This is an embedding model: choose one that can chat.",
    "embedding": "Choose an embedding model, such as nomic-embed-text.",
    "vision": "Choose a model with the capability `vision`, or send no image.",
    "audio": "Choose a model with the capability `audio`.",
    "image": "Choose a model that generates text.",
}


def pull_hint(name: str) -> str:
    """Return how to get a missing model."""
    if not name:
        return "No model was given: set `model`."
    return f"Run `ollama pull {name}` on the server, or choose one that `ollama list` shows."


def auth_hint(status: int, text: str, facts: Mapping[str, Any]) -> str:
    """Return what to do about a 401 or 403."""
    if isinstance(facts.get("signin_url"), str):
        return f"Sign the server in at {facts['signin_url']}."
    # The filters of hosts and origins answer with an empty body (wire reference 1.12, 1.13).
    if status == 403 and not text:
        return _ORIGIN_HINT
    if _PAID.search(text):
        return _PLAN_HINT
    if "cloud is disabled" in text:
        return "Allow cloud models on the server, or choose a local one."
    return _KEY_HINT


def openai_hint(kind: type[StatusError], status: int, hint: str, path: str) -> str:
    """Return what to do about an error on /v1, where num_ctx and `ollama pull` mean nothing."""
    if hint in (_LOADING_HINT, LOAD_HINT):
        return hint
    # An endpoint of Ollama's alone, although it stands below /v1 (wire reference 5.10).
    if hint == _NATIVE_PATH_HINT and path.endswith("/v1/systemone"):
        return _NO_SYSTEM_ONE_HINT
    if status in GATEWAY_TIMEOUTS or hint == GAVE_UP_HINT:
        return _FEWER_TEXTS_HINT if path.endswith("/embeddings") else _STREAM_HINT
    return _IN_OTHER_WORDS.get(hint, _OPENAI_HINTS.get(kind, hint))


def is_openai(url: str) -> bool:
    """Return whether an address belongs to the wire of /v1, whatever its root is called."""
    return "/v1/" in url or "/api/" not in url


def is_loading(status: int, text: str) -> bool:
    """Return whether a server answers that it is loading the model (llama.cpp: "Loading model")."""
    if _NO_LOADING.search(text) is not None:
        return False
    if status == 503:
        return _LOADING.search(text) is not None
    return status in _LOADING_STATUSES and _ONLY_LOADING.search(text) is not None


def busy_hint(status: int, text: str, *, from_server: bool) -> str:
    """Return what to do about a server that is busy or out of reach."""
    if is_loading(status, text):
        return _LOADING_HINT
    if status in GATEWAY_TIMEOUTS:
        return GAVE_UP_HINT
    # A server answers in JSON; an HTML page, or nothing at all, comes from a proxy.
    if status in (503, 529) and from_server:
        return _QUEUE_HINT if _QUEUE.search(text) else _LATER_HINT
    if status == 429 and is_used_up(text):
        return _USED_UP_HINT
    # A full queue answers 503; 429 is a limit of use (wire reference 8.2).
    if status == 429:
        return _CONCURRENCY_HINT if "concurren" in text else _LIMIT_HINT
    return _PROXY_HINT


def text_hint(text: str) -> str:
    """Return what to do about a server's text; "" where the table does not have it."""
    row = known(text)
    return "" if row is None else row.hint


def server_hint(text: str, status: int = 500, *, from_server: bool = True) -> str:
    """Return what to do about an internal failure of the server, or of a proxy."""
    if status in _TLS_STATUSES:
        return _TLS_HINT
    hint = text_hint(text)
    if hint:
        return hint
    return "The server's log says more." if from_server else _PAGE_HINT


def rejected_hint(status: int, text: str) -> str:
    """Return what to do about a refusal; "" where the text says it all."""
    if status in (402, 407):
        return _PAY_HINT if status == 402 else _PROXY_AUTH_HINT
    if 300 <= status < 400:
        return "The server redirects: set base_url to its final address."
    if hint := text_hint(text):
        return hint
    if status == 413:
        # Ollama has no limit of its own (wire reference 1.1).
        return "A proxy in front of the server limits the size of requests: raise its limit."
    return _NATIVE_PATH_HINT if status in (404, 405) else ""
