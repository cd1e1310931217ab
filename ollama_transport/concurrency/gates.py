"""A gate with a limited number of places, for threads and event loops alike.

A semaphore of a library serves threads or one event loop; a model is used from both at once, so
the two wait in one line here. Waiting is cancellable: a place nobody takes goes to the next.
"""

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from typing import Self

from ollama_transport.concurrency.forks import renew_in_forks
from ollama_transport.concurrency.loops import is_on_loop


class Gate:
    """Let ``places`` through at a time, in the order of their coming.

    Use it as a context manager, plain or asynchronous. Who would block an event loop goes through
    beside the others: the places may be held by tasks of that very loop, and then nothing would
    ever go on.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self.begin_anew()
        renew_in_forks(self)

    def begin_anew(self) -> None:
        """Have all places free and nobody waiting."""
        self._lock = threading.Lock()
        # Below zero while some went through beside the others.
        self._free = self._places
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        if (turn := self._ask(beside=is_on_loop())) is not None:
            try:
                turn.result()
            except BaseException:
                # Also KeyboardInterrupt: a place that was given must go to the next one.
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
                # Cancelled while waiting, perhaps just when the place was given.
                self._withdraw(turn)
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._lock:
            self._pass_on()

    def _ask(self, *, beside: bool = False) -> Future[None] | None:
        """Take a place, or return what to wait for."""
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
            # False where somebody gave up waiting in the meantime.
            if turn.set_running_or_notify_cancel():
                turn.set_result(None)
                return
        # No more than there are: after a fork, who held one before gives it back as well.
        self._free = min(self._free + 1, self._places)

    def _withdraw(self, turn: Future[None]) -> None:
        # Under the lock no turn is half given: it is still waiting, cancelled, or has its place.
        with self._lock:
            if not turn.cancel():
                self._pass_on()
