"""Measure what ours costs beside the peers; write docs/performance.md, or check the ratios."""

import argparse
import asyncio
import dataclasses
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import callgrind
from benchmarks.cases import Row, Scale
from benchmarks.meter import measure
from benchmarks.not_yet import NOT_YET
from benchmarks.results import Measured, Results, load, merged, save, slower_than_peer
from benchmarks.server import Server
from benchmarks.table import table

DOCS = Path(__file__).parent.parent / "docs"
# The time of a busy machine spreads: less than this above the peer is no news, and more is none
# either unless each of so many measurements says it.
GROSS, LOOKS = 1.3, 3
ROUNDS, SHORT_ROUNDS, WAITS = 7, 3, 9
SHORT = {"tokens": 300, "calls": 16, "texts": 256, "many": 32, "few": 40}
COUNTED = {"tokens": 300, "calls": 8, "texts": 256, "few": 60}


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", default="", help="only rows whose key this pattern finds")
    parser.add_argument("--list", action="store_true", help="print the keys of all rows and stop")
    parser.add_argument("--rounds", type=int, help=f"rounds of time; 0 for none (default {ROUNDS})")
    parser.add_argument(
        "--short", action="store_true", help="little work, and fail where ours is far slower"
    )
    parser.add_argument(
        "--instructions", action="store_true", help="count them as well, by valgrind"
    )
    parser.add_argument("--profile", metavar="FOLDER", help="write cProfile files of each case")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    options = parsed(arguments)
    _alone()
    from benchmarks.rows import ROWS

    rows = [row for row in ROWS if re.search(options.rows, row.key)]
    if options.list:
        print("\n".join(f"{row.key:18}{row.title}" for row in rows))
        return 0
    if options.profile:
        return _profile(rows, Path(options.profile))
    results = _results(rows, options)
    if options.json:
        save(results, options.json)
    if callgrind.counter() is None:
        _tell(rows, results, options)
    return _gross(rows, results, options) if options.short else 0


def _alone() -> None:
    """Keep proxies, tracers and settings of the user out of the figures."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or re.match("LANGSMITH|LANGCHAIN|OLLAMA|OPENAI", name):
            del os.environ[name]
    # Installed packages are compiled; those of a checkout are compiled at the first import.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    logging.disable(logging.INFO)


def _results(rows: Sequence[Row], options: argparse.Namespace) -> Results:
    counter = callgrind.counter()
    rounds = _rounds(options)
    results: Results = {}
    if counter is not None or rounds:
        with Server() as server:
            scale = _scale(server.url, options.short, counter is not None)
            for row in rows:
                if counter is None or row.counted:
                    results[row.key] = _measured(row, scale, rounds, counter)
    if options.instructions:
        results = merged(results, _counted(options))
    return results


def _rounds(options: argparse.Namespace) -> int:
    if options.rounds is not None:
        return int(options.rounds)
    return SHORT_ROUNDS if options.short else ROUNDS


def _scale(url: str, short: bool, counted: bool) -> Scale:
    less = COUNTED if counted else SHORT if short else {}
    return dataclasses.replace(Scale(url), **less)


def _measured(
    row: Row, scale: Scale, rounds: int, counter: callgrind.Counter | None
) -> list[Measured]:
    print(row.key, end=" ", file=sys.stderr, flush=True)
    begin = time.perf_counter()
    # A wait of a millisecond or two spreads far more than CPU does, and is soon measured.
    rounds *= WAITS if row.measure == "wall" else 1
    with asyncio.Runner() as runner:
        found = [
            Measured(variant.name, measure(variant.cases(), rounds, runner, counter))
            for variant in row.build(scale)
        ]
    print(f"{time.perf_counter() - begin:.1f} s,", end=" ", file=sys.stderr, flush=True)
    return found


def _counted(options: argparse.Namespace) -> Results:
    if not callgrind.is_there():
        print("instructions are not counted: no valgrind for x86-64 is here", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.json"
        callgrind.run(["--rows", options.rows, "--json", str(path)])
        return load(path)


def _tell(rows: Sequence[Row], results: Results, options: argparse.Namespace) -> None:
    print(file=sys.stderr)
    counted = options.instructions and callgrind.is_there()
    if counted:
        print(table(rows, results, instructions=True), end="\n\n")
    if _rounds(options):
        print(table(rows, results, instructions=False))
    if not options.short and not options.rows and _rounds(options):
        from benchmarks.page import write

        print(f"\nwritten: {write(rows, results, DOCS, counted)}")


def _gross(rows: Sequence[Row], results: Results, options: argparse.Namespace) -> int:
    """Return 1 if a row is far slower than the peer, however often it is measured."""
    slow = _far_slower(rows, results)
    more = argparse.Namespace(**{**vars(options), "rounds": ROUNDS, "instructions": False})
    for _ in range(LOOKS - 1):
        if slow:
            slow = _far_slower(slow, _results(slow, more))
    return 1 if slow else 0


def _far_slower(rows: Sequence[Row], results: Results) -> list[Row]:
    """Print the rows that take far more than the peer, and return those without an excuse."""
    found = []
    for row in rows:
        slower = slower_than_peer(row, results.get(row.key, []), GROSS)
        excuse = NOT_YET.get(row.key)
        for name, ratio in slower.items():
            print(f"{row.key}, {name}: {ratio:.2f} x the peer; {excuse or 'measured again'}")
        if slower and not excuse:
            found.append(row)
    return found


def _profile(rows: Sequence[Row], folder: Path) -> int:
    from benchmarks.profiles import profile

    folder.mkdir(parents=True, exist_ok=True)
    with Server() as server:
        for row in rows:
            for variant in row.build(_scale(server.url, short=True, counted=False)):
                profile(f"{row.key}-{variant.name}".replace(" ", "-"), variant, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
