"""Read the answers of OpenAI-compatible servers into the same values as native answers.

The same functions read whole answers and events of a stream: both have choices, the first of which
holds a ``message``, a ``delta`` or a ``text``.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError
from ollama_transport.wire.calls.said import check_said, empty_answer, other_wire
from ollama_transport.wire.errors.mapping import answer_failure
from ollama_transport.wire.openai.tools import read_calls
from ollama_transport.wire.values.answers import ChatLine, GenerateLine
from ollama_transport.wire.values.arguments import NOTHING_KNOWN, RequestFacts
from ollama_transport.wire.values.by_key import Logprob
from ollama_transport.wire.values.checks import check_logprobs
from ollama_transport.wire.values.content_parts import (
    content_of,
    refusal_of,
    text_of,
    thoughts_of,
)
from ollama_transport.wire.values.messages import Message, ToolCall, ToolCallDelta
from ollama_transport.wire.values.usage import Usage

FIRST = (0, None, "0")
"""What servers write as the number of the only choice; some write text, or leave it out."""

_PARTS = frozenset({"message", "delta", "text"})
_NO_REASONS = frozenset({"", "null", "none"})
# On Ollama's own wire calls end with `stop` as well (wire reference 3.2).
_NATIVE_REASONS = {"tool_calls": "stop", "function_call": "stop"}


def read_chat(raw: Mapping[str, Any], asked: RequestFacts = NOTHING_KNOWN) -> ChatLine:
    """Read a whole answer of ``/v1/chat/completions``; some servers omit why it ended.

    Raises:
        EmptyAnswerError: when it says nothing at all.
        ProtocolError: when it holds no answer.
    """
    choice = _only_choice(raw)
    # Some servers send a single event instead of the whole answer.
    message, reason = choice.get("message", choice.get("delta")), finish_reason(choice)
    calls = read_calls(message, salt_of(raw, asked), asked, is_cut=reason == "length")
    line = chat_line(raw, choice, message, calls=calls, reason=reason, usage=read_usage(raw))
    # The body arrived in full, so the answer is done even if it does not say why it ended.
    whole = replace(line, done=True)
    check_said((whole,))
    return whole


def read_text(raw: Mapping[str, Any]) -> GenerateLine:
    """Read a whole answer of ``/v1/completions``; some servers omit why it ended.

    Raises:
        EmptyAnswerError: when it says nothing at all.
        ProtocolError: when it holds no answer.
    """
    choice = _only_choice(raw)
    reason = finish_reason(choice)
    line = replace(text_line(raw, choice, reason=reason, usage=read_usage(raw)), done=True)
    check_said((line,))
    return line


def chat_line(
    raw: Mapping[str, Any],
    choice: Mapping[str, Any],
    part: object,
    *,
    calls: tuple[ToolCall, ...] = (),
    deltas: tuple[ToolCallDelta, ...] = (),
    reason: str | None = None,
    usage: Usage | None = None,
) -> ChatLine:
    """Return a ``message`` or ``delta`` as a line, which is ``done`` if a reason is given.

    Raises:
        ProtocolError: when the part is not an object, or its texts are not text.
    """
    if part is not None and not isinstance(part, Mapping):
        raise ProtocolError(f"the answer's message is not an object: {brief(part)}")
    said = {} if part is None else part
    role = said.get("role")
    content, thoughts = content_of(said)
    return ChatLine(
        message=Message(
            role=role if isinstance(role, str) and role else "assistant",
            content=content,
            thinking=thoughts_of(said) + thoughts,
            tool_calls=calls,
            extra=_refusal(said),
        ),
        model=text_of(raw, "model"),
        created_at=_created_at(raw),
        done=reason is not None,
        done_reason=reason,
        usage=usage,
        logprobs=read_logprobs(choice),
        tool_call_deltas=deltas,
        raw=raw,
    )


def text_line(
    raw: Mapping[str, Any],
    choice: Mapping[str, Any],
    *,
    reason: str | None = None,
    usage: Usage | None = None,
) -> GenerateLine:
    """Return a choice of a completion, or of a chat that completes a prompt, as a line.

    It is ``done`` if a reason is given.
    """
    part = choice.get("message", choice.get("delta"))
    said = part if isinstance(part, Mapping) else {}
    content, thoughts = content_of(said)
    return GenerateLine(
        # A completion has no other place for a refusal.
        text=text_of(choice, "text") + content + refusal_of(said),
        thinking=thoughts_of(said) + thoughts,
        model=text_of(raw, "model"),
        created_at=_created_at(raw),
        done=reason is not None,
        done_reason=reason,
        usage=usage,
        logprobs=read_logprobs(choice),
        raw=raw,
    )


def choices_of(raw: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the choices of an answer or an event; some gateways write the only one as an object.

    Raises:
        ProtocolError: when the choices are not a list of objects, or for a native answer.
    """
    choices = raw.get("choices")
    if choices is None:
        if "done" in raw and ("message" in raw or "response" in raw):
            raise other_wire("/v1")
        return ()
    if isinstance(choices, Mapping):
        choices = [*choices.values()] if _PARTS.isdisjoint(choices) else [choices]
    if not isinstance(choices, list) or not all(isinstance(entry, Mapping) for entry in choices):
        raise ProtocolError(f"the answer's choices are not a list of objects: {brief(choices)}")
    return choices


def first_of(choices: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return choice 0, or else the first one, of another number; None for no choices."""
    # Some servers do not number their only choice; an event with the usage has no choice.
    zero = next((entry for entry in choices if entry.get("index") in FIRST), None)
    return choices[0] if zero is None and choices else zero


def check_choice(choice: Mapping[str, Any], received: tuple[Any, ...] = ()) -> None:
    """Check that a choice is not a failure, as gateways report one of the server behind them.

    Raises:
        StreamFailedError, StatusError: for an ``error`` in it, or as the reason of its end.
    """
    if choice.get("error"):
        raise answer_failure(choice, received=received, openai=True)
    if choice.get("finish_reason") == "error":
        told = {"error": 'the server ended the answer with the finish_reason "error"'}
        raise answer_failure(told, received=received, openai=True)


def _only_choice(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    choice = first_of(choices_of(raw))
    if choice is None and ("choices" in raw or not raw):
        raise empty_answer()
    if choice is None:
        raise ProtocolError(
            f"the answer holds no choice: is that an OpenAI-compatible server? {brief(raw)}"
        )
    check_choice(choice)
    return choice


def salt_of(raw: Mapping[str, Any], asked: RequestFacts) -> str:
    """Return a text unique to an answer, for the ids of calls that came without one."""
    # The id alone is not enough: some servers send the same one every time.
    return f"{raw.get('id')}|{raw.get('created')}|{asked.turn}"


def finish_reason(choice: Mapping[str, Any]) -> str | None:
    """Return why an answer ended, in Ollama's words; None when it continues."""
    reason = choice.get("finish_reason")
    # Some proxies send null as text.
    if not isinstance(reason, str) or reason.strip().lower() in _NO_REASONS:
        return None
    return _NATIVE_REASONS.get(reason, reason)


def read_usage(raw: Mapping[str, Any]) -> Usage | None:
    """Return the usage of an answer or event; all zeros mean none (wire reference 10.2)."""
    given = raw.get("usage")
    usage = Usage.from_openai(given) if isinstance(given, Mapping) else None
    return usage if usage is not None and usage.total_tokens else None


def read_logprobs(choice: Mapping[str, Any]) -> Sequence[Logprob] | None:
    """Return log probabilities in the shape of a native answer: one object per token."""
    given = choice.get("logprobs")
    if not isinstance(given, Mapping):
        return None
    content = given.get("content")
    return check_logprobs(content if isinstance(content, list) else _old_logprobs(given))


def _old_logprobs(given: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """Turn the parallel lists of the first completions API into one object per token."""
    tokens, values, tops = (given.get(k) for k in ("tokens", "token_logprobs", "top_logprobs"))
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        return None
    best = tops if isinstance(tops, list) and len(tops) == len(tokens) else [None] * len(tokens)
    return [
        {"token": token, "logprob": value, **_old_top(top)}
        for token, value, top in zip(tokens, values, best, strict=True)
    ]


def _old_top(top: object) -> dict[str, Any]:
    if not isinstance(top, Mapping):
        return {}
    return {"top_logprobs": [{"token": name, "logprob": value} for name, value in top.items()]}


def _refusal(part: Mapping[str, Any]) -> Mapping[str, Any]:
    # Few deltas have more than a role and a text.
    if "refusal" not in part and not isinstance(part.get("content"), list):
        return {}
    refusal = refusal_of(part)
    return {"refusal": refusal} if refusal else {}


def _created_at(raw: Mapping[str, Any]) -> str:
    seconds = raw.get("created")
    return _as_time(seconds) if isinstance(seconds, int | float) else ""


@functools.lru_cache(maxsize=64)  # all pieces of an answer have the same (wire reference 10.1)
def _as_time(seconds: float) -> str:
    try:
        at = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return ""  # some proxies send milliseconds, which is a year out of range
    return at.isoformat().replace("+00:00", "Z")
