"""Answers that are no HTTP are told as that, whoever reads them, and are not asked for again."""

import threading
from functools import partial

import pytest
from listening import Listener, Serving, answer, request_of
from recorded import recording
from running import Run

from ollama_transport import (
    ChatRequest,
    OllamaConnectionError,
    OllamaTimeoutError,
    ProtocolError,
    RetryPolicy,
    StreamTruncatedError,
)

VERSION = b'{"version":"1"}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
REQUEST = ChatRequest("tiny-chat")
LINE = recording("chat/tiny-chat/hello-stream").chunks[0]
AT_ONCE = RetryPolicy(max_retries=2, first_wait_s=0)


def serve(sent: bytes, listener: Listener) -> None:
    """Answer one request; another one would find nobody."""
    connection = listener.accept()
    request_of(connection)
    connection.sendall(sent)
    connection.close()


@pytest.fixture(params=[{}, {"http1": True}], ids=["ours", "httpx"])
def kwargs(request: pytest.FixtureRequest) -> dict[str, bool]:
    """Return what chooses who reads: our connections, or those of httpx."""
    found: dict[str, bool] = request.param
    return found


HEADS = {
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
    "differing lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "two lengths in one": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}",
    "NUL": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding twice": b"HTTP/1.1 200 OK\r\n" + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "no end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
}


@pytest.mark.parametrize("name", HEADS)
def test_a_malformed_head_is_reported_and_not_retried(
    run: Run, kwargs: dict[str, bool], name: str
) -> None:
    """The request went out once, and the error says that the answer is not HTTP."""
    with Listener() as listener, Serving(partial(serve, HEADS[name]), listener):
        client = run.client(listener.url, retry=AT_ONCE, timeout=10, client_kwargs=kwargs)
        error = run.thrown(client.version)
        assert type(error) is ProtocolError
        assert "is not valid HTTP" in str(error)
        assert error.url == f"{listener.url}/api/version"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"f\r\n" + VERSION + b"\r\n0\r\n\r\n",
            "both Content-Length and Transfer-Encoding",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\ncontent-length: 15\r\n\r\n" + VERSION,
            "Content-Length is repeated",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 15, 15\r\n\r\n" + VERSION,
            "Content-Length is repeated",
        ),
        (EARLY * 65 + answer(VERSION), "more than 64 informational answers"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 102_400 + b"\r\n\r\n", "longer than 102400 bytes"),
    ],
    ids=["two framings", "a length twice", "a length twice in one", "hints", "long head"],
)
def test_our_reader_refuses_what_proxies_read_in_two_ways(run: Run, sent: bytes, why: str) -> None:
    """Two ways of telling the length, and heads beyond their limits."""
    with Listener() as listener, Serving(partial(serve, sent), listener):
        error = run.thrown(run.client(listener.url, retry=AT_ONCE, timeout=10).version)
    assert type(error) is ProtocolError
    assert why in str(error)


def test_some_early_hints_are_passed_over(run: Run) -> None:
    """A proxy may send hints before the answer."""
    with Listener() as listener, Serving(partial(serve, EARLY * 64 + answer(VERSION)), listener):
        assert run(run.client(listener.url, timeout=10).version()) == "1"


def flood(gone: threading.Event, listener: Listener) -> None:
    connection = listener.accept()
    request_of(connection)
    for _ in range(60):
        if gone.wait(0.05):
            break
        connection.sendall(EARLY)


def test_hints_do_not_make_the_wait_for_an_answer_longer(run: Run) -> None:
    """The read timeout counts from the request to the head, whatever comes in between."""
    gone = threading.Event()
    with Listener() as listener, Serving(partial(flood, gone), listener):
        error = run.thrown(run.client(listener.url, timeout=0.4, max_retries=0).version)
        gone.set()
    assert isinstance(error, OllamaTimeoutError)
    assert error.phase == "read"


BODIES = {
    "no size": CHUNKED + b"%x\r\n%s\r\nzz\r\n" % (len(LINE), LINE),
    "no line end": CHUNKED + b"%x\r\n%sXX" % (len(LINE), LINE),
    "trailers": CHUNKED + b"%x\r\n%s\r\n0\r\nno field\r\n\r\n" % (len(LINE), LINE),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "send"])
def test_a_malformed_body_is_not_a_model_that_repeats_itself(
    run: Run, kwargs: dict[str, bool], name: str, stream: bool
) -> None:
    """The lines before it are given; the error speaks of HTTP and not of the model."""
    with Listener() as listener, Serving(partial(serve, BODIES[name]), listener):
        client = run.client(listener.url, retry=AT_ONCE, timeout=10, client_kwargs=kwargs)
        lines, error = run.until_error(client.chat_stream(REQUEST)) if stream else ([], None)
        error = error if stream else run.thrown(client.chat, REQUEST)
    assert type(error) is ProtocolError
    assert "is not valid HTTP" in str(error)
    assert [line.text for line in lines] == (["Hello"] if stream else [])


@pytest.mark.parametrize(
    "data", [b"1;" + b"x" * 20_000 + b"\r\na\r\n", b"1;" + b"x" * 40_000], ids=["whole", "no end"]
)
@pytest.mark.parametrize("cut", [5, 16_386, 16_390])
def test_a_long_extension_is_never_read_as_a_body(run: Run, data: bytes, cut: int) -> None:
    """A size and its extension over 16 KiB are refused, however the network cuts them."""

    def serve_in_two(listener: Listener) -> None:
        connection = listener.accept()
        request_of(connection)
        connection.sendall(CHUNKED + data[:cut])
        read_it.wait(0.2)
        connection.sendall(data[cut:])
        connection.close()

    read_it = threading.Event()
    with Listener() as listener, Serving(serve_in_two, listener):
        error = run.thrown(run.client(listener.url, timeout=10).chat, REQUEST)
    assert type(error) is ProtocolError
    assert "bad chunk size" in str(error)


CUTS: dict[str, tuple[bytes, type[Exception]]] = {
    "before the head": (b"", OllamaConnectionError),
    "inside the head": (b"HTTP/1.1 200 OK\r\nX", OllamaConnectionError),
    "inside a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", StreamTruncatedError),
    "inside chunks": (CHUNKED + b"5\r\n{}", StreamTruncatedError),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_is_still_a_cut(run: Run, kwargs: dict[str, bool], name: str) -> None:
    """An answer that ends too early was cut; that is not the same as being no HTTP."""
    sent, kind = CUTS[name]
    with Listener() as listener, Serving(partial(serve, sent), listener):
        client = run.client(listener.url, max_retries=0, timeout=10, client_kwargs=kwargs)
        error = run.thrown(client.chat, REQUEST)
    assert type(error) is kind
