"""Nothing of httpx leaves the package: each of its errors becomes one of ours, with its cause."""

import inspect
from typing import Any

import httpx
import pytest
from faked import Network, Pieces
from recorded import recording
from running import Run

from ollama_transport import (
    ChatRequest,
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    ProtocolError,
    StreamTruncatedError,
)

HELLO = recording("chat/tiny-chat/hello-stream")
REQUEST = ChatRequest("tiny-chat")

# What each class means before the first byte of an answer, and while one is read.
BEFORE: dict[type[Exception], type[OllamaError]] = {
    httpx.ConnectError: OllamaConnectionError,
    httpx.ReadError: OllamaConnectionError,
    httpx.WriteError: OllamaConnectionError,
    httpx.CloseError: OllamaConnectionError,
    httpx.RemoteProtocolError: OllamaConnectionError,
    httpx.ProxyError: OllamaConnectionError,
    httpx.ConnectTimeout: OllamaTimeoutError,
    httpx.ReadTimeout: OllamaTimeoutError,
    httpx.WriteTimeout: OllamaTimeoutError,
    httpx.PoolTimeout: OllamaTimeoutError,
    httpx.LocalProtocolError: ProtocolError,
    httpx.UnsupportedProtocol: ProtocolError,
    httpx.DecodingError: ProtocolError,
    httpx.TooManyRedirects: ProtocolError,
    httpx.InvalidURL: ProtocolError,
    httpx.CookieConflict: ProtocolError,
    httpx.StreamConsumed: ProtocolError,
    httpx.StreamClosed: ProtocolError,
    httpx.ResponseNotRead: ProtocolError,
    httpx.RequestNotRead: ProtocolError,
}
WHILE: dict[type[Exception], type[OllamaError]] = {
    **BEFORE,
    httpx.ConnectError: StreamTruncatedError,
    httpx.ReadError: StreamTruncatedError,
    httpx.WriteError: StreamTruncatedError,
    httpx.CloseError: StreamTruncatedError,
    httpx.RemoteProtocolError: StreamTruncatedError,
}
# Roots that httpx raises only through their kinds, and one that it raises only when asked to.
_ROOTS = (
    httpx.HTTPError,
    httpx.RequestError,
    httpx.TransportError,
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.ProtocolError,
    httpx.StreamError,
    httpx.HTTPStatusError,
)


def made(cls: type[Exception]) -> Exception:
    """Return an error of httpx, however it is constructed."""
    names = [p for p in inspect.signature(cls.__init__).parameters if p not in ("self", "request")]
    return cls("it went wrong") if names else cls()


def sync_or_stream(run: Run, client: Any, stream: bool) -> tuple[list[Any], OllamaError]:
    if not stream:
        return [], run.thrown(client.chat, REQUEST)
    lines, error = run.until_error(client.chat_stream(REQUEST))
    assert error is not None
    return lines, error


def test_every_error_of_httpx_is_in_the_table() -> None:
    """A class that a new httpx brings is not forgotten."""
    known = {
        value
        for value in vars(httpx).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert known == set(BEFORE) | set(_ROOTS)


@pytest.mark.parametrize("stream", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize("cls", BEFORE)
def test_a_failure_before_the_answer(run: Run, cls: type[Exception], stream: bool) -> None:
    """What fails before the first byte has the class of its kind, the URL and its cause."""
    failure = made(cls)
    client = run.client("http://gpu:5/x", transport=Network(failure), max_retries=0)
    _, error = sync_or_stream(run, client, stream)
    assert type(error) is BEFORE[cls]
    assert error.url == "http://gpu:5/x/api/chat"  # type: ignore[attr-defined] # all of those have it
    assert "http://gpu:5/x/api/chat" in str(error)
    assert error.__cause__ is failure


@pytest.mark.parametrize("stream", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize("cls", WHILE)
def test_a_failure_while_the_answer_is_read(run: Run, cls: type[Exception], stream: bool) -> None:
    """What fails later has its class too, and a cut stream keeps the lines that came."""
    failure = made(cls)
    body = Pieces(HELLO.chunks[:3], failure)
    client = run.client("http://gpu:5", transport=Network(httpx.Response(200, stream=body)))
    lines, error = sync_or_stream(run, client, stream)
    assert type(error) is WHILE[cls]
    assert "http://gpu:5/api/chat" in str(error)
    assert error.__cause__ is failure
    assert body.closed
    if stream:
        assert [line.text for line in lines] == ["Hello", "!", " How"]
        assert getattr(error, "received", tuple(lines)) == tuple(lines)


@pytest.mark.parametrize("cls", [httpx.ReadError, httpx.ReadTimeout, httpx.DecodingError])
def test_a_failure_while_a_refusal_is_read(run: Run, cls: type[Exception]) -> None:
    """An error whose body breaks off is an error of ours as well."""
    failure = made(cls)
    answer = httpx.Response(500, stream=Pieces([b'{"err'], failure))
    client = run.client(transport=Network(answer), max_retries=0)
    error = run.thrown(client.chat, REQUEST)
    assert isinstance(error, OllamaError)
    assert error.__cause__ is failure


@pytest.mark.parametrize(
    ("cls", "phase", "seconds"),
    [
        (httpx.ConnectTimeout, "connect", 3),
        (httpx.ReadTimeout, "read", 7),
        (httpx.WriteTimeout, "write", 7),
        (httpx.PoolTimeout, "pool", None),
    ],
)
def test_a_timeout_names_its_phase_and_limit(
    run: Run, cls: type[Exception], phase: str, seconds: float | None
) -> None:
    """A timeout says in which phase and after how many seconds."""
    client = run.client(transport=Network(made(cls)), timeout=(3, 7), max_retries=0)
    error = run.thrown(client.version)
    assert isinstance(error, OllamaTimeoutError)
    assert (error.phase, error.timeout_s) == (phase, seconds)
    assert f"({phase})" in str(error)
    assert seconds is None or f"{seconds} s" in str(error)


def test_a_timeout_of_the_callers_own_client_names_its_limit(run: Run) -> None:
    """With an http_client of the caller's, its seconds are told and not our defaults."""
    kind = httpx.AsyncClient if run.is_async else httpx.Client
    http = kind(transport=Network(made(httpx.ReadTimeout)), timeout=11)
    error = run.thrown(run.client("http://h", http_client=http).version)
    assert isinstance(error, OllamaTimeoutError)
    assert error.timeout_s == 11
    run(http.aclose() if run.is_async else http.close())


def test_a_server_that_is_not_there_says_how_to_start_it(run: Run) -> None:
    """A refused connection names the command and the setting."""
    client = run.client(transport=Network(httpx.ConnectError("refused")), max_retries=0)
    error = run.thrown(client.version)
    assert isinstance(error, OllamaConnectionError)
    assert "`ollama serve`" in str(error)
    assert "OLLAMA_HOST" in str(error)
    assert error.sent is False


@pytest.mark.parametrize("rest", [b"", HELLO.chunks[1]], ids=["last", "followed"])
def test_a_foreign_line_in_a_stream_is_not_a_cut(run: Run, rest: bytes) -> None:
    """A line that is no JSON is told as that, after the good lines that came in the same piece."""
    data = HELLO.chunks[0] + b"oops\n" + rest
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        client = run.client(transport=Network(httpx.Response(200, stream=Pieces(pieces))))
        lines, error = run.until_error(client.chat_stream(REQUEST))
        assert [line.text for line in lines] == ["Hello"]
        assert isinstance(error, ProtocolError)
        assert error.line == b"oops"


@pytest.mark.parametrize("stream", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize("body", [b"<html>login</html>", b"[1]", b'{"message": 5}'])
def test_a_foreign_answer_is_a_protocol_error(run: Run, body: bytes, stream: bool) -> None:
    """200 with something else than a chat's JSON is told with the URL and the start of it."""
    answer = httpx.Response(200, stream=Pieces([body + b"\n"]))
    _, error = sync_or_stream(run, run.client(transport=Network(answer)), stream)
    assert isinstance(error, ProtocolError)
    assert error.url == "http://127.0.0.1:1/api/chat"
    assert "POST http://127.0.0.1:1/api/chat" in str(error)
