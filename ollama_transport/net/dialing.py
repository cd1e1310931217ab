"""Connect a socket on an event loop without leaking one when the caller is cancelled.

asyncio's own address race (`staggered_race`, up to Python 3.13) drops a connected socket when it is
cancelled at the wrong moment: it stays open until the garbage collector runs.
"""

import asyncio
import itertools
import socket
from collections.abc import Sequence
from typing import Any

_HEAD_START_S = 0.25  # RFC 8305, section 5

Address = tuple[Any, ...]


async def connected(host: str, port: int) -> socket.socket:
    """Return a socket connected to a host; the caller closes it.

    The addresses are tried one by one, alternating between IPv6 and IPv4. Each attempt starts a
    quarter of a second after the one before, or at once when that one failed. The first connection
    wins.

    Raises:
        OSError: when no address connects (the error of the first address), or the name is unknown.
    """
    attempts: list[asyncio.Task[socket.socket]] = []
    winner: socket.socket | None = None
    try:
        for address in await _addresses(host, port):
            attempts.append(asyncio.create_task(_connected_to(address)))
            if (winner := await _first(attempts, _HEAD_START_S)) is not None:
                return winner
        if (winner := await _first(attempts, None)) is not None:
            return winner
        return attempts[0].result()
    finally:
        # Nothing is awaited here: a cancellation during the wait would lose the winner.
        for attempt in attempts:
            if winner is None or not _has_made(attempt, winner):
                attempt.cancel()
                attempt.add_done_callback(_close)


async def _addresses(host: str, port: int) -> list[Address]:
    try:
        # A numeric address needs no lookup, and so no thread.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _by_turns(found)


def _by_turns(found: Sequence[Address]) -> list[Address]:
    """Return addresses with alternating families, beginning with the family of the first."""
    # RFC 8305, section 4: a network without IPv6 must not delay IPv4, nor the other way round.
    first = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    pairs = itertools.zip_longest(first, others)
    return [address for pair in pairs for address in pair if address is not None]


async def _connected_to(address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, where)
    except BaseException:
        made.close()
        raise
    return made


async def _first(
    attempts: Sequence["asyncio.Task[socket.socket]"], wait_s: float | None
) -> socket.socket | None:
    """Return the first that connects within the given seconds; None if none does."""
    waiting = {attempt for attempt in attempts if not attempt.done()}
    while waiting:
        done, waiting = await asyncio.wait(
            waiting, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
        )
        for attempt in done:
            if attempt.exception() is None:
                return attempt.result()
        if not done:
            break
    return None


def _has_made(attempt: "asyncio.Task[socket.socket]", made: socket.socket) -> bool:
    succeeded = attempt.done() and not attempt.cancelled() and attempt.exception() is None
    return succeeded and attempt.result() is made


def _close(attempt: "asyncio.Task[socket.socket]") -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
