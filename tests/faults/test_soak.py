"""Load in short: many streams at once, cancels, and mixed calls leave nothing; see scripts/soak."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from soak import Footprint, Report

SUPPORT = Path(__file__).parents[1] / "support"
RUNS = """
import json, soak
runs = {"streams": soak.streams(256), "cancels": soak.cancels(400), "mixed": soak.mixed(800)}
print(json.dumps({name: report.as_dict() for name, report in runs.items()}))
"""
MOST_GROWTH_MIB = 40
"""Far above what a short run takes by chance, far below what a leak of its calls would."""


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """Run in a process of its own: what other tests left running opens descriptors at any time."""
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", RUNS],
        cwd=SUPPORT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ResourceWarning" not in done.stderr
    return {name: _read(report) for name, report in json.loads(done.stdout).items()}


def _read(report: dict[str, dict[str, float]]) -> Report:
    ends = {name: Footprint(**report.pop(name)) for name in ("before", "after")}
    return Report(**report, **ends)


def check(report: Report) -> None:
    """Every call is right or failed, each is counted once, and nothing is held after the run."""
    assert report.right + report.failed == report.calls == report.counted
    assert report.after.descriptors <= report.before.descriptors
    assert report.after.threads <= report.before.threads
    assert report.after.memory_mib < report.before.memory_mib + MOST_GROWTH_MIB


def test_many_streams_are_open_at_once(reports: dict[str, Report]) -> None:
    """All of them are open before any goes on, and all give the right answer."""
    check(reports["streams"])
    assert reports["streams"].failed == 0


def test_random_cancels_leave_nothing(reports: dict[str, Report]) -> None:
    """After many of them each way gives the right answer."""
    check(reports["cancels"])
    assert reports["cancels"].failed == 0


def test_mixed_calls_with_a_tenth_faulty(reports: dict[str, Report]) -> None:
    """Threads and loops together: a tenth fails, the others are right."""
    report = reports["mixed"]
    check(report)
    assert 0 < report.failed <= report.calls // 10 + 1
