"""Parts of a request that servers of ``/v1`` refuse, each with the best alternative.

What is left out is compensated for: usage is counted, a forced call is looked for in the answer,
all calls but the first are dropped. Whatever cannot be compensated for stays the server's error.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ollama_transport.callers import caller_level
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.calls.lacks import FieldLack, body_of, dropped
from ollama_transport.wire.errors.words import (
    LATE_SYSTEM_WORDS,
    NO_SYSTEM_WORDS,
    ROW_WORDS,
    TOOL_CALL_ID_WORDS,
)
from ollama_transport.wire.openai.order import (
    has_late_system,
    has_row,
    in_turn,
    system_as_user,
    system_first,
)
from ollama_transport.wire.values.messages import short_id

Edit = Callable[[Call[Any]], Call[Any]]


class SchemaNotEnforcedWarning(UserWarning):
    """Warns that a server may not hold its answer to the schema that was asked for."""


def _without_field(name: str) -> Edit:
    def edit(call: Call[Any]) -> Call[Any]:
        return replace(call, body=dropped(body_of(call), name))

    return edit


def _without_usage(call: Call[Any]) -> Call[Any]:
    return replace(call, stream_fields=dropped(call.stream_fields, "stream_options"))


USAGE_OF_STREAMS = FieldLack(
    "stream_options", r"(?i)stream[ _]options|include_usage", _without_usage
)
"""The usage of a stream; without it, tokens are counted or estimated (`wire.calls.counting`)."""

BASE64 = FieldLack(
    "encoding_format",
    r"(?i)encoding[ _]format|base64|\bencoding\b[^\n]{0,60}\bfloat",
    _without_field("encoding_format"),
)
"""Vectors as base64; without it, they arrive as numbers."""


def _json_by_schema(call: Call[Any]) -> Call[Any]:
    schema = {"name": "answer", "schema": {"type": "object"}}
    asked = {"type": "json_schema", "json_schema": schema}
    return replace(call, body={**body_of(call), "response_format": asked})


_ANY_JSON = FieldLack("json_object", r"response_format|json_object|json_schema", _json_by_schema)
"""Any JSON object; LM Studio requires a schema, so one that allows any object is sent instead."""


def _without_strict(call: Call[Any]) -> Call[Any]:
    body = body_of(call)
    asked = body["response_format"]
    schema = dropped(asked["json_schema"], "strict")
    return replace(call, body={**body, "response_format": {**asked, "json_schema": schema}})


_STRICT = FieldLack("strict", r"\bstrict\b", _without_strict)
"""``strict`` that the caller did not ask for: the schema is sent without it."""


def _older_schema(call: Call[Any]) -> Call[Any]:
    body = body_of(call)
    schema = body["response_format"]["json_schema"]["schema"]
    warnings.warn(
        "This server does not take a JSON schema as `json_schema`: `json_object` is asked for, "
        "with the schema beside it, which llama-cpp-python holds to. Another server may not: "
        "check the answer, or let the model call a tool instead (LangChain: "
        'method="function_calling").',
        SchemaNotEnforcedWarning,
        stacklevel=caller_level(),
    )
    asked = {"type": "json_object", "schema": schema}
    return replace(call, body={**body, "response_format": asked})


# Only what says that the other form alone is taken: any other refusal is about this schema.
_SCHEMA = FieldLack(
    "json_schema",
    r"\b(?:be|are|[Uu]se)[\s:]{0,3}(?:['\"`,\s]|or|and|text){0,20}"
    r"json_object(?:['\"`,\s]|or|and|text){0,20}+(?!json_schema)",
    _older_schema,
)
"""A schema for the answer; llama-cpp-python takes it beside ``json_object`` alone."""


def _required_of_one(call: Call[Any]) -> Call[Any]:
    body = body_of(call)
    name = body["tool_choice"]["function"]["name"]
    only = [tool for tool in body.get("tools", ()) if tool["function"]["name"] == name]
    return replace(call, body={**body, "tools": only, "tool_choice": "required"})


_CHOICE_WORDS = r"(?i)tool[_ ]choice"
_FORCED = FieldLack("tool_choice", _CHOICE_WORDS, _without_field("tool_choice"))
"""A forced call; without it, the call is looked for in the answer, and missed with an error."""

_NAMED = FieldLack("named tool_choice", _CHOICE_WORDS, _required_of_one, then=(_FORCED,))
"""A tool's name as choice; LM Studio takes none, and a single required tool is the same."""

_PARALLEL = FieldLack(
    "parallel_tool_calls", r"(?i)parallel[_ ]tool[_ ]calls", _without_field("parallel_tool_calls")
)
"""Whether one call at most is wanted; without it, only the first one is used."""


def _renamed_limit(call: Call[Any]) -> Call[Any]:
    body = body_of(call)
    limit = {"max_completion_tokens": body["max_tokens"]}
    return replace(call, body={**dropped(body, "max_tokens"), **limit})


_LIMIT = FieldLack(
    "max_tokens",
    r"[Uu]se ['`\"]?max_completion_tokens|max_tokens[^\n]{0,80}(?:not supported|unsupported|"
    r"deprecated)[^\n]{0,80}max_completion_tokens",
    _renamed_limit,
)
"""OpenAI's older name of the limit, which its newer models refuse."""

_PENALTIES = ("repeat_penalty", "repetition_penalty")


def _without_penalty(name: str) -> Edit:
    def edit(call: Call[Any]) -> Call[Any]:
        # The other name stays, so that the option never gets lost in silence.
        rest = tuple(lack for lack in call.lacks if lack.name not in _PENALTIES)
        return replace(call, body=dropped(body_of(call), name), lacks=rest)

    return edit


_PENALTY_LACKS = tuple(
    FieldLack(name, rf"\b{name}\b", _without_penalty(name)) for name in _PENALTIES
)
"""The two names of one option: servers that know one of them may refuse the other."""


_NINE = re.compile(r"[A-Za-z0-9]{9}")


def _nine_letters(call: Call[Any]) -> Call[Any]:
    """Return a call whose tool call ids are nine letters and digits, alike in calls and results."""
    body = body_of(call)
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
_TOOL_CALL_IDS = FieldLack("tool_call_id", TOOL_CALL_ID_WORDS, _nine_letters)
"""Ids of tool calls that come from elsewhere; ids of nine letters and digits go in their place."""


def _without_names(call: Call[Any]) -> Call[Any]:
    body = body_of(call)
    messages = [
        dropped(message, "name") if message.get("role") == "tool" else message
        for message in body.get("messages", ())
    ]
    return replace(call, body={**body, "messages": messages})


# The places of FastAPI, the words of Groq, xAI (litellm #9720, 2025-04-03) and Bedrock (litellm
# #13609, 2025-08-14).
_RESULT_NAMES = FieldLack(
    "name",
    r"messages?\b[^\n]{0,80}\bname\b|\bname: [Ee]xtra|can have a name|(?:field|property|argument)"
    r"[^\n\w]{0,4}name\b|\(param: (?:messages[^)]{0,40}\.)?name\)",
    _without_names,
)
"""The tool's name beside a result; the result still has the id of its call."""


_EFFORT = FieldLack(
    "reasoning_effort",
    # Kimi (Kilo-Org/cloud #3807, 2026-06-08), vLLM, Ollama, CLIProxyAPI (quotio #287, 2026-02-07)
    r"(?i)reasoning[_. ]effort|\bthink value|\breasoning value|\blevel ['\"]none",
    _without_field("reasoning_effort"),
)
"""A level of reasoning that means none; without it the model's template decides."""


def _in_order(*mends: Callable[[Any], list[Mapping[str, Any]]]) -> Edit:
    def edit(call: Call[Any]) -> Call[Any]:
        messages = body_of(call)["messages"]
        for mend in mends:
            messages = mend(messages)
        return replace(call, body={**body_of(call), "messages": messages})

    return edit


# Templates of Gemma and the first ones of Mistral; MiniMax (CodexPlusPlus #267, 2026-05-23)
_NO_SYSTEM = FieldLack("system messages", NO_SYSTEM_WORDS, _in_order(system_as_user, in_turn))
"""System messages; their text goes before that of the first user."""

# Qwen 3.5 and later (llama.cpp #27367, 2026-08-19; vllm #41114, 2026-04-28), Mistral
_SYSTEM_FIRST = FieldLack(
    "system messages after others", LATE_SYSTEM_WORDS, _in_order(system_first)
)
"""System messages after others; they go as one, at the start."""

# Mistral, Llama 2, Gemma (vllm #6862, 2024-07-27; NVIDIA's rag #111, 2025-12-08). The first
# templates of Mistral use these words for a system message, too.
_ROWS = FieldLack(
    "consecutive messages of one role",
    ROW_WORDS,
    _in_order(system_first, in_turn),
    then=(replace(_NO_SYSTEM, words=f"{NO_SYSTEM_WORDS}|{ROW_WORDS}"),),
)
"""Messages of one role that follow each other; they go as one."""


def _order_lacks(messages: Sequence[Mapping[str, Any]]) -> Iterator[FieldLack]:
    is_late = has_late_system(messages)
    has_system = any(message["role"] == "system" for message in messages)
    if has_system or has_row(messages):
        yield _ROWS if has_system else replace(_ROWS, then=())
    if has_system:
        yield _NO_SYSTEM
    if is_late:
        yield _SYSTEM_FIRST


def stream_lacks(stream_fields: Mapping[str, Any]) -> tuple[FieldLack, ...]:
    """Return the parts of a request for a stream that a server may refuse."""
    return (USAGE_OF_STREAMS,) if "stream_options" in stream_fields else ()


def option_lacks(body: Mapping[str, Any]) -> Iterator[FieldLack]:
    """Yield the options whose names a server may refuse."""
    if "max_tokens" in body and "max_completion_tokens" not in body:
        yield _LIMIT
    if all(name in body for name in _PENALTIES):
        yield from _PENALTY_LACKS


def chat_lacks(body: Mapping[str, Any], format: object) -> Iterator[FieldLack]:
    """Yield the parts of a chat that a server may refuse.

    ``format`` is what the caller asked for: "json", a schema or None.
    """
    if "response_format" in body and isinstance(format, str):
        yield _ANY_JSON
    elif "response_format" in body and isinstance(format, Mapping):
        yield _SCHEMA
        if format.get("strict") is not True:
            yield _STRICT
    if body.get("reasoning_effort") == "none":
        yield _EFFORT
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        yield _NAMED
    elif choice in ("required", "auto"):
        yield _FORCED
    if "parallel_tool_calls" in body:
        yield _PARALLEL
    messages = body.get("messages", ())
    yield from _order_lacks(messages)
    if any("tool_calls" in message or "tool_call_id" in message for message in messages):
        yield _TOOL_CALL_IDS
    if any(message["role"] == "tool" and "name" in message for message in messages):
        yield _RESULT_NAMES
