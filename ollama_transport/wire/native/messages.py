"""Messages as Ollama's own wire takes them (wire reference 3.1)."""

from collections.abc import Mapping
from typing import Any

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError, UnsupportedContentError
from ollama_transport.wire.calls.body import image_data, without_none
from ollama_transport.wire.calls.decoders import parse_object
from ollama_transport.wire.values.messages import Message, ToolCall


def write_message(message: Message) -> dict[str, Any]:
    """Return a message as ``/api/chat`` takes it; content is sent even when it is empty."""
    written = {"role": message.role, "content": _content(message)}
    if _is_text_alone(message):
        return written
    return {
        **written,
        **without_none(
            {
                "thinking": message.thinking if message.thinking else None,
                "images": [image_data(image) for image in message.images] or None,
                "tool_calls": [_write_tool_call(call) for call in message.tool_calls] or None,
                "tool_name": message.tool_name,
                "tool_call_id": message.tool_call_id,
            }
        ),
        **message.extra,
    }


def _is_text_alone(message: Message) -> bool:
    return (
        message.tool_name is None
        and message.tool_call_id is None
        and not (message.thinking or message.images or message.tool_calls or message.extra)
    )


def _content(message: Message) -> str:
    content: object = message.content
    if content is None or isinstance(content, str):
        return content if content is not None else ""
    raise UnsupportedContentError(
        f"the content of a message of role {message.role!r} is {brief(content)}: it must be text; "
        "put the bytes or base64 of images and audio into `images`."
    )


def _write_tool_call(call: ToolCall) -> dict[str, Any]:
    function: dict[str, Any] = {"name": call.name, "arguments": _arguments(call)}
    if call.index is not None:
        # Sent back unchanged, like the id.
        function["index"] = call.index
    written: dict[str, Any] = {"function": function}
    return written if call.id is None else {"id": call.id, **written}


def _arguments(call: ToolCall) -> Mapping[str, Any]:
    """Return arguments as an object: the server refuses text there (wire reference 3.4)."""
    if isinstance(call.arguments, Mapping):
        return call.arguments
    try:
        return parse_object(str(call.arguments).encode())
    except ProtocolError as error:
        raise UnsupportedContentError(
            f"the arguments of the call of {call.name!r} in the history are not a JSON object: "
            f"{call.arguments!r:.80}. Ollama takes objects only: repair them or drop the call."
        ) from error
