"""How many requests at once and a minute: for threads and event loops alike.

A limiter of a library serves threads or one event loop; a model is used from both at once, so
the two share these counts. Waiting is cancellable: a place that nobody takes goes to the next.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self

from ollama_transport._errors import ConfigError

WINDOW_S = 60.0


class Limits:
    """Bound the requests of a client: `max_concurrency` in flight, `requests_per_minute` begun.

    None is no bound. Use it as a context manager, plain or asynchronous, around a request and
    the reading of its answer; `wait` and `await_start` before each try. Pickles begin anew.

    Raises:
        ConfigError: for bounds below 1.
    """

    def __init__(
        self,
        max_concurrency: int | None = None,
        requests_per_minute: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (
            ("max_concurrency", max_concurrency),
            ("requests_per_minute", requests_per_minute),
        ):
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}: give 1 or more, or None for no bound.")
        self.max_concurrency = max_concurrency
        self.requests_per_minute = requests_per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[Future[None]] = deque()
        self._starts: deque[float] = deque()

    def __enter__(self) -> Self:
        if (turn := self._ask()) is not None:
            try:
                turn.result()
            except BaseException:
                # Also KeyboardInterrupt: a place that was given must go to the next one.
                self._withdraw(turn)
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

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
        self._leave()

    def wait(self) -> None:
        """Wait until one more request may begin in this minute."""
        if (start := self._reserve()) is not None and (delay := start - self._clock()) > 0:
            try:
                time.sleep(delay)
            except BaseException:
                self._cancel(start)
                raise

    async def await_start(self) -> None:
        """Wait until one more request may begin in this minute."""
        if (start := self._reserve()) is not None and (delay := start - self._clock()) > 0:
            try:
                await asyncio.sleep(delay)
            except BaseException:
                self._cancel(start)
                raise

    def _ask(self) -> Future[None] | None:
        """Take a place, or return what to wait for."""
        if self.max_concurrency is None:
            return None
        with self._lock:
            if self._running < self.max_concurrency:
                self._running += 1
                return None
            turn: Future[None] = Future()
            self._waiting.append(turn)
            return turn

    def _leave(self) -> None:
        if self.max_concurrency is None:
            return
        with self._lock:
            while self._waiting:
                turn = self._waiting.popleft()
                # False where somebody gave up waiting in the meantime.
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._running -= 1

    def _withdraw(self, turn: Future[None]) -> None:
        if not turn.cancel() and turn.done() and not turn.cancelled():
            self._leave()

    def _reserve(self) -> float | None:
        """Return when the next request may begin; None for at once, without any bound."""
        if self.requests_per_minute is None:
            return None
        with self._lock:
            start = self._clock()
            if len(self._starts) >= self.requests_per_minute:
                start = max(start, self._starts.popleft() + WINDOW_S)
            self._starts.append(start)
            return start

    def _cancel(self, start: float) -> None:
        with self._lock:
            if start in self._starts:
                self._starts.remove(start)

    def __reduce__(self) -> tuple[type["Limits"], tuple[int | None, int | None]]:
        return Limits, (self.max_concurrency, self.requests_per_minute)

    def __deepcopy__(self, _: object) -> "Limits":
        return Limits(self.max_concurrency, self.requests_per_minute)
