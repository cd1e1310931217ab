"""Messages in the JSON of the GenAI semantic conventions; recorded only when asked for."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_transport.telemetry.requests import Attributes
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.values.messages import ToolCall

_Part = dict[str, Any]


def said_to_model(call: Call[Any]) -> Attributes:
    """Return the input of a call: messages or prompt, system prompt and tools.

    Images become placeholders. Texts to embed are left out: the conventions define no attribute
    for them.
    """
    body = {} if call.body is None else call.body
    prompt, system, tools = body.get("prompt"), body.get("system"), body.get("tools")
    messages = body.get("messages")
    if messages is None and isinstance(prompt, str) and "/embed" not in call.path:
        messages = [{"role": "user", "content": prompt, "images": body.get("images")}]
    found: Attributes = {}
    if messages:
        found["gen_ai.input.messages"] = _json([_message(message) for message in messages])
    if isinstance(system, str) and system:
        found["gen_ai.system_instructions"] = _json([_text(system)])
    if tools:
        found["gen_ai.tool.definitions"] = _json([_definition(tool) for tool in tools])
    return found


def said_by_model(
    text: str, thinking: str, tool_calls: Sequence[ToolCall], reason: str | None
) -> Attributes:
    """Return the output of a call; {} if there is none, as for embeddings."""
    parts = [{"type": "reasoning", "content": thinking}] if thinking else []
    parts += [_text(text)] if text else []
    parts += [_call(call.id, call.name, call.arguments) for call in tool_calls]
    if not parts:
        return {}
    # The conventions require a reason; an abandoned or cut stream has none.
    reason = "error" if reason is None else reason
    message = {"role": "assistant", "parts": parts, "finish_reason": reason}
    return {"gen_ai.output.messages": _json([message])}


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    thinking = next((t for key in _THINKING if (t := message.get(key))), None)
    parts = [{"type": "reasoning", "content": thinking}] if thinking else []
    if message.get("role") == "tool":
        parts.append(_result(message))
    else:
        parts += _contents(message.get("content"))
    parts += [_omitted("image") for _ in _listed(message.get("images"))]
    parts += [_sent_call(call) for call in _listed(message.get("tool_calls"))]
    return {"role": message.get("role"), "parts": parts}


# The names of the reasoning on both wires.
_THINKING = ("thinking", "reasoning", "reasoning_content")


def _contents(content: object) -> list[_Part]:
    if isinstance(content, str):
        return [_text(content)] if content else []
    parts = [part for part in _listed(content) if isinstance(part, Mapping)]
    return [
        _text(part["text"]) if part.get("type") == "text" else _omitted(str(part.get("type")))
        for part in parts
    ]


def _result(message: Mapping[str, Any]) -> _Part:
    ident = message.get("tool_call_id", message.get("tool_name"))
    return {"type": "tool_call_response", "id": ident, "response": message.get("content")}


def _sent_call(call: Mapping[str, Any]) -> _Part:
    function = call.get("function", {})
    return _call(call.get("id"), function.get("name"), function.get("arguments"))


def _call(ident: object, name: object, arguments: object) -> _Part:
    return {"type": "tool_call", "id": ident, "name": name, "arguments": arguments}


def _definition(tool: Mapping[str, Any]) -> _Part:
    return {"type": tool.get("type", "function"), **tool.get("function", {})}


def _text(text: str) -> _Part:
    return {"type": "text", "content": text}


def _omitted(kind: str) -> _Part:
    return {"type": kind, "content": "omitted"}


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _json(value: object) -> str:
    # Tool arguments may contain objects of the caller: their text is better than no span.
    return json.dumps(value, ensure_ascii=False, default=str)
