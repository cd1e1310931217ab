"""Reset locks in the child of a fork, where the threads that held them no longer exist.

Web servers fork workers while requests are in flight; without a reset, the child would wait
forever for a lock that no thread can release.
"""

import os
import threading
import weakref
from typing import Protocol


class Renewed(Protocol):
    """An object that must be reset in the child of a fork."""

    def begin_anew(self) -> None:
        """Forget all holders and waiters: they exist only in the parent process."""


_LIVING: weakref.WeakSet[Renewed] = weakref.WeakSet()


def renew_in_forks(owner: Renewed) -> None:
    """Reset an object in the child of every fork, for as long as it lives."""
    _LIVING.add(owner)


def _renew_all() -> None:
    for owner in list(_LIVING):
        owner.begin_anew()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_all)


class Lock:
    """A lock for a ``with`` statement, which is free in the child of a fork."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self.begin_anew()
        renew_in_forks(self)

    def begin_anew(self) -> None:
        """Reset to free."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
