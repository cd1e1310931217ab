"""The requests that each server may have at a time: one actor lends their slots to all workers."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any

from ray.exceptions import RayActorError

PATIENCE_S = 10.0
"""Seconds of waiting after which the borrowers are checked: one may have died."""

PING_S = 2.0
"""Seconds in which a worker that is idle answers."""


class Slots:
    """Lends slots: the server with the fewest requests under way is next.

    A server that failed rests, and the others answer meanwhile. It runs as an actor of Ray, whose
    calls are tasks of one event loop.
    """

    def __init__(self, servers: Sequence[str | None], per_server: int) -> None:
        self._per_server = per_server
        # By the monotonic clock; 0 means that a server never failed.
        self._rests_until = dict.fromkeys(servers, 0.0)
        self._asked: Counter[str | None] = Counter()
        self._lent: dict[int, tuple[str | None, Any]] = {}
        self._numbers = count()
        self._freed = asyncio.Event()

    async def take(self, borrower: Any) -> tuple[int, str | None]:
        """Wait for a free slot; return the number of the loan, and the server.

        ``borrower`` is the handle of the actor that asks. It takes one batch at a time.
        """
        while (server := self._next()) is _NONE_FREE:
            # Cleared before the wait: a slot given back meanwhile sets it again.
            self._freed.clear()
            try:
                await asyncio.wait_for(self._freed.wait(), PATIENCE_S)
            except TimeoutError:
                await self._drop_lost()
        number = next(self._numbers)
        self._lent[number] = server, borrower
        self._asked[server] += 1
        return number, server

    def give_back(self, number: int, rest_s: float = 0.0) -> None:
        """End a loan; ``rest_s`` is how many seconds a server that failed gets none."""
        server, _ = self._lent.pop(number, (_NONE_FREE, None))
        if rest_s and server in self._rests_until:
            self._rests_until[server] = time.monotonic() + rest_s
        self._freed.set()

    def asked(self) -> dict[str | None, int]:
        """Return how many requests each server was lent for."""
        return dict(self._asked)

    def _next(self) -> Any:
        now = time.monotonic()
        ready = [server for server, until in self._rests_until.items() if until <= now]
        # Where all of them failed, the one that has rested longest is asked: its error is shown.
        among = ready or [min(self._rests_until, key=self._rests_until.__getitem__)]
        busy = Counter(server for server, _ in self._lent.values())
        server = min(among, key=lambda one: (busy[one], self._asked[one]))
        return server if busy[server] < self._per_server else _NONE_FREE

    async def _drop_lost(self) -> None:
        """End the loans of workers that died with them."""
        # Ray reports the death of an actor to no other one, and a lost loan would hold its slot
        # for ever.
        loans = list(self._lent.items())
        lost = await asyncio.gather(*(_is_lost(borrower) for _, (_, borrower) in loans))
        for (number, _), is_lost in zip(loans, lost, strict=True):
            if is_lost:
                self.give_back(number)


_NONE_FREE: Any = object()


async def _is_lost(borrower: Any) -> bool:
    """Return whether an actor is dead, or alive again without the request it once began."""
    try:
        # An actor answers this after the batch it is at work on.
        await asyncio.wait_for(borrower.__ray_ready__.remote(), PING_S)
    except TimeoutError:
        return False
    except RayActorError:
        return True
    return True
