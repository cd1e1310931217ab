"""Map LlamaIndex's messages to the transport's."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ImageBlock,
    MessageRole,
    ToolCallBlock,
)

from llamaindex_ollama_ext._blocks import Media, check_blocks, flat, only_text, text_of, thinking_of
from llamaindex_ollama_ext._core import BaseContentBlock
from ollama_transport import ConfigError, Message, ToolCall, UnsupportedContentError
from ollama_transport.conversation import ready_history

# LlamaIndex also has the roles of other providers, whose histories must keep working.
_ROLES = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}


def check_messages(messages: Sequence[object]) -> None:
    """Check a list of messages.

    Raises:
        ConfigError: for an empty list, and for anything but a ChatMessage; it names the position.
    """
    # The server would take an empty list as a request to load the model (wire reference 3.5).
    if not messages:
        raise ConfigError("messages is empty: give at least one.")
    for place, message in enumerate(messages):
        if not isinstance(message, ChatMessage):
            raise ConfigError(
                f"messages[{place}] must be a ChatMessage, got {message!r:.80}: give "
                'ChatMessage(role="user", content=…).'
            )


def to_messages(messages: Sequence[ChatMessage], media: Media) -> list[Message]:
    """Return the transport's messages: roles mapped, tool results named and in call order.

    ``media`` holds the data of their images and audio. The given messages are not changed.

    Raises:
        UnsupportedContentError: for a block or a role that cannot be sent.
    """
    return ready_history([_to_message(message, media) for message in messages])


def _to_message(message: ChatMessage, media: Media) -> Message:
    text = only_text(message)
    if text is not None and not message.additional_kwargs:
        return Message(_ROLES[message.role], text)
    # Not message.content: that omits what is inside citations.
    blocks = list(flat(message.blocks))
    check_blocks(blocks, message.role.value)
    role = _ROLES[message.role]
    kwargs = message.additional_kwargs
    return Message(
        role=role,
        content=text_of(blocks),
        thinking=thinking_of(blocks),
        images=[media[id(b)] for b in blocks if isinstance(b, ImageBlock | AudioBlock)],
        tool_calls=tuple(_tool_calls(blocks, kwargs)),
        # OpenAI's messages have it as `name`.
        tool_name=_text(kwargs, "tool_name", "name") if role == "tool" else None,
        tool_call_id=_text(kwargs, "tool_call_id") if role == "tool" else None,
    )


def _text(kwargs: Mapping[str, Any], *names: str) -> str | None:
    # Other integrations put any value under these names: only text is meant for us.
    values = [kwargs[name] for name in names if isinstance(kwargs.get(name), str)]
    return values[0] if values else None


def _tool_calls(blocks: Sequence[BaseContentBlock], kwargs: Mapping[str, Any]) -> list[ToolCall]:
    calls = [_block_call(block) for block in blocks if isinstance(block, ToolCallBlock)]
    # Older histories have their calls here; other integrations write the same calls in both places.
    legacy = kwargs.get("tool_calls")
    for item in legacy if isinstance(legacy, list) else ():
        call = _legacy_call(item)
        if not any(_same_call(call, other) for other in calls):
            calls.append(call)
    return calls


def _block_call(block: ToolCallBlock) -> ToolCall:
    return ToolCall(block.tool_name, _arguments(block.tool_kwargs), id=block.tool_call_id)


def _legacy_call(item: object) -> ToolCall:
    """Read a call in OpenAI's shape or Ollama's: mappings, or objects with the same names."""
    function = _part(item, "function")
    name = _part(function, "name")
    if not isinstance(name, str):
        raise UnsupportedContentError(
            f"additional_kwargs['tool_calls'] contains {item!r:.120}, which is not a tool call: "
            "use a ToolCallBlock."
        )
    identity = _part(item, "id")
    return ToolCall(
        name,
        _arguments(_part(function, "arguments")),
        id=identity if isinstance(identity, str) else None,
    )


def _part(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _arguments(value: Mapping[str, Any] | str | None) -> Mapping[str, Any] | str:
    # Streams of other providers have "" for a call without arguments.
    if value is None or value == "":
        return {}
    return value


def _same_call(call: ToolCall, other: ToolCall) -> bool:
    # Two equal calls may still be two calls: if both have ids, those decide.
    if call.id is not None and other.id is not None:
        return call.id == other.id
    return call.name == other.name and _parsed(call.arguments) == _parsed(other.arguments)


def _parsed(arguments: Mapping[str, Any] | str) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
