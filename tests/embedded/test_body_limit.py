"""The embedded server takes requests up to a limit."""

import pytest
from running import Run

from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ChatRequest, Message, RequestRejectedError


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_a_request_over_the_limit_is_refused(run: Run, suffix: str) -> None:
    """It is a 413 that names the limit; the next request is answered."""
    with EmbeddedOllama(max_body_bytes=10_000) as server:
        client = run.client(server.url + suffix, max_retries=0)
        error = run.thrown(client.chat, ChatRequest(None, [Message("user", "x" * 100_000)]))
        assert isinstance(error, RequestRejectedError)
        assert error.status == 413
        assert "max_body_bytes=10000" in str(error)
        assert run(client.chat(ChatRequest(None, [Message("user", "hello")]))).text
