"""An answer read in runs of plain lines is the one that is read line by line."""

import json
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import all_names, recording

from ollama_transport import ChatLine, ChatRequest, Message, OllamaError
from ollama_transport.wire.calls.call import Call, Reader
from ollama_transport.wire.native.calls import chat
from ollama_transport.wire.native.runs import RunReader, TextRun, text_run
from ollama_transport.wire.values.json_bytes import json_loads

CALL = chat(ChatRequest(model="m", messages=[Message("user", "Hi")]))
STREAMS = [name for name in all_names() if name.startswith("chat/") and recording(name).is_stream]


def _line(content: str, thinking: str = "", **changes: object) -> bytes:
    said = {"role": "assistant", "content": content}
    message = {**said, "thinking": thinking} if thinking else said
    told = {"model": "m:1b", "created_at": "2026-01-01T00:00:00.1Z", "message": message}
    whole = {**told, "done": False, **changes}
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass") + b"\n"


HI = _line("Hi")
LAST = _line("", done=True, done_reason="stop", eval_count=3)
PLAIN = [
    HI,
    _line(""),
    _line('é \u0085\u2028 " \\ \n\t 😀'),
    _line("", "hm"),
    _line("x", 'so "so"'),
    HI.replace(b"Hi", b"\\u003cb\\u003E \\/ \\ufffd \\uD7ff\\ue000"),
    HI.replace(b"m:1b", b"another/model"),
]
ODD = [
    HI.replace(b"Hi", b"\\ud83d\\ude00"),
    HI.replace(b"Hi", b"\\ud83d"),
    HI.replace(b"Hi", b"\\x"),
    HI.replace(b"Hi", b"\\u12"),
    HI.replace(b"Hi", b"\x01"),
    HI.replace(b"Hi", b"\xff"),
    HI.replace(b"Hi", b"\xed\xa0\xbd"),
    HI.replace(b"Hi", b"Hi\\"),
    HI.replace(b"m:1b", "é".encode()),
    HI.replace(b"m:1b", b'\\"'),
    HI.replace(b"\n", b"\r\n"),
    HI.replace(b":", b": "),
    b"  " + HI,
    b"\n",
    b"x" + HI,
    HI[:-1] + HI,
    HI.replace(b'"done"', b'"done":true,"done"'),
    HI.replace(b'"content"', b'"content":"a","content"'),
    HI.replace(b'"}', b'","thinking":""}'),
    HI.replace(b'"}', b'","thinking":null}'),
    HI.replace(b'"done":false', b'"done":0'),
    HI.replace(b"assistant", b"user"),
    _line("x", logprobs=[{"token": "x", "logprob": -1.0}]),
    _line("", message={"role": "assistant", "content": "", "tool_calls": []}),
    _line("", message={"content": "other order", "role": "assistant"}),
    _line("", message=None),
    b'{"error":"out of memory"}\n',
    b"[]\n",
    b"<html>\n",
    b"data: " + HI + b"\n",
    _line("", done=True, done_reason="load"),
    LAST,
]


def _answer(call: Call[ChatLine], reader: Reader[ChatLine], pieces: list[bytes]) -> list[object]:
    """Return what a client makes of an answer that comes in pieces: the whole, or the error."""
    lines: list[ChatLine] = []
    found: list[object] = []
    try:
        for piece in pieces:
            lines += reader.feed(piece)
            if reader.has_surplus:
                break
        lines += reader.finish()
        whole = call.joined(lines)
        found += [whole, json.dumps(whole.raw)]
    except OllamaError as error:
        found += [type(error), str(error), getattr(error, "received", None)]
    return [*found, reader.has_surplus, reader.complete, reader.received]


def _same(pieces: list[bytes]) -> list[object]:
    """Check that runs and lines give the same, and return it."""
    assert CALL.reader is not None
    assert CALL.joining_reader is not None
    runs = CALL.joining_reader()
    assert isinstance(runs, RunReader)
    answer = _answer(CALL, runs, pieces)
    assert answer == _answer(CALL, CALL.reader(), pieces)
    return answer


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([*ODD, *PLAIN * 12]), max_size=12),
    st.sampled_from([b"", LAST, LAST[:-1], LAST * 2, HI[:-9]]),
    st.lists(st.integers(0, 2000), max_size=6),
)
def test_any_answer_in_any_pieces_is_the_one_of_its_lines(
    lines: list[bytes], end: bytes, places: list[int]
) -> None:
    """The same whole, the same error with the same lines before it, the same rest."""
    _same(_cut(b"".join(lines) + end, places))


@pytest.mark.parametrize("odd", ODD, ids=lambda line: repr(line[:40]))
def test_an_odd_line_between_plain_ones_is_read_as_ever(odd: bytes) -> None:
    """Alone and beside others in one piece."""
    for lines in ([odd, LAST], [HI, odd, HI, LAST], [HI, HI, odd], [odd, HI, odd, LAST]):
        _same([b"".join(lines)])
        _same(lines)
    run = text_run(HI + odd)
    # All but the second line are left to the reader of lines.
    assert run in (("Hi", "", len(HI)), None)


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_answer_is_the_one_of_its_lines(name: str) -> None:
    """In the chunks of the server, in one piece, byte by byte, and cut everywhere once."""
    found = recording(name)
    whole = _same(list(found.chunks))
    assert _same([found.data]) == whole
    assert _same([bytes([byte]) for byte in found.data]) == whole
    for at in range(0, len(found.data), 997):
        assert _same(_cut(found.data, [at])) == whole


def test_plain_lines_are_kept_as_text_alone() -> None:
    """Whatever the reads, no line becomes an object before somebody asks for it."""
    reader = RunReader(ChatLine.from_native, lambda line: line.done)
    (run,) = [line for at in range(100) for line in reader.feed(PLAIN[at % len(PLAIN)])]
    assert isinstance(run, TextRun)
    assert reader._received == [run]
    assert len(reader.received) == 100
    assert run.text == "".join(line.text for line in reader.received)
    assert run.thinking == "".join(line.thinking for line in reader.received)


@pytest.mark.parametrize("is_there", [True, False], ids=["orjson", "standard library"])
def test_runs_are_read_with_and_without_orjson(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both JSON readers give the same text."""
    if is_there:
        pytest.importorskip("orjson")
    else:
        monkeypatch.setitem(sys.modules, "orjson", None)
    json_loads.cache_clear()
    try:
        assert text_run(b"".join(PLAIN)) == (
            'Hié \u0085\u2028 " \\ \n\t 😀x<b> / \ufffd \ud7ff\ue000Hi',
            'hmso "so"',
            len(b"".join(PLAIN)),
        )
        assert text_run(HI.replace(b"Hi", b"\xed\xa0\xbd")) is None
    finally:
        json_loads.cache_clear()


def test_lines_that_somebody_wants_to_see_are_not_read_in_runs() -> None:
    """Hidden or split thoughts and calls left in the text are found line by line."""
    request = ChatRequest(model="m", messages=[Message("user", "Hi")], think=False)
    call = chat(request)
    assert call.joining_reader is not None
    assert not isinstance(call.joining_reader(), RunReader)
