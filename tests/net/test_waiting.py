"""Nobody waits for somebody who cannot go on: on an event loop's own thread, and after a fork."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama
from ollama_ext.embedded import Gate as Holding
from ollama_transport import Client
from ollama_transport.accounting.limits import Limits
from ollama_transport.concurrency.flights import Flights
from ollama_transport.concurrency.gates import Gate


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as found:
        yield found


async def test_a_blocking_call_goes_beside_the_tasks_of_its_loop() -> None:
    """The places are held by tasks that it blocks: it goes through, and the bound holds again."""
    gate = Gate(1)
    async with gate:
        with gate, gate:
            pass
        waiting = asyncio.create_task(_through(gate))
        await asyncio.sleep(0)
        with gate:
            pass
        assert not waiting.done()
    await waiting
    with gate:
        second = asyncio.create_task(_through(gate))
        await asyncio.sleep(0)
        assert not second.done()
    await second


async def _through(gate: Gate) -> None:
    async with gate:
        pass


async def test_leaving_an_overfull_gate_admits_nobody() -> None:
    """While more are inside than allowed, who leaves lets nobody in."""
    gate = Gate(1)
    await gate.__aenter__()
    gate.__enter__()
    waiting = asyncio.create_task(_through(gate))
    await asyncio.sleep(0)
    await gate.__aexit__()
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.__exit__()
    await waiting


async def test_a_task_that_waits_for_its_minute_does_not_hold_up_its_loop() -> None:
    """A blocking call sleeps for itself instead of waiting for a task that sleeps."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    async def never(_: float) -> None:
        await asyncio.Event().wait()

    limits = Limits(None, 1, clock=lambda: now[0], sleep=sleep, async_sleep=never)
    limits.wait()
    waiting = asyncio.create_task(limits.await_start())
    await asyncio.sleep(0)
    limits.wait()
    assert now[0] == 60
    waiting.cancel()


async def test_a_blocking_call_can_finish_the_work_of_a_task() -> None:
    """It does not wait for the task, and what it does lands or fails for nobody else."""
    flights, done = Flights(), []
    async with flights.turn("pull") as mine:
        assert mine
        waiting = asyncio.create_task(_wait_for(flights))
        await asyncio.sleep(0)
        with flights.turn("pull") as also_mine:
            done.append(also_mine)
        await asyncio.sleep(0)
        assert not waiting.done()
    assert done == [True]
    assert await waiting is False


async def _wait_for(flights: Flights) -> bool:
    async with flights.turn("pull") as mine:
        return mine


async def test_a_model_that_a_task_looks_up_is_looked_up_again(server: EmbeddedOllama) -> None:
    """Two objects of one model without a name, one awaited and one blocking, on one loop."""
    with Client(server.url) as client:
        async with client.memory.lookups.turn("completion") as mine:
            assert mine
            assert client.resolve_model(None).startswith("demo")


IN_FORK = """
import os, sys, threading
from ollama_transport import Client, EmbedRequest
from ollama_transport.concurrency.flights import Flights
from ollama_transport.accounting.limits import Limits

client = Client(sys.argv[1], limits=Limits(2))
ask = EmbedRequest("slow", ["x"])
threads = [threading.Thread(target=client.embed, args=(ask,), daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
sys.stdin.readline()
flights = Flights()
flights.turn("x").__enter__()
child = os.fork()
if child == 0:
    with flights.turn("x") as mine:
        assert mine
    with client.limits, client.limits:
        pass
    os._exit(0 if client.version() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_fork_waits_for_no_thread_of_its_parent() -> None:
    """With every place held by threads of the parent, its child asks at once."""
    slow = EmbeddedModel("slow", ("embedding",))
    gate = Holding()
    with EmbeddedOllama([slow], load_gate=gate) as server:
        process = subprocess.Popen(
            # Newer versions of Python warn of forks with threads, which is what this is about.
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", IN_FORK, server.url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert server.wait_for_requests(2)
        _, told = process.communicate(b"go\n", timeout=30)
        gate.set()
    assert (process.returncode, told.decode()) == (0, "")
