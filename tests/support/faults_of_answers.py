"""Faults of what an answer holds: the coding of its content, and what the body says."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from faults import ANSWER, Fault, Gives, Steps, by_form, everywhere
from faults_of_connections import CUT, whole_bytes
from faults_of_statuses import PAGE
from raw_server import Asked, Step
from right_answers import (
    CHUNKED,
    LAST_CHUNK,
    TEXT,
    Right,
    chunk,
    framed,
    head,
    kind_of,
    sized,
)

BAD = Gives("ProtocolError")
EMPTY = Gives("EmptyAnswerError", "200 without any content")


def ok(body: bytes, *fields: bytes) -> Steps:
    """Return the steps that answer 200 with these bytes, of the right type."""
    return lambda _, answer: [sized(body, kind_of(answer), *fields)]


def coded(name: bytes, encode: Callable[[bytes], bytes]) -> Steps:
    """Return the steps that send the right answer with its content coded."""

    def steps(_: Asked, answer: Right) -> list[Step]:
        return [sized(encode(answer.body), kind_of(answer), b"Content-Encoding: " + name)]

    return steps


def zstd(data: bytes) -> bytes:
    """Return data as a zstd frame of one raw block (RFC 8878, sections 3.1.1 and 3.1.1.2)."""
    header = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    block = (len(data) << 3 | 1).to_bytes(3, "little")
    return header + block + data


def _deflated(data: bytes) -> bytes:
    squeezed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeezed.compress(data) + squeezed.flush()


def changed(change: Callable[[Right, list[Any]], list[Any]]) -> Steps:
    """Return the steps that send other objects in the form of the right answer."""

    def steps(_: Asked, answer: Right) -> list[Step]:
        objects = answer.objects() if answer.is_stream else [answer.object]
        return framed(answer.of(change(answer, objects)))

    return steps


def replaced(old: bytes, new: bytes) -> Steps:
    """Return the steps that send the right answer with other bytes in it."""

    def steps(_: Asked, answer: Right) -> list[Step]:
        pieces = tuple(piece.replace(old, new) for piece in answer.pieces)
        return framed(Right(pieces, answer.content_type, answer.is_stream, answer.is_openai))

    return steps


def said(text: str) -> Gives:
    """Return an answer with another greeting; what is embedded has none."""
    return Gives(value=TEXT.replace("Hello", text))


def in_text(old: bytes, new: bytes, gives: Gives) -> tuple[Steps, dict[str, Gives]]:
    return replaced(old, new), {"whole": gives, "streamed": gives}


def _failure_line(_: Right, objects: list[Any]) -> list[Any]:
    return [*objects[:3], {"error": "llama runner process has terminated"}]


def _after_the_end(_: Asked, answer: Right) -> list[Step]:
    more = answer.pieces[0]
    pieces = [*map(chunk, answer.pieces), chunk(more), LAST_CHUNK]
    return [head(CHUNKED, kind_of(answer)), *pieces]


def _many_vectors(answer: Right, objects: list[Any]) -> list[Any]:
    name = "data" if answer.is_openai else "embeddings"
    return [{**objects[0], name: objects[0][name] * 2}]


def _no_vectors(answer: Right, objects: list[Any]) -> list[Any]:
    return [{**objects[0], "data" if answer.is_openai else "embeddings": []}]


CODINGS = [
    Fault("gzip", "codes the content with gzip", coded(b"gzip", gzip.compress), everywhere(ANSWER)),
    Fault(
        "deflate",
        "codes the content with deflate",
        coded(b"deflate", zlib.compress),
        everywhere(ANSWER),
    ),
    Fault(
        "bare deflate",
        "codes the content with deflate, without zlib's frame",
        coded(b"deflate", _deflated),
        everywhere(ANSWER),
    ),
    Fault("zstd", "codes the content with zstd", coded(b"zstd", zstd), everywhere(ANSWER)),
    Fault(
        "corrupt gzip",
        "says gzip, and sends none",
        coded(b"gzip", lambda data: data),
        everywhere(BAD),
    ),
    Fault(
        "cut gzip",
        "sends half of the coded content",
        coded(b"gzip", lambda data: gzip.compress(data)[:-60]),
        {**by_form(BAD, CUT), "whole-native": CUT},
    ),
]

CONTENTS = [
    Fault(
        "error inside a 200",
        "answers 200 with an error object",
        ok(b'{"error":"boom"}'),
        everywhere(Gives("StreamFailedError", "boom")),
    ),
    Fault(
        "error line in a stream",
        "sends an error after three lines",
        changed(_failure_line),
        {"streamed": Gives("StreamFailedError", "terminated")},
    ),
    Fault("invalid UTF-8", "sends bytes that are no UTF-8", *in_text(b"Hello", b"\xff\xfe", BAD)),
    Fault(
        "U+0085 and U+2028",
        "sends line ends of Unicode inside a text",
        *in_text(b"Hello", "a\u0085b\u2028c\u2029d".encode(), said("a\u0085b\u2028c\u2029d")),
    ),
    Fault(
        "lone surrogate",
        "escapes half of a surrogate pair",
        *in_text(b"Hello", b"\\ud83d", said("\ud83d")),
    ),
    Fault(
        "duplicate keys",
        "names each first key twice, the second time rightly",
        lambda _, answer: framed(
            answer.of_texts(
                [
                    b'{"model":0,' + json.dumps(one).encode()[1:]
                    for one in (answer.objects() if answer.is_stream else [answer.object])
                ]
            )
        ),
        everywhere(ANSWER),
    ),
    Fault(
        "wrong content type",
        "calls its answer a page",
        lambda _, answer: [
            whole_bytes(answer).replace(kind_of(answer), b"Content-Type: text/html")
        ],
        everywhere(ANSWER),
    ),
    Fault(
        "too many vectors",
        "sends more vectors than texts",
        changed(_many_vectors),
        {"embedded": Gives("ProtocolError", "4")},
    ),
    Fault("no vectors", "sends no vectors", changed(_no_vectors), {"embedded": BAD}),
]


def _vector(number: str) -> Steps:
    return replaced(b"0.8", number.encode())


CONTENTS += [
    Fault("NaN in a vector", "sends NaN", _vector("NaN"), {"embedded": BAD}),
    Fault("infinity in a vector", "sends Infinity", _vector("Infinity"), {"embedded": BAD}),
    Fault(
        "400 digits in a vector",
        "sends an integer of 400 digits",
        _vector("9" * 400),
        {"embedded": BAD},
    ),
    Fault(
        "5,000 digits as a count",
        "counts tokens with 5,000 digits",
        *in_text(b":9,", b":" + b"9" * 5000 + b",", BAD),
    ),
    Fault(
        "400 digits as a count",
        "counts tokens with 400 digits",
        *in_text(b":9,", b":" + b"9" * 400 + b",", ANSWER),
    ),
    Fault("page with 200", "answers with the login page of a proxy", ok(PAGE), everywhere(BAD)),
    # Some gateways send the events of a stream as a list: this one has none, the next no end.
    Fault("list with 200", "answers with a JSON list", ok(b"[]\n"), by_form(EMPTY, EMPTY, BAD)),
    Fault(
        "nested too deep",
        "answers with 100,000 brackets",
        ok(b"[" * 100_000),
        by_form(Gives("StreamTruncatedError"), Gives("StreamTruncatedError"), BAD),
    ),
    Fault(
        "lines after the end",
        "goes on after the last line of a stream",
        _after_the_end,
        {"streamed": ANSWER},
    ),
]

TOO_LONG = Gives("ProtocolError", "longer than max_answer_bytes=1000000")
SMALL = {"max_answer_bytes": 1_000_000}
_BOMB = gzip.compress(b" " * 20_000_000)


def _endless(_: Asked, answer: Right) -> Iterator[Step]:
    """Send blanks until the client leaves."""
    yield head(CHUNKED, kind_of(answer))
    while True:
        yield chunk(b" " * 10_000)


CODINGS += [
    Fault(
        "gzip bomb",
        "sends 20 MB in 20 KB, with max_answer_bytes=1000000",
        lambda _, answer: [sized(_BOMB, kind_of(answer), b"Content-Encoding: gzip")],
        everywhere(TOO_LONG),
        settings=SMALL,
    ),
]

CONTENTS += [
    Fault("empty 200", "answers 200 and nothing", ok(b""), everywhere(EMPTY)),
    Fault(
        "endless body",
        "sends blanks for ever, with max_answer_bytes=1000000",
        _endless,
        everywhere(TOO_LONG),
        settings=SMALL,
    ),
]
