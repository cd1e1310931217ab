"""Our connections and httpx's own give the same results for the same bytes."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from fault_ways import in_time
from http_answers import ANSWERS, EXAMPLES, corpus, is_refused_by_ours_alone
from hypothesis import HealthCheck, assume, given, settings
from raw_server import Asked, End, RawServer, Step

from ollama_transport.net.connections import AsyncTransport, Transport
from ollama_transport.net.pool import ssl_context

LIMITS = httpx.Limits()


def outcome(response: httpx.Response) -> tuple[int, bytes]:
    return response.status_code, response.content


def asked(client: httpx.Client, url: str) -> Any:
    try:
        return outcome(client.post(url, content=b"{}"))
    except httpx.TransportError:
        return "no answer"
    except httpx.DecodingError:
        return "no content"


async def aasked(client: httpx.AsyncClient, url: str) -> Any:
    try:
        return outcome(await client.post(url, content=b"{}"))
    except httpx.TransportError:
        return "no answer"
    except httpx.DecodingError:
        return "no content"


async def awaited(url: str) -> list[Any]:
    transport = AsyncTransport(ssl_context(), LIMITS)
    async with (
        httpx.AsyncClient(transport=transport, trust_env=False) as ours,
        httpx.AsyncClient(trust_env=False) as theirs,
    ):
        return [await aasked(client, url) for client in (ours, theirs)]


def blocking(url: str) -> list[Any]:
    with (
        httpx.Client(transport=Transport(ssl_context(), LIMITS), trust_env=False) as ours,
        httpx.Client(trust_env=False) as theirs,
    ):
        return [asked(client, url) for client in (ours, theirs)]


def compare(data: bytes) -> None:
    """Let four clients ask: ours and httpx's, blocking and awaited."""

    def play(_: Asked) -> list[Step]:
        return [data, End.CLOSE]

    with RawServer(play) as server:
        found = in_time(lambda: blocking(server.url) + asyncio.run(awaited(server.url)))
    assert found == found[:1] * len(found), data


@settings(
    max_examples=max(30, EXAMPLES // 20),
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(ANSWERS)
def test_any_answer_is_the_same_to_httpx(data: bytes) -> None:
    """Status and body, or no answer at all."""
    assume(not is_refused_by_ours_alone(data))
    compare(data)


@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.stem)
def test_former_failures_are_the_same_in_httpx(path: Path) -> None:
    """The kept corpus."""
    data = path.read_bytes()
    if not is_refused_by_ours_alone(data):
        compare(data)
