"""The peers' own test suites: what is meant to differ is told, and nothing else may fail."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MIGRATING = ROOT / "docs" / "guides" / "migrating.md"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Load the script without running it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    return runpy.run_path(str(ROOT / "scripts" / "peer-suites"), run_name="peer_suites_script")


def rows() -> list[str]:
    """Return the first cell of each row of the tables of differences."""
    lines = [line for line in MIGRATING.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [line.removeprefix("| ").partition(" | ")[0] for line in lines]


def test_each_expected_difference_names_its_row(script: dict[str, Any]) -> None:
    """A test of a peer that is meant to fail has its reason in the guide."""
    for name, suite in script["SUITES"].items():
        for test, row in suite.differs.items():
            assert row in rows(), f"{name}: {test} names the row {row!r}, which is not there"


def test_other_failures_and_needless_exceptions_are_reported(script: dict[str, Any]) -> None:
    """What fails unexpectedly, passes unexpectedly, or is gone, is said; the rest is not."""
    suite = script["Suite"](
        requirement="peer==1",
        tests=["tests"],
        plugin="none",
        differs={"::meant": "a", "::now_passes": "b", "::gone": "c"},
    )
    found = {"t::meant": "failed", "t::now_passes": "passed", "t::new": "failed", "t::ok": "passed"}

    said = script["unexpected"](suite, {**found, "t::left_out": "skipped"})

    assert [line.rpartition(": ")[2] for line in said] == ["t::now_passes", "t::new", "::gone"]


def test_a_suite_runs_as_it_is_rewritten(script: dict[str, Any], tmp_path: Path) -> None:
    """Each test of a rewritten suite has its outcome, and environment variables stay away."""
    source = tmp_path / "source"
    (source / "tests").mkdir(parents=True)
    (source / "tests" / "test_it.py").write_text(
        "import os\n"
        "def test_environment(): assert not [n for n in os.environ if n.startswith('OLLAMA_')]\n"
        "def test_fails(): assert OLD\n"
    )
    suite = script["Suite"](
        requirement="peer==1",
        tests=["tests"],
        plugin="suite",
        differs={},
        rewrite=lambda name, text: text.replace("OLD", "False"),
    )
    copy = tmp_path / "copy"
    copy.mkdir()

    found = script["outcomes"](suite, script["prepared"](suite, source, copy))

    assert found == {
        "tests.test_it.test_environment": "passed",
        "tests.test_it.test_fails": "failed",
    }
