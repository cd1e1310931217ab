"""Concurrent blocking calls in threads, with a limit."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_threads(
    function: Callable[[T], R],
    items: Sequence[T],
    limit: int,
    done: Callable[[T], object] | None = None,
) -> list[R]:
    """Return the results for items, in their order, with at most ``limit`` threads.

    Threads see the context variables of the caller, such as those of tracing. ``done`` is called in
    the caller's thread with each finished item. The first failure is raised when the calls in
    flight have ended; those that had not begun are dropped.
    """
    # Sequential calls need no thread, and stop at the first failure.
    if len(items) < 2 or limit == 1:
        return [and_tell(function(item), item, done) for item in items]
    pool = ThreadPoolExecutor(max_workers=min(limit, len(items)))
    try:
        futures = {pool.submit(copy_context().run, function, item): item for item in items}
        for future in as_completed(futures):
            and_tell(future.result(), futures[future], done)
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def and_tell(result: R, item: T, done: Callable[[T], object] | None) -> R:
    """Return a result, after telling ``done`` that its item is finished."""
    if done is not None:
        done(item)
    return result
