"""Slots of servers: lent evenly, no more than a server takes, and not lost with a worker."""

import asyncio

import pytest

pytest.importorskip("ray", reason='no Ray: pip install -e ".[test-ray]"')

from ollama_ext.ray._slots import Slots

DEADLINE_S = 60
A_WHILE_S = 3600.0


async def taken(slots: Slots, count: int) -> list[tuple[int, str | None]]:
    async with asyncio.timeout(DEADLINE_S):
        return [await slots.take(None) for _ in range(count)]


async def test_the_server_with_the_fewest_requests_is_next() -> None:
    """So that a slow one gets fewer of them."""
    slots = Slots(["gpu1", "gpu2", "gpu3"], per_server=2)
    loans = await taken(slots, 6)
    assert sorted(server for _, server in loans) == ["gpu1", "gpu1", "gpu2", "gpu2", "gpu3", "gpu3"]
    for number, server in loans:
        if server == "gpu2":
            slots.give_back(number)
    assert [server for _, server in await taken(slots, 2)] == ["gpu2", "gpu2"]


async def test_a_full_server_is_waited_for() -> None:
    """A request waits here, and not at a server that does not take it."""
    slots = Slots(["gpu1"], per_server=1)
    ((number, _),) = await taken(slots, 1)
    waiting = asyncio.create_task(slots.take(None))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    slots.give_back(number)
    async with asyncio.timeout(DEADLINE_S):
        assert (await waiting)[1] == "gpu1"


async def test_a_server_that_failed_is_left_alone() -> None:
    """The others get its requests, until it has rested."""
    slots = Slots(["gpu1", "gpu2"], per_server=8)
    ((number, failing),) = await taken(slots, 1)
    slots.give_back(number, A_WHILE_S)
    assert failing not in {server for _, server in await taken(slots, 8)}


async def test_where_all_servers_failed_they_are_asked_all_the_same() -> None:
    """The rows are marked with a server's error, and nothing waits for ever."""
    slots = Slots(["gpu1", "gpu2"], per_server=1)
    for number, _ in await taken(slots, 2):
        slots.give_back(number, A_WHILE_S)
    ((_, server),) = await taken(slots, 1)
    assert server == "gpu1"


async def test_a_slot_that_is_given_back_twice_counts_once() -> None:
    """As after the death of a worker that was at work all the same."""
    slots = Slots(["gpu1"], per_server=1)
    ((number, _),) = await taken(slots, 1)
    slots.give_back(number)
    slots.give_back(number)
    await taken(slots, 1)
    waiting = asyncio.create_task(slots.take(None))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    waiting.cancel()
