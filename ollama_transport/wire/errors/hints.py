"""Advice on what to do about an error, by its status and the server's text."""

import re
from collections.abc import Mapping
from typing import Any

from ollama_transport.errors import (
    GATEWAY_TIMEOUTS,
    ContextOverflowError,
    ModelNotFoundError,
    ServerBusyError,
    StatusError,
)

OVERFLOW_HINT = (
    "Set a larger num_ctx (the model's maximum permitting), shorten the prompt, "
    "or allow truncation."
)
_MEMORY_HINT = "The model may need more memory: try a smaller one or a smaller num_ctx."
_LOADING_HINT = (
    "Try again later, or wait longer: calls wait up to `loading_max_wait_s` seconds for a model "
    "that is being loaded, unless max_retries is 0."
)
_GAVE_UP_HINT = (
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
_FEWER_TEXTS_HINT = (
    "A proxy in front of the server gave up waiting: send fewer texts at once, or raise its "
    "timeout."
)
# llama.cpp; Hugging Face's inference servers; LocalAI, KServe, llama-swap and others.
_LOADING = re.compile(
    r"\bloading (?:the )?model|\bmodel (?:\S{1,200} )?is (?:currently |still |being )*"
    r"(?:loading|loaded|starting)|\bmodel (?:\S{1,200} )?is not (?:yet )?(?:ready|loaded)|"
    r"\bstill loading\b|\bmodel loading\b|\bwarming up\b",
    re.IGNORECASE,
)
_USED_UP_HINT = "This is not retried: wait until the limit is renewed, or raise it on the account."
LOAD_HINT = (
    "The server loads no model by itself: load one there (LM Studio: `lms load MODEL`, or switch "
    "on loading just in time), or choose one that `Client.list()` returns."
)
_RESULTS_HINT = (
    "Each tool call of the history needs its result, and each result its call: add a tool message "
    "for each call, or leave the calls out."
)
TOOL_CALL_ID_HINT = (
    "The model's template takes tool call ids of nine letters and digits: give the calls of the "
    "history, and their results, such ids."
)
_UNREADABLE_HINT = (
    "JSON was cut or changed on its way: look at the proxies between here and the server, and at "
    "the server's log."
)
_TOOL_CALL_HINT = (
    "The model wrote a tool call that is not JSON: ask again, or choose another model."
)
# The first entry whose key occurs in the server's text says what to do.
_TEXT_HINTS = (
    (
        "pull model manifest: file does not exist",
        "The registry has no model of that name or tag: check both in its library "
        "(ollama.com/library).",
    ),
    ("pull model manifest: 412", "This model needs a newer Ollama: update the server."),
    ("invalid tool call arguments", _TOOL_CALL_HINT),
    ("failed to parse JSON", _TOOL_CALL_HINT),
    ("error parsing tool call", _TOOL_CALL_HINT),
    ("requires more system memory", _MEMORY_HINT),
    (
        "think value",
        "This model takes a reasoning level: set `think` (LangChain: `reasoning`, LlamaIndex: "
        '`thinking`) to "low", "medium" or "high", or leave it unset.',
    ),
    (
        "ystem message must be at the beginning",
        "The model's template takes one system message, at the start: `merge_system=True` sends "
        "all of them as that one.",
    ),
    (
        "roles must alternate",
        "The model's template needs user and assistant messages to alternate: merge consecutive "
        "messages of one role.",
    ),
    # Go's own words for a request that it cannot read, and for an answer that it cannot write.
    (
        "json: cannot unmarshal",
        "A field of the request has a type that this server does not take: look at the field "
        "named there, in `extra_body` and in the extra keys of messages first.",
    ),
    (
        "json: unsupported value",
        "The model computed a number that JSON does not have (NaN or infinity): try another text, "
        "or another quantisation of the model.",
    ),
    ("looking for beginning of", _UNREADABLE_HINT),
    ("unexpected EOF", _UNREADABLE_HINT),
    ("unexpected end of JSON input", _UNREADABLE_HINT),
    ("must be followed by tool messages", _RESULTS_HINT),
    ("ot the same number of function calls and responses", _RESULTS_HINT),
    ("must be a response to a prece", _RESULTS_HINT),
    (
        "Unexpected endpoint",
        "That is LM Studio: use its OpenAI-compatible wire, with a base_url that ends in /v1.",
    ),
    ("> maximum allowed", "Set `batch_size` (LlamaIndex: `embed_batch_size`) to that maximum."),
    # Models made of one file share an engine while it is loaded, with the flags of the first (14).
    (
        "requires --jinja",
        "Start llama-server with --jinja. On Ollama, another model with the same weights is "
        "loaded: unload it, and try again.",
    ),
    ("out-of-memory", _MEMORY_HINT),
    ("terminated", _MEMORY_HINT),
    ("unexpectedly stopped", _MEMORY_HINT),
    ("invalid model name", "A name is MODEL[:TAG], of ASCII letters, digits, '_', '-' and '.'."),
    ("remote model", "Add its host to OLLAMA_REMOTES on the server, or choose a local model."),
    ("invalid input type", "`input` must be a list of texts, without numbers or None."),
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
        return (
            "Ollama refuses unknown Host and Origin headers: use its IP address or localhost, or "
            "set OLLAMA_HOST and OLLAMA_ORIGINS on the server."
        )
    if "cloud is disabled" in text:
        return "Allow cloud models on the server, or choose a local one."
    return "Set `api_key` or OLLAMA_API_KEY; for a cloud model, run `ollama signin` on the server."


def openai_hint(kind: type[StatusError], status: int, hint: str, path: str) -> str:
    """Return what to do about an error on /v1, where num_ctx and `ollama pull` mean nothing."""
    if hint in (_LOADING_HINT, LOAD_HINT, _USED_UP_HINT):
        return hint
    if status in GATEWAY_TIMEOUTS:
        return _FEWER_TEXTS_HINT if path.endswith("/embeddings") else _STREAM_HINT
    if hint == _NATIVE_PATH_HINT:
        return _OPENAI_PATH_HINT
    return _OPENAI_HINTS.get(kind, hint)


def is_openai(url: str) -> bool:
    """Return whether an address belongs to the wire of /v1, whatever its root is called."""
    return "/v1/" in url or "/api/" not in url


def is_loading(status: int, text: str) -> bool:
    """Return whether a server answers that it is loading the model (llama.cpp: "Loading model")."""
    return status == 503 and _LOADING.search(text) is not None


def busy_hint(status: int, text: str, *, from_server: bool) -> str:
    """Return what to do about a server that is busy or out of reach."""
    if is_loading(status, text):
        return _LOADING_HINT
    if status in GATEWAY_TIMEOUTS:
        return _GAVE_UP_HINT
    # A server answers in JSON; an HTML page, or nothing at all, comes from a proxy.
    if status == 503 and from_server:
        return "Try again later, or raise OLLAMA_MAX_QUEUE on the server."
    if status == 429 and "usage limit" in text:
        return _USED_UP_HINT
    if status == 429:
        # A full queue answers 503; 429 is a limit of use (wire reference 8.2).
        return "Try again later, or ask for less: see `requests_per_minute`."
    return "Try again later: a proxy in front of the model could not reach it."


def text_hint(text: str) -> str:
    """Return what to do about a server's text; "" where the table does not have it."""
    return next((hint for part, hint in _TEXT_HINTS if part in text), "")


def server_hint(text: str) -> str:
    """Return what to do about an internal failure of the server."""
    hint = text_hint(text)
    return hint if hint else "The server's log says more."


def rejected_hint(status: int, text: str) -> str:
    """Return what to do about a refusal; "" where the text says it all."""
    if status in (404, 405):
        return _NATIVE_PATH_HINT
    if status == 413:
        # Ollama has no limit of its own (wire reference 1.1).
        return "A proxy in front of the server limits the size of requests: raise its limit."
    if 300 <= status < 400:
        return "The server redirects: set base_url to its final address."
    return text_hint(text)
