"""The benchmark itself: its rows do equal work, its counts count, its verdicts are right."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as main
from benchmarks import callgrind
from benchmarks.cases import Case, Goal, Row
from benchmarks.meter import Figures, UnequalWorkError, measure
from benchmarks.replies import reply
from benchmarks.results import Measured, is_reached, slower_than_peer
from benchmarks.rows import ROWS
from benchmarks.table import table

ROOT = Path(__file__).parent.parent.parent
CHAT = b'{"model":"%s","messages":[],"stream":%s}'


def a_row(goal: Goal, beyond: str = "") -> Row:
    return Row("key", "a row", "call", goal, lambda _: [], beyond=beyond)


def measured(ours: float, peer: float, floor: float = 0.0) -> Measured:
    costs = {"ours": ours, "peer": peer, "httpx": floor}
    return Measured(
        "sync", {name: Figures([cost], [cost], [cost * 1e9]) for name, cost in costs.items()}
    )


@pytest.mark.parametrize(
    ("goal", "measure", "reached"),
    [
        (Goal((0.5,)), "cpu", True),
        (Goal((0.4,)), "cpu", False),
        (Goal((3e6,), "instructions"), "instructions", True),
        (Goal((1e6,), "instructions"), "instructions", False),
        (Goal((1e6,), "instructions"), "cpu", None),
        (Goal((2.0,), "httpx"), "cpu", True),
        (Goal((1.9,), "httpx"), "cpu", False),
    ],
)
def test_a_goal_is_judged_in_its_own_measure(goal: Goal, measure, reached: bool | None) -> None:
    """A goal in instructions says nothing about seconds; one that is a part needs either."""
    assert is_reached(a_row(goal), [measured(2e-3, 4e-3, 1e-3)], measure) is reached


def test_a_floor_is_taken_off_both_sides() -> None:
    """Where only what comes on top of httpx counts, it is subtracted before dividing."""
    row = a_row(Goal((0.5,)), beyond="httpx")
    assert slower_than_peer(row, [measured(3.0, 2.0, 1.0)], 1.9) == {"sync": 2.0}
    # Where the floor took longer than the peer, nothing can be said.
    assert slower_than_peer(row, [measured(1.0, 2.0, 3.0)], 1.9) == {}


def test_rows_slower_than_the_peer_are_found() -> None:
    """A row fails by one variant, and no row fails without a peer."""
    variants = [measured(1.0, 2.0), measured(3.0, 2.0)]
    assert slower_than_peer(a_row(Goal((1.0,))), variants, 1.3) == {"sync": 1.5}
    alone = Measured("sync", {"ours": Figures([1.0], [1.0])})
    assert slower_than_peer(a_row(Goal((1.0,))), [alone], 1.3) == {}


@pytest.mark.parametrize(("later", "code"), [([1.0], 0), ([3.0, 1.0], 0), ([3.0, 3.0], 1)])
def test_a_slow_row_is_measured_again(
    later: list[float], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a row that is far slower each time is a failure: a busy machine is no news."""
    again = iter(later)
    monkeypatch.setattr(main, "_results", lambda *_: {"key": [measured(next(again), 2.0)]})
    first = {"key": [measured(3.0, 2.0)]}
    assert main._gross([a_row(Goal((1.0,)))], first, main.parsed(["--short"])) == code
    assert next(again, None) is None


def test_the_table_has_all_that_the_issue_asks() -> None:
    """Each row tells the peer, ours, the ratio, the floor, the goal and whether it is reached."""
    row = a_row(Goal((0.5,), text="≤ 0.5 x"))
    lines = table([row], {"key": [measured(2e-3, 4e-3, 1e-3)]}, instructions=False).splitlines()
    assert lines[2] == (
        "| a row | CPU µs a call | 4,000 | 2,000 | 0.50 | httpx 1,000 | ≤ 0.5 x | yes |"
    )


def test_unequal_work_is_refused() -> None:
    """A case that answers something else than the others is not compared with them."""
    cases = {"ours": Case(lambda: 1), "peer": Case(lambda: 2)}
    with asyncio.Runner() as runner, pytest.raises(UnequalWorkError):
        measure(cases, 1, runner)


def test_costs_are_shown_for_one_unit() -> None:
    """Rounds are interleaved, and each run's cost is divided by what it handled."""
    done: list[str] = []
    cases = {
        "ours": Case(lambda: done.append("ours"), 10, warm_ups=0),
        "peer": Case(lambda: done.append("peer"), warm_ups=0),
    }
    with asyncio.Runner() as runner:
        figures = measure(cases, 2, runner)
    assert done == ["ours", "peer", "peer", "ours"]
    assert len(figures["ours"].cpu) == len(figures["peer"].wall) == 2


def test_the_server_answers_the_same_bytes_each_time() -> None:
    """What a model's name asks for is made once, whole or in lines."""
    whole = reply("/api/chat", CHAT % (b"stream-3", b"false"))
    assert reply("/api/chat", CHAT % (b"stream-3", b"false")) is whole
    assert whole.writes[0].endswith(b"}")
    assert b'"content":" the ofing"' in whole.writes[0]
    paced = reply("/api/chat", CHAT % (b"stream-3-every1000", b"true"))
    assert len(paced.writes) == 4
    assert paced.pause_s == 0.001


@pytest.mark.skipif(not callgrind.is_there(), reason="no valgrind")
def test_instructions_are_counted(tmp_path: Path) -> None:
    """Twice the work is about twice the instructions, and none are counted in between."""
    script = tmp_path / "script.py"
    script.write_text(
        "from benchmarks.callgrind import counter\n"
        "count = counter()\n"
        "for times in (10_000, 20_000):\n"
        "    sum(range(1_000_000))\n"
        "    count.start()\n"
        "    for at in range(times): hash(str(at))\n"
        "    print(count.stop())\n"
    )
    valgrind = shutil.which("valgrind")
    assert valgrind is not None
    done = subprocess.run(
        [valgrind, "-q", "--tool=callgrind", "--instr-atstart=no",
         f"--callgrind-out-file={tmp_path}/out", sys.executable, str(script)],
        env={**os.environ, callgrind.OUTPUT: str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    once, twice = map(int, done.stdout.split())
    assert 1.8 < twice / once < 2.2


def test_each_row_does_its_work() -> None:
    """Every row runs, in little: ours, the peers and the floors give the same answers."""
    small = "dict(tokens=8, calls=2, texts=12, many=2, few=4)"
    script = (
        "import benchmarks.__main__ as main; main.SHORT = " + small + "\n"
        "main.GROSS = float('inf')\n"
        "raise SystemExit(main.main(['--short', '--rounds', '1', '--rows', '^(?!import)']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = [line.split(" | ")[0] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert told[1:] == [f"| {row.title}" for row in ROWS if row.key != "import"]
