"""How many requests at once and a minute, for threads and event loops together."""

import asyncio
import contextlib
import copy
import pickle
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faked import Network
from running import Run

from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ChatRequest, ConfigError, Limits, Message

HELLO = ChatRequest("demo", [Message("user", "Hello")])


class FakeClock:
    """A time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)

    def limits(self, per_minute: int) -> Limits:
        return Limits(
            requests_per_minute=per_minute,
            clock=self,
            sleep=self.sleep,
            async_sleep=self.async_sleep,
        )


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as running:
        yield running


class Pairs:
    """Workers that only go on two at a time, and count how many there are."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=20)
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def meet(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.barrier.wait()
        with self.lock:
            self.inside -= 1


def test_threads_and_tasks_share_the_places() -> None:
    """Two places are used by two at a time, whether threads or tasks."""
    limits, pairs = Limits(2), Pairs()

    def blocking() -> None:
        with limits:
            pairs.meet()

    async def one() -> None:
        async with limits:
            await asyncio.to_thread(pairs.meet)

    async def tasks() -> None:
        await asyncio.gather(*(one() for _ in range(6)))

    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(blocking) for _ in range(6)]
        asyncio.run(tasks())
        for other in others:
            other.result(20)
    assert pairs.most == 2


async def test_callers_are_served_in_order() -> None:
    """Places are given in the order of asking."""
    limits, order = Limits(1), list[int]()

    async def one(number: int) -> None:
        async with limits:
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(one(number) for number in range(10)))
    assert order == list(range(10))


@pytest.mark.parametrize("given", [False, True], ids=["waiting", "just given"])
async def test_a_cancelled_wait_passes_its_place_on(given: bool) -> None:
    """Who is cancelled while waiting, or just as the place was given, blocks nobody."""
    limits = Limits(1)
    entered = asyncio.Event()

    async def one() -> None:
        async with limits:
            entered.set()

    with limits:
        first, second = asyncio.create_task(one()), asyncio.create_task(one())
        await asyncio.sleep(0)
        if not given:
            first.cancel()
    if given:
        first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert first.cancelled()
    assert entered.is_set()
    with limits:
        pass


def test_a_thread_that_is_interrupted_passes_its_place_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while waiting leaves no place taken for ever."""
    limits = Limits(1)
    with limits, monkeypatch.context() as patched:
        patched.setattr("concurrent.futures.Future.result", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            limits.__enter__()
    with limits:
        pass


def _interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_no_minute_has_more_starts_than_allowed() -> None:
    """In any window of 60 seconds, wherever it begins, there are at most so many."""
    clock, starts = FakeClock(), list[float]()
    limits, dice = clock.limits(3), random.Random(7)
    for _ in range(60):
        clock.sleep(dice.choice([0.0, 0.1, 7.0, 25.0]))
        limits.wait()
        starts.append(clock.now)
    assert all(later >= first + 60 for first, later in zip(starts, starts[3:], strict=False))


def test_a_minute_is_used_up_to_its_limit() -> None:
    """Nobody waits while there is room."""
    clock = FakeClock()
    limits = clock.limits(3)
    for _ in range(3):
        limits.wait()
    assert clock.now == 1000
    limits.wait()
    assert clock.now == 1060


def test_threads_and_tasks_share_the_minute() -> None:
    """What one kind of client begins counts for the other."""
    clock = FakeClock()
    limits = clock.limits(2)
    limits.wait()
    asyncio.run(limits.await_start())
    limits.wait()
    assert clock.now == 1060
    asyncio.run(limits.await_start())
    asyncio.run(limits.await_start())
    assert clock.now == 1120


async def test_a_cancelled_wait_for_the_minute_frees_nothing() -> None:
    """Who gives up has begun no request, and the one before still counts."""
    clock, forever = FakeClock(), asyncio.Event()

    async def hang(_: float) -> None:
        await forever.wait()

    limits = Limits(requests_per_minute=1, clock=clock, sleep=clock.sleep, async_sleep=hang)
    limits.wait()
    task = asyncio.create_task(limits.await_start())
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    clock.sleep(1)
    limits.wait()
    assert clock.now == 1060


@pytest.mark.parametrize("arguments", [{"max_concurrency": 0}, {"requests_per_minute": -1}])
def test_bounds_below_1_are_refused(arguments: dict[str, int]) -> None:
    """A bound of none would wait for ever."""
    with pytest.raises(ConfigError, match="1 or more"):
        Limits(**arguments)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_have_places_of_their_own(copied: Any) -> None:
    """A copy has the bounds, and nobody in it."""
    limits = Limits(1, 5)
    with limits, copied(limits) as twin:
        assert (twin.max_concurrency, twin.requests_per_minute) == (1, 5)


def test_a_stream_closed_early_gives_its_place_back(run: Run, server: EmbeddedOllama) -> None:
    """The next call does not wait for a stream that nobody reads any more."""
    client = run.client(server.url, limits=Limits(1))
    assert not run.take(client.chat_stream(HELLO), 1)[0].done
    assert run(client.chat(HELLO)).done


def test_failed_calls_give_their_place_back(run: Run) -> None:
    """A refused call is over."""
    client = run.client(transport=Network("errors/missing-model"), limits=Limits(1))
    for _ in range(3):
        run.thrown(client.chat, HELLO)


def test_each_try_counts_for_the_minute(run: Run) -> None:
    """A request that is repeated has begun twice."""
    from faked import status

    clock = FakeClock()
    network = Network(status(503, "busy", retry_after="0"), "chat/tiny-chat/hello-whole")
    client = run.client(transport=network, limits=clock.limits(1))
    assert run(client.chat(HELLO)).done
    assert clock.now == 1060
