"""Three servers behind HAProxy and nginx by examples/: one is killed, and the work goes on."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from burst import AT_ONCE, CALLS, NAMES, PAUSE_S, STREAMS, Burst, by_server
from fleet import PATIENCE_S, Member, fleet_of
from fleet_server import GO_ON
from proxies import Proxy, program_of, running_proxy

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from ollama_transport import StreamError


@pytest.fixture(scope="module")
def lasting() -> Iterator[list[Member]]:
    """Servers that no test kills."""
    with fleet_of(NAMES, PAUSE_S) as running:
        yield running


@pytest.fixture(params=["haproxy", "nginx"])
def kind(request: pytest.FixtureRequest) -> str:
    if program_of(request.param) is None:
        pytest.skip(f"no {request.param}: apt-get install {request.param}")
    return str(request.param)


@pytest.fixture
def proxy(kind: str, lasting: list[Member], tmp_path: Path) -> Iterator[Proxy]:
    with running_proxy(kind, lasting, tmp_path) as running:
        yield running


async def test_a_killed_server_costs_only_what_it_was_saying(kind: str, tmp_path: Path) -> None:
    """500 calls and 20 streams over three servers, one of which dies in the middle.

    Every embedding is answered, and every chat that had not begun. What had begun on the dead
    server ends in an error that holds what came; the other streams end as they should. Later calls
    do not notice the dead server, even without retries of ours.
    """
    with fleet_of(NAMES, PAUSE_S) as members, running_proxy(kind, members, tmp_path) as proxy:
        burst = Burst(proxy.url, tmp_path / "gate")
        await burst.run(members[1])
        vectors = await embedded_without_retries(proxy.url, 30)
    assert vectors == burst.vectors[:30]
    check_calls(burst)
    check_streams(burst)


async def embedded_without_retries(url: str, count: int) -> list[list[float]]:
    async with (
        OllamaEmbeddings(model="demo-embed", base_url=url, max_retries=0) as embeddings,
        asyncio.timeout(PATIENCE_S),
    ):
        asked = (embeddings.aembed_query("a ferry") for _ in range(count))
        return list(await asyncio.gather(*asked))


def check_calls(burst: Burst) -> None:
    assert len(burst.vectors) == CALLS // 2
    assert all(vector == burst.vectors[0] for vector in burst.vectors)
    assert len(burst.answers) + len(burst.failed) == CALLS // 2
    # Those that the dead server was answering at that moment.
    assert len(burst.failed) <= AT_ONCE
    assert all(isinstance(error, StreamError) and error.received for error in burst.failed)
    assert {answer.split()[0] for answer in burst.answers} == set(NAMES)


def check_streams(burst: Burst) -> None:
    assert len(burst.whole) + len(burst.broken) == STREAMS
    # They were spread, and so only some of them broke.
    assert 0 < len(burst.broken) < STREAMS
    for said, error in burst.broken:
        assert said.startswith("gpu2 and ")
        assert isinstance(error, StreamError)
        assert error.received
    assert all(said.endswith("word4 ") for said in burst.whole)
    assert {said.split()[0] for said in burst.whole} == {"gpu1", "gpu3"}


async def test_calls_are_spread(proxy: Proxy) -> None:
    """Calls side by side go to all servers, none of which has most of them."""
    async with (
        ChatOllama(model="demo", base_url=proxy.url) as model,
        asyncio.timeout(PATIENCE_S),
    ):
        answers = await asyncio.gather(*(model.ainvoke("Hello") for _ in range(60)))
    by_name = by_server(answer.text for answer in answers)
    assert set(by_name) == set(NAMES)
    assert max(by_name.values()) <= 40


async def test_streams_pass_word_by_word(proxy: Proxy, tmp_path: Path) -> None:
    """No proxy holds words back: they come while the answer has no end yet."""
    gate = tmp_path / "gate"
    async with (
        ChatOllama(model="demo", base_url=proxy.url) as model,
        asyncio.timeout(PATIENCE_S),
        aclosing(model.astream(f"{GO_ON}{gate}")) as pieces,
    ):
        first = [(await anext(pieces)).text for _ in range(5)]
        await asyncio.to_thread(gate.touch)
        rest = [chunk.text async for chunk in pieces]
    assert all(first)
    assert "".join(rest).endswith("word4 ")
