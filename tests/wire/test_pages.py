"""What a proxy says in HTML is one line of text, with advice that fits a proxy."""

import pytest

from ollama_transport import ServerBusyError, ServerError, StatusError
from ollama_transport.wire.errors.mapping import status_error
from ollama_transport.wire.errors.pages import page_text

NGINX = b"""<html>\r
<head><title>503 Service Temporarily Unavailable</title></head>\r
<body>\r
<center><h1>503 Service Temporarily Unavailable</h1></center>\r
<hr><center>nginx/1.24.0</center>\r
</body>\r
</html>\r
"""


def refused(status: int, body: bytes) -> StatusError:
    return status_error(method="GET", url="http://h/api/tags", status=status, headers={}, body=body)


def test_a_503_of_a_proxy_names_the_proxy() -> None:
    """Its page is a line of text, and the server's queue has nothing to do with it."""
    error = refused(503, NGINX)
    assert type(error) is ServerBusyError
    assert error.error == "503 Service Temporarily Unavailable – nginx/1.24.0"
    assert "\n" not in str(error)
    assert "<" not in str(error)
    assert "OLLAMA_MAX_QUEUE" not in str(error)
    assert "could not reach it" in str(error)
    assert error.body == NGINX.decode()


def test_the_server_s_own_503_names_its_queue() -> None:
    """Ollama answers in JSON when its queue is full (wire reference 7.2)."""
    assert "OLLAMA_MAX_QUEUE" in str(refused(503, b'{"error": "server busy"}'))


def test_a_page_of_a_500_is_a_line_too() -> None:
    """Any status may come with a page."""
    error = refused(500, b"<!DOCTYPE html><title>Oops</title><p>It   broke.\n</p>")
    assert type(error) is ServerError
    assert error.error == "Oops – It broke."


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<html><script>let a = 1 < 2</script><style>b{}</style>seen", "seen"),
        ("<html>a &amp; b &lt;c&gt;</html>", "a & b <c>"),
        ("<html><b>cut <i>of", "cut – of"),
        ("<html></style></script>x", "x"),
        ("<html>" + "<" * 20000, "<"),
        ("<html>", ""),
    ],
)
def test_only_what_is_seen_is_read(page: str, text: str) -> None:
    """Scripts and styles are not shown, and a broken page is read as far as it goes."""
    assert page_text(page) == text
