"""Run a task once, even if many threads and asyncio tasks ask for it at the same time."""

import asyncio
import copy
import threading
from collections import deque
from collections.abc import Hashable
from concurrent.futures import Future
from types import TracebackType
from typing import Literal

from ollama_transport.concurrency.forks import renew_in_forks
from ollama_transport.concurrency.loops import is_on_loop
from ollama_transport.errors import OllamaError

_TAKE_OVER, _DONE = True, False


class Flights:
    """Lets the first caller perform a task while the others wait for the result.

    >>> with flights.turn(key) as is_mine:
    ...     if is_mine:
    ...         do_it()

    If it fails with an OllamaError, each waiting caller raises a copy of the error. If it is
    cancelled, or fails with another error, the next waiting caller takes over. A blocking caller on
    an event loop does not wait but performs the task too: the caller it would wait for may be a
    task of the same loop, which could then never finish.
    """

    def __init__(self) -> None:
        self._landings: dict[Hashable, int] = {}
        self.begin_anew()
        renew_in_forks(self)

    def begin_anew(self) -> None:
        """Forget every running task and every waiting caller."""
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, deque[Future[bool]]] = {}

    def turn(self, key: Hashable) -> "Turn":
        """Return a context manager, sync or async, whose value tells whether to perform the task.

        A run that finishes between this call and the entry counts as well.
        """
        return Turn(self, key)

    def landings(self, key: Hashable) -> int:
        """Return how often the task was completed."""
        with self._lock:
            return self._landings.get(key, 0)

    def board(self, key: Hashable, seen: int) -> Future[bool]:
        """Return a future: True means that the caller performs the task, False that it is done."""
        turn: Future[bool] = Future()
        # Checked and claimed under one lock, or two callers could both start.
        with self._lock:
            if self._landings.get(key, 0) != seen:
                turn.set_result(_DONE)
            elif (waiting := self._waiting.get(key)) is not None:
                waiting.append(turn)
            else:
                self._waiting[key] = deque()
                turn.set_result(_TAKE_OVER)
        return turn

    def land(self, key: Hashable) -> None:
        """Tell the waiting callers that the task is done."""
        with self._lock:
            self._landings[key] = self._landings.get(key, 0) + 1
            for turn in self._waiting.pop(key, ()):
                if turn.set_running_or_notify_cancel():
                    turn.set_result(_DONE)

    def fail(self, key: Hashable, error: OllamaError) -> None:
        """Tell the waiting callers that the task has failed."""
        with self._lock:
            for turn in self._waiting.pop(key, ()):
                if turn.set_running_or_notify_cancel():
                    # A copy for each caller: each adds its own traceback and notes.
                    turn.set_exception(copy.copy(error))

    def hand_over(self, key: Hashable) -> None:
        """Let the next waiting caller perform the task."""
        with self._lock:
            self._hand_over(key)

    def _hand_over(self, key: Hashable) -> None:
        waiting = self._waiting.get(key, deque())
        while waiting:
            turn = waiting.popleft()
            # False if the caller stopped waiting in the meantime.
            if turn.set_running_or_notify_cancel():
                turn.set_result(_TAKE_OVER)
                return
        self._waiting.pop(key, None)

    def withdraw(self, key: Hashable, turn: Future[bool]) -> None:
        """Stop waiting; a turn that was granted at the same moment goes to the next caller."""
        with self._lock:
            if not turn.cancel() and turn.exception() is None and turn.result() is _TAKE_OVER:
                self._hand_over(key)


class Turn:
    """A claim to perform a one-off task. Entering it returns whether to perform it."""

    def __init__(self, flights: Flights, key: Hashable) -> None:
        self._flights = flights
        self._key = key
        # Counted from here: a run completed before the entry need not be repeated.
        self._seen = flights.landings(key)
        self._is_mine = False

    def __enter__(self) -> bool:
        turn = self._flights.board(self._key, self._seen)
        if not turn.done() and is_on_loop():
            self._flights.withdraw(self._key, turn)
            return True
        try:
            self._is_mine = turn.result()
        except BaseException:
            self._flights.withdraw(self._key, turn)
            raise
        return self._is_mine

    async def __aenter__(self) -> bool:
        turn = self._flights.board(self._key, self._seen)
        try:
            self._is_mine = await asyncio.wrap_future(turn)
        except BaseException:
            self._flights.withdraw(self._key, turn)
            raise
        return self._is_mine

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Literal[False]:
        if not self._is_mine:
            return False
        if error is None:
            self._flights.land(self._key)
        elif isinstance(error, OllamaError):
            self._flights.fail(self._key, error)
        else:
            # Cancelled, or a bug in this caller: the next one may still succeed.
            self._flights.hand_over(self._key)
        return False

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        return self.__exit__(kind, error, traceback)
