"""The embedded server: an Ollama double on a free loopback port, in a thread of its own."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from ollama_transport.embedded._app import Application, build_endpoints
from ollama_transport.embedded._backend import Backend, Vocabulary
from ollama_transport.embedded._gates import Gate
from ollama_transport.embedded._loader import Loader, LoadRules
from ollama_transport.embedded._models import EmbeddedModel, conformance_models, demo_models
from ollama_transport.embedded._player import Scripts, hang_up
from ollama_transport.embedded._recorder import DEFAULT_WAIT_S, Recorder, Request
from ollama_transport.embedded._replies import Reply
from ollama_transport.embedded._store import ModelStore

_DATE_EVERY_S = 1.0
_BACKLOG = 2048
# asyncio accepts, makes a transport, then tells the protocol: a turn of the loop for each.
_TURNS_TO_CONNECT = 4


class _Uvicorn(uvicorn.Server):
    """A uvicorn server that starts and stops without polling, and hangs up on who stays."""

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
        # forgets a connection that it is just accepting then, and its client waits for ever.
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
            # Each request sees its client gone and ends by itself.
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


class EmbeddedOllama:
    """An Ollama double for tests and demos: the same wire, rule-based models, scripted answers.

    Use it as a context manager, or call ``start`` and ``stop``. Nothing is opened before that.
    Several can run at once. It begins with the models ``demo``, ``demo-rendered``,
    ``demo-vision`` and ``demo-embed``::

        with EmbeddedOllama() as server:
            httpx.post(f"{server.url}/api/chat", json={"model": "demo", "messages": [...]})

    Args:
        models: More models, over those of the same name.
        pullable: Models that ``/api/pull`` can add.
        demo: False leaves the demo models out.
        fixtures: True adds ``conformance_models()``.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        api_key: A key every request has to bring as ``Authorization: Bearer``; None asks none.
        load_s: Seconds the first request for a model waits while it "loads".
        load_gate: Holds every load until it is set.
        max_queue: How many requests may wait for a load; the next one gets 503.
        num_parallel: How many requests one model serves at a time; None for any number.
        token_delay_s: Pause before each token of an answer, in seconds.
    """

    def __init__(
        self,
        models: Iterable[EmbeddedModel] = (),
        *,
        pullable: Iterable[EmbeddedModel] = (),
        demo: bool = True,
        fixtures: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        load_s: float = 0.0,
        load_gate: Gate | None = None,
        max_queue: int = 512,
        num_parallel: int | None = None,
        token_delay_s: float = 0.0,
    ) -> None:
        # The user's models come last and win over those of the same name.
        sets = (demo_models() if demo else (), conformance_models() if fixtures else ())
        self._store = ModelStore([m for group in (*sets, models) for m in group], pullable)
        self._rules = LoadRules(load_s, load_gate, max_queue, num_parallel)
        self._recorder = Recorder()
        self._scripts = Scripts()
        self._host, self._port = host, port
        self._api_key = api_key
        self._token_delay_s = token_delay_s
        self._loader = Loader(self._rules)
        self._server: _Uvicorn | None = None
        self._thread: threading.Thread | None = None
        self._address: tuple[str, int] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:40123``.

        Raises:
            RuntimeError: When the server does not run.
        """
        if self._address is None:
            raise RuntimeError("the embedded server does not run: use it in a with, or start() it")
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def port(self) -> int:
        """The port it listens on; raises RuntimeError when it does not run."""
        return int(self.url.rpartition(":")[2])

    def start(self) -> None:
        """Bind the port and serve in a thread; returns once requests can come.

        Raises:
            OSError: When the port is taken.
            RuntimeError: When it runs already.
        """
        if self._thread is not None:
            raise RuntimeError("the embedded server runs already")
        listening = _bind(self._host, self._port)
        self._address = listening.getsockname()[:2]
        started = threading.Event()
        self._server = server = self._build(started)
        self._thread = threading.Thread(
            target=_run, args=(server, listening, started), name="embedded-ollama", daemon=True
        )
        self._thread.start()
        started.wait()
        if not server.started:
            self.stop()
            raise RuntimeError("the embedded server could not start")

    def stop(self) -> None:
        """Stop serving and wait for the thread; open streams break off. Twice is fine."""
        server, thread = self._server, self._thread
        self._server = self._thread = self._address = None
        if server is not None and thread is not None:
            server.leave()
            thread.join()

    def serve_forever(self, announce: Callable[[str], None] | None = None) -> None:
        """Serve on this thread until Ctrl-C; for a command line.

        Args:
            announce: Called with the base URL once clients can connect.

        Raises:
            OSError: When the port is taken.
        """
        listening = _bind(self._host, self._port)
        self._address = listening.getsockname()[:2]
        try:
            if announce is not None:
                announce(self.url)
            _run(self._build(threading.Event()), listening, threading.Event())
        finally:
            self._address = None

    def _build(self, started: threading.Event) -> _Uvicorn:
        # A new one each time: its locks belong to the event loop of this start.
        self._loader = Loader(self._rules)
        backend = Backend(self._store, self._loader, Vocabulary(), self._token_delay_s)
        server: _Uvicorn
        application = Application(
            build_endpoints(backend),
            self._recorder,
            self._scripts,
            # The server exists only after the application that it serves.
            lambda scope, reset: server.cut(scope, reset),
            self._api_key,
        )
        config = uvicorn.Config(
            application,
            # One implementation everywhere, so that bytes on the wire do not depend on what is
            # installed.
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            # The host program's logging is its own business.
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # Go keeps idle connections open.
            timeout_keep_alive=3600,
        )
        server = _Uvicorn(config, started)
        return server

    def script(self, method: str, path: str, *replies: Reply, repeat: bool = False) -> None:
        """Play replies for the next requests to a path, in order, before the models answer again.

        Args:
            method: Such as ``"POST"``.
            path: Such as ``"/api/chat"``, exactly.
            replies: What to play, one a request; they queue behind earlier ones.
            repeat: True goes on playing the last reply for every later request.

        Raises:
            ValueError: When there is no reply.
        """
        if not replies:
            raise ValueError("script() needs at least one Reply")
        self._scripts.add(method.upper(), path, replies, repeat=repeat)

    @property
    def requests(self) -> list[Request]:
        """The requests that came so far, oldest first."""
        return self._recorder.requests

    @property
    def disconnects(self) -> list[Request]:
        """The requests whose client left before the end of the answer."""
        return [request for request in self.requests if request.outcome == "client_left"]

    def wait_for_requests(self, count: int, timeout_s: float = DEFAULT_WAIT_S) -> bool:
        """Wait until so many requests came; False after ``timeout_s`` seconds."""
        return self._recorder.wait(lambda found: len(found) >= count, timeout_s)

    def wait_for_chunks(self, count: int, timeout_s: float = DEFAULT_WAIT_S) -> bool:
        """Wait until so many chunks of the last request's answer were sent."""
        return self._recorder.wait(
            lambda found: bool(found) and found[-1].chunks_sent >= count, timeout_s
        )

    def wait_for_disconnects(self, count: int = 1, timeout_s: float = DEFAULT_WAIT_S) -> bool:
        """Wait until so many clients left before the end; False after ``timeout_s`` seconds."""
        return self._recorder.wait(
            lambda found: sum(r.outcome == "client_left" for r in found) >= count, timeout_s
        )

    def wait_until_idle(self, timeout_s: float = DEFAULT_WAIT_S) -> bool:
        """Wait until no answer is running any more; False after ``timeout_s`` seconds."""
        return self._recorder.wait(
            lambda found: all(r.outcome != "pending" for r in found), timeout_s
        )

    def reset(self) -> None:
        """Forget scripts and requests, unload all, and go back to the models it began with."""
        self._scripts.reset()
        self._recorder.reset()
        self._store.reset()
        self._loader.reset()


def _bind(host: str, port: int) -> socket.socket:
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
    except OSError:
        listening.close()
        raise
    return listening


def _run(server: _Uvicorn, listening: socket.socket, started: threading.Event) -> None:
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()
        # Wakes who waits for a start that failed.
        started.set()


def serve(
    host: str = "127.0.0.1",
    port: int = 11434,
    *,
    token_delay_s: float = 0.0,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve the demo models until Ctrl-C; blocks.

    Args:
        host: The address to listen on.
        port: The port; 11434 is Ollama's own.
        token_delay_s: Pause before each token of an answer, in seconds.
        announce: Called with the base URL once clients can connect.

    Raises:
        OSError: When the port is taken.
    """
    server = EmbeddedOllama(host=host, port=port, token_delay_s=token_delay_s)
    # uvicorn raises the Ctrl-C again once it has stopped.
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever(announce)
