"""Arguments of the clients that cannot work are errors of ours, which show no secret."""

from typing import Any

import httpx
import pytest
from running import Run

from ollama_transport import ConfigError

SECRET = "s3cret"


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_retries": "2"},
        {"max_retries": 2.5},
        {"max_retries": -1},
        {"headers": [("authorization", SECRET)]},
        {"headers": {1: SECRET}},
        {"client_kwargs": [SECRET]},
        {"client_kwargs": {"headers": [("authorization", SECRET)]}},
        {"base_url": f"http://u:{SECRET}@h".encode()},
        {"base_url": 5},
    ],
)
def test_a_wrong_type_is_refused_when_the_client_is_made(run: Run, wrong: dict[str, Any]) -> None:
    """What has the wrong type is named, and what may be secret is not shown."""
    with pytest.raises(ConfigError) as caught:
        run.client(**wrong)
    assert SECRET not in str(caught.value)


def test_an_argument_unknown_to_httpx_is_refused(run: Run) -> None:
    """A misspelt argument is an error of ours that names it."""
    client = run.client("http://127.0.0.1:9", client_kwargs={"verfy": False})
    error = run.thrown(client.version)
    assert isinstance(error, ConfigError)
    assert "verfy" in str(error)


def test_a_transport_of_the_other_kind_is_refused(run: Run) -> None:
    """A transport for blocking calls alone does nothing for asyncio, and the other way round."""
    other = httpx.HTTPTransport() if run.is_async else httpx.AsyncHTTPTransport()
    client = run.client("http://127.0.0.1:9", transport=other)
    error = run.thrown(client.version)
    assert isinstance(error, ConfigError)
    assert "sync_client_kwargs" in str(error)
