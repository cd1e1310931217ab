"""What follows the last line of a stream is no part of the answer, and ends its connection."""

import json
from functools import partial

import pytest
from listening import Listener, Serving, answer, request_of
from recorded import recording
from running import Run

from ollama_transport import ChatRequest, Message

HELLO = recording("chat/tiny-chat/hello-stream")
REQUEST = ChatRequest("tiny-chat", [Message("user", "hi")])
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TEXT = "Hello! How can I help you today?"
EVENTS = [
    *(
        b"data: %s\n\n" % json.dumps({"choices": [{"delta": {"content": piece}}]}).encode()
        for piece in ("Hello! How can I", " help you today?")
    ),
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def serve(sent: bytes, listener: Listener) -> None:
    """Send a stream, see the connection end, and answer the next request on another one."""
    connection = listener.accept()
    request_of(connection)
    connection.sendall(sent)
    assert connection.recv(1) == b""
    again = listener.accept()
    request_of(again)
    again.sendall(answer(b'{"version":"2"}'))


SURPLUS = {
    "a line": HELLO.chunks[0],
    "the last line again": HELLO.chunks[-1],
    "an error": b'{"error":"too late"}\n',
    "garbage": b"garbage\n",
    "half a line": b'{"mess',
}


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""], ids=["ended", "open"])
@pytest.mark.parametrize("joined", [True, False], ids=["one chunk", "two chunks"])
@pytest.mark.parametrize("name", SURPLUS)
def test_lines_after_the_last_one_are_not_part_of_the_answer(
    run: Run, name: str, joined: bool, end: bytes
) -> None:
    """The answer is what it was, and the next request has a new connection."""
    last, more = HELLO.chunks[-1], SURPLUS[name]
    tail = [last + more] if joined else [last, more]
    sent = CHUNKED + b"".join(chunk(data) for data in [*HELLO.chunks[:-1], *tail]) + end
    with Listener() as listener, Serving(partial(serve, sent), listener):
        client = run.client(listener.url, timeout=10, max_retries=0)
        lines = run.lines(client.chat_stream(REQUEST))
        assert run(client.version()) == "2"
    assert [line.raw for line in lines] == HELLO.objects


@pytest.mark.parametrize("more", [EVENTS[0], b'data: {"error":{"message":"x"}}\n\n', b"garbage\n"])
@pytest.mark.parametrize("joined", [True, False], ids=["one chunk", "two chunks"])
def test_events_after_done_are_not_part_of_the_answer(run: Run, more: bytes, joined: bool) -> None:
    """The same on the OpenAI-compatible wire: [DONE] is the end."""
    tail = [EVENTS[-1] + more] if joined else [EVENTS[-1], more]
    sent = CHUNKED + b"".join(chunk(data) for data in [*EVENTS[:-1], *tail])
    with Listener() as listener, Serving(partial(serve, sent), listener):
        settings = {"timeout": 10, "max_retries": 0, "count_tokens": False}
        lines = run.lines(run.client(listener.url + "/v1", **settings).chat_stream(REQUEST))
        assert run(run.client(listener.url, timeout=10).version()) == "2"
    assert "".join(line.text for line in lines) == TEXT
    assert [line.done for line in lines].count(True) == 1


def test_blank_lines_after_the_last_one_are_nothing(run: Run) -> None:
    """The connection goes on serving."""

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        request_of(connection)
        connection.sendall(CHUNKED + chunk(HELLO.data) + chunk(b"\n \r\n") + b"0\r\n\r\n")
        request_of(connection)
        connection.sendall(answer(b'{"version":"2"}'))

    with Listener() as listener, Serving(talk, listener):
        client = run.client(listener.url, timeout=10, max_retries=0)
        assert [line.raw for line in run.lines(client.chat_stream(REQUEST))] == HELLO.objects
        assert run(client.version()) == "2"


def test_silence_after_the_last_line_is_ignored(run: Run) -> None:
    """The answer is whole, though the server never ends its body; the connection is given up."""
    sent = CHUNKED + b"".join(chunk(data) for data in HELLO.chunks)
    with Listener() as listener, Serving(partial(serve, sent), listener):
        client = run.client(listener.url, timeout=1.0, max_retries=0)
        assert [line.raw for line in run.lines(client.chat_stream(REQUEST))] == HELLO.objects
        assert run(client.version()) == "2"
