"""The tree of errors: its drawing, its pickles, its builtin relatives."""

import copy
import inspect
import pickle
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

import ollama_transport
from ollama_transport import (
    ConfigError,
    ErrorResponse,
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    ServerBusyError,
    StatusError,
    ToolCallMissingError,
    UnsupportedContentError,
    errors,
)
from ollama_transport.wire.errors.mapping import status_error

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, OllamaError)
]
# What each constructor needs beside the message.
NEEDS: dict[str, Any] = {
    "url": "http://h:1/api/chat",
    "option": "num_ctx",
    "limit": "tokens",
    "spent": 5.0,
    "phase": "read",
    "timeout_s": 5.0,
    "sent": True,
    "line": b"<html>",
    "status": 500,
    "error": "boom",
    "body": '{"error":"boom"}',
    "headers": {"retry-after": "5"},
    "model": "m",
    "received": ("a", "b"),
}


def made(cls: type[OllamaError]) -> OllamaError:
    """Return an error of a class with all its facts set."""
    names = list(inspect.signature(cls.__init__).parameters)[2:]  # after self and the message
    known = {name: value for name, value in NEEDS.items() if name in names}
    return cls("what happened", **known)


def drawn() -> dict[str, str]:
    """Return each class of the docstring's tree with its parent."""
    parents: dict[str, str] = {}
    branch: list[str] = []
    tree = (errors.__doc__ or "").partition("    OllamaError\n")[2].partition("\n\n")[0]
    for line in ["    OllamaError", *tree.splitlines()]:
        match = re.match(r"^( +)(\w+)", line)
        assert match, line
        depth = len(match[1]) // 2 - 2
        branch[depth:] = [match[2]]
        parents[match[2]] = branch[depth - 1] if depth else "Exception"
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    """The drawing names every class, each below the one that it derives from."""
    assert drawn() == {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}


def test_every_class_is_public() -> None:
    """Whatever can be raised can be imported and caught by name."""
    assert {cls.__name__ for cls in CLASSES} <= set(ollama_transport.__all__)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy])
def test_every_error_pickles_and_copies(cls: type[OllamaError], again: Any) -> None:
    """An error crosses processes and deep copies with its class, message and facts."""
    error = made(cls)
    error.add_note("seen by a framework")
    back = again(error)
    assert type(back) is cls
    assert str(back) == str(error) == "what happened"
    assert back.args == error.args
    assert vars(back) == vars(error)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (ConfigError, ValueError),
        (UnsupportedContentError, ValueError),
        (OllamaConnectionError, ConnectionError),
        (OllamaTimeoutError, TimeoutError),
    ],
)
def test_code_that_catches_builtins_goes_on_working(
    cls: type[OllamaError], builtin: type[Exception]
) -> None:
    """`except ConnectionError` and its like, which the peers' users wrote, still catch."""
    with pytest.raises(builtin, match="what happened"):
        raise made(cls)


@pytest.mark.parametrize("cls", CLASSES)
def test_no_other_class_is_caught_by_a_builtin(cls: type[OllamaError]) -> None:
    """Only these have builtin relatives: a StatusError is no OSError."""
    relatives = {base for base in (ValueError, OSError) if issubclass(cls, base)}
    mixed = (
        ConfigError,
        UnsupportedContentError,
        OllamaConnectionError,
        OllamaTimeoutError,
        ToolCallMissingError,
    )
    assert bool(relatives) == issubclass(cls, mixed)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        (
            {
                "date": "Fri, 20 Nov 2026 22:52:55 GMT",
                "retry-after": "Fri, 20 Nov 2026 22:53:25 GMT",
            },
            30.0,
        ),
        (
            {
                "date": "Fri, 20 Nov 2026 22:52:55 GMT",
                "retry-after": "Fri, 20 Nov 2026 22:52:25 GMT",
            },
            0.0,
        ),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    """Both forms of Retry-After are understood; others are none."""
    assert ServerBusyError("m", url="u", status=503, headers=headers).retry_after_s == seconds


def test_a_date_without_the_answers_own_counts_from_now() -> None:
    """Where the answer has no Date, the date of Retry-After is counted from this machine's time."""
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    seconds = ServerBusyError("m", url="u", status=503, headers={"retry-after": later})
    assert seconds.retry_after_s is not None
    assert 3500 < seconds.retry_after_s <= 3600


def test_a_status_error_has_what_tracers_ask_for() -> None:
    """Status, response and request id are where LangChain's tracers look for them."""
    error = status_error(
        method="POST",
        url="http://h/api/chat",
        status=500,
        headers={"X-Request-Id": "r1", "Content-Type": "application/json"},
        body=b'{"error":"boom"}',
    )
    assert isinstance(error, StatusError)
    assert (error.status_code, error.request_id) == (500, "r1")
    assert error.response == ErrorResponse(500, error.headers, '{"error":"boom"}')
    assert error.response.json() == {"error": "boom"}
    assert error.headers["content-type"] == "application/json"
