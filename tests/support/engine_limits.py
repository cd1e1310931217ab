"""A limit of time for code that may wait for ever, as a pool does for a worker that died."""

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from typing import Any

# Leaving a broken pool may hang as well: then it is interrupted there too.
_AGAIN_S = 5


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread, wherever it waits, when the time is up."""
    # Windows has no such signal: there a hang is a hang.
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(*_: Any) -> None:
        # An executor waits for its workers on its way out. A pool ends its own, daemons all; killed
        # here, one of them might hold the lock that the pool takes first.
        for child in multiprocessing.active_children():
            if not child.daemon:
                child.kill()
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
