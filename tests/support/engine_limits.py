"""A limit of time for code that may wait for ever, as a pool does for a worker that died."""

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread, wherever it waits, when the time is up.

    Worker processes are ended then, for pools wait for them on their way out as well.
    """
    # Windows has no such signal: there a hang is a hang.
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(*_: Any) -> None:
        for child in multiprocessing.active_children():
            child.kill()
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
