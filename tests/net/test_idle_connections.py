"""A kept connection that its server closes just when the next request is on its way."""

import threading
from collections.abc import Callable, Iterator

import pytest
from listening import Listener, Serving, answer, request_of, reset
from running import Run

from ollama_transport import OllamaConnectionError, OllamaTimeoutError

VERSION = b'{"version":"1"}'


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as found:
        yield found


def serve_and_leave(leave: Callable[..., object], listener: Listener) -> None:
    """Answer once, take the next request without an answer, and answer on another connection."""
    connection = listener.accept()
    request_of(connection)
    connection.sendall(answer(VERSION))
    request_of(connection)
    leave(connection)
    again = listener.accept()
    request_of(again)
    again.sendall(answer(b'{"version":"2"}'))


@pytest.mark.parametrize("leave", [lambda peer: peer.close(), reset], ids=["close", "reset"])
def test_a_request_in_the_race_goes_out_once_more(
    run: Run, listener: Listener, leave: Callable[..., object]
) -> None:
    """No byte of an answer came on a used connection: a new one gives it, without a retry."""
    client = run.client(listener.url, max_retries=0, timeout=10)
    with Serving(lambda one: serve_and_leave(leave, one), listener):
        assert [run(client.version()) for _ in range(2)] == ["1", "2"]


def test_it_goes_out_no_more_than_twice(run: Run, listener: Listener) -> None:
    """A server that leaves on the new connection as well has failed; retries are for that."""

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        request_of(connection)
        connection.sendall(answer(VERSION))
        for _ in range(2):
            request_of(connection)
            connection.close()
            connection = listener.accept()

    client = run.client(listener.url, max_retries=0, timeout=10)
    with Serving(talk, listener):
        assert run(client.version()) == "1"
        error = run.thrown(client.version)
        assert isinstance(error, OllamaConnectionError)
        assert error.sent
        waker = run.client(listener.url + "/x", max_retries=0, timeout=0.1)
        assert isinstance(run.thrown(waker.version), OllamaTimeoutError)


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_one_byte_of_an_answer_is_enough_not_to_ask_again(
    run: Run, listener: Listener, said: bytes
) -> None:
    """The server was at work on the request: whether to ask again is up to the retries."""

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        request_of(connection)
        connection.sendall(answer(VERSION))
        request_of(connection)
        connection.sendall(said)
        connection.close()

    client = run.client(listener.url, max_retries=0, timeout=10)
    with Serving(talk, listener):
        assert run(client.version()) == "1"
        assert isinstance(run.thrown(client.version), OllamaConnectionError)


def test_silence_is_a_timeout_without_a_retry(run: Run, listener: Listener) -> None:
    """A used connection on which nothing comes in time is a timeout; nothing goes out twice."""
    gone = threading.Event()

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        request_of(connection)
        connection.sendall(answer(VERSION))
        request_of(connection)
        assert gone.wait(10)

    client = run.client(listener.url, max_retries=0, timeout=1.0)
    with Serving(talk, listener):
        assert run(client.version()) == "1"
        assert isinstance(run.thrown(client.version), OllamaTimeoutError)
        gone.set()


def test_unrepeatable_requests_are_not_sent_twice(run: Run, listener: Listener) -> None:
    """The server may have copied the model before it left."""

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        request_of(connection)
        connection.sendall(answer(VERSION))
        request_of(connection)
        connection.close()

    client = run.client(listener.url, max_retries=2, timeout=10)
    with Serving(talk, listener):
        assert run(client.version()) == "1"
        error = run.thrown(client.copy, "a", "b")
    assert isinstance(error, OllamaConnectionError)
