"""500 calls and 20 streams through a proxy, one of whose servers is killed on the way."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet import PATIENCE_S, Member
from fleet_server import GO_ON

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from ollama_transport import OllamaError

NAMES = ["gpu1", "gpu2", "gpu3"]
CALLS, STREAMS, AT_ONCE = 500, 20, 24
BEFORE_THE_KILL = 100
PAUSE_S = 0.02


@dataclass
class Burst:
    """What the calls and streams come to."""

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
                was_begun, said = " and" in said, said + chunk.text
                self.begun += not was_begun and " and" in said
                self.note()
        except OllamaError as error:
            self.broken.append((said, error))
        else:
            self.whole.append(said)


def by_server(texts: Iterable[str]) -> Counter[str]:
    """Count answers by the server whose name they begin with."""
    return Counter(text.split()[0] for text in texts)
