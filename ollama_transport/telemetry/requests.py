"""The attributes of a request, under the names of the GenAI semantic conventions."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from ollama_transport.settings.host import Endpoint, Wire
from ollama_transport.wire.calls.call import Call

Attributes = dict[str, Any]

_OPERATIONS = {
    "/api/chat": "chat",
    "/api/generate": "text_completion",
    "/api/embed": "embeddings",
    "/api/embeddings": "embeddings",
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
# With the option's names on both wires, of which the first that is set counts.
_NUMBERS = (
    ("gen_ai.request.temperature", float, ("temperature",)),
    ("gen_ai.request.top_p", float, ("top_p",)),
    ("gen_ai.request.top_k", int, ("top_k",)),
    ("gen_ai.request.seed", int, ("seed",)),
    ("gen_ai.request.frequency_penalty", float, ("frequency_penalty",)),
    ("gen_ai.request.presence_penalty", float, ("presence_penalty",)),
    ("gen_ai.request.max_tokens", int, ("num_predict", "max_completion_tokens", "max_tokens")),
    ("gen_ai.embeddings.dimension.count", int, ("dimensions",)),
)


def operation(call: Call[Any]) -> str | None:
    """Return the ``gen_ai.operation.name`` of a call; None if no model is involved."""
    return _OPERATIONS.get(call.path) if call.metered else None


def identity(name: str, call: Call[Any], endpoint: Endpoint, wire: Wire) -> Attributes:
    """Return the attributes of a call that its span and its metrics share.

    On the OpenAI-compatible wire the provider is always "openai": the attribute names the format,
    and the server's address identifies the server.
    """
    shared = {
        "gen_ai.operation.name": name,
        "gen_ai.provider.name": "openai" if wire == "openai" else "ollama",
        # The conventions want an IPv6 address without the brackets of a URL.
        "server.address": endpoint.host.strip("[]"),
        "server.port": endpoint.port,
    }
    return shared if call.model is None else {**shared, "gen_ai.request.model": call.model}


def asked(call: Call[Any], *, streams: bool) -> Attributes:
    """Return the attributes of a request's options, format and streaming.

    Options that the request does not set are left out, and so is a token limit that means no limit.
    """
    body = {} if call.body is None else call.body
    native = body.get("options")
    options = {**body, **native} if isinstance(native, Mapping) else body
    found: Attributes = {"gen_ai.request.stream": True} if streams else {}
    for name, kind, keys in _NUMBERS:
        value = next((options[key] for key in keys if options.get(key) is not None), None)
        if _is_number(value) and not (name.endswith("max_tokens") and value < 0):
            found[name] = kind(value)
    if stop := _texts(options.get("stop")):
        found["gen_ai.request.stop_sequences"] = stop
    if body.get("format") or body.get("response_format"):
        found["gen_ai.output.type"] = "json"
    return found


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    listed = value if isinstance(value, Sequence) else ()
    return [text for text in listed if isinstance(text, str)]
