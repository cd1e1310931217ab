"""Values the server is particular about: converted where it is clear, refused where it is not."""

from datetime import timedelta
from typing import Any

import pytest

from ollama_transport import (
    ChatRequest,
    ConfigError,
    EmbedRequest,
    GenerateRequest,
    SamplingOptions,
)
from ollama_transport.settings.options import check_options, set_options
from ollama_transport.settings.values import (
    check_format,
    check_think,
    check_top_logprobs,
    keep_alive,
)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, None),
        (0, 0),
        (300, 300),
        (0.5, 0.5),
        (-1, -1),
        ("-1", -1),
        ("300", 300),
        (" 300 ", 300),
        ("0", 0),
        ("0.5", 0.5),
        ("5m", "5m"),
        ("1h30m", "1h30m"),
        ("300ms", "300ms"),
        ("1.5h", "1.5h"),
        ("-1s", "-1s"),
        (timedelta(minutes=5), 300.0),
    ],
)
def test_keep_alive_is_sent_as_the_server_takes_it(value: Any, sent: Any) -> None:
    """Seconds and Go durations pass; a bare number in text is converted (3.7)."""
    found = keep_alive(value)
    assert found == sent
    assert type(found) is type(sent)


@pytest.mark.parametrize("value", ["", "banana", "5 m", "m", True, False, [], "1d"])
def test_keep_alive_that_the_server_would_refuse_is_an_error(value: Any) -> None:
    """What is no duration is told early, with what is one."""
    with pytest.raises(ConfigError, match="seconds"):
        keep_alive(value)


@pytest.mark.parametrize("value", [None, True, False, "low", "medium", "high", "max", "xhigh"])
def test_think_takes_all_its_values(value: Any) -> None:
    """Every value of the wire can be sent; False stays False."""
    assert check_think(value) is value
    assert ChatRequest("m", think=value).think is value


@pytest.mark.parametrize("value", ["very high", "", 1, 0, "true", [], {}])
def test_think_refuses_other_values(value: Any) -> None:
    """Other values are an error that lists the right ones."""
    with pytest.raises(ConfigError, match="low, medium, high, max"):
        check_think(value)


def test_format_is_json_or_a_schema() -> None:
    """Text but "json" would be a 500 of the server; "" is none."""
    schema = {"type": "object"}
    assert check_format(schema) == schema
    assert check_format("json") == "json"
    assert check_format("") is None
    assert check_format(None) is None
    for wrong in ("xml", [], True, 5):
        with pytest.raises(ConfigError, match="JSON schema"):
            check_format(wrong)


@pytest.mark.parametrize("value", [-1, 21, 1.5])
def test_top_logprobs_has_a_range(value: Any) -> None:
    """More than 20 is refused by the server even where it is not used."""
    assert check_top_logprobs(0) == 0
    assert check_top_logprobs(20) == 20
    with pytest.raises(ConfigError, match="0 to 20"):
        check_top_logprobs(value)


@pytest.mark.parametrize("cls", [ChatRequest, GenerateRequest])
@pytest.mark.parametrize(
    "wrong", [{"think": "x y"}, {"format": "xml"}, {"keep_alive": ""}, {"top_logprobs": 99}]
)
def test_requests_check_their_values(cls: Any, wrong: dict[str, Any]) -> None:
    """A request with a wrong value cannot be made."""
    with pytest.raises(ConfigError):
        cls("m", **wrong)


def test_requests_convert_their_values() -> None:
    """A request holds what will be sent."""
    assert ChatRequest("m", keep_alive="-1").keep_alive == -1
    assert EmbedRequest("m", ["a"], keep_alive="300").keep_alive == 300


def test_options_that_are_set_are_sent_and_no_others() -> None:
    """0, False and an empty list are values; None is none."""
    options = SamplingOptions(temperature=0, use_mmap=False, stop=[], seed=None)
    assert set_options(options) == {"temperature": 0, "use_mmap": False, "stop": []}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperatur": 1}, "did you mean 'temperature'"),
        ({"mirostat": 1}, "no longer exists"),
        ({"zzzz": 1}, "known are"),
        ({"temperature": "hot"}, "temperature='hot'"),
        ({"top_p": 2}, "top_p=2"),
        ({"num_ctx": 0}, "num_ctx=0"),
        ({"stop": "x"}, "stop='x'"),
    ],
)
def test_options_are_checked_early(options: dict[str, Any], message: str) -> None:
    """An unknown or wrong option is an error that names it, and never swallowed."""
    with pytest.raises(ConfigError, match=message):
        check_options(options)


def test_options_of_a_call_are_kept_as_they_are() -> None:
    """Right options pass, Nones are left out, and the caller's dict stays as it was."""
    given = {"temperature": 0, "seed": 5, "top_k": None}
    assert check_options(given) == {"temperature": 0, "seed": 5}
    assert given == {"temperature": 0, "seed": 5, "top_k": None}
