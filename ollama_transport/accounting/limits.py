"""How many requests at once and a minute: for threads and event loops alike."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Self

from ollama_transport.concurrency.gates import Gate
from ollama_transport.errors import ConfigError

WINDOW_S = 60.0


class Limits:
    """Bound the requests of a client: `max_concurrency` in flight, `requests_per_minute` begun.

    None means no bound. Use it as a context manager, plain or asynchronous, around a request and
    the reading of its answer; `wait` and `await_start` before each try. Who waits is served in
    the order of coming, threads and tasks of any loop in one line, and may be cancelled. In no
    window of 60 seconds do more requests begin than allowed. Pickles and deep copies begin anew.

    A stream that is being read has a place: who asks the same client again before it ends, from
    the same thread and with ``max_concurrency=1``, waits for ever.

    Raises:
        ConfigError: for bounds below 1.
    """

    def __init__(
        self,
        max_concurrency: int | None = None,
        requests_per_minute: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        async_sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        for name, value in (
            ("max_concurrency", max_concurrency),
            ("requests_per_minute", requests_per_minute),
        ):
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}: give 1 or more, or None for no bound.")
        self.max_concurrency = max_concurrency
        self.requests_per_minute = requests_per_minute
        self._clock, self._sleep, self._async_sleep = clock, sleep, async_sleep
        self._places = None if max_concurrency is None else Gate(max_concurrency)
        # The first in line alone looks at the clock, so that nobody overtakes who sleeps.
        self._line = Gate(1)
        self._begun: deque[float] = deque(maxlen=requests_per_minute)

    def __enter__(self) -> Self:
        if self._places is not None:
            self._places.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._places is not None:
            self._places.__exit__()

    async def __aenter__(self) -> Self:
        if self._places is not None:
            await self._places.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._places is not None:
            await self._places.__aexit__()

    def wait(self) -> None:
        """Wait until one more request may begin in this minute."""
        if self.requests_per_minute is None:
            return
        with self._line:
            while (delay := self._begin()) > 0:
                self._sleep(delay)

    async def await_start(self) -> None:
        """Wait until one more request may begin in this minute."""
        if self.requests_per_minute is None:
            return
        async with self._line:
            while (delay := self._begin()) > 0:
                await self._async_sleep(delay)

    def _begin(self) -> float:
        """Begin a request and return 0, or return for how many seconds none may begin."""
        now = self._clock()
        if len(self._begun) == self._begun.maxlen and (free := self._begun[0] + WINDOW_S) > now:
            return free - now
        self._begun.append(now)
        return 0.0

    def __reduce__(self) -> tuple[type["Limits"], tuple[int | None, int | None]]:
        return Limits, (self.max_concurrency, self.requests_per_minute)

    def __deepcopy__(self, _: object) -> "Limits":
        return Limits(self.max_concurrency, self.requests_per_minute)
