"""Bodies and heads of HTTP/1.1, without a network: what comes out does not depend on the splits."""

import random

import h11
import httpcore
import pytest
from recorded import recording

from ollama_transport.net.http11 import (
    MAX_TRAILER_BYTES,
    Body,
    Chunked,
    Exchange,
    Head,
    MalformedAnswer,
    Sized,
    UntilClosed,
    body_of,
)

LINES = recording("chat/tiny-chat/hello-stream").chunks


def chunked(pieces: list[bytes], *, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    """Return pieces as a body in chunks."""
    chunks = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces)
    return chunks + b"0\r\n" + trailers + b"\r\n"


def read(body: Body, data: bytes, sizes: list[int]) -> bytes:
    """Return the content of bytes that come in pieces of these sizes, then one by one."""
    content, at = b"", 0
    for size in [*sizes, *([1] * len(data))]:
        if body.finished or at >= len(data):
            break
        content += body.feed(data[at : at + size])
        at += size
    return content


def feed(body: Body, data: bytes, step: int) -> None:
    for at in range(0, len(data), step):
        body.feed(data[at : at + step])
        if body.finished:
            body.end()


def of_h11(data: bytes) -> bytes:
    """Return what h11 makes of a body in chunks."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "h")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + data)
    content = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        content += event.data if isinstance(event, h11.Data) else b""
    return content


BODIES = {
    "a recording": chunked(LINES),
    "one chunk": chunked([b"{}\n"]),
    "nothing": chunked([]),
    "line ends inside": chunked([b"\r\n", b"\r\n\r\n0\r\n\r\n", b"\r", b"\n"]),
    "extensions": chunked(LINES[:3], extension=b';a=b;c="d e"'),
    "trailers": chunked(LINES[:3], trailers=b"x-checksum: 1\r\nx-other: 2\r\n"),
    "capitals and zeros": b"00A\r\n0123456789\r\n0000\r\n\r\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_chunks_are_read_as_h11_reads_them(name: str) -> None:
    """Whole, byte by byte, cut anywhere once, and cut at random, the content is h11's."""
    data = BODIES[name]
    expected = of_h11(data)
    chance = random.Random(name)
    splits = [[len(data)], [], *([at] for at in range(1, len(data)))]
    splits += [[chance.randint(1, 40) for _ in range(200)] for _ in range(50)]
    for sizes in splits:
        body = Chunked()
        assert read(body, data, sizes) == expected, sizes
        assert body.finished
        assert not body.has_surplus
        body.end()


def test_a_chunk_that_comes_alone_is_handed_on_as_it_is() -> None:
    """A read that is one chunk gives its content at once, and so does the next."""
    body = Chunked()
    assert [body.feed(b"%x\r\n%s\r\n" % (len(line), line)) for line in LINES] == [*LINES]
    assert not body.finished
    assert body.feed(b"1;a=b\t \r\nx\r\n") == b"x"
    assert body.feed(b"0\r\n\r\n") == b""
    assert body.finished


@pytest.mark.parametrize(
    "data",
    [
        b"{}\r\n\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n",
        b"1_0\r\n",
        b"0x1\r\na\r\n",
        b" 1\r\na\r\n",
        b"1\na\n",
        b"\r\n",
        b"1" * 21 + b"\r\n",
        b"1 ;a=b\r\nx\r\n",
        b"1\t;a=b\r\nx\r\n",
        b"1;a\n\r\nx\r\n",
        b"1\r\nab\r\n",
        b"1\r\na0\r\n\r\n",
        b"2\r\na\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\n",
    ],
)
@pytest.mark.parametrize("step", [1, 1000_000])
def test_invalid_chunks_are_an_error(data: bytes, step: int) -> None:
    """Sizes are hexadecimal digits and nothing else, and each chunk ends where it says."""
    with pytest.raises(httpcore.RemoteProtocolError):
        feed(Chunked(), data + chunked([b"more"] * 3), step)


@pytest.mark.parametrize(
    "data",
    [
        b"1" * (MAX_TRAILER_BYTES + 2),
        b"1;" + b"x" * MAX_TRAILER_BYTES + b"\r",
        b"1;" + b"x" * 20_000 + b"\r\na\r\n",
        b"0\r\n" + b"a: b\r\n" * MAX_TRAILER_BYTES,
    ],
)
@pytest.mark.parametrize("step", [100, MAX_TRAILER_BYTES, 1000_000])
def test_an_endless_answer_is_an_error(data: bytes, step: int) -> None:
    """A size and trailers without an end do not fill the memory."""
    with pytest.raises(httpcore.RemoteProtocolError):
        feed(Chunked(), data, step)


@pytest.mark.parametrize("first", [b"1\r\na", b"1\r\na\r"])
def test_a_chunk_does_not_begin_inside_another(first: bytes) -> None:
    """What looks like a whole chunk is none before the one under way has ended."""
    body = Chunked()
    assert body.feed(first) == b"a"
    with pytest.raises(httpcore.RemoteProtocolError, match="line end"):
        body.feed(b"3\r\nabc\r\n")


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_bytes_before_a_broken_chunk_are_delivered(step: int) -> None:
    """However it is cut, the content before the damage is the same; then the damage is told."""
    data = b"2\r\n{}\r\n1\r\n[\r\nno size\r\n"
    body, content = Chunked(), []

    def read_all() -> None:
        for at in range(0, len(data), step):
            content.append(body.feed(data[at : at + step]))
            if body.finished:
                body.end()

    with pytest.raises(MalformedAnswer, match="bad chunk size: b'no size"):
        read_all()
    assert b"".join(content) == b"{}["
    assert body.has_surplus


def test_content_that_looks_like_a_chunk_stays_content() -> None:
    """Content that looks like a whole chunk, cut before it and inside its size, is content."""
    body = Chunked()
    assert body.feed(b"1") == b""
    assert body.feed(b"5\r\nhello\r\n") == b"hello\r\n"
    assert body.feed(b"x" * 14 + b"\r\n0\r\n\r\n") == b"x" * 14
    assert body.finished


@pytest.mark.parametrize("end", range(len(BODIES["trailers"])))
def test_chunks_that_are_cut_are_an_error(end: int) -> None:
    """Wherever the connection ends before the last line end, the body is not whole."""
    body = Chunked()
    body.feed(BODIES["trailers"][:end])
    assert not body.finished
    with pytest.raises(httpcore.RemoteProtocolError, match="closed"):
        body.end()


@pytest.mark.parametrize("surplus", [b"", b"H", b"HTTP/1.1 200 OK\r\n\r\n"])
@pytest.mark.parametrize(
    ("body", "data"),
    [(Chunked, BODIES["a recording"]), (Chunked, BODIES["nothing"]), (lambda: Sized(3), b"abc")],
)
def test_bytes_after_a_body_are_detected(body: type[Body], data: bytes, surplus: bytes) -> None:
    """A connection on which more came than was asked for must not serve another request."""
    reader = body()
    reader.feed(data + surplus)
    assert reader.finished
    assert reader.has_surplus is bool(surplus)


@pytest.mark.parametrize("sizes", [[10], [], [4, 6], [9, 1]])
def test_a_sized_body_ends_at_its_length(sizes: list[int]) -> None:
    """So many bytes are the body, and the end of the connection before is an error."""
    body = Sized(10)
    with pytest.raises(httpcore.RemoteProtocolError, match="10 bytes"):
        body.end()
    assert read(body, b"0123456789", sizes) == b"0123456789"
    assert body.finished
    body.end()


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    """All that comes is the body."""
    body = UntilClosed()
    assert body.feed(b"abc") + body.feed(b"def") == b"abcdef"
    assert not body.finished
    body.end()
    assert body.finished


@pytest.mark.parametrize(
    ("method", "status", "headers", "kind", "finished"),
    [
        (b"POST", 200, {b"transfer-encoding": b"chunked"}, Chunked, False),
        (b"POST", 200, {b"content-length": b"5"}, Sized, False),
        (b"POST", 200, {b"content-length": b"0"}, Sized, True),
        (b"POST", 200, {}, UntilClosed, False),
        (b"HEAD", 200, {b"content-length": b"5"}, Sized, True),
        (b"HEAD", 200, {b"transfer-encoding": b"chunked"}, Sized, True),
        (b"POST", 204, {}, Sized, True),
        (b"GET", 304, {b"content-length": b"5"}, Sized, True),
    ],
)
def test_the_head_decides_where_the_body_ends(
    method: bytes, status: int, headers: dict[bytes, bytes], kind: type, finished: bool
) -> None:
    """Method, status and headers say how the body is delimited."""
    body = body_of(method, status, headers)
    assert type(body) is kind
    assert body.finished is finished


def asked(method: bytes = b"POST", headers: list[tuple[bytes, bytes]] | None = None) -> Exchange:
    """Return an exchange whose request was sent."""
    exchange = Exchange(method)
    given = [] if headers is None else headers
    exchange.request(b"/api/chat", [(b"Host", b"h"), (b"Content-Length", b"2"), *given])
    exchange.content(b"{}")
    exchange.end()
    return exchange


def head_of(data: bytes, exchange: Exchange | None = None) -> Head:
    exchange = asked() if exchange is None else exchange
    head = exchange.receive(data)
    assert head is not None
    return head


def test_a_request_is_written_as_it_was_given() -> None:
    """Method, target, headers and body go out in this order."""
    exchange = Exchange(b"POST")
    head = exchange.request(b"/api/chat?a=b", [(b"Host", b"h:1"), (b"Content-Length", b"2")])
    assert head == b"POST /api/chat?a=b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 2\r\n\r\n"
    assert exchange.content(b"{}") == b"{}"
    assert exchange.end() == b""


def test_a_request_without_a_length_goes_in_chunks() -> None:
    """A file of unknown length is framed."""
    exchange = Exchange(b"POST")
    exchange.request(b"/", [(b"Host", b"h"), (b"Transfer-Encoding", b"chunked")])
    assert exchange.content(b"abc") + exchange.end() == b"3\r\nabc\r\n0\r\n\r\n"


def test_a_request_that_is_none_is_not_sent() -> None:
    """A header that would break out of its line is refused, and so is a body that is too long."""
    with pytest.raises(httpcore.LocalProtocolError):
        Exchange(b"POST").request(b"/", [(b"Host", b"h"), (b"X", b"a\r\nEvil: 1")])
    exchange = Exchange(b"POST")
    exchange.request(b"/", [(b"Host", b"h"), (b"Content-Length", b"1")])
    with pytest.raises(httpcore.LocalProtocolError):
        exchange.content(b"ab")


def test_a_head_is_read_byte_by_byte() -> None:
    """The head is whole at its blank line; what came with it of the body is kept."""
    exchange = asked()
    data = b"HTTP/1.1 200 Fine\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n"
    assert all(exchange.receive(bytes([byte])) is None for byte in data[:-1])
    head = exchange.receive(data[-1:] + b"ab")
    assert head is not None
    assert (head.status, head.first, head.reusable) == (200, b"ab", True)
    assert list(head.headers) == [(b"X-A", b"1"), (b"Content-Length", b"5")]
    assert head.extensions == {"http_version": b"HTTP/1.1", "reason_phrase": b"Fine"}


def test_informational_answers_are_skipped() -> None:
    """100 Continue and 103 Early Hints are no answer."""
    exchange = asked()
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    assert exchange.receive(early) is None
    head = exchange.receive(early + b"HTTP/1.1 204 No Content\r\n\r\n")
    assert head is not None
    assert head.status == 204


@pytest.mark.parametrize(
    ("answer", "headers", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [], True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", [], False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", [], False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [(b"Connection", b"close")], False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", [], False),
    ],
)
def test_a_connection_is_kept_when_both_sides_want_it(
    answer: bytes, headers: list[tuple[bytes, bytes]], reusable: bool
) -> None:
    """HTTP/1.0, `Connection: close` of either side, and bytes nobody asked for end it."""
    assert head_of(answer, asked(headers=headers)).reusable is reusable


def test_a_connection_with_an_unfinished_request_is_not_kept() -> None:
    """An early refusal leaves the rest of the request unsent: nothing else fits behind it."""
    exchange = Exchange(b"POST")
    exchange.request(b"/", [(b"Host", b"h"), (b"Content-Length", b"2")])
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    assert head_of(refusal, exchange).reusable is False


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    ],
)
def test_an_answer_that_is_none_is_an_error(data: bytes) -> None:
    """No bytes at all, another protocol, contradictions, and a head without an end."""
    with pytest.raises(httpcore.RemoteProtocolError):
        asked().receive(data)
