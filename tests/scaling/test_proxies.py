"""Three servers behind HAProxy and nginx by examples/: one is killed, and the work goes on."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fleet import PATIENCE_S, Member, fleet_of
from fleet_server import GO_ON
from proxies import Proxy, program_of, running_proxy

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from ollama_transport import OllamaError, StreamError

NAMES = ["gpu1", "gpu2", "gpu3"]
CALLS, STREAMS, AT_ONCE = 500, 20, 24
BEFORE_THE_KILL = 100
PAUSE_S = 0.02


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


@dataclass
class Burst:
    """What 500 calls and 20 streams through a proxy come to."""

    url: str
    gate: Path
    vectors: list[list[float]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    broken: list[tuple[str, BaseException]] = field(default_factory=list)
    begun: int = 0
    done: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self) -> None:
        """Say when all streams run and some calls are done, and when all calls are."""
        if self.begun == STREAMS and self.done >= BEFORE_THE_KILL:
            self.ready.set()
        if self.done == CALLS:
            self.over.set()

    async def run(self, victim: Member) -> None:
        """Make the calls, and kill a server when all of it is under way."""
        how: dict[str, Any] = {"base_url": self.url, "max_retries": 5}
        async with (
            OllamaEmbeddings(model="demo-embed", **how) as self.embeddings,
            ChatOllama(model="demo", **how) as self.model,
            asyncio.timeout(PATIENCE_S * 2),
            asyncio.TaskGroup() as tasks,
        ):
            slots = asyncio.Semaphore(AT_ONCE)
            for _ in range(STREAMS):
                tasks.create_task(self.stream())
            for number in range(CALLS):
                tasks.create_task(self.call(number, slots))
            await self.ready.wait()
            await asyncio.to_thread(victim.kill)
            await self.over.wait()
            await asyncio.to_thread(self.gate.touch)

    async def call(self, number: int, slots: asyncio.Semaphore) -> None:
        async with slots:
            await (self.embed() if number % 2 == 0 else self.chat())
        self.done += 1
        self.note()

    async def embed(self) -> None:
        self.vectors.append(await self.embeddings.aembed_query("a ferry"))

    async def chat(self) -> None:
        try:
            answer = await self.model.ainvoke("Hello")
        except OllamaError as error:
            self.failed.append(error)
        else:
            self.answers.append(answer.text)

    async def stream(self) -> None:
        said = ""
        try:
            async for chunk in self.model.astream(f"{GO_ON}{self.gate}"):
                self.begun += not said
                said += chunk.text
                self.note()
        except OllamaError as error:
            self.broken.append((said, error))
        else:
            self.whole.append(said)


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
    by_name = Counter(answer.text.split()[0] for answer in answers)
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
