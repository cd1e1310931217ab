"""What a call, a token and an open stream cost: ours in a process, and the proxies of examples/.

Costs are CPU and memory of the measured processes alone, so they do not depend on how fast the
others are, and hardly on what else the machine does.
"""

import asyncio
import gc
import multiprocessing
import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from fleet import PATIENCE_S, Member
from llama_index.core.llms import ChatMessage
from proxies import Proxy, running_proxy

from benchmarks.server import Server
from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from llamaindex_ollama_ext import Ollama, OllamaEmbedding

PROXIES = ("haproxy", "nginx")
BATCH = 64
ASKED = [ChatMessage(role="user", content="hi")]


@dataclass(frozen=True)
class Cost:
    """What one program needs: microseconds of CPU, KiB of memory of its own, and open files."""

    call_us: float
    token_us: float
    text_us: float
    stream_kib: float
    stream_files: float


@dataclass(frozen=True)
class Load:
    """How much work is done to measure it."""

    streams: int = 150
    tokens: int = 60
    calls: int = 1500
    at_once: int = 64
    texts: int = 1024

    @property
    def model(self) -> str:
        """A model whose tokens come one by one, so that each is a write of its own."""
        return f"stream-{self.tokens}-every50000"


@dataclass(frozen=True)
class Usage:
    """What some processes have used so far."""

    cpu_us: float
    kib: float
    files: int

    @classmethod
    def of(cls, pids: Iterable[int]) -> "Usage":
        folders = [Path(f"/proc/{pid}") for pid in pids]
        return cls(
            sum(_cpu_us(folder) for folder in folders),
            sum(_own_kib(folder) for folder in folders),
            sum(len(os.listdir(folder / "fd")) for folder in folders),
        )


def _cpu_us(folder: Path) -> float:
    return sum(int(task.read_text().split()[0]) for task in folder.glob("task/*/schedstat")) / 1000


def _own_kib(folder: Path) -> float:
    lines = (folder / "status").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def family(proxy: Proxy) -> list[int]:
    """Return a proxy's processes: nginx has a worker for each CPU, and listens before they run."""
    workers = os.cpu_count() or 1 if proxy.kind == "nginx" else 0
    children = Path(f"/proc/{proxy.pid}/task/{proxy.pid}/children")
    end = time.monotonic() + PATIENCE_S
    while len(found := children.read_text().split()) < workers:
        assert time.monotonic() < end, f"{proxy.kind} has started {len(found)} of {workers} workers"
        time.sleep(0.02)  # the deadline bounds it; a child of a child is no event
    return [proxy.pid, *map(int, found)]


class Work:
    """The work of one framework against one URL, all of it on an event loop."""

    def __init__(self, url: str, load: Load) -> None:
        self.load = load
        self.short, self.long, self.vectors = self.made(url)
        self.begun = 0
        self.all_begun = asyncio.Event()

    def made(self, url: str) -> tuple[Any, Any, Any]:
        """Return a model of short answers, one of slow streams, and one of vectors."""
        raise NotImplementedError  # each framework has its own

    def pieces(self) -> AsyncIterator[Any]:
        raise NotImplementedError  # each framework has its own

    async def call(self) -> None:
        raise NotImplementedError  # each framework has its own

    async def embed(self) -> None:
        raise NotImplementedError  # each framework has its own

    async def stream(self) -> None:
        """Read one stream, and say when all of them have begun."""
        said = False
        async for _ in self.pieces():
            if not said:
                said, self.begun = True, self.begun + 1
                if self.begun == self.load.streams:
                    self.all_begun.set()

    async def streams(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.load.streams):
                tasks.create_task(self.stream())

    async def calls(self) -> None:
        slots = asyncio.Semaphore(self.load.at_once)

        async def one() -> None:
            async with slots:
                await self.call()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.load.calls):
                tasks.create_task(one())

    async def aclose(self) -> None:
        for model in (self.short, self.long, self.vectors):
            await model.aclose()


class LangChain(Work):
    """`ainvoke`, `astream`, `aembed_documents`."""

    def made(self, url: str) -> tuple[Any, Any, Any]:
        short = ChatOllama(model="stream-1", base_url=url)
        long = ChatOllama(model=self.load.model, base_url=url)
        return short, long, OllamaEmbeddings(model="embed-768", base_url=url, batch_size=BATCH)

    def pieces(self) -> AsyncIterator[Any]:
        return self.long.astream("hi")

    async def call(self) -> None:
        await self.short.ainvoke("hi")

    async def embed(self) -> None:
        await self.vectors.aembed_documents([f"text {at}" for at in range(self.load.texts)])


class LlamaIndex(Work):
    """`achat`, `astream_chat`, `aget_text_embedding_batch`."""

    def made(self, url: str) -> tuple[Any, Any, Any]:
        short = Ollama("stream-1", base_url=url, context_window=8192)
        long = Ollama(self.load.model, base_url=url, context_window=8192)
        return short, long, OllamaEmbedding("embed-768", base_url=url, embed_batch_size=BATCH)

    async def pieces(self) -> AsyncIterator[Any]:
        async for piece in await self.long.astream_chat(ASKED):
            yield piece

    async def call(self) -> None:
        await self.short.achat(ASKED)

    async def embed(self) -> None:
        texts = [f"text {at}" for at in range(self.load.texts)]
        await self.vectors.aget_text_embedding_batch(texts)


FRAMEWORKS: dict[str, type[Work]] = {"LangChain": LangChain, "LlamaIndex": LlamaIndex}


class Meter:
    """What each program uses during a piece of work."""

    def __init__(self, programs: dict[str, list[int]]) -> None:
        self.programs = programs

    def now(self) -> dict[str, Usage]:
        return {name: Usage.of(pids) for name, pids in self.programs.items()}

    async def cpu_us(self, work: Callable[[], Awaitable[None]], units: int) -> dict[str, float]:
        """Do some work, and return its CPU a unit."""
        gc.collect()
        gc.freeze()  # what is there before the work is none of its cost
        before = self.now()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await work()
        finally:
            gc.unfreeze()
        after = self.now()
        return {name: (after[name].cpu_us - before[name].cpu_us) / units for name in before}


async def costs_of(work: Work, meter: Meter) -> dict[str, Cost]:
    """Measure one framework, and the proxy before the servers."""
    load = work.load
    try:
        await _one_of_each(work)
        before = meter.now()
        running = asyncio.create_task(meter.cpu_us(work.streams, load.streams * load.tokens))
        async with asyncio.timeout(PATIENCE_S):
            await work.all_begun.wait()
        held = meter.now()
        token_us = await running
        call_us = await meter.cpu_us(work.calls, load.calls)
        await work.embed()
        text_us = await meter.cpu_us(work.embed, load.texts)
        kib = {name: (held[name].kib - before[name].kib) / load.streams for name in before}
        kib[type(work).__name__] = await _own_kib_a_stream(work)
    finally:
        await work.aclose()
    files = {name: (held[name].files - before[name].files) / load.streams for name in before}
    return {
        name: Cost(call_us[name], token_us[name], text_us[name], kib[name], files[name])
        for name in before
    }


async def _one_of_each(work: Work) -> None:
    """Import and load what the first call alone needs."""
    await work.call()
    async with aclosing(work.pieces()) as pieces:
        await anext(pieces)


async def _own_kib_a_stream(work: Work) -> float:
    """Return what open streams hold in this process, whose freed memory would hide it."""
    work.begun = 0
    work.all_begun.clear()
    tracemalloc.start()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(work.streams())
        await work.all_begun.wait()
        kib = tracemalloc.get_traced_memory()[0] / 1024
        tracemalloc.stop()
    return kib / work.load.streams


@contextmanager
def proxied(kind: str) -> Iterator[Proxy]:
    """Run a proxy before three servers whose answers are made beforehand."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scaling-")))
        servers = [stack.enter_context(Server()) for _ in range(3)]
        ports = [int(server.url.rpartition(":")[2]) for server in servers]
        members = [Member(f"gpu{at}", port) for at, port in enumerate(ports)]
        yield stack.enter_context(running_proxy(kind, members, folder))


def costs_once(kind: str, framework: str, load: Load) -> dict[str, Cost]:
    """Measure a framework and a proxy in this process."""
    with proxied(kind) as proxy:
        meter = Meter({framework: [os.getpid()], kind: family(proxy)})
        return asyncio.run(costs_of(FRAMEWORKS[framework](proxy.url, load), meter))


def measured(rounds: int, load: Load) -> dict[str, Cost]:
    """Return the least cost of each program over the rounds: the one least disturbed."""
    found: dict[str, list[Cost]] = {}
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh, max_tasks_per_child=1) as processes:
        for kind, framework in [*product(PROXIES, FRAMEWORKS)] * rounds:
            costs = processes.submit(costs_once, kind, framework, load).result()
            for program, cost in costs.items():
                found.setdefault(program, []).append(cost)
    return {name: least(costs) for name, costs in found.items()}


def least(costs: list[Cost]) -> Cost:
    """Return the least CPU, and the median of memory and files, which nothing disturbs."""
    names = [field.name for field in fields(Cost)]
    columns = {name: [getattr(cost, name) for cost in costs] for name in names}
    return Cost(
        **{
            name: min(column) if name.endswith("_us") else statistics.median(column)
            for name, column in columns.items()
        }
    )
