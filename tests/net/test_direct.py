"""The shortest way through httpx's client: the same bytes as the long one, and nothing missed."""

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from listening import Listener, Serving, answer, request_of
from running import Run

from ollama_transport import AsyncClient, ChatRequest, Client, Message
from ollama_transport.net import direct

ASKED = ChatRequest("demo", [Message("user", "Hello")])
SAID = b'{"model":"demo","message":{"role":"assistant","content":"Hi"},"done":true}'


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as found:
        yield found


def heard(run: Run, listener: Listener, *answers: bytes, **settings: Any) -> list[bytes]:
    """Return the requests of as many chats as there are answers, each over one connection."""
    requests: list[bytes] = []

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        for one in answers:
            requests.append(b"\r\n\r\n".join(request_of(connection)))
            connection.sendall(one)

    client = run.client(listener.url, **{"max_retries": 0, "timeout": 20, **settings})
    with Serving(talk, listener):
        for _ in answers:
            assert run(client.chat(ASKED)).text == "Hi"
    run(client.aclose() if run.is_async else client.close())
    return requests


def kind_of(run: Run) -> type[httpx.Client | httpx.AsyncClient]:
    return httpx.AsyncClient if run.is_async else httpx.Client


def watched(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Have a tracer in place of httpx's `send`, as Sentry puts one there; return what it sees."""
    kind, seen = kind_of(run), list[httpx.Request]()
    send = kind.send

    def traced(self: Any, request: httpx.Request, **how: Any) -> Any:
        seen.append(request)
        return send(self, request, **how)

    monkeypatch.setattr(kind, "send", traced)
    return seen


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"api_key": "key", "headers": {"x-team": "a"}},
        {"headers": {"user-agent": "mine", "accept": "text/plain"}},
        {"timeout": 7},
    ],
    ids=str,
)
def test_both_ways_send_the_same_bytes(
    run: Run, listener: Listener, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """Headers, their order, and the body are those of httpx's own client."""
    short = heard(run, listener, answer(SAID), answer(SAID), **settings)
    watched(run, monkeypatch)
    assert heard(run, listener, answer(SAID), answer(SAID), **settings) == short


def test_a_replaced_httpx_method_sees_every_request(
    run: Run, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tracers and mocks that stand in httpx's client miss nothing."""
    seen = watched(run, monkeypatch)
    heard(run, listener, answer(SAID), answer(SAID))
    assert [request.url.path for request in seen] == ["/api/chat"] * 2


def test_a_cookie_goes_back_to_its_server(run: Run, listener: Listener) -> None:
    """A balancer keeps a session by a cookie: the request after it brings it along."""
    first, second = heard(run, listener, answer(SAID, b"Set-Cookie: node=7"), answer(SAID))
    assert b"node=7" not in first
    assert b"cookie: node=7" in second.lower()


@pytest.mark.parametrize(
    "kwargs",
    [{"auth": ("user", "pass")}, {"params": {"tenant": "a"}}, {"headers": {"x-one": "1"}}],
    ids=str,
)
def test_arguments_for_httpx_are_obeyed(
    run: Run, listener: Listener, kwargs: dict[str, Any]
) -> None:
    """Authentication, parameters and headers of client_kwargs are on each request."""
    requests = heard(run, listener, answer(SAID), answer(SAID), client_kwargs=kwargs)
    words = {"auth": b"basic dxnlcjpwyxnz", "params": b"?tenant=a ", "headers": b"x-one: 1"}
    assert all(words[name] in request.lower() for request in requests for name in kwargs)


def test_httpx_logs_each_request(
    run: Run, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """The line that httpx writes at level INFO is written on either way."""
    caplog.set_level(logging.INFO, "httpx")
    heard(run, listener, answer(SAID))
    [line] = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert line == f'HTTP Request: POST {listener.url}/api/chat "HTTP/1.1 200 OK"'


def test_a_client_of_our_own_pool_takes_the_short_way(run: Run, listener: Listener) -> None:
    """What is measured is what runs: without this the long way would serve unnoticed."""
    client: Client | AsyncClient = run.client(listener.url)
    assert direct.is_plain(run(client._http()))
