"""Load and soak: many streams at once, random cancels, long mixed runs; what they leave behind."""

import asyncio
import gc
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fault_ways import RIGHT, WAYS, Way, nothing_left
from raw_server import DEADLINE_S, Asked, End, RawServer, Step
from right_answers import CHUNKED, chunk, head, is_generation, kind_of, otherwise, right, sized

from ollama_transport import OllamaError, UsageLedger

FAULTY = 10
"""One answer in so many is faulty."""


@dataclass(frozen=True)
class Footprint:
    """What a process holds: resident memory in MiB, descriptors, threads but for the server's."""

    memory_mib: float
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> "Footprint":
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cls(round(memory, 1), len(os.listdir("/proc/self/fd")), len(_threads()))


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name != "raw-server"]


@dataclass(frozen=True)
class Report:
    """What a run did, and what the process held before and after it."""

    calls: int
    right: int
    failed: int
    counted: int
    """Requests by the ledger."""
    before: Footprint
    after: Footprint

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """Answer rightly, but for every tenth request: those fail in five ways by turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def __call__(self, asked: Asked) -> list[Step]:
        if not is_generation(asked):
            return otherwise(asked)
        with self._lock:
            self._count += 1
            count = self._count
        if count % FAULTY:
            return otherwise(asked)
        return self._fault(count // FAULTY, asked)

    def _fault(self, number: int, asked: Asked) -> list[Step]:
        answer = right(asked)
        half = chunk(answer.body[: len(answer.body) // 2])
        ways: list[list[Step]] = [
            [End.RESET],
            [head(CHUNKED, kind_of(answer)), half, End.RESET],
            [head(CHUNKED, kind_of(answer)), half, End.CLOSE],
            [sized(b'{"error":"busy"}', status=b"503 Service Unavailable")],
            [sized(b"<html>", b"Content-Type: text/html")],
        ]
        return ways[number % len(ways)]


@contextmanager
def serving(play: Callable[[Asked], Any]) -> Iterator[RawServer]:
    with RawServer(play) as server:
        server.remembers = False
        yield server


class Tally:
    """Count what calls gave, from any thread."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, kind: str) -> None:
        with self._lock:
            self.counts[kind] += 1

    def note_answer(self, way: Way, value: Any) -> None:
        self.note("right" if value == RIGHT[way.form] else "wrong")


def ask(way: Way, model: Any, tally: Tally) -> None:
    try:
        tally.note_answer(way, way.ask(model))
    except OllamaError:
        tally.note("failed")


async def aask(way: Way, model: Any, tally: Tally) -> None:
    try:
        tally.note_answer(way, await way.aask(model))
    except OllamaError:
        tally.note("failed")


def streams(count: int) -> Report:
    """Run so many streams at once in one event loop, all of which are open before any ends."""
    _streams(count)
    return _streams(count)


def _streams(count: int) -> Report:
    way = next(way for way in WAYS if way.form == "streamed" and way.is_async)
    ledger, tally, all_open = UsageLedger(), Tally(), threading.Event()

    def held(asked: Asked) -> list[Step]:
        answer = right(asked)
        first, *rest = map(chunk, answer.pieces)
        return [head(CHUNKED, kind_of(answer)), first, all_open, *rest, b"0\r\n\r\n"]

    async def run(url: str) -> None:
        model = way.model(url, ledger=ledger, timeout=(60.0, 120.0))
        tasks = [asyncio.create_task(aask(way, model, tally)) for _ in range(count)]
        await asyncio.to_thread(server.wait_until, lambda: server.connected == count)
        all_open.set()
        await asyncio.gather(*tasks)
        await model.aclose()
        await nothing_left()

    with serving(held) as server:
        before = Footprint.now()
        asyncio.run(run(server.url))
        server.wait_until_left()
        return _report(count, tally, ledger, before)


def cancels(count: int, seed: int = 0) -> Report:
    """Cancel so many calls, each after a random number of the loop's turns; then ask once more."""
    chance = random.Random(seed)
    ways = [way for way in WAYS if way.is_async]
    ledger, tally = UsageLedger(), Tally()
    cancelled: list[int] = []

    async def one(way: Way, model: Any) -> None:
        task = asyncio.create_task(aask(way, model, tally))
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def run(url: str) -> None:
        models = {way: way.model(url, ledger=ledger) for way in ways}
        for _ in range(count // 50):
            await asyncio.gather(*(one(way, models[way]) for way in chance.choices(ways, k=50)))
        tally.counts.clear()
        cancelled.append(ledger.snapshot().total.requests)
        for way, model in models.items():
            await aask(way, model, tally)
            await model.aclose()
        await nothing_left()

    with serving(otherwise) as server:
        asyncio.run(run(server.url))
        before = Footprint.now()
        asyncio.run(run(server.url))
        server.wait_until_left()
        return _report(len(ways), tally, ledger, before, uncounted=cancelled[-1])


def mixed(count: int, workers: int = 4) -> Report:
    """Make so many calls, half of them on threads and half on loops, a tenth of them faulty."""
    with serving(Faults()) as server:
        _mix(server.url, max(200, count // 10), workers, UsageLedger(), Tally())
        server.wait_until_left()
        before = Footprint.now()
        ledger, tally = UsageLedger(), Tally()
        made = _mix(server.url, count, workers, ledger, tally)
        server.wait_until_left()
        return _report(made, tally, ledger, before)


def _mix(url: str, count: int, workers: int, ledger: UsageLedger, tally: Tally) -> int:
    """Return how many calls were made."""
    each = count // (2 * workers)
    models = {way: way.model(url, ledger=ledger) for way in WAYS}
    blocking, awaited = ([way for way in WAYS if way.is_async is kind] for kind in (False, True))

    def on_a_thread(start: int) -> None:
        for place in range(start, start + each):
            way = blocking[place % len(blocking)]
            ask(way, models[way], tally)

    async def on_a_loop(start: int) -> None:
        for place in range(start, start + each):
            way = awaited[place % len(awaited)]
            await aask(way, models[way], tally)
        await nothing_left()

    threads = [
        threading.Thread(target=work, args=(start,), daemon=True)
        for start in range(workers)
        for work in (on_a_thread, lambda start: asyncio.run(on_a_loop(start)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for model in models.values():
        model.close()
    return each * 2 * workers


def _report(
    calls: int, tally: Tally, ledger: UsageLedger, before: Footprint, uncounted: int = 0
) -> Report:
    assert not tally.counts["wrong"], tally.counts
    counted = ledger.snapshot().total.requests - uncounted
    right, failed = tally.counts["right"], tally.counts["failed"]
    return Report(calls, right, failed, counted, before, _footprint_after(before))


def _footprint_after(before: Footprint) -> Footprint:
    # The server may accept, and close, a connection only after its client has left.
    until = time.monotonic() + DEADLINE_S
    while (after := Footprint.now()).descriptors > before.descriptors and time.monotonic() < until:
        time.sleep(0.05)
    return after
