"""Limits on concurrent requests and requests per minute, for threads and event loops alike."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Self

from ollama_transport.concurrency.gates import Gate
from ollama_transport.errors import ConfigError

WINDOW_S = 60.0


class Limits:
    """Limits the requests of a client: `max_concurrency` in flight, `requests_per_minute` begun.

    ```python
    from ollama_transport import Client, Limits

    limits = Limits(max_concurrency=2, requests_per_minute=60)  # one for any number of clients
    with Client(limits=limits) as client:
        print(client.generate(model="llama3.2", prompt="Hello").text)
    ```

    None means no limit. Use it as a context manager, sync or async, around a request and the
    reading of its answer; call `wait` or `await_start` before each try. Threads and tasks of any
    loop wait in one queue, in order of arrival, and can be cancelled. In no window of 60 seconds do
    more requests begin than allowed. Pickled and deep copies start with empty counts.

    A stream holds its place until it ends. With ``max_concurrency=1``, a second call from the same
    thread while a stream is open therefore waits forever.

    Raises:
        ConfigError: for limits below 1.
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
                raise ConfigError(f"{name}={value}: give 1 or more, or None for no limit.")
        self.max_concurrency = max_concurrency
        self.requests_per_minute = requests_per_minute
        self._clock, self._sleep, self._async_sleep = clock, sleep, async_sleep
        self._places = None if max_concurrency is None else Gate(max_concurrency)
        # Only the first in the queue checks the clock, so that none overtakes it while it sleeps.
        self._line = Gate(1)
        # The starts of the last requests, as many as are allowed: the oldest one decides.
        self._begun: deque[float] = deque(maxlen=requests_per_minute)

    # The places are taken here, the starts are counted in `wait`: a retry starts again, but keeps
    # its place.
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
        """Begin a request and return 0, or return the seconds until one may begin."""
        now = self._clock()
        if len(self._begun) == self._begun.maxlen and (free := self._begun[0] + WINDOW_S) > now:
            return free - now
        self._begun.append(now)
        return 0.0

    def __reduce__(self) -> tuple[type["Limits"], tuple[int | None, int | None]]:
        return Limits, (self.max_concurrency, self.requests_per_minute)

    def __deepcopy__(self, _: object) -> "Limits":
        return Limits(self.max_concurrency, self.requests_per_minute)
