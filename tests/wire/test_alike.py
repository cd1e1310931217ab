"""Events read by the example of others are what they are when each is read key by key."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import all_names, recording

from ollama_transport import ChatLine, OllamaError
from ollama_transport.wire.openai import alike
from ollama_transport.wire.openai.reader import ChatReader

STREAMS = [
    name
    for name in all_names()
    if recording(name).path == "/v1/chat/completions" and recording(name).is_stream
]


def _event(content: str | None = "Hi", *, spaced: bool = False, **changes: Any) -> bytes:
    delta = {"role": "assistant", "content": content} | changes.pop("delta", {})
    choice = {"index": 0, "delta": delta, "finish_reason": None} | changes.pop("choice", {})
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767225600}
    whole = {**head, "model": "m", "choices": [choice], **changes}
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(whole, separators=separators, ensure_ascii=spaced)
    return b"data: " + text.encode("utf-8", "surrogatepass") + b"\n\n"


HI = _event()
PLAIN = [HI, _event('é \u2028 \n \\ " \x7f 😀'), _event(" "), _event('"content":"x"}')]
ODD = [
    _event(""),
    _event(None),
    _event("spaced", spaced=True),
    _event("😀", spaced=True),
    HI.replace(b"Hi", b"\\ud83d"),
    HI.replace(b"Hi", b"\xff"),
    HI.replace(b"Hi", b"\x01"),
    HI.replace(b"Hi", b"H\ni"),
    HI.replace(b"Hi", b"H\ri"),
    HI.replace(b"Hi", b"\\x"),
    HI.replace(b"Hi", b"\xed\xa0\xbd"),
    HI.replace(b"\n", b"\r\n"),
    HI.replace(b"\n\n", b"\n"),
    HI.replace(b"data: ", b"data:"),
    HI.replace(b"data: ", b"data: data: "),
    HI.replace(b"data: ", b"event: error\ndata: "),
    HI.replace(b'"content"', b'"content":"a","content"'),
    HI.replace(b'"content":"Hi"', b'"content":"Hi","content":"b"'),
    HI.replace(b'"content":"Hi"', b'"content":[{"type":"text","text":"Hi"}]'),
    _event(delta={"reasoning_content": "hm"}),
    _event(delta={"refusal": "No."}),
    _event(delta={"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}),
    _event(choice={"logprobs": {"content": [{"token": "a", "logprob": -1.0}]}}),
    _event(choice={"index": 1}),
    _event(choice={"finish_reason": "null"}),
    _event(choice={"finish_reason": "error"}),
    _event(choice={"text": "", "delta": None}),
    _event(usage={"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}),
    _event(usage=None),
    _event(extra={"a": [1]}),
    _event(error="bad"),
    _event(model=""),
    _event(created=2**70),
    _event("", choice={"finish_reason": "stop"}),
    _event("last", choice={"finish_reason": "length"}),
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n',
    b'data: {"error":{"message":"out of memory"}}\n\n',
    b"data: {\n\n",
    b": alive\n\n",
    b"\n",
    b"\r",
    b'{"error":"bare"}\n\n',
    b"data: [DONE]\n\n",
]


def _answer(reader: ChatReader, pieces: list[bytes]) -> list[object]:
    """Return what a reader makes of the pieces: the lines, and how it ended."""
    found: list[object] = []
    try:
        for piece in pieces:
            found += reader.feed(piece)
        found += reader.finish()
    except OllamaError as error:
        found += [type(error), str(error), getattr(error, "received", None)]
    return [*found, reader.has_surplus, reader.complete, reader.received]


def _same(pieces: list[bytes]) -> list[object]:
    """Check that both ways give the same, and return it."""
    by_key = ChatReader()
    by_key._alike._misses = alike.MOST_MISSES
    answer = _answer(ChatReader(), pieces)
    assert answer == _answer(by_key, pieces)
    return answer


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([*ODD, *PLAIN * 20]), max_size=12),
    st.sampled_from([b"", b"data: [DONE]\n\n", ODD[-10] + b"data: [DONE]\n\n", HI[:-9]]),
    st.lists(st.integers(0, 2500), max_size=6),
)
def test_any_stream_in_any_pieces_is_read_as_it_is_key_by_key(
    events: list[bytes], end: bytes, places: list[int]
) -> None:
    """The same lines, the same error with the same lines before it, the same rest."""
    _same(_cut(b"".join(events) + end, places))


@pytest.mark.parametrize("odd", ODD, ids=lambda event: repr(event[-60:]))
def test_an_odd_event_between_plain_ones_is_read_as_ever(odd: bytes) -> None:
    """Before, between and behind others, in one piece and in several."""
    for events in ([odd, HI, HI], [HI, HI, odd, HI, HI], [odd, odd, HI, odd], [HI, odd]):
        _same([b"".join(events), b"data: [DONE]\n\n"])
        _same([*events, b"data: [DONE]\n\n"])


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_read_as_it_is_key_by_key(name: str) -> None:
    """In the chunks of the server, in one piece and byte by byte."""
    found = recording(name)
    _same(list(found.chunks))
    _same([found.data])
    _same([bytes([byte]) for byte in found.data])


def test_plain_events_are_read_by_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the first; what they hand out is never shared between two lines."""
    read = 0

    def counted(reader: ChatReader, raw: Any) -> Any:
        nonlocal read
        read += 1
        return original(reader, raw)

    original = ChatReader._take
    monkeypatch.setattr(ChatReader, "_take", counted)
    lines: list[ChatLine] = ChatReader().feed(HI + b"".join(PLAIN) * 5)
    assert (read, len(lines)) == (1, 21)
    lines[0].raw["choices"][0]["delta"]["content"] = "changed"
    assert lines[1].raw["choices"][0]["delta"]["content"] == "Hi"


def test_events_that_are_never_alike_are_given_up() -> None:
    """After a few of them none is compared any more."""
    reader = ChatReader()
    for at in range(alike.MOST_MISSES + 1):
        reader.feed(_event(obfuscation="x" * at))
    assert not reader._alike.has_hope
