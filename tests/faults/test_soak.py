"""Load in short: many streams at once, cancels, and mixed calls leave nothing; see scripts/soak."""

from soak import Report, cancels, mixed, streams

MOST_GROWTH_MIB = 40
"""Far above what a short run takes by chance, far below what a leak of its calls would."""


def check(report: Report) -> None:
    """Every call is right or failed, each is counted once, and nothing is held after the run."""
    assert report.right + report.failed == report.calls == report.counted
    assert report.after.descriptors <= report.before.descriptors
    assert report.after.threads <= report.before.threads
    assert report.after.memory_mib < report.before.memory_mib + MOST_GROWTH_MIB


def test_many_streams_are_open_at_once() -> None:
    """All of them are open before any goes on, and all give the right answer."""
    report = streams(256)
    check(report)
    assert report.failed == 0


def test_random_cancels_leave_nothing() -> None:
    """After many of them each way gives the right answer."""
    report = cancels(400)
    check(report)
    assert report.failed == 0


def test_mixed_calls_with_a_tenth_faulty() -> None:
    """Threads and loops together: a tenth fails, the others are right."""
    report = mixed(800)
    check(report)
    assert 0 < report.failed <= report.calls // 10 + 1
