"""Where the time of a case goes, by cProfile."""

import asyncio
import cProfile
import io
import pstats
import time
from contextlib import nullcontext
from pathlib import Path

from benchmarks.cases import Case, Variant
from benchmarks.meter import call, clear_away

LINES = 45


def profile(name: str, variant: Variant, folder: Path) -> None:
    """Write a table of functions for ours and for the peer, sorted by their own time."""
    with asyncio.Runner() as runner:
        for case_name, case in variant.cases().items():
            if case_name in ("ours", "peer"):
                path = folder / f"{name}-{case_name}.txt"
                path.write_text(_profiled(case, runner))
                print(path)


def _profiled(case: Case, runner: asyncio.Runner) -> str:
    profiler, out = cProfile.Profile(time.process_time), io.StringIO()
    for _ in range(case.warm_ups):
        run(case, runner)
    run(case, runner, profiler)
    pstats.Stats(profiler, stream=out).sort_stats("tottime").print_stats(LINES)
    return f"{case.units} units\n{out.getvalue()}"


def run(case: Case, runner: asyncio.Runner, profiler: cProfile.Profile | None = None) -> None:
    """Do the work of a case once, within a profiler."""
    with profiler or nullcontext():
        result = call(case, runner)
    clear_away(case, result, runner)
