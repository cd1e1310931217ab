"""Do several calls at once, but not more than a limit, and keep their order."""

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from typing import TypeVar

from langchain_core.runnables.config import ContextThreadPoolExecutor

FAN_OUT = 4
"""So many requests of one call are under way at a time, where `max_concurrency` says nothing."""

T = TypeVar("T")
R = TypeVar("R")


def fan_out(max_concurrency: int | None) -> int:
    """Return how many requests of one call may be under way at a time."""
    return FAN_OUT if max_concurrency is None else max_concurrency


def map_threads(
    function: Callable[[T], R],
    items: Sequence[T],
    limit: int,
    done: Callable[[T], object] | None = None,
) -> list[R]:
    """Return the results for items, in their order, from at most ``limit`` threads.

    ``done`` is called in the caller's thread with each item that is finished. The first failure
    is raised once the calls under way have ended; those that had not begun are dropped.
    """
    # One after the other needs no thread, and stops at the first failure.
    if len(items) < 2 or limit == 1:
        return [_and_tell(function(item), item, done) for item in items]
    # Core's own pool: threads see the context variables of the caller, tracing among them.
    pool = ContextThreadPoolExecutor(max_workers=min(limit, len(items)))
    try:
        futures = {pool.submit(function, item): item for item in items}
        for future in as_completed(futures):
            _and_tell(future.result(), futures[future], done)
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def _and_tell(result: R, item: T, done: Callable[[T], object] | None) -> R:
    if done is not None:
        done(item)
    return result
