"""Hypothesis' JSON and text with the names that answers have, so that parsers go deep."""

import json
from typing import Any

from hypothesis import strategies as st

_NAMES = [
    "error",
    "message",
    "detail",
    "code",
    "type",
    "param",
    "loc",
    "msg",
    "n_ctx",
    "n_prompt_tokens",
    "signin_url",
    "status",
    "model",
    "created_at",
    "created",
    "id",
    "object",
    "role",
    "content",
    "thinking",
    "reasoning",
    "reasoning_content",
    "images",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "index",
    "tool_name",
    "tool_call_id",
    "done",
    "done_reason",
    "response",
    "context",
    "logprobs",
    "token",
    "logprob",
    "bytes",
    "top_logprobs",
    "tokens",
    "token_logprobs",
    "prompt_eval_count",
    "eval_count",
    "total_duration",
    "eval_duration",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "completion_tokens_details",
    "prompt_tokens_details",
    "choices",
    "delta",
    "text",
    "finish_reason",
    "embedding",
    "embeddings",
    "data",
    "models",
    "modified_at",
    "size",
    "digest",
    "details",
    "families",
    "parameter_size",
    "capabilities",
    "model_info",
    "general.architecture",
    "parameters",
    "expires_at",
    "version",
    "total",
    "completed",
    "results",
    "title",
    "url",
    "links",
    "meta",
    "max_model_len",
    "count",
    "raw",
]
_TEXTS = [
    "",
    "stop",
    "success",
    "assistant",
    "{",
    '{"a": 1}',
    "[" * 3000,
    "9" * 5000,
    "num_ctx " + "9" * 5000,
    "num_ctx ²",
    "\ud800",
    "\u2028\x85",
    "maximum context length is " + "9" * 5000,
    "model 'x' not found",
    "AAAA",
    "AACAfw==",
]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, 1, -1, 2**63, 10**400, -(10**400)]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(_TEXTS),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.one_of(st.sampled_from(_NAMES), st.text(max_size=3))
    return st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=6), _shaped(inner)
    )


def _shaped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return objects that look like answers, each part of which may be anything."""
    call = st.fixed_dictionaries({"function": st.one_of(inner, _part("name", "arguments", inner))})
    message = st.fixed_dictionaries(
        {},
        optional={
            "role": inner,
            "content": inner,
            "tool_calls": st.one_of(inner, st.lists(call, max_size=2)),
        },
    )
    choice = st.fixed_dictionaries(
        {}, optional={"message": message, "delta": message, "text": inner, "finish_reason": inner}
    )
    return st.one_of(
        st.fixed_dictionaries({"message": message, "done": st.booleans()}),
        st.fixed_dictionaries({"choices": st.lists(choice, max_size=2), "usage": inner}),
        st.fixed_dictionaries({"embeddings": st.lists(st.lists(inner, max_size=3), max_size=3)}),
        st.fixed_dictionaries(
            {"data": st.lists(_part("index", "embedding", st.one_of(inner, _VECTOR)), max_size=3)}
        ),
        st.fixed_dictionaries({"models": st.lists(_part("name", "details", inner), max_size=2)}),
    )


_VECTOR = st.lists(st.one_of(st.floats(), st.integers()), max_size=3)


def _part(one: str, other: str, inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional={one: inner, other: inner})


VALUES = st.recursive(_SCALARS, _containers, max_leaves=12)
OBJECTS = st.one_of(
    st.dictionaries(st.sampled_from(_NAMES), VALUES, max_size=8), _shaped(VALUES)
).filter(lambda value: isinstance(value, dict))


def _deep(depth: int) -> bytes:
    return b'{"message":' * depth + b"[" * depth + b"]" * depth + b"}" * depth


def as_json(value: object) -> bytes:
    """Return a value as JSON; NaN and infinity as some servers write them."""
    return json.dumps(value).encode()


BODIES = st.one_of(
    OBJECTS.map(as_json),
    VALUES.map(as_json),
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from([_deep(n) for n in (100, 400, 900, 5000)]),
    st.just(b'{"message":{"content":' + b"9" * 5000 + b"}}"),
    st.lists(OBJECTS.map(as_json), max_size=4).map(b"\n".join),
    st.lists(OBJECTS.map(as_json), max_size=4).map(
        lambda found: b"".join(b"data: " + one + b"\n\n" for one in [*found, b"[DONE]"])
    ),
)
