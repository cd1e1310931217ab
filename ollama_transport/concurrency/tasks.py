"""Concurrent calls on an event loop, with a limit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ollama_transport.concurrency.threads import and_tell

T = TypeVar("T")
R = TypeVar("R")


async def map_tasks(
    function: Callable[[T], Awaitable[R]],
    items: Sequence[T],
    limit: int,
    done: Callable[[T], object] | None = None,
) -> list[R]:
    """Return the results for items, in their order, with at most ``limit`` calls at a time.

    ``done`` is called in the loop with each finished item. The first failure is raised at once:
    calls in flight are cancelled, and no other begins.
    """
    gate = asyncio.Semaphore(limit)

    async def one(item: T) -> R:
        async with gate:
            # After a failure the gate opens before the group cancels the rest: yield for that.
            await asyncio.sleep(0)
            return and_tell(await function(item), item, done)

    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as errors:
        failure = errors.exceptions[0]
    # Raised outside the handler: the ExceptionGroup would become its context.
    if failure is not None:
        raise failure
    return [task.result() for task in tasks]
