"""Lines read many at once are those that are read one by one, and so is their answer."""

import json
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import all_names, recording

from ollama_transport import ChatLine, ChatRequest, Message, OllamaError
from ollama_transport.wire.calls.call import Reader
from ollama_transport.wire.calls.line_reader import LineReader
from ollama_transport.wire.native.calls import chat
from ollama_transport.wire.native.lines import _unended, is_done
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
    _line("", 'so "so"'),
    _line("x", "both"),
    HI.replace(b'"}', b'","thinking":""}'),
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
    HI.replace(b'"}', b'","thinking":null}'),
    HI.replace(b"Z", b"Z\\n"),
    HI.replace(b"Z", b'Z"'),
    HI.replace(b"Hi", b'a","b'),
    HI.replace(b"Z", b"Z\n"),
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


def _answer(reader: Reader[ChatLine], pieces: list[bytes]) -> list[object]:
    """Return what a client makes of an answer in pieces: the lines, the whole or the error."""
    lines: list[ChatLine] = []
    found: list[object] = []
    try:
        for piece in pieces:
            lines += reader.feed(piece)
            if reader.has_surplus:
                break
        lines += reader.finish()
        whole = CALL.joined(lines)
        found += [whole, json.dumps(whole.raw)]
    except OllamaError as error:
        found += [type(error), str(error), getattr(error, "received", None)]
    each = [one for line in lines for one in (line.lines() if type(line) is TextRun else [line])]
    raws = [json.dumps(line.raw) for line in each]
    return [*found, reader.has_surplus, reader.complete, reader.received, each, raws]


def _same(pieces: list[bytes]) -> list[object]:
    """Check that lines read many at once and one by one give the same, and return it."""
    assert CALL.reader is not None
    assert CALL.joining_reader is not None
    runs, lines = CALL.joining_reader(), CALL.reader()
    assert isinstance(runs, RunReader)
    answer = _answer(_plain(), pieces)
    assert _answer(runs, pieces) == answer
    assert _answer(lines, pieces) == answer
    return answer


def _plain() -> LineReader[ChatLine]:
    return LineReader(ChatLine.from_native, is_done, _unended)


def _texts(data: bytes) -> tuple[list[str], int] | None:
    found = text_run(data)
    return None if found is None else (found[0].texts, found[1])


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
    # Whatever is not surely a plain line is left to the reader of any line.
    assert _texts(HI + odd) in ((["Hi"], len(HI)), None)


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_answer_is_the_one_of_its_lines(name: str) -> None:
    """In the chunks of the server, in one piece, byte by byte, and cut everywhere once."""
    found = recording(name)
    whole = _same(list(found.chunks))
    assert _same([found.data]) == whole
    assert _same([bytes([byte]) for byte in found.data]) == whole
    for at in range(0, len(found.data), 2999):
        assert _same(_cut(found.data, [at])) == whole


@pytest.mark.parametrize("line", [HI, _line("", "hm")], ids=["text", "thoughts"])
def test_the_plain_lines_of_a_read_are_one_run(line: bytes) -> None:
    """No line becomes an object before somebody asks for it."""
    reader = RunReader(ChatLine.from_native, is_done)
    runs = [run for _ in range(3) for run in reader.feed(line * 100)]
    assert [type(run) for run in runs] == [TextRun] * 3
    assert len(reader.received) == 300
    assert runs[1].text == "".join(line.text for line in reader.received[100:200])
    assert runs[1].thinking == "".join(line.thinking for line in reader.received[100:200])


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
        texts = [HI, *PLAIN[1:3], HI.replace(b"Hi", b"\\u003cb\\u003E \\/ \\ufffd \\uD7ff\\ue000")]
        assert _texts(b"".join(texts)) == (
            ["Hi", "", 'é \u0085\u2028 " \\ \n\t 😀', "<b> / \ufffd \ud7ff\ue000"],
            len(b"".join(texts)),
        )
        thoughts = _line("", "hm") + _line("", 'so "so"')
        assert _texts(thoughts) == (["hm", 'so "so"'], len(thoughts))
        assert text_run(HI.replace(b"Hi", b"\xed\xa0\xbd")) is None
    finally:
        json_loads.cache_clear()


def test_lines_that_somebody_wants_to_see_are_not_read_in_runs() -> None:
    """Hidden or split thoughts and calls left in the text are found line by line."""
    request = ChatRequest(model="m", messages=[Message("user", "Hi")], think=False)
    call = chat(request)
    assert call.joining_reader is not None
    assert not isinstance(call.joining_reader(), RunReader)
