"""uvicorn as the embedded server runs it: no polling, no waiting for clients when it stops."""

import asyncio
import contextlib
import os
import socket
import threading

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from ollama_ext.embedded.scripting.player import hang_up

_DATE_EVERY_S = 1.0
_BACKLOG = 2048
# asyncio accepts, makes a transport, then tells the protocol: a turn of the loop for each.
_TURNS_TO_CONNECT = 4


class Server(uvicorn.Server):
    """A uvicorn server that starts and stops without polling, and closes open connections."""

    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(config)
        self._announced = started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell the thread that waits."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._announced.set()

    async def main_loop(self) -> None:
        """Wait until it is time to go; the Date header is kept right meanwhile."""
        while not await self.on_tick(0):
            try:
                async with asyncio.timeout(_DATE_EVERY_S):
                    await self._leaving.wait()
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close every socket at once: streams break off, keep-alive connections end."""
        loop = asyncio.get_running_loop()
        # First nothing new is accepted. Closing the server at once would do that too, but asyncio
        # forgets a connection that it is just accepting then, and its client waits forever.
        for listening in sockets or []:
            with contextlib.suppress(NotImplementedError):  # Windows' own event loop
                loop.remove_reader(listening)
        await self._hang_up_on_all()
        for server in self.servers:
            server.close()
        await self.lifespan.shutdown()
        for listening in sockets or []:
            listening.close()

    async def _hang_up_on_all(self) -> None:
        state, quiet = self.server_state, 0
        # A connection is known to uvicorn only some turns after it was accepted.
        while quiet < _TURNS_TO_CONNECT:
            for connection in list(state.connections):
                connection.transport.abort()
            # Each request sees that its client has left, and ends.
            if state.tasks:
                await asyncio.wait(set(state.tasks))
            await asyncio.sleep(0)
            quiet = 0 if state.connections or state.tasks else quiet + 1

    def leave(self) -> None:
        """Ask the server to stop, from any thread or signal handler."""
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leaving.set)

    def handle_exit(self, sig: int, frame: object) -> None:
        """Stop on Ctrl-C."""
        super().handle_exit(sig, frame)  # type: ignore[arg-type] # the frame is not used
        self.leave()

    def cut(self, scope: Scope, reset: bool) -> None:
        """Close the connection a request came on."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.client == scope["client"]:
                hang_up(connection.transport, reset=reset)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one, and the caller closes it.

    Raises:
        OSError: When the port is taken, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only where it is; without that
    # each answer on a kept connection waits 40 ms for the client's ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        # From here on clients can connect; they are answered once the loop runs.
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        # The system's own text does not say which port was wanted.
        error.add_note(f"The embedded server was to listen on {host}, port {port}.")
        raise
    return listening


def run(server: Server, listening: socket.socket, started: threading.Event) -> None:
    """Serve on this thread until ``server.leave()``, and close the socket."""
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()
        # Wakes the caller that waits for a start that failed.
        started.set()
