"""Measure cases: interleaved rounds of CPU and wall time, or instructions counted once."""

import asyncio
import gc
import inspect
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.callgrind import Counter
from benchmarks.cases import Case, Measure


@dataclass
class Figures:
    """What one run of a case cost for a unit, a value a round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    instructions: list[float] = field(default_factory=list)

    def of(self, measure: Measure) -> list[float]:
        """Return the values of a measure: seconds, or instructions."""
        values: list[float] = getattr(self, measure)
        return values


class UnequalWorkError(AssertionError):
    """Two cases of one variant did not do the same work."""


def measure(
    cases: Mapping[str, Case],
    rounds: int,
    runner: asyncio.Runner,
    counter: Counter | None = None,
) -> dict[str, Figures]:
    """Measure cases against each other.

    Args:
        cases: What to measure, by name.
        rounds: How often each is measured; the order turns round each time.
        runner: Where asynchronous work is done. Variants of a row share it, because peers do not
            survive their event loop.
        counter: Counts instructions once instead.

    Raises:
        UnequalWorkError: where cases return different values.
    """
    _warm_up(cases, runner)
    gc.collect()
    gc.freeze()  # what is there before the rounds is none of their business
    figures = {name: Figures() for name in cases}
    for at in range(1 if counter else rounds):
        for name in list(cases) if at % 2 == 0 else list(cases)[::-1]:
            _once(cases[name], runner, figures[name], counter)
    return figures


def _warm_up(cases: Mapping[str, Case], runner: asyncio.Runner) -> None:
    results: dict[str, Any] = {}
    for name, case in cases.items():
        result = None
        for _ in range(case.warm_ups):
            result = call(case, runner)
            clear_away(case, result, runner)
        if case.after is None and result is not None:
            results[name] = result
    if any(result != next(iter(results.values())) for result in results.values()):
        shown = {name: repr(result)[:80] for name, result in results.items()}
        raise UnequalWorkError(f"the cases do not do the same work: {shown}")


def _once(case: Case, runner: asyncio.Runner, figures: Figures, counter: Counter | None) -> None:
    gc.collect()
    if counter is None:
        _time(case, runner, figures)
        return
    count = None
    while count is None:
        counter.start()
        result = call(case, runner)
        count = counter.stop()
        clear_away(case, result, runner)
    figures.instructions.append(count / case.units)


def _time(case: Case, runner: asyncio.Runner, figures: Figures) -> None:
    wall, cpu = time.perf_counter(), cpu_s()
    result = call(case, runner)
    figures.cpu.append((cpu_s() - cpu) / case.units)
    figures.wall.append((time.perf_counter() - wall) / case.units)
    clear_away(case, result, runner)


def call(case: Case, runner: asyncio.Runner) -> Any:
    """Do the work of a case once."""
    return runner.run(_awaited(case.work)) if case.is_async else case.work()


async def _awaited(work: Callable[[], Any]) -> Any:
    return await work()


def clear_away(case: Case, result: Any, runner: asyncio.Runner) -> None:
    """Put away what the work of a case returned."""
    if case.after is None:
        return
    cleared = case.after(result)
    if inspect.isawaitable(cleared):
        runner.run(_awaited(lambda: cleared))


def cpu_s() -> float:
    """Return the CPU of this process and of its ended children, in seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
