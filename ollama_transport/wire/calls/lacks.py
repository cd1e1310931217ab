"""Parts of a request that some servers refuse, and the request without them.

A call lists such parts as `Lack`. When a server refuses one, the call is sent once more without
it, and the client remembers that for the server (`ServerMemory.refused`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ollama_transport.errors import ConfigError, ModelNotFoundError, OllamaError, StatusError
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.errors.mapping import TOOL_CALL_ID_WORDS
from ollama_transport.wire.values.messages import short_id

ReasoningHistory = Literal["auto", "never", "always"]
"""Whether the reasoning of earlier answers is sent back; "auto": unless the server refuses it."""

REASONING_FIELDS = frozenset({"reasoning", "reasoning_content", "thinking"})

# Servers refuse unknown fields with different statuses; some fail with 500.
_REFUSING = frozenset({400, 415, 422, 500, 501})
_NO_ENDPOINT = frozenset({404, 405, 501})


@dataclass(frozen=True, slots=True)
class FieldLack:
    """A part of a call that some servers refuse by its name.

    ``words`` is the pattern by which a refusal names it; ``edit`` returns the call without it.
    """

    name: str
    words: str
    edit: Callable[[Call[Any]], Call[Any]]

    def is_refused(self, error: OllamaError) -> bool:
        """Return whether an error refuses this part."""
        if not isinstance(error, StatusError) or error.status not in _REFUSING:
            return False
        return re.search(self.words, error.error) is not None

    def without(self, call: Call[Any]) -> Call[Any]:
        """Return the call without this part."""
        # So that a second refusal of the same part is raised and not repeated for ever.
        rest = tuple(lack for lack in call.lacks if lack.name != self.name)
        return replace(self.edit(call), lacks=rest)


@dataclass(frozen=True, slots=True)
class EndpointLack(FieldLack):
    """An endpoint that some servers do not have; ``edit`` returns the call of another one."""

    def is_refused(self, error: OllamaError) -> bool:
        """Return whether an error says that there is no such endpoint."""
        if not isinstance(error, StatusError) or isinstance(error, ModelNotFoundError):
            return False
        return error.status in _NO_ENDPOINT or FieldLack.is_refused(self, error)


def checked_history(value: object) -> None:
    """Check a value of ``reasoning_history``.

    Raises:
        ConfigError: for anything but "auto", "never" and "always".
    """
    if value not in get_args(ReasoningHistory):
        raise ConfigError(f'reasoning_history={value!r}: give "auto", "never" or "always".')


def _without_field(name: str) -> Callable[[Call[Any]], Call[Any]]:
    def edit(call: Call[Any]) -> Call[Any]:
        return replace(call, body=_dropped(_body(call), name))

    return edit


def _body(call: Call[Any]) -> Mapping[str, Any]:
    return {} if call.body is None else call.body


def _dropped(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def _without_usage(call: Call[Any]) -> Call[Any]:
    return replace(call, stream_fields=_dropped(call.stream_fields, "stream_options"))


def _json_by_schema(call: Call[Any]) -> Call[Any]:
    schema = {"name": "answer", "schema": {"type": "object"}}
    asked = {"type": "json_schema", "json_schema": schema}
    return replace(call, body={**_body(call), "response_format": asked})


def _without_reasoning(name: str) -> Callable[[Call[Any]], Call[Any]]:
    def edit(call: Call[Any]) -> Call[Any]:
        body = _body(call)
        messages = [_dropped(message, name) for message in body.get("messages", ())]
        return replace(call, body={**body, "messages": messages})

    return edit


USAGE_OF_STREAMS = FieldLack("stream_options", r"stream_options|include_usage", _without_usage)
"""The usage of a stream; without it, tokens are counted or estimated (`wire.counting`)."""

BASE64 = FieldLack("encoding_format", r"encoding_format|base64", _without_field("encoding_format"))
"""Vectors as base64; without it, they arrive as numbers."""

ANY_JSON = FieldLack("json_object", r"response_format|json_object|json_schema", _json_by_schema)
"""Any JSON object; LM Studio requires a schema, so one that allows any object is sent instead."""


_NINE = re.compile(r"[A-Za-z0-9]{9}")


def _nine_letters(call: Call[Any]) -> Call[Any]:
    """Return a call whose tool call ids are nine letters and digits, alike in calls and results."""
    body = _body(call)
    messages = [_with_short_ids(message) for message in body.get("messages", ())]
    return replace(call, body={**body, "messages": messages})


def _with_short_ids(message: Mapping[str, Any]) -> dict[str, Any]:
    sent = dict(message)
    if sent.get("tool_calls"):
        sent["tool_calls"] = [{**each, "id": _short(each.get("id"))} for each in sent["tool_calls"]]
    if "tool_call_id" in sent:
        sent["tool_call_id"] = _short(sent["tool_call_id"])
    return sent


def _short(identity: object) -> object:
    # Made of the id alone, so that a call and its result, turns apart, get the same one.
    is_good = not isinstance(identity, str) or _NINE.fullmatch(identity) is not None
    return identity if is_good else short_id(str(identity), None, "")


# Mistral's templates, and vLLM's tokenizer for them, refuse every other id.
TOOL_CALL_IDS = FieldLack("tool_call_id", TOOL_CALL_ID_WORDS, _nine_letters)
"""Ids of tool calls that come from elsewhere; ids of nine letters and digits go in their place."""


def reasoning_lacks(body: Mapping[str, Any]) -> tuple[FieldLack, ...]:
    """Return the fields that carry the reasoning of a history; () if it has none."""
    return tuple(
        # Never for `thinking`: Ollama accepts the field, and its refusals use the word for a
        # missing capability.
        FieldLack(name, rf"\b{name}\b" if name != "thinking" else "(?!)", _without_reasoning(name))
        for name in sorted(REASONING_FIELDS)
        if any(name in message for message in body["messages"])
    )
