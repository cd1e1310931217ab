"""The bodies of the ``/v1`` endpoints, translated into native requests (wire reference 10)."""

import json
import re
from collections.abc import Mapping, Sequence

from ollama_ext.embedded.answers.backend import Fields
from ollama_ext.embedded.endpoints.requests import CHAT, GENERATE, TOOL, texts
from ollama_ext.embedded.protocol.decoding import (
    FLAG,
    MAYBE_NUMBER,
    MAYBE_WHOLE,
    OBJECT,
    WHOLE,
    Decoder,
    Struct,
    anything,
    list_of,
)
from ollama_ext.embedded.protocol.failures import WireError

_PENALTIES = ("frequency_penalty", "presence_penalty")
_SAMPLING: dict[str, Decoder] = {
    "stream_options": OBJECT,
    "stop": anything,
    "stream": FLAG,
    **dict.fromkeys(("max_tokens", "seed"), MAYBE_WHOLE),
    **dict.fromkeys(("temperature", "top_p", *_PENALTIES), MAYBE_NUMBER),
}
CHAT_COMPLETION = Struct(
    "openai.ChatCompletionRequest",
    texts("model reasoning_effort")
    | {
        "messages": list_of(OBJECT, "[]openai.Message"),
        "response_format": OBJECT,
        "tools": list_of(TOOL, "[]api.Tool"),
        "reasoning": OBJECT,
        "logprobs": FLAG,
        "top_logprobs": WHOLE,
    }
    | _SAMPLING,
)
COMPLETION = Struct(
    "openai.CompletionRequest",
    texts("model prompt suffix") | {"logprobs": anything} | _SAMPLING,
)
EMBEDDING = Struct(
    "openai.EmbedRequest",
    texts("model encoding_format") | {"input": anything, "dimensions": WHOLE},
)
_EFFORTS: dict[str, object] = {
    "none": False,
    # OpenAI's names that Ollama has no level for (10.1).
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
    "xhigh": "max",
    "ultra": "max",
}
_DATA_URL = re.compile(r"data:(?:image/(?:jpeg|jpg|png|webp))?;base64,(.*)\Z", re.DOTALL)
_GO_KINDS = {type(None): "<nil>", bool: "bool", int: "float64", float: "float64"}


def native_chat(fields: Fields) -> Fields:
    """Return the native chat request of a ``/v1/chat/completions`` body."""
    # Ollama checks this before it looks up the model.
    if not fields["messages"]:
        raise WireError(400, "[] is too short - 'messages'")
    native = {
        **{name: fields[name] for name in ("model", "stream", "logprobs", "top_logprobs")},
        "messages": _messages(fields["messages"]),
        "format": _format(fields["response_format"]),
        "options": _options(fields),
        "think": _think(fields),
    }
    # Decoded with the body already, so that errors in them name its type.
    return {**CHAT(native, "ChatRequest"), "tools": fields["tools"]}


def native_completion(fields: Fields) -> Fields:
    """Return the native generate request of a ``/v1/completions`` body."""
    stops = fields["stop"]
    if isinstance(stops, list) and not all(isinstance(stop, str) for stop in stops):
        raise WireError(400, "invalid type for 'stop' field: every element must be a string")
    native = {name: fields[name] for name in ("model", "prompt", "suffix", "stream")}
    return GENERATE({**native, "options": _options(fields)}, "GenerateRequest")


def wants_usage(fields: Fields) -> bool:
    """Return whether a stream is to end with its usage."""
    options = fields["stream_options"]
    return isinstance(options, dict) and options.get("include_usage") is True


def _options(fields: Fields) -> Fields:
    stop = fields["stop"]
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    options: Fields = {"stop": [item for item in stops if isinstance(item, str)]}
    sent = {
        "num_predict": "max_tokens",
        "seed": "seed",
        **dict(zip(_PENALTIES, _PENALTIES, strict=True)),
    }
    options |= {name: fields[field] for name, field in sent.items() if fields[field] is not None}
    # Their default is 1.0 here, over the model's own parameters (10.1).
    for name in ("temperature", "top_p"):
        options[name] = 1.0 if fields[name] is None else fields[name]
    return options


def _format(response_format: Mapping[str, object] | None) -> object:
    if response_format is None:
        return None
    if response_format.get("type") == "json_object":
        return "json"
    schema = response_format.get("json_schema")
    if response_format.get("type") == "json_schema" and isinstance(schema, dict):
        return schema.get("schema")
    return None


def _think(fields: Fields) -> object:
    reasoning = fields["reasoning"] if fields["reasoning"] is not None else {}
    effort = reasoning.get("effort", fields["reasoning_effort"])
    if not effort:
        return None
    if effort not in _EFFORTS:
        allowed = '"high", "medium", "low", "max", or "none"'
        raise WireError(400, f'invalid reasoning value: "{effort}" (must be {allowed})')
    return _EFFORTS[effort]


def _messages(given: Sequence[Fields]) -> list[Fields]:
    # A tool message has only the id of its call, from which its name is found.
    names: dict[str, str] = {}
    found: list[Fields] = []
    for message in given:
        calls = [_call(call) for call in message.get("tool_calls") or []]
        names.update({call["id"]: call["function"]["name"] for call in calls})
        found += _parts(message, calls, names)
    return found


def _call(call: Fields) -> Fields:
    function = call.get("function") or {}
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except json.JSONDecodeError as error:
        raise WireError(400, "invalid tool call arguments") from error
    named = {"name": function.get("name", ""), "arguments": arguments}
    return {"id": call.get("id", ""), "function": named}


def _parts(message: Fields, calls: list[Fields], names: Mapping[str, str]) -> list[Fields]:
    role, content = message.get("role", ""), message.get("content")
    # Each part becomes a message of its own, names and ids lost (10.1).
    if isinstance(content, list):
        return [{"role": role, **_part(part)} for part in content]
    if not isinstance(content, str) and not (content is None and calls):
        kind = _GO_KINDS.get(type(content), "map[string]interface {}")
        raise WireError(400, f"invalid message content type: {kind}")
    # Clients send null for what they leave out, hence no defaults of get().
    call_id = message.get("tool_call_id") or ""
    return [
        {
            "role": role,
            "content": content or "",
            "thinking": message.get("reasoning") or "",
            "tool_calls": calls,
            "tool_call_id": call_id,
            "tool_name": message.get("name") or names.get(call_id, ""),
        }
    ]


def _part(part: Fields) -> Fields:
    if part.get("type") == "text":
        return {"content": part.get("text", "")}
    if part.get("type") != "image_url":
        raise WireError(400, "invalid message format")
    link = part.get("image_url")
    url = link.get("url", "") if isinstance(link, dict) else str(link)
    if url.startswith(("http://", "https://")):
        text = "image URLs are not currently supported, please use base64 encoded data instead"
        raise WireError(400, text)
    data = _DATA_URL.match(url)
    if not data:
        raise WireError(400, "invalid image input")
    return {"content": "", "images": [data.group(1)]}
