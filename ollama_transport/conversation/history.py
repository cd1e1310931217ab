"""Prepare a history that any server can read: results named and in call order, calls readable.

Frameworks keep results in the order of their arrival and link them by id only; a model whose
template shows no ids relies on names and order. Servers accept a call's arguments only as an
object.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby
from typing import Any

from ollama_transport.wire.values.messages import Message, ToolCall

UNREADABLE_KEY = "unreadable_arguments"
"""The name under which the text of unreadable arguments is sent, if the call has a result."""


def ready_history(messages: Sequence[Message]) -> list[Message]:
    """Return a history with the tool results in call order and with their tools' names.

    Arguments that are the text of a JSON object become that object. A call with other arguments
    becomes text of the message, with the reason. If it has a result, the two stay a pair: the text
    is then the call's only argument, under `UNREADABLE_KEY`. Names that the caller gave are kept,
    and a result that belongs to no call keeps its position. The given messages are not changed.
    """
    # Most chats have no tools, and each call passes its whole history through here.
    if not any(message.tool_calls or message.role == "tool" for message in messages):
        return list(messages)
    return _label_results(_make_calls_readable(messages))


def _make_calls_readable(messages: Sequence[Message]) -> list[Message]:
    answered: set[str] = set()
    readable = []
    # Backwards, since the results of a call follow it, up to the next calls.
    for message in reversed(messages):
        if message.role == "tool":
            answered |= {key for key in (message.tool_call_id, message.tool_name) if key}
        elif message.tool_calls:
            message = _with_readable_calls(message, answered)
            answered = set()
        readable.append(message)
    return readable[::-1]


def _with_readable_calls(message: Message, answered: set[str]) -> Message:
    if all(isinstance(call.arguments, Mapping) for call in message.tool_calls):
        return message
    calls: list[ToolCall] = []
    text = message.content
    for call in message.tool_calls:
        arguments = _as_object(call.arguments)
        key = call.id if call.id is not None else call.name
        # An unreadable call of which nothing is left is not a call without arguments.
        is_lost = call.error is not None and not arguments and key not in answered
        if isinstance(arguments, Mapping) and not is_lost:
            calls.append(replace(call, arguments=arguments))
        elif key in answered:
            calls.append(replace(call, arguments={UNREADABLE_KEY: arguments}))
        else:
            text += _call_as_text(call)
    return replace(message, content=text, tool_calls=tuple(calls))


def _as_object(arguments: Mapping[str, Any] | str) -> Mapping[str, Any] | str:
    if not isinstance(arguments, str):
        return arguments
    try:
        parsed = json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError):
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def _call_as_text(call: ToolCall) -> str:
    """Return a call with unreadable arguments as text, so that the model sees what it wrote."""
    reason = call.error if call.error else "its arguments are not a JSON object"
    return f"\nInvalid call of the tool {call.name} ({reason}): {call.arguments}"


@dataclass(frozen=True, slots=True)
class _NumberedCall:
    """A call of the history, and its position among all calls."""

    place: int
    call: ToolCall


def _label_results(messages: Sequence[Message]) -> list[Message]:
    labelled: list[Message] = []
    # A later call of the same id wins: some servers number the calls of each turn from 0.
    by_id: dict[str, _NumberedCall] = {}
    latest: list[_NumberedCall] = []
    places = count()
    for role, run in groupby(messages, key=lambda message: message.role):
        group = list(run)
        for message in group:
            if message.tool_calls:
                latest = [_NumberedCall(next(places), call) for call in message.tool_calls]
                by_id.update({one.call.id: one for one in latest if one.call.id is not None})
        labelled.extend(_in_call_order(group, by_id, latest) if role == "tool" else group)
    return labelled


def _in_call_order(
    results: Sequence[Message],
    by_id: Mapping[str, _NumberedCall],
    latest: Sequence[_NumberedCall],
) -> list[Message]:
    by_name = _without_id(latest)
    found = [_find(result, by_id, by_name) for result in results]
    if len(results) == len(latest) and not any(_is_linked(result) for result in results):
        # Without any link between results and calls, their positions are the only hint.
        found = list(latest)
    # Sorted by the position among all calls: templates without ids rely on the order alone.
    named = [_named(result, call) for result, call in zip(results, found, strict=True)]
    places = [call.place for call in found if call is not None]
    if len(places) < len(results):
        return named  # a result without a call has no place in the order
    return [result for _, result in sorted(zip(places, named, strict=True), key=lambda p: p[0])]


def _is_linked(result: Message) -> bool:
    return result.tool_call_id is not None or result.tool_name is not None


def _without_id(latest: Sequence[_NumberedCall]) -> dict[str, list[_NumberedCall]]:
    """Return the calls without ids by the tool's name, those of each tool in order."""
    found: dict[str, list[_NumberedCall]] = {}
    for numbered in latest:
        if numbered.call.id is None:
            found.setdefault(numbered.call.name, []).append(numbered)
    return found


def _find(
    result: Message,
    by_id: Mapping[str, _NumberedCall],
    by_name: Mapping[str, list[_NumberedCall]],
) -> _NumberedCall | None:
    if result.tool_call_id is None:
        return None
    if result.tool_call_id in by_id:
        return by_id[result.tool_call_id]
    # llama-index-llms-ollama gives calls no id and links results by the tool's name: the first
    # result with a name belongs to the tool's first call.
    left = by_name.get(result.tool_call_id)
    if not left:
        return None
    return left.pop(0) if len(left) > 1 else left[0]


def _named(result: Message, numbered: _NumberedCall | None) -> Message:
    if numbered is None or result.tool_name is not None:
        return result
    return replace(result, tool_name=numbered.call.name)
