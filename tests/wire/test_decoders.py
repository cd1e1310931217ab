"""Bytes become objects however they were split, and bad ones become errors that show them."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from recorded import recording

from ollama_transport import ProtocolError
from ollama_transport.settings.bounds import MAX_ANSWER_BYTES
from ollama_transport.wire.calls.decoders import (
    MAX_LINE_BYTES,
    NDJSONDecoder,
    SSEDecoder,
    parse_object,
)

NEL, LS, PS = "\u0085", "\u2028", "\u2029"
OBJECTS = [{"a": f"x{NEL}y{LS}z{PS}\r"}, {"b": [1, {"c": "é🐈"}]}, {"d": "e\nf"}]
NDJSON = b"".join(json.dumps(o, ensure_ascii=False).encode() + b"\n" for o in OBJECTS)
SSE = b"".join(b"data: " + json.dumps(o, ensure_ascii=False).encode() + b"\n\n" for o in OBJECTS)

Make = Callable[..., NDJSONDecoder | SSEDecoder]
both = pytest.mark.parametrize("make", [NDJSONDecoder, SSEDecoder])
every_kind = pytest.mark.parametrize(
    ("make", "data"), [(NDJSONDecoder, NDJSON), (SSEDecoder, SSE)], ids=["ndjson", "sse"]
)


def decode(decoder: NDJSONDecoder | SSEDecoder, pieces: Iterable[bytes]) -> list[dict[str, Any]]:
    found = [value for piece in pieces for value in decoder.feed(piece)]
    return found + decoder.finish()


@every_kind
def test_every_split_gives_the_same_objects(make: Make, data: bytes) -> None:
    """However a stream is cut in two, its objects are the same: U+0085 and U+2028 end no line."""
    for cut in range(len(data) + 1):
        assert decode(make(), [data[:cut], data[cut:]]) == OBJECTS


@every_kind
def test_every_split_in_three_of_the_line_ends_gives_the_same_objects(
    make: Make, data: bytes
) -> None:
    """Cutting before and after a line end changes nothing."""
    ends = [i for i, byte in enumerate(data) if byte == 0x0A]
    for end in ends:
        pieces = [data[:end], data[end : end + 1], data[end + 1 :]]
        assert decode(make(), pieces) == OBJECTS


@every_kind
def test_byte_by_byte_gives_the_same_objects(make: Make, data: bytes) -> None:
    """One byte at a time, with empty pieces between, gives the same objects."""
    pieces = [piece for i in range(len(data)) for piece in (data[i : i + 1], b"")]
    assert decode(make(), pieces) == OBJECTS


@every_kind
def test_an_object_comes_as_soon_as_it_is_complete(make: Make, data: bytes) -> None:
    """An object is returned by the very byte that completes it, and not later."""
    decoder = make()
    end = data.index(b"\n") + (2 if make is SSEDecoder else 1)
    assert decoder.feed(data[: end - 1]) == []
    assert decoder.feed(data[end - 1 : end]) == OBJECTS[:1]


@every_kind
def test_a_last_line_without_its_end_counts(make: Make, data: bytes) -> None:
    """The end of input completes a line without a newline (wire reference 7.4)."""
    assert decode(make(), [data.rstrip(b"\n")]) == OBJECTS


@both
def test_blank_lines_and_empty_bodies_give_no_lines(make: Make) -> None:
    """Blank lines are passed over, and an empty stream has no objects."""
    assert decode(make(), []) == []
    assert decode(make(), [b"", b"\n\n  \n\r\n"]) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"<html><body>502</body></html>" + b"x" * 200, "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b'{"a": 1} and more', "not JSON"),
        (b'{"a": 1}{"b": 2}', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"5", "not a JSON object"),
    ],
)
@both
def test_a_bad_line_is_an_error_that_shows_its_start(make: Make, line: bytes, message: str) -> None:
    """What is no JSON object is a ProtocolError holding the first 80 bytes of it."""
    framed = b"data: " + line + b"\n\n" if make is SSEDecoder else line + b"\n"
    with pytest.raises(ProtocolError, match=message) as caught:
        make().feed(framed)
    assert caught.value.line == line[:80]
    assert repr(line[:80]) in str(caught.value)


@pytest.mark.parametrize("line", [b' {"a": 1} ', b'{"a": 1}\t', b'\t{"a": 1}'])
@both
def test_blanks_around_an_object_are_ignored(make: Make, line: bytes) -> None:
    """JSON allows blanks before and after."""
    framed = b"data: " + line + b"\n\n" if make is SSEDecoder else line + b"\n"
    assert make().feed(framed) == [{"a": 1}]


@both
def test_lines_before_a_bad_line_are_kept(make: Make) -> None:
    """Objects before a bad line are returned, whether they came with it or before it."""
    good = b'data: {"a":1}\n\n' if make is SSEDecoder else b'{"a":1}\n'
    bad = b"data: oops\n\n" if make is SSEDecoder else b"oops\n"
    for after in (lambda d: d.feed(b""), lambda d: d.feed(good), lambda d: d.finish()):
        decoder = make()
        assert decoder.feed(good + bad + good) == [{"a": 1}]
        with pytest.raises(ProtocolError, match="oops"):
            after(decoder)


@both
def test_a_line_has_a_longest_length(make: Make) -> None:
    """A line beyond the limit is an error at once, however it comes; one of that length is not."""
    prefix = b"data: " if make is SSEDecoder else b""
    fits = json.dumps({"a": "x" * 150}).encode()
    limit = len(prefix) + len(fits)
    assert make(max_line_bytes=limit).feed(prefix + fits + b"\n\n") == [{"a": "x" * 150}]
    endless = prefix + b'{"a":"' + b"x" * limit
    for pieces in ([endless], [endless[i : i + 7] for i in range(0, len(endless), 7)]):
        with pytest.raises(ProtocolError, match=f"longer than {limit} bytes") as caught:
            decode(make(max_line_bytes=limit), pieces)
        assert caught.value.line == endless[:80]


def test_many_short_data_lines_cannot_go_past_the_limit() -> None:
    """An event of many data lines is bounded like one line."""
    with pytest.raises(ProtocolError, match="longer than 100 bytes"):
        decode(SSEDecoder(max_line_bytes=100), [b"data: 1234567890\n"] * 20)


def test_a_line_may_be_as_long_as_a_whole_answer() -> None:
    """What `send` reads, `stream` reads as well."""
    assert MAX_LINE_BYTES == MAX_ANSWER_BYTES


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_end_lines_in_three_ways(end: bytes) -> None:
    """LF, CRLF and CR end the lines of events, wherever the bytes are cut."""
    data = SSE.replace(b"\n", end)
    for cut in range(len(data) + 1):
        assert decode(SSEDecoder(), [data[:cut], b"", data[cut:]]) == OBJECTS
    assert decode(SSEDecoder(), [data[i : i + 1] for i in range(len(data))]) == OBJECTS


def test_a_line_end_that_is_cut_in_two_is_one_line_end() -> None:
    """The halves of a CRLF do not make a blank line, which would end an event early."""
    data = b'data: {"a":\r\ndata: 1}\r\n\r\n'
    for cut in range(len(data) + 1):
        assert decode(SSEDecoder(), [data[:cut], b"", data[cut:]]) == [{"a": 1}]


def test_comments_and_other_fields_are_passed_over() -> None:
    """Keep-alive comments, event names, ids and retry times carry no data."""
    data = b': ping\n\nevent: message\nid: 5\nretry: 10\ndata: {"a": 1}\n\n:\n\n'
    assert decode(SSEDecoder(), [data]) == [{"a": 1}]


def test_data_lines_of_one_event_are_joined() -> None:
    """Several data lines are one text with line ends between; one space after the colon goes."""
    data = b'data:{"a":\ndata: "x",\ndata: "b": 2}\n\n'
    assert decode(SSEDecoder(), [data]) == [{"a": "x", "b": 2}]


def test_an_empty_event_gives_nothing() -> None:
    """An event with empty data is no object."""
    assert decode(SSEDecoder(), [b"data:\n\ndata: \n\n", SSE]) == OBJECTS


@pytest.mark.parametrize("end", [b"\n\n", b"\n", b""])
def test_done_ends_the_events(end: bytes) -> None:
    """The [DONE] event yields nothing and tells that nothing more comes."""
    decoder = SSEDecoder()
    assert decode(decoder, [SSE, b"data: [DONE]" + end]) == OBJECTS
    assert decoder.finished


@both
def test_an_answer_without_done_is_unfinished(make: Make) -> None:
    """A stream that just ends has not said so itself."""
    decoder = make()
    decode(decoder, [SSE if make is SSEDecoder else NDJSON])
    assert not decoder.finished


def test_a_recorded_stream_holds_a_raw_line_separator() -> None:
    """The splitter that broke the peers is fed the text that broke them (wire reference 1.8)."""
    line = recording("chat/tiny-chat/hello-stream").chunks[0].replace(b"Hello", NEL.encode())
    [found] = decode(NDJSONDecoder(), [line])
    assert found["message"]["content"] == NEL


def test_one_object_is_read_by_itself() -> None:
    """A whole answer is one object, spread over lines if it likes."""
    assert parse_object(b' {"a":\n 1}\n') == {"a": 1}
