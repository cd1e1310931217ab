"""Redirects keep their secrets at home, and never lose a request."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from running import Run

from ollama_ext.embedded import EmbeddedOllama, Reply, Request
from ollama_transport import ChatRequest, Message, ProtocolError, RequestRejectedError

ASKED = ChatRequest("demo", [Message("user", "Hello")])
SECRET = "pl4nted-s3cret"
SECRETS: list[dict[str, Any]] = [
    {"headers": {name: SECRET}}
    for name in (
        "authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth",
        "cf-access-client-secret", "x-goog-api-key", "x-amz-security-token",
    )
]  # fmt: skip
SECRETS += [
    {"api_key": SECRET},
    {"client_kwargs": {"cookies": {"session": SECRET}}},
    {"client_kwargs": {"params": {"api_key": SECRET}}},
    {"client_kwargs": {"auth": ("user", SECRET)}},
    {"client_kwargs": {"auth": ("x", "y"), "headers": {"x-api-key": SECRET}}},
]


@pytest.fixture(scope="module")
def home() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as server:
        yield server


@pytest.fixture(scope="module")
def away() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as server:
        yield server


@pytest.fixture(autouse=True)
def _reset(home: EmbeddedOllama, away: EmbeddedOllama) -> None:
    home.reset()
    away.reset()


def moved(server: EmbeddedOllama, to: str, status: int = 307, path: str = "/api/chat") -> None:
    server.script("POST", path, Reply.raw(b"", status=status, headers={"location": to}))


def told(request: Request) -> str:
    """Return all that a request says, its Basic credentials in clear."""
    text = f"{request.path} {request.query} {dict(request.headers)}"
    return text.replace(b64encode(f"user:{SECRET}".encode()).decode(), SECRET)


@pytest.mark.parametrize("settings", SECRETS, ids=str)
def test_no_secret_leaves_its_server(
    run: Run, home: EmbeddedOllama, away: EmbeddedOllama, settings: dict[str, Any]
) -> None:
    """Whatever authenticates reaches the server that it is for, and no other one."""
    moved(home, f"{away.url}/api/chat")
    assert run(run.client(home.url, **settings).chat(ASKED)).done
    assert SECRET in told(home.requests[0])
    assert SECRET not in told(away.requests[0])
    assert away.requests[0].body == home.requests[0].body


def test_userinfo_stays_with_its_server(
    run: Run, home: EmbeddedOllama, away: EmbeddedOllama
) -> None:
    """User and password of the URL are for that URL's server alone."""
    moved(home, f"{away.url}/api/chat")
    url = home.url.replace("http://", f"http://user:{SECRET}@")
    assert run(run.client(url).chat(ASKED)).done
    assert SECRET in told(home.requests[0])
    assert "authorization" not in away.requests[0].headers


@pytest.mark.parametrize("settings", SECRETS[:-4], ids=str)
def test_secrets_go_along_on_one_server(
    run: Run, home: EmbeddedOllama, settings: dict[str, Any]
) -> None:
    """A new path on the same server is told what the old one was."""
    moved(home, "/api/v2/chat")
    moved(home, "/api/chat?x=1", path="/api/v2/chat")
    home.script("POST", "/api/chat", Reply.json({"message": {"content": "x"}, "done": True}))
    run(run.client(home.url, **settings).chat(ASKED))
    assert all(SECRET in told(request) for request in home.requests)
    assert len(home.requests) == 3


def test_another_name_of_a_server_is_another_server(run: Run, home: EmbeddedOllama) -> None:
    """A key is for the name it was given for: localhost may be somebody else than 127.0.0.1."""
    moved(home, home.url.replace("127.0.0.1", "localhost") + "/api/chat")
    run(run.client(home.url, api_key=SECRET).chat(ASKED))
    assert [SECRET in told(request) for request in home.requests] == [True, False]


def test_an_http_client_of_the_callers_keeps_its_secrets_too(
    run: Run, home: EmbeddedOllama, away: EmbeddedOllama
) -> None:
    """Redirects of a client that was given are followed if it says so, in the same way."""
    kind = httpx.AsyncClient if run.is_async else httpx.Client
    for follows in (True, False):
        moved(home, f"{away.url}/api/chat")
        http = kind(headers={"x-api-key": SECRET}, follow_redirects=follows)
        client = run.client(home.url, http_client=http)
        if follows:
            assert run(client.chat(ASKED)).done
            assert SECRET not in told(away.requests[0])
        else:
            assert isinstance(run.thrown(client.chat, ASKED), RequestRejectedError)
        run(http.aclose() if run.is_async else http.close())
    assert len(away.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_never_makes_another_request(
    run: Run, home: EmbeddedOllama, away: EmbeddedOllama, status: int, stream: bool
) -> None:
    """Where a POST would become a GET, nothing is sent: the error names the address to use."""
    moved(home, f"{away.url}/gpu/api/chat", status)
    client = run.client(home.url, max_retries=0)
    if stream:
        _, error = run.until_error(client.chat_stream(ASKED))
    else:
        error = run.thrown(client.chat, ASKED)
    assert isinstance(error, RequestRejectedError)
    assert error.status == status
    assert f"set base_url to {away.url}/gpu." in str(error)
    assert away.requests == []


def test_redirects_end(run: Run, home: EmbeddedOllama) -> None:
    """A server that sends in circles is an error after httpx's number of redirects."""
    home.script("POST", "/api/chat", *[_circle() for _ in range(30)])
    error = run.thrown(run.client(home.url, max_retries=0).chat, ASKED)
    assert isinstance(error, RequestRejectedError)
    assert len(home.requests) == 21


def test_a_redirect_to_an_invalid_host_is_a_protocol_error(run: Run, home: EmbeddedOllama) -> None:
    """Such a host raises an error of the idna package inside of httpx."""
    reply = Reply.raw(b"", status=307, headers={"location": "http://xn--a.com/api/chat"})
    home.script("POST", "/api/chat", reply)
    error = run.thrown(run.client(home.url, max_retries=0).chat, ASKED)
    assert isinstance(error, ProtocolError)


def _circle() -> Reply:
    return Reply.raw(b"", status=307, headers={"location": "/api/chat"})


def test_a_refusal_after_a_redirect_names_its_server(
    run: Run, home: EmbeddedOllama, away: EmbeddedOllama
) -> None:
    """Without its key the request is refused there: the error says whose address to give."""
    moved(home, f"{away.url}/api/chat")
    away.script("POST", "/api/chat", Reply.error(401, "who are you?"))
    error = run.thrown(run.client(home.url, api_key=SECRET).chat, ASKED)
    assert f"set base_url to {away.url}." in str(error)
