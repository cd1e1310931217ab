"""Faults of connections and framing: resets, cuts, stalls, splits, lengths, chunks, heads."""

import itertools

from faults import ANSWER, Fault, Gives, Steps, by_form, everywhere
from raw_server import Asked, End, Step
from right_answers import (
    CHUNKED,
    LAST_CHUNK,
    Right,
    chunk,
    framed,
    head,
    kind_of,
    sized,
)

NOT_REACHED = Gives("OllamaConnectionError", "closed the connection before it answered")
CUT = Gives("StreamTruncatedError", "(ended after|has no end)")
UNSAID = Gives("StreamTruncatedError", "ended before its first text")
# A whole answer of the native wire is a stream underneath.
BEFORE_A_WORD = {**by_form(CUT, UNSAID), "whole-native": UNSAID}
SILENT = Gives("OllamaTimeoutError", r"no data for 1 s \(read\)")
BAD = "ProtocolError"
SOON = {"timeout": (10.0, 1.0)}
MIB = 1024 * 1024


def whole_bytes(answer: Right) -> bytes:
    return b"".join(step for step in framed(answer) if isinstance(step, bytes))


def cut_at(share: float, end: End) -> Steps:
    """Return the steps that send so much of an answer, and end."""

    def steps(_: Asked, answer: Right) -> list[Step]:
        data = whole_bytes(answer)
        first = data.index(b"\r\n\r\n") + 4
        return [data[: first + int((len(data) - first) * share)], end]

    return steps


def mid_line(end: End) -> Steps:
    def steps(_: Asked, answer: Right) -> list[Step]:
        body = answer.body
        return [head(CHUNKED, kind_of(answer)), chunk(body[: len(body) // 2]), end]

    return steps


def _mid_character(_: Asked, answer: Right) -> list[Step]:
    """Cut inside the three bytes of a euro sign."""
    body = answer.body.replace(b"Hello", "€".encode()).replace(b"embed", "€".encode())
    at = body.index("€".encode()) + 1
    return [head(CHUNKED, kind_of(answer)), chunk(body[:at]), End.RESET]


def _no_done(_: Asked, answer: Right) -> list[Step]:
    """End a stream in good order before its last line."""
    keep = [piece for piece in answer.pieces if b'"done":true' not in piece]
    keep = [piece for piece in keep if b"[DONE]" not in piece and b'finish_reason":"' not in piece]
    return [head(CHUNKED, kind_of(answer)), *(chunk(piece) for piece in keep), LAST_CHUNK]


def _byte_by_byte(_: Asked, answer: Right) -> list[Step]:
    data = whole_bytes(answer)
    return [data[at : at + 1] for at in range(len(data))]


def _large(_: Asked, answer: Right) -> list[Step]:
    """Let one line be longer than a MiB, and chunks end beside the boundaries of MiBs."""
    filler = b'"filler":"' + b"x" * (2 * MIB + 17) + b'",'
    body = answer.body.replace(b"{", b"{" + filler, 1)
    cuts = [0, MIB - 1, MIB + 1, 2 * MIB, len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(cuts)]
    return [head(CHUNKED, kind_of(answer)), *map(chunk, pieces), LAST_CHUNK]


def _length(difference: int, *ends: Step) -> Steps:
    def steps(_: Asked, answer: Right) -> list[Step]:
        body = answer.body
        return [
            head(b"Content-Length: %d" % (len(body) + difference), kind_of(answer)) + body,
            *ends,
        ]

    return steps


def fields(*names: bytes) -> Steps:
    """Return the steps that answer with these header fields, and the right body after them."""

    def steps(_: Asked, answer: Right) -> list[Step]:
        return [head(*names, kind_of(answer)) + answer.body, End.CLOSE]

    return steps


def _chunks(extension: bytes = b"", last: bytes = LAST_CHUNK, *ends: Step) -> Steps:
    def steps(_: Asked, answer: Right) -> list[Step]:
        chunks = [chunk(piece, extension) for piece in answer.pieces]
        return [head(CHUNKED, kind_of(answer)), *chunks, last, *ends]

    return steps


def _split_extension(_: Asked, answer: Right) -> list[Step]:
    """Send a size line of 20 KB in pieces."""
    line = b"%x;" % len(answer.body) + b"e" * 20_000
    pieces = [line[at : at + 1000] for at in range(0, len(line), 1000)]
    return [head(CHUNKED, kind_of(answer)), *pieces, b"\r\n", answer.body, b"\r\n", LAST_CHUNK]


def _old(_: Asked, answer: Right) -> list[Step]:
    return [head(kind_of(answer), version=b"1.0") + answer.body, End.CLOSE]


def before(*early: Step) -> Steps:
    """Return the steps that send something before the right answer."""
    return lambda _, answer: [*early, *framed(answer)]


HINT = head(b"Link: </a>; rel=preload", status=b"103 Early Hints")

CONNECTIONS = [
    Fault(
        "reset before the head",
        "resets the connection when it has the request",
        lambda *_: [End.RESET],
        everywhere(NOT_REACHED),
    ),
    Fault(
        "closed before the head",
        "closes the connection when it has the request",
        lambda *_: [End.CLOSE],
        everywhere(NOT_REACHED),
    ),
    Fault(
        "reset inside the head",
        "sends half a head and resets the connection",
        lambda *_: [b"HTTP/1.1 200 OK\r\nContent-", End.RESET],
        everywhere(NOT_REACHED),
    ),
    Fault(
        "closed inside the head",
        "sends half a head and closes the connection",
        lambda *_: [b"HTTP/1.1 200 OK\r\nContent-", End.CLOSE],
        everywhere(NOT_REACHED),
    ),
    Fault(
        "reset after the head",
        "sends the head and resets the connection",
        cut_at(0, End.RESET),
        BEFORE_A_WORD,
    ),
    Fault(
        "closed after the head",
        "sends the head and closes the connection",
        cut_at(0, End.CLOSE),
        BEFORE_A_WORD,
    ),
    Fault(
        "reset inside a line",
        "sends half of the body and resets the connection",
        mid_line(End.RESET),
        everywhere(CUT),
    ),
    Fault(
        "closed inside a line",
        "sends half of the body and closes the connection",
        mid_line(End.CLOSE),
        everywhere(CUT),
    ),
    Fault(
        "reset inside a chunk",
        "resets the connection inside a chunk",
        cut_at(0.3, End.RESET),
        everywhere(CUT),
    ),
    Fault(
        "closed inside a chunk",
        "closes the connection inside a chunk",
        cut_at(0.3, End.CLOSE),
        everywhere(CUT),
    ),
    Fault(
        "reset inside a character",
        "resets the connection between the bytes of a character",
        _mid_character,
        BEFORE_A_WORD,
    ),
    Fault(
        "stream without its end",
        "ends a stream in good order without its last line",
        _no_done,
        {"streamed": CUT},
    ),
    Fault(
        "silence before the head",
        "takes the request and says nothing",
        lambda *_: [End.STALL],
        everywhere(SILENT),
        settings=SOON,
    ),
    Fault(
        "silence after the head",
        "sends the head and says nothing more",
        cut_at(0, End.STALL),
        everywhere(SILENT),
        settings=SOON,
    ),
    Fault(
        "silence inside the body",
        "sends half of the body and says nothing more",
        mid_line(End.STALL),
        everywhere(SILENT),
        settings=SOON,
    ),
    Fault(
        "one byte at a time",
        "sends each byte in a write of its own",
        _byte_by_byte,
        everywhere(ANSWER),
    ),
    Fault(
        "everything at once",
        "sends head and body in one write",
        lambda _, answer: [whole_bytes(answer)],
        everywhere(ANSWER),
    ),
    Fault(
        "lines over 1 MiB",
        "sends a line of 2 MiB in chunks cut beside the boundaries",
        _large,
        everywhere(ANSWER),
    ),
    Fault(
        "length too long",
        "announces ten bytes more than it sends, and closes",
        _length(10, End.CLOSE),
        # A whole answer of the native wire is a stream underneath.
        {**by_form(CUT, ANSWER), "whole-native": ANSWER},
    ),
    Fault(
        "length too short",
        "announces ten bytes less than it sends",
        _length(-10),
        {
            "": Gives(BAD),
            "whole-native": CUT,
            "streamed-native": CUT,
            "streamed-openai": ANSWER,
        },
    ),
    Fault("no length", "names no length and closes after the body", fields(), everywhere(ANSWER)),
    Fault(
        "chunk extensions",
        "sends an extension with each chunk",
        _chunks(b';a=b;c="d e"'),
        everywhere(ANSWER),
    ),
    Fault(
        "trailers",
        "sends trailers after the last chunk",
        _chunks(b"", b"0\r\nx-checksum: 1\r\nx-other: 2\r\n\r\n"),
        everywhere(ANSWER),
    ),
    Fault("HTTP/1.0", "answers as HTTP/1.0 does, and closes", _old, everywhere(ANSWER)),
    Fault("early hints", "sends 103 before the answer", before(HINT * 3), everywhere(ANSWER)),
    Fault(
        "surplus",
        "sends an answer that nobody asked for behind the right one",
        lambda _, answer: [whole_bytes(answer) + sized(b'{"error":"stale"}')],
        everywhere(ANSWER),
    ),
    Fault(
        "length of no number",
        "names a length that is no number",
        fields(b"Content-Length: many"),
        everywhere(Gives(BAD)),
    ),
    Fault(
        "two lengths",
        "names two different lengths",
        fields(b"Content-Length: 1", b"Content-Length: 2"),
        everywhere(Gives(BAD)),
    ),
    Fault(
        "length and chunks",
        "names a length and sends chunks",
        fields(b"Content-Length: 1", CHUNKED),
        everywhere(Gives(BAD)),
    ),
    Fault(
        "unknown transfer coding",
        "names a transfer coding that nobody knows",
        fields(b"Transfer-Encoding: rot13"),
        everywhere(Gives(BAD)),
    ),
    Fault(
        "head too long",
        "sends a head of 200 KB",
        fields(b"X-Long: " + b"x" * 200_000),
        everywhere(Gives(BAD)),
    ),
    Fault(
        "NUL in the head",
        "sends a NUL inside a header",
        fields(b"X-Nul: a\0b"),
        everywhere(Gives(BAD)),
    ),
    Fault(
        "another protocol",
        "speaks SSH",
        lambda *_: [b"SSH-2.0-OpenSSH_9.2\r\n", End.CLOSE],
        everywhere(Gives(BAD)),
    ),
    Fault(
        "endless chunk extension",
        "sends a size line of 20 KB in pieces",
        _split_extension,
        everywhere(Gives(BAD)),
    ),
    Fault(
        "size of no chunk",
        "sends words where the size of a chunk belongs",
        lambda _, answer: [head(CHUNKED, kind_of(answer)), b"not a size\r\n", End.CLOSE],
        everywhere(Gives(BAD)),
    ),
    Fault(
        "a flood of early hints",
        "sends 103 a thousand times",
        lambda *_: [*([HINT] * 1000), End.STALL],
        everywhere(Gives("ProtocolError")),
        settings=SOON,
    ),
    Fault(
        "closed after an answer",
        "closes the connection after each answer, without saying so",
        lambda _, answer: [*framed(answer), End.CLOSE],
        everywhere(ANSWER),
    ),
    Fault(
        "reset when used again",
        "answers, and resets the connection at the next request",
        lambda _, answer: framed(answer),
        everywhere(ANSWER),
        then=(lambda *_: [End.RESET],),
    ),
    Fault(
        "length too long, kept open",
        "announces ten bytes more than it sends, and waits",
        _length(10, End.STALL),
        {**by_form(SILENT, ANSWER), "whole-native": ANSWER},
        settings=SOON,
    ),
]
