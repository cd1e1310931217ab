"""What a server says that a caller can do something about, and what that is."""

import pytest

from ollama_transport.errors import RequestRejectedError, ServerBusyError, StatusError
from ollama_transport.settings.retry import is_repeatable
from ollama_transport.wire.errors.mapping import status_error


def said(status: int, text: str) -> StatusError:
    url = "http://h/v1/chat/completions"
    return status_error(method="POST", url=url, status=status, headers={}, body=text.encode())


@pytest.mark.parametrize(
    ("status", "text", "hint"),
    [
        (500, '{"error":"error parsing tool call: raw"}', "ask again"),
        (500, '{"error":"model requires more system memory (9 GiB)"}', "smaller"),
        (
            400,
            '{"error":"think value \\"max\\" is not supported for this model"}',
            "reasoning level",
        ),
        (500, '{"error":{"message":"System message must be at the beginning."}}', "one system"),
        (400, "Conversation roles must alternate user/assistant", "merge consecutive messages"),
        (500, '{"error":{"message":"tools param requires --jinja flag"}}', "with --jinja"),
        (404, '{"error":"Unexpected endpoint or method. (POST /api/chat)"}', "base_url"),
        (
            400,
            '{"error":"json: cannot unmarshal string into Go struct field '
            'ChatRequest.messages of type []api.Message"}',
            "field named there",
        ),
        (500, '{"error":"json: unsupported value: NaN"}', "another quantisation"),
        (400, '{"error":"unexpected EOF"}', "JSON was cut"),
        (
            400,
            """{"error":"invalid character 'b' looking for beginning of object key string"}""",
            "JSON was cut",
        ),
        (422, '{"error":"batch size 60 > maximum allowed batch size 32"}', "batch_size"),
    ],
)
def test_a_servers_words_come_with_what_to_do(status: int, text: str, hint: str) -> None:
    """The hint stands behind the server's own words."""
    assert hint in str(said(status, text))


def test_a_fault_of_the_request_is_not_one_of_the_server() -> None:
    """A template's refusal is no failure that may pass, whatever the status says."""
    assert isinstance(said(500, "System message must be at the beginning."), RequestRejectedError)


def test_an_account_that_is_used_up_is_not_asked_again() -> None:
    """A weekly limit does not pass in seconds."""
    error = said(429, '{"error":"you have reached your weekly usage limit"}')
    assert isinstance(error, ServerBusyError)
    assert not is_repeatable(error)
    assert is_repeatable(said(429, "slow down"))
