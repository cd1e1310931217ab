"""Plain lines read on the short way are what the reader of any line makes of them."""

import json
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_transport import ChatLine, OllamaError
from ollama_transport.wire.calls.line_reader import LineReader
from ollama_transport.wire.native.lines import is_done
from ollama_transport.wire.native.texts import text_lines
from ollama_transport.wire.values.json_bytes import json_loads


def _line(**changes: object) -> bytes:
    told = {
        "model": "m",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "é \u2028"},
        "done": False,
    }
    return json.dumps({**told, **changes}, ensure_ascii=False).encode("utf-8", "surrogatepass")


PLAIN = _line()
LAST = _line(done=True, done_reason="stop", eval_count=3)
LINES = [
    PLAIN,
    _line(message={"role": "assistant", "content": "", "thinking": "hm"}),
    _line(message={"content": "other order", "role": "assistant"}),
    _line(message={"role": "", "content": "no role"}),
    _line(message={"role": "assistant", "content": None}),
    _line(message={"role": "assistant", "content": "x", "images": ["aGk="]}),
    _line(message={"role": "assistant", "content": ["x"]}),
    _line(message=None),
    _line(model=None),
    _line(created_at=3),
    _line(done=0),
    _line(logprobs=[{"token": "a", "logprob": -1.0}]),
    _line(eval_count=2**70),
    PLAIN.replace(b'"done"', b'"done": true, "done"'),
    PLAIN.replace("é".encode(), b"\\ud83d"),
    PLAIN.replace("é".encode(), b"\xff"),
    PLAIN.replace(b'"m"', b"NaN"),
    b'{"error": "out of memory"}',
    b"{",
    b"[]",
    b"3",
    b"",
    b"   ",
    b"  " + PLAIN + b" \r",
    b"[" * 5000,
    LAST,
]


def _read(reader: LineReader[ChatLine], pieces: list[bytes]) -> list[object]:
    """Return what a reader makes of the pieces: the lines, and how it ended."""
    found: list[object] = []
    try:
        for piece in pieces:
            found += reader.feed(piece)
        found += reader.finish()
    except OllamaError as error:
        found += [type(error), str(error), getattr(error, "received", None)]
    return [*found, reader.has_surplus, reader.complete, reader.received]


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def _both(pieces: list[bytes]) -> tuple[list[object], list[object]]:
    quick = LineReader(ChatLine.from_native, is_done, None, text_lines)
    return _read(quick, pieces), _read(LineReader(ChatLine.from_native, is_done), pieces)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([*LINES, *[PLAIN] * 20]), max_size=12),
    st.lists(st.integers(0, 2000), max_size=6),
)
def test_the_short_way_reads_the_same_however_lines_are_cut(
    lines: list[bytes], places: list[int]
) -> None:
    """Lines of any kind in any pieces: the same lines, the same error, the same rest."""
    quick, plain = _both(_cut(b"\n".join([*lines, LAST, b""]), places))
    assert quick == plain


@pytest.mark.parametrize("is_there", [True, False], ids=["orjson", "standard library"])
def test_plain_lines_are_read_with_and_without_orjson(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both JSON readers give the same lines; orjson is not needed."""
    if is_there:
        pytest.importorskip("orjson")
    else:
        monkeypatch.setitem(sys.modules, "orjson", None)
    json_loads.cache_clear()
    try:
        assert text_lines([PLAIN, PLAIN, LAST]) == [ChatLine.from_native(json.loads(PLAIN))] * 2
        for line in LINES:
            assert text_lines([line]) in ([], [_plainly(line)])
    finally:
        json_loads.cache_clear()


def _plainly(line: bytes) -> ChatLine | None:
    try:
        return ChatLine.from_native(json.loads(line))
    except (ValueError, RecursionError, AttributeError, OllamaError):
        return None


def test_events_in_place_of_lines_are_read_in_one_piece() -> None:
    """Some gateways send them: thousands in one read are no deeper than one."""
    data = b"".join(b"data: " + line + b"\n\n" for line in [*[PLAIN] * 3000, LAST])
    quick, plain = _both([data])
    assert quick == plain
    assert len(quick) == 3001 + 3
