"""Every server's words for what is wrong: their class, whether to try again, and the advice."""

import json
from pathlib import Path
from typing import Any

import pytest

from ollama_transport.errors import (
    ModelNotFoundError,
    RequestRejectedError,
    ServerBusyError,
    ServerError,
    StatusError,
    UnsupportedCapabilityError,
)
from ollama_transport.settings.retry import is_repeatable
from ollama_transport.wire.errors.mapping import status_error

URLS = {
    "native": "http://h/api/chat",
    "v1": "http://h/v1/chat/completions",
    "v1 embeddings": "http://h/v1/embeddings",
}
LINES = (Path(__file__).parent / "known_words.tsv").read_text().splitlines()[1:]
ROWS = [line.split("\t") for line in LINES]


def refused(status: int, body: str | Any, wire: str = "v1", **headers: str) -> StatusError:
    data = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status_error(
        method="POST",
        url=URLS[wire],
        status=status,
        headers=named,
        body=data.encode(),
        model="x",
    )


def advice(error: StatusError) -> str:
    return str(error).partition(error.error)[2] if error.error else str(error)


@pytest.mark.parametrize(("status", "wire", "kind", "again", "hint", "words"), ROWS)
def test_a_servers_words_have_a_class_and_a_way_out(
    status: str, wire: str, kind: str, again: str, hint: str, words: str
) -> None:
    """The table has what servers and gateways really say, in the shape of OpenAI's errors."""
    error = refused(int(status), {"error": {"message": words}}, wire)
    is_loading = isinstance(error, ServerBusyError) and error.is_loading
    assert ("loading" if is_loading else type(error).__name__) == kind
    assert is_repeatable(error) is (again == "yes")
    assert hint in advice(error)


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (400, "Unknown model output format", RequestRejectedError),
        (400, "5 is not a valid model parameter", RequestRejectedError),
        (500, "Error loading model: missing tensor", ServerError),
        (500, "failed loading model", ServerError),
        (400, "the model is loaded with a context of 4096", RequestRejectedError),
        (400, "string literal is not terminated", RequestRejectedError),
        (400, "this option is not supported", RequestRejectedError),
        (404, "the file of the image was not found", RequestRejectedError),
    ],
)
def test_words_that_only_resemble_others_are_taken_for_nothing(
    status: int, words: str, kind: type[StatusError]
) -> None:
    """Neither a missing model, nor one that is being loaded, nor too little memory."""
    error = refused(status, {"error": {"message": words}})
    assert type(error) is kind
    assert "memory" not in advice(error)


def test_a_model_that_cannot_be_loaded_is_not_waited_for() -> None:
    """A server that failed will fail again after minutes."""
    error = refused(503, {"error": {"message": "failed loading model x"}})
    assert isinstance(error, ServerBusyError)
    assert not error.is_loading


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("model_not_found", ModelNotFoundError),
        ("model_not_available", ModelNotFoundError),
        ("DeploymentNotFound", ModelNotFoundError),
    ],
)
def test_a_code_tells_as_much_as_the_words(code: str, kind: type[StatusError]) -> None:
    """Gateways translate the words, and keep the code."""
    error = refused(404, {"error": {"message": "es gibt so etwas nicht", "code": code}})
    assert type(error) is kind
    assert "base_url" not in str(error)


PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"


@pytest.mark.parametrize(
    ("status", "body", "kind", "hint"),
    [
        (502, PAGE.format("502 Bad Gateway"), ServerBusyError, "a proxy"),
        (502, "", ServerBusyError, "a proxy"),
        (503, "no healthy upstream", ServerBusyError, "a proxy"),
        (503, "no available server", ServerBusyError, "a proxy"),
        (504, "upstream request timeout", ServerBusyError, "streaming=True"),
        (521, "error code: 521", ServerBusyError, "a proxy"),
        (530, "error code: 1033", ServerBusyError, "a proxy"),
        (530, PAGE.format("Cloudflare Tunnel error"), ServerBusyError, "a proxy"),
        (525, PAGE.format("525: SSL handshake failed"), ServerError, "TLS"),
        (500, PAGE.format("500 Internal Server Error"), ServerError, "A proxy"),
        (500, "Internal Server Error", ServerError, "The server's log"),
        (404, PAGE.format("404 Not Found"), RequestRejectedError, "base_url"),
        (413, PAGE.format("413 Request Entity Too Large"), RequestRejectedError, "A proxy"),
    ],
)
def test_a_proxys_page_is_one_line_and_not_the_servers_log(
    status: int, body: str, kind: type[StatusError], hint: str
) -> None:
    """Who wrote it is who is to be looked at."""
    error = refused(status, body)
    assert type(error) is kind
    assert hint in str(error)
    assert "<" not in str(error)
    assert "\n" not in str(error)
    assert ("server's log" in str(error)) == (body == "Internal Server Error")


def test_images_that_a_model_cannot_see_name_the_capability() -> None:
    """Each server says it in other words."""
    for words in ("m is not a multimodal model", "At most 0 image(s) may be provided"):
        error = refused(400, {"error": {"message": words}})
        assert isinstance(error, UnsupportedCapabilityError)
        assert error.capability == "vision"


SPENT = {"x_ratelimit_remaining_requests": "0"}


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry_after": "7s"}, {}, 7),
        ({"retry_after_ms": "1500"}, {}, 1.5),
        ({"x_ratelimit_reset_requests": "1m30s", **SPENT}, {}, 90),
        # Only the limit that is used up counts
        (
            {
                "x_ratelimit_reset_requests": "24h",
                "x_ratelimit_remaining_requests": "99",
                "x_ratelimit_reset_tokens": "6.5s",
                "x_ratelimit_remaining_tokens": "0",
            },
            {},
            6.5,
        ),
        ({"x_ratelimit_reset": "20", "x_ratelimit_remaining": "0"}, {}, 20),
        ({"x_ratelimit_reset_after": "12"}, {}, 12),
        ({"ratelimit": '"default";r=0;t=30'}, {}, 30),
        ({"ratelimit": "limit=100, remaining=0, reset=5"}, {}, 5),
        ({}, {"error": {"message": "Please try again in 7.66s."}}, 7.66),
        ({}, {"error": {"message": "Please try again in 1m2.5s."}}, 62.5),
        ({}, {"error": {"message": "Please retry after 26 seconds."}}, 26),
        ({}, {"error": {"message": "x", "details": [{"retryDelay": "34s"}]}}, 34),
        ({}, {"error": "busy", "retry_after_ms": 2500}, 2.5),
        # None of these tells how long
        ({"x_ratelimit_reset_requests": "24h", "x_ratelimit_remaining_requests": "9"}, {}, None),
        ({"retry_after": "soon"}, {}, None),
        ({"ratelimit_reset": "9" * 30}, {}, None),
        ({}, {"error": {"message": "Please try again later, after 5 more requests."}}, None),
        ({}, {"error": {"message": "x", "details": [{"retryDelay": "9" * 400 + "s"}]}}, None),
    ],
)
def test_the_wait_of_a_limit_is_found_wherever_it_stands(
    headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    """In headers of each gateway's own, in fields of the error, and in its words."""
    found = refused(429, body, **headers).retry_after_s
    assert found == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("factor", [1, 1000])
def test_a_wait_until_a_time_is_counted_from_now(
    factor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenRouter writes it in milliseconds since 1970, GitHub in seconds."""
    now = 1_800_000_000.0
    monkeypatch.setattr("ollama_transport.wire.errors.waits.time.time", lambda: now)
    until = str(int((now + 15) * factor))
    repeated = {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": until}}
    error = refused(429, {"error": {"message": "Rate limit exceeded", "metadata": repeated}})
    assert error.retry_after_s == pytest.approx(15)


def test_a_limit_of_a_day_is_tried_again_only_where_the_wait_is_short() -> None:
    """Nothing helps until tomorrow, unless the server says so."""
    day = {"error": {"message": "Rate limit exceeded: free-models-per-day"}}
    assert not is_repeatable(refused(429, day))
    assert not is_repeatable(refused(429, day, retry_after="3600"))
    assert is_repeatable(refused(429, day, retry_after="5"))
