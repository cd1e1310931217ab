"""Sockets are connected by the first address that answers, and none is lost on the way."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ollama_transport.net.dialing import connected


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def resolve_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Let every name have an address for each of these ports."""

    def found(_: str, port: int, *__: Any, flags: int = 0, **___: Any) -> list[Any]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", p)) for p in ports]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]
        return port


def test_the_next_address_is_tried_when_one_refuses(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name whose first address nobody listens on is reached by its second one."""
    port = listening.getsockname()[1]
    resolve_to(monkeypatch, closed_port(), port)
    made = asyncio.run(connected("gpu.example", 1))
    with made:
        assert made.getpeername() == ("127.0.0.1", port)


def test_a_silent_address_does_not_delay_the_next(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second address is tried while the first one still connects; the first is given up."""
    port = listening.getsockname()[1]
    resolve_to(monkeypatch, 1, port)

    async def dial() -> socket.socket:
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def slow(made: socket.socket, where: Any) -> None:
            await (asyncio.Event().wait() if where[1] == 1 else connect(made, where))

        monkeypatch.setattr(loop, "sock_connect", slow)
        made = await connected("gpu.example", 1)
        await asyncio.sleep(0)  # the task that was given up ends in the loop's next turn
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return made

    with asyncio.run(dial()) as made:
        assert made.getpeername()[1] == port
    gc.collect()


def test_the_first_error_is_raised_when_no_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """All addresses refuse: so does the dialing."""
    resolve_to(monkeypatch, closed_port(), closed_port())
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(connected("gpu.example", 1))
