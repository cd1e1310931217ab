"""A gate with a limited number of places, for threads and event loops alike.

The semaphores of the standard library serve either threads or one event loop. A model is used from
both at once, so both wait in one queue here. Waiting can be cancelled: the place then goes to the
next in the queue.
"""

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from typing import Self

from ollama_transport.concurrency.forks import renew_in_forks
from ollama_transport.concurrency.loops import is_on_loop


class Gate:
    """Lets ``places`` callers through at a time, in order of arrival.

    Use it as a context manager, sync or async. A blocking caller on an event loop is let through
    even if no place is free: tasks of the same loop may hold the places, and blocking the loop
    would stop them forever.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self.begin_anew()
        renew_in_forks(self)

    def begin_anew(self) -> None:
        """Free all places and forget the queue."""
        self._lock = threading.Lock()
        # Below zero while blocking callers on event loops are over the limit.
        self._free = self._places
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        if (turn := self._ask(beside=is_on_loop())) is not None:
            try:
                turn.result()
            except BaseException:
                # Also on KeyboardInterrupt: a granted place must go to the next in the queue.
                self._withdraw(turn)
                raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._pass_on()

    async def __aenter__(self) -> Self:
        if (turn := self._ask()) is not None:
            try:
                await asyncio.wrap_future(turn)
            except BaseException:
                # Cancelled while waiting, perhaps just as the place was granted.
                self._withdraw(turn)
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._lock:
            self._pass_on()

    def _ask(self, *, beside: bool = False) -> Future[None] | None:
        """Take a place, or return a future to wait for."""
        with self._lock:
            if self._free > 0 or beside:
                self._free -= 1
                return None
            turn: Future[None] = Future()
            self._waiting.append(turn)
            return turn

    def _pass_on(self) -> None:
        while self._waiting and self._free >= 0:
            turn = self._waiting.popleft()
            # False if the caller stopped waiting in the meantime.
            if turn.set_running_or_notify_cancel():
                turn.set_result(None)
                return
        # Capped: after a fork, a holder from before the reset returns its place as well.
        self._free = min(self._free + 1, self._places)

    def _withdraw(self, turn: Future[None]) -> None:
        # Under the lock a turn has one of three states: waiting, cancelled, or granted.
        with self._lock:
            if not turn.cancel():
                self._pass_on()
