"""The reason of a failure is found wherever a server or a gateway writes it."""

import json
from typing import Any

import pytest

from ollama_transport.wire.errors.text import error_text

RAW = '{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs"}]}'
REASON = "stream_options: no"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        # FastAPI, pydantic and what gateways make of them
        ({"detail": {"msg": REASON, "type": "x"}}, REASON),
        ({"detail": {"error": "bad", "message": REASON}}, REASON),
        ({"message": {"detail": [{"loc": ["body", "seed"], "msg": "Extra"}]}}, "body.seed: Extra"),
        # OpenAI's envelope names the field beside the text
        (
            {"error": {"message": "Unknown parameter", "param": "seed"}},
            "Unknown parameter (param: seed)",
        ),
        ({"error": {"message": "Unknown: seed", "param": "seed"}}, "Unknown: seed"),
        # Node's frameworks: the status's name first, then the reason
        ({"statusCode": 400, "error": "Bad Request", "message": REASON}, f"Bad Request: {REASON}"),
        ({"error": "Bad Request", "message": [REASON]}, f"Bad Request: {REASON}"),
        (
            {"error": {"message": "Invalid", "details": [{"path": ["n"], "message": "no"}]}},
            "Invalid: n: no",
        ),
        ({"error": "invalid_request", "error_description": REASON}, f"invalid_request: {REASON}"),
        # OpenRouter repeats the server behind it
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": RAW}}},
            "Provider returned error: body.stream_options: Extra inputs",
        ),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": {"error": "no"}}}},
            "Provider returned error: no",
        ),
        # Cloudflare, Google, ASP.NET and others
        ({"success": False, "errors": [{"code": 5, "message": REASON}]}, REASON),
        ([{"error": {"code": 400, "message": REASON, "status": "INVALID"}}], REASON),
        ({"title": "Bad", "errors": {"seed": ["Unknown"]}}, '{"seed": ["Unknown"]}'),
        (
            {"title": "Error 524: A timeout occurred", "status": 524},
            "Error 524: A timeout occurred",
        ),
        ({"msg": REASON, "code": 400}, REASON),
        ({"error_msg": REASON, "error_code": 3}, REASON),
        ({"fault": {"faultstring": REASON, "detail": {"errorcode": "x"}}}, REASON),
        # Empty fields say nothing
        ({"message": "", "detail": REASON}, REASON),
        ({"error": True, "message": REASON}, REASON),
        ({"error": {"message": ""}, "detail": REASON}, REASON),
    ],
)
def test_the_reason_is_shown(body: Any, text: str) -> None:
    """The hint and the class go by this text."""
    assert error_text(json.dumps(body).encode())[0] == text


def test_a_long_text_is_not_followed_by_other_fields() -> None:
    """What says enough is left as it is."""
    text = "the model of this request needs more memory than this machine has at the moment"
    body = {"error": text, "message": "Internal Server Error"}
    assert error_text(json.dumps(body).encode())[0] == text


def test_an_error_that_repeats_itself_ends() -> None:
    """Layers of JSON in JSON are read up to a limit."""
    text = "boom"
    for _ in range(12):
        text = json.dumps({"error": {"message": text, "metadata": {"raw": text[:2000]}}})[:60000]
    assert error_text(text.encode())[0]
