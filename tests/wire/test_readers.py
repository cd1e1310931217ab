"""Readers of streams keep what came before a failure, however the network cut it."""

from collections.abc import Callable

import pytest

from ollama_transport import ChatRequest, Message, ProtocolError, StreamFailedError
from ollama_transport.errors import OllamaError
from ollama_transport.wire.calls.call import Reader
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.openai import calls as openai

REQUEST = ChatRequest("m", [Message("user", "Hello")])
GOOD = b'{"message":{"content":"Hel"},"done":false}\n'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'

FAILURES: list[tuple[Callable[[ChatRequest], object], bytes, bytes, type[OllamaError]]] = [
    (native.chat, GOOD, b'{"error":"boom"}\n', StreamFailedError),
    (native.chat, GOOD, b'{"message":"no object"}\n', ProtocolError),
    (native.chat, GOOD, b"{broken\n", ProtocolError),
    (openai.chat, EVENT, b'data: {"error":{"message":"boom"}}\n\n', StreamFailedError),
    (openai.chat, EVENT, b'data: {"choices":["no object"]}\n\n', ProtocolError),
    (openai.chat, EVENT, b"data: {broken\n\n", ProtocolError),
]


def _reader(make: Callable[[ChatRequest], object]) -> Reader[object]:
    reader: Reader[object] = make(REQUEST).reader()  # type: ignore[attr-defined]  # a Call
    return reader


@pytest.mark.parametrize(("make", "good", "bad", "error"), FAILURES)
def test_lines_read_before_a_failure_are_kept(
    make: Callable[[ChatRequest], object], good: bytes, bad: bytes, error: type[OllamaError]
) -> None:
    """In one piece or in two: first the good line, then the error, and that again and again."""
    one, two = _reader(make), _reader(make)
    (line,) = one.feed(good + bad)
    assert [line] == two.feed(good)
    for step in (lambda: one.feed(b""), lambda: two.feed(bad), one.finish, two.finish):
        with pytest.raises(error):
            step()
    assert one.received == two.received == (line,)


@pytest.mark.parametrize("seconds", [1755000000123, 1e300, -1e300, True])
def test_an_impossible_date_is_not_a_time(seconds: float) -> None:
    """An answer is not lost for its date: milliseconds and nonsense leave it out."""
    raw = {
        "created": seconds,
        "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
    }
    line = openai.chat(REQUEST).read(raw)
    assert line.text == "Hi"
    assert line.created_at in ("", "1970-01-01T00:00:01Z")
