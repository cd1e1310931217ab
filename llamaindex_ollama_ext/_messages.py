"""Messages of LlamaIndex as the transport sends them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ImageBlock,
    MessageRole,
    ToolCallBlock,
)

from llamaindex_ollama_ext._blocks import Media, check_blocks, flat, text_of, thinking_of
from llamaindex_ollama_ext._core import BaseContentBlock
from ollama_transport import ConfigError, Message, ToolCall, UnsupportedContentError

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
    """Refuse what is no message of LlamaIndex.

    Raises:
        ConfigError: naming its place, and what to give.
    """
    for place, message in enumerate(messages):
        if not isinstance(message, ChatMessage):
            raise ConfigError(
                f"messages[{place}] is no ChatMessage but {message!r:.80}: give "
                'ChatMessage(role="user", content=…).'
            )


def to_messages(messages: Sequence[ChatMessage], media: Media) -> list[Message]:
    """Return messages as they are sent: roles mapped, tool results named and in call order.

    ``media`` holds the data of their images and sounds. Nothing of the arguments is changed.

    Raises:
        UnsupportedContentError: for a block or a role that cannot be sent.
    """
    return _label_results([_to_message(message, media) for message in messages])


def _to_message(message: ChatMessage, media: Media) -> Message:
    # Not message.content: that leaves out what stands inside citations.
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
        tool_name=_text(kwargs, "tool_name", "name") if role == "tool" else None,
        tool_call_id=_text(kwargs, "tool_call_id") if role == "tool" else None,
    )


def _text(kwargs: Mapping[str, Any], *names: str) -> str | None:
    # Other integrations put anything under these names: only text is meant for us.
    values = [kwargs[name] for name in names if isinstance(kwargs.get(name), str)]
    return values[0] if values else None


def _tool_calls(blocks: Sequence[BaseContentBlock], kwargs: Mapping[str, Any]) -> list[ToolCall]:
    calls = [_block_call(block) for block in blocks if isinstance(block, ToolCallBlock)]
    # Older histories have calls there, and other integrations write the same calls in both.
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
            f"additional_kwargs['tool_calls'] holds {item!r:.120}, which is no tool call: use "
            "ToolCallBlock."
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
    # A call without arguments is "" in streams of other providers.
    if value is None or value == "":
        return {}
    return value


def _same_call(call: ToolCall, other: ToolCall) -> bool:
    # Two calls may say the same and be two: their ids decide where they have some.
    if call.id is not None and other.id is not None:
        return call.id == other.id
    return call.name == other.name and _parsed(call.arguments) == _parsed(other.arguments)


def _parsed(arguments: Mapping[str, Any] | str) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


@dataclass(frozen=True, slots=True)
class _Asked:
    """Be a call in the history, by its place among all of them."""

    place: int
    call: ToolCall


def _label_results(messages: Sequence[Message]) -> list[Message]:
    """Name the results of tools after the calls they answer, and put them in call order.

    Agents add results as they come and link them by id alone; a model without ids in its template
    goes by name and order.
    """
    labelled: list[Message] = []
    by_id: dict[str, _Asked] = {}
    latest: list[_Asked] = []
    places = count()
    for role, run in groupby(messages, key=lambda message: message.role):
        group = list(run)
        for message in group:
            if message.tool_calls:
                latest = [_Asked(next(places), call) for call in message.tool_calls]
                by_id.update({one.call.id: one for one in latest if one.call.id is not None})
        labelled.extend(_in_call_order(group, by_id, latest) if role == "tool" else group)
    return labelled


def _in_call_order(
    results: Sequence[Message], by_id: Mapping[str, _Asked], latest: Sequence[_Asked]
) -> list[Message]:
    by_name = _unnamed(latest)
    found = [_find(result, by_id, by_name) for result in results]
    if len(results) == len(latest) and not any(_is_linked(result) for result in results):
        found = list(latest)
    # The place is the call's among all calls: templates without ids go by the order alone.
    named = [_named(result, call) for result, call in zip(results, found, strict=True)]
    places = [call.place for call in found if call is not None]
    if len(places) < len(results):
        return named  # a result of unknown origin stays where the caller put it
    return [result for _, result in sorted(zip(places, named, strict=True), key=lambda p: p[0])]


def _is_linked(result: Message) -> bool:
    return result.tool_call_id is not None or result.tool_name is not None


def _unnamed(latest: Sequence[_Asked]) -> dict[str, list[_Asked]]:
    """Return the calls without ids by the tool's name, those of one tool in their order."""
    found: dict[str, list[_Asked]] = {}
    for asked in latest:
        if asked.call.id is None:
            found.setdefault(asked.call.name, []).append(asked)
    return found


def _find(
    result: Message, by_id: Mapping[str, _Asked], by_name: Mapping[str, list[_Asked]]
) -> _Asked | None:
    if result.tool_call_id is None:
        return None
    if result.tool_call_id in by_id:
        return by_id[result.tool_call_id]
    # llama-index-llms-ollama gives calls no id and links results by the tool's name: the first of
    # them then is that of the tool's first call.
    left = by_name.get(result.tool_call_id)
    if not left:
        return None
    return left.pop(0) if len(left) > 1 else left[0]


def _named(result: Message, asked: _Asked | None) -> Message:
    # A name that the caller gave stands.
    if asked is None or result.tool_name is not None:
        return result
    return replace(result, tool_name=asked.call.name)
