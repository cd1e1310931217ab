"""HTTP answers, right and wrong, and what a reader makes of them: ours, and h11 as the measure."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h11
import httpcore
from hypothesis import strategies as st

from ollama_transport.net.http11 import MAX_EARLY_ANSWERS, Exchange, Head, MalformedAnswer

CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus"
EXAMPLES = int(os.environ.get("OLLAMA_EXT_FUZZ", "300"))
"""How many answers a fuzz test makes; OLLAMA_EXT_FUZZ=60000 is the long run."""

FIELDS = [
    b"Content-Length: 5",
    b"Content-Length: 5, 5",
    b"Content-Length: +5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Content-Type: application/json",
    b"X-Fold: a\r\n b",
    b"X-Bad : a",
    b"X-Nul: \0",
]
STATUS_LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 500 Oops",
    b"HTTP/2 200 OK",
    b"HTTP/1.1 99 Low",
]
EARLY = [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]
EXTENSIONS = [b"", b";a=b", b" ;a", b"\t;a", b';a="b;c"', b" ", b"\t", b";" + b"e" * 300]
ENDS = [b"0\r\n\r\n", b"0\r\nX-Sum: 1\r\n\r\n", b"0\r\n bad\r\n\r\n", b"00\r\n\r\n", b"0\r\n", b""]
SURPLUS = [b"", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"x"]


@dataclass(frozen=True)
class Verdict:
    """What a reader says: whole, cut or bad; the body only where it is whole."""

    kind: str
    status: int = 0
    body: bytes = b""
    surplus: bool = False


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    data, extension = part
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


_chunks = st.builds(
    lambda parts, end: b"".join(map(_chunk, parts)) + end,
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from(EXTENSIONS)), max_size=4
    ),
    st.sampled_from(ENDS),
)
_bodies = st.one_of(_chunks, _chunks, st.just(b"hello"), st.binary(max_size=40))
_heads = st.builds(
    lambda early, line, fields: early + b"\r\n".join([line, *fields, b"", b""]),
    st.sampled_from(EARLY),
    st.sampled_from(STATUS_LINES),
    st.lists(st.sampled_from(FIELDS), max_size=3),
)
_framed = st.builds(lambda a, b, c: a + b + c, _heads, _bodies, st.sampled_from(SURPLUS))


def _mutated(data: bytes, place: int, kind: int, more: bytes) -> bytes:
    """Cut, insert, replace, remove or repeat something somewhere; mostly nothing."""
    at = place % (len(data) + 1)
    ways = {
        1: data[:at],
        2: data[:at] + more + data[at:],
        3: data[:at] + more + data[at + len(more) :],
        4: data[:at] + data[at + 1 + len(more) :],
        5: data[:at] + data[max(0, at - 8) : at] + data[at:],
    }
    return ways.get(kind, data)


ANSWERS = st.builds(
    _mutated,
    _framed,
    st.integers(0, 10_000),
    st.integers(0, 8),
    st.one_of(
        st.binary(min_size=1, max_size=3), st.sampled_from([b"\r\n", b"\n", b"\t", b";", b"0"])
    ),
)
SPLITS = st.lists(st.integers(1, 60), max_size=30)


def pieces(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Yield data in pieces of these sizes, and the rest."""
    at = 0
    for size in sizes:
        if at < len(data):
            yield data[at : at + size]
        at += size
    if at < len(data):
        yield data[at:]


def verdict_of_ours(data: bytes, sizes: Sequence[int]) -> Verdict:
    """Return what our reader says of an answer that comes in these pieces and ends."""
    exchange = Exchange(b"POST")
    exchange.request(b"/", [(b"Host", b"h"), (b"Content-Length", b"0")])
    exchange.end()
    parts = pieces(data, sizes)
    head, body = None, b""
    try:
        while head is None:
            head = exchange.receive(next(parts, b""))
        body = head.body.feed(head.first)
        while not head.body.finished and (part := next(parts, b"")):
            body += head.body.feed(part)
        head.body.end()
    except MalformedAnswer:
        return Verdict("bad")
    except httpcore.RemoteProtocolError:
        return Verdict("cut")
    return Verdict("whole", head.status, body, _has_surplus(head, body, b"".join(parts)))


def _has_surplus(head: Head, body: bytes, unread: bytes) -> bool:
    unasked = head.body.has_surplus or (head.body.finished and not body and bool(head.first))
    chunked = b"transfer-encoding" in {name.lower() for name, _ in head.headers}
    return bool(unread) or head.body.has_surplus or (unasked and not chunked)


def verdict_of_h11(data: bytes) -> Verdict:
    """Return what h11 says of an answer that comes whole, and ends."""
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 1024)
    reader.send(
        h11.Request(method="POST", target="/", headers=[("Host", "h"), ("Content-Length", "0")])
    )
    reader.send(h11.EndOfMessage())
    if not data:
        return Verdict("cut")  # to h11 no bytes are the end of the connection
    reader.receive_data(data)
    status, body, early, ended = 0, b"", 0, False
    while True:
        try:
            event = reader.next_event()
        except h11.RemoteProtocolError:
            return Verdict("cut" if ended else "bad")
        if event is h11.NEED_DATA:
            ended = True
            reader.receive_data(b"")
        elif isinstance(event, h11.InformationalResponse):
            early += 1
        elif isinstance(event, h11.Response):
            status = event.status_code
            head = data[: len(data) - len(reader.trailing_data[0])]
            if early > MAX_EARLY_ANSWERS or _tells_two_lengths(event) or _repeats_length(head):
                return Verdict("bad")  # stricter than h11, by intention
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Verdict("whole", status, body, bool(reader.trailing_data[0]))
        else:
            return Verdict("cut")  # the connection ended before anything came


def is_refused_by_ours_alone(data: bytes) -> bool:
    """Return whether ours is stricter than h11 by intention: lengths told twice, many hints."""
    head, _, _ = data.partition(b"\r\n\r\n" if b"HTTP/1.1 1" not in data else b"\0\0")
    lengths = head.count(b"Content-Length") + head.count(b", 5")
    both = lengths and b"Transfer-Encoding" in head
    return bool(both) or lengths > 1 or data.count(b"HTTP/1.1 103") > MAX_EARLY_ANSWERS


def _tells_two_lengths(event: h11.Response) -> bool:
    names = {name for name, _ in event.headers}
    return {b"content-length", b"transfer-encoding"} <= names


def _repeats_length(head: bytes) -> bool:
    # Heads of informational answers count too: none of them has a body.
    lines = [line.lower() for line in head.split(b"\n")]
    lengths = [line for line in lines if line.startswith(b"content-length")]
    named = [line for line in lengths if line.partition(b":")[0].strip() == b"content-length"]
    return len(named) > 1 or any(b"," in line for line in named)


def corpus() -> list[Path]:
    """Return every answer that once was read wrongly."""
    return sorted(CORPUS.glob("*.http"))


def kept(data: bytes) -> None:
    """Keep an answer that is read wrongly; a long run finds many, and Hypothesis shrinks them."""
    import hashlib

    if "OLLAMA_EXT_FUZZ" in os.environ:
        name = hashlib.sha256(data).hexdigest()[:12]
        (CORPUS / f"{name}.http").write_bytes(data)
