"""docs/performance.md: the tables, the plot, and the machine that they come from."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.cases import Row
from benchmarks.left import LEFT
from benchmarks.results import Measured, Results, is_reached, measure_of
from benchmarks.table import table

PACKAGES = (
    "ollama-ext", "langchain-core", "langchain-ollama", "langchain-openai", "llama-index-core",
    "llama-index-llms-ollama", "llama-index-embeddings-ollama", "httpx", "pydantic", "orjson",
)  # fmt: skip
TEXT = """# Performance

Written by `python -m benchmarks`; CONTRIBUTING.md tells how to run it. Each row does the same work
with ours, with the peer, and with what cannot be beaten: the framework fed from memory, or httpx
with nothing above it. Instructions, by callgrind, are the figures to go by: they hardly depend on
what else the machine does. Times are CPU, or wall where the unit says nothing of CPU; they were
taken on a machine with other work, as medians of the ratios of interleaved rounds, so a difference
of a tenth says nothing. The server is a process of its own with answers made beforehand, so that
only the client is measured. Figures of
different runs, or machines, are not compared. Where a row has several values they are in the order
of its name. "first token" is what each adds to raw httpx.

![Ours as a part of the peer]({plot})

{counts}## Time

{times}
{missed}
## The machine

{machine}
"""
COUNTS = """## Instructions

Counted by callgrind; they hardly depend on what else the machine does.

{}

"""


MISSED = """
## Goals that are not reached

Each with what is left by the profile, in thousands of instructions a unit where no other is named.
"""

IN_TIME = """
These goals are reached by instructions, and were not in the time of this run. System calls, which
instructions of the process do not show, are part of it, and so is what else the machine did.
"""


def write(rows: Sequence[Row], results: Results, folder: Path, counted: bool) -> Path:
    """Write the page and its plot into a folder, and return the page's path."""
    from benchmarks.plot import draw

    folder.mkdir(exist_ok=True)
    draw(rows, results, folder / "performance.svg", counted)
    counts = COUNTS.format(table(rows, results, instructions=True)) if counted else ""
    page = folder / "performance.md"
    page.write_text(
        TEXT.format(
            plot="performance.svg",
            counts=counts,
            times=table(rows, results, instructions=False),
            missed=_missed(rows, results, counted) + _missed_in_time(rows, results, counted),
            machine=machine(),
        )
    )
    return page


def _missed(rows: Sequence[Row], results: Results, counted: bool) -> str:
    missed = []
    for row in rows:
        variants = results.get(row.key, [])
        if variants and _is_reached(row, variants, counted) is False:
            missed.append(f"- {row.title}: {row.goal.text}. {LEFT.get(row.key, '')}".rstrip())
    return "\n".join([MISSED, *missed, ""]) if missed else ""


def _missed_in_time(rows: Sequence[Row], results: Results, counted: bool) -> str:
    titles = []
    for row in rows:
        variants = results.get(row.key, [])
        by_both = (measure_of(row, counted), row.measure)
        reached = [is_reached(row, variants, measure) if variants else None for measure in by_both]
        if reached == [True, False]:
            titles.append(f"- {row.title}")
    return "\n".join([IN_TIME, *titles, ""]) if titles else ""


def _is_reached(row: Row, variants: Sequence[Measured], counted: bool) -> bool | None:
    found = is_reached(row, variants, measure_of(row, counted))
    # A goal in microseconds: instructions do not say.
    return is_reached(row, variants, row.measure) if found is None else found


def machine() -> str:
    """Return the machine and the versions that figures depend on, as a list."""
    lines = [
        f"- {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        f"- Python {platform.python_version()}",
        f"- {', '.join(filter(None, map(_named, PACKAGES)))}",
    ]
    return "\n".join(lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def _named(package: str) -> str | None:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None
