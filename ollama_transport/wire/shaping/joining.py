"""Join the lines of a stream into one answer, in the shape of a whole answer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ollama_transport.wire.values.answers import ChatLine, GenerateLine
from ollama_transport.wire.values.by_key import Logprob
from ollama_transport.wire.values.messages import Message


def joined_chat(lines: Sequence[ChatLine]) -> ChatLine:
    """Return the lines of a chat as one whole answer; the last line has ``done``."""
    last = lines[-1]
    if len(lines) == 1:
        return last
    messages = [line.message for line in lines]
    # Few have more than text: skipping the others halves the cost per token.
    more = [said for said in messages if said.images or said.tool_calls or said.extra]
    message = Message(
        role=last.message.role,
        content="".join([message.content for message in messages]),
        thinking="".join([message.thinking for message in messages]),
        images=[image for message in more for image in message.images],
        tool_calls=tuple(call for message in more for call in message.tool_calls),
        tool_name=last.message.tool_name,
        tool_call_id=last.message.tool_call_id,
        extra={name: value for message in more for name, value in message.extra.items()},
    )
    return replace(
        last,
        message=message,
        logprobs=_logprobs(lines),
        # The calls are complete here, so their deltas would repeat them.
        tool_call_deltas=(),
        raw=_raw_chat(lines),
    )


def joined_text(lines: Sequence[GenerateLine]) -> GenerateLine:
    """Return the lines of a completion as one whole answer; the last line has ``done``."""
    last = lines[-1]
    if len(lines) == 1:
        return last
    texts = {
        "response": "".join([line.text for line in lines]),
        "thinking": "".join([line.thinking for line in lines]),
    }
    said = {name: text for name, text in texts.items() if text or name in last.raw}
    logprobs = _logprobs(lines)
    return replace(
        last,
        text=texts["response"],
        thinking=texts["thinking"],
        tool_calls=tuple(call for line in lines for call in line.tool_calls),
        logprobs=logprobs,
        raw={**last.raw, **said, **({} if logprobs is None else {"logprobs": logprobs})},
    )


def _logprobs(lines: Sequence[Any]) -> list[Logprob] | None:
    found = [entry for line in lines if line.logprobs for entry in line.logprobs]
    return found if found else None


def _raw_chat(lines: Sequence[ChatLine]) -> dict[str, Any]:
    """Return the object that the server would have sent unstreamed; on /v1 the last event."""
    last = lines[-1].raw
    if "message" not in last:
        return dict(last)
    raws = [line.raw.get("message") for line in lines]
    # The exact type first: checking a dict against Mapping costs as much as all else here.
    messages = [raw for raw in raws if type(raw) is dict or isinstance(raw, Mapping)]
    whole: dict[str, Any] = {}
    for message in messages:
        whole.update(message)
    for name in _GROWING & whole.keys():
        whole[name] = _grown([message[name] for message in messages if message.get(name)])
    logprobs = _logprobs(lines)
    return {**last, "message": whole, **({} if logprobs is None else {"logprobs": logprobs})}


_GROWING = frozenset({"content", "thinking", "tool_calls", "images"})


def _grown(parts: Sequence[Any]) -> Any:
    """Return texts, or lists, concatenated."""
    if not parts or isinstance(parts[0], str):
        return "".join(parts)
    return [entry for part in parts for entry in part]
