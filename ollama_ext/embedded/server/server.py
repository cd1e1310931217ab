"""The embedded server: an Ollama double on a free loopback port, in a thread of its own."""

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp

from ollama_ext.embedded.answers.backend import Backend, Vocabulary
from ollama_ext.embedded.gates import Gate
from ollama_ext.embedded.models.declared import EmbeddedModel, GgufModel, demo_models
from ollama_ext.embedded.models.loader import Loader, LoadRules
from ollama_ext.embedded.models.store import ModelStore
from ollama_ext.embedded.scripting.scripted import Scripted
from ollama_ext.embedded.scripting.tapes import PlayingTape, RecordingTape
from ollama_ext.embedded.server.app import Application, build_endpoints
from ollama_ext.embedded.server.uvicorn_server import Server, bind, run

MAX_BODY_BYTES = 2 * 1024**3
"""Bytes of one request that are held in memory, by default."""


class EmbeddedOllama(Scripted):
    """An Ollama double for tests and demos: the same wire, models of rules or of weights, scripts.

    Use it as a context manager, or call ``start`` and ``stop``. Nothing is opened before that.
    Several can run at once. It begins with the models ``demo``, ``demo-rendered``,
    ``demo-vision`` and ``demo-embed``.

    ```python
    from langchain_ollama_ext import ChatOllama
    from ollama_ext.embedded import EmbeddedOllama, Reply
    with EmbeddedOllama() as server:
        server.script([Reply.chat("Fine.")])
        print(ChatOllama(model="demo", base_url=server.url).invoke("How are you?").content)
        print(server.requests[0].json["messages"])
    ```

    Args:
        models: More models, over those of the same name; a `GgufModel` is run by llama.cpp.
        pullable: Models that ``/api/pull`` can add.
        demo: False leaves the demo models out.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        max_body_bytes: Most bytes of one request, uploaded files included; more is answered 413.
        api_key: Key required as ``Authorization: Bearer`` in every request; None means no key.
        load_s: Seconds the first request for a model waits while it "loads".
        load_gate: Holds every load until it is set.
        max_queue: How many requests may wait for a load; the next one gets 503.
        num_parallel: How many requests one model serves at a time. None is any number with models
            of rules, and one with models of weights, each of which needs its own memory.
        token_delay_s: Pause before each token of an answer, and for each embedded text, in seconds.

    Raises:
        TypeError: For models that are neither `EmbeddedModel` nor `GgufModel`.
        ValueError: for a number out of its range.
    """

    def __init__(
        self,
        models: Iterable[EmbeddedModel | GgufModel] = (),
        *,
        pullable: Iterable[EmbeddedModel] = (),
        demo: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        load_s: float = 0.0,
        load_gate: Gate | None = None,
        max_queue: int = 512,
        num_parallel: int | None = None,
        token_delay_s: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= port <= 65535 or token_delay_s < 0:
            raise ValueError("port is 0 to 65535, and token_delay_s is not negative")
        # The user's models come last and win over those of the same name.
        given = _checked_models("models", models, EmbeddedModel | GgufModel)
        ready = [model for model in given if isinstance(model, EmbeddedModel)]
        offered = _checked_models("pullable", pullable, EmbeddedModel)
        self._store = ModelStore([*(demo_models() if demo else ()), *ready], offered)
        # Their files are read at the start, not here.
        self._files = [model for model in given if isinstance(model, GgufModel)]
        self._rules = LoadRules(load_s, load_gate, max_queue, num_parallel)
        self._host, self._port = host, port
        self._api_key = api_key
        self._max_body_bytes = max_body_bytes
        self._token_delay_s = token_delay_s
        self._loader = Loader(self._rules)
        self._tape: ASGIApp | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._address: tuple[str, int] | None = None

    @classmethod
    def record(cls, upstream: str, path: Path | str, **how: Any) -> Self:
        """Return a server that asks another one and writes down what it answers.

        What was recorded is played by `replay`, and by vcrpy. Keys, cookies and passwords are left
        out. The file is rewritten after each complete answer.

        Args:
            upstream: Its base URL, such as ``"http://127.0.0.1:11434"``; without ``/v1``.
            path: The cassette to write, such as ``"tests/cassettes/agent.yaml"``.
            how: Further arguments of this class, such as ``port``.
        """
        server = cls(demo=False, **how)
        server._tape = RecordingTape(upstream, Path(path))
        return server

    @classmethod
    def replay(cls, path: Path | str, **how: Any) -> Self:
        """Return a server that answers as a cassette has it, in the pieces that came.

        A request is answered by the first recorded one of the same method, path and body that was
        not played yet, or else by the last that was; any other by a 500 that says so.

        Args:
            path: The cassette, of `record` or of vcrpy (which keeps no pieces).
            how: Further arguments of this class, such as ``port``.

        Raises:
            OSError: When the file cannot be read.
            ValueError: When it is not a cassette.
        """
        server = cls(demo=False, **how)
        server._tape = PlayingTape(Path(path))
        return server

    def __repr__(self) -> str:
        return f"<EmbeddedOllama {'stopped' if self._address is None else self.url}>"

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
            RuntimeError: If the server is not running.
        """
        if self._address is None:
            raise RuntimeError("the embedded server is not running: use it in a with, or start it")
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def port(self) -> int:
        """The port it listens on; raises RuntimeError if it is not running."""
        return int(self.url.rpartition(":")[2])

    def start(self) -> None:
        """Bind the port and serve in a thread; returns once requests can come.

        Raises:
            ImportError: When a model of weights needs llama.cpp, which is not installed.
            OSError: When the port is taken, or a model's file cannot be opened.
            ValueError: When a model's file is not a GGUF file.
            RuntimeError: When it runs already.
        """
        listening = self._listen()
        started = threading.Event()
        self._server = server = self._build(started)
        self._thread = threading.Thread(
            target=run, args=(server, listening, started), name="embedded-ollama", daemon=True
        )
        self._thread.start()
        started.wait()
        # Also set if uvicorn gave up, so that no caller waits forever.
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
            self._loader.reset()

    def serve_forever(self, announce: Callable[[str], None] | None = None) -> None:
        """Serve on this thread until Ctrl-C; for a command line.

        Args:
            announce: Called with the base URL once clients can connect.

        Raises:
            OSError: When the port is taken.
            RuntimeError: When it runs already.
        """
        listening = self._listen()
        try:
            if announce is not None:
                announce(self.url)
            run(self._build(threading.Event()), listening, threading.Event())
        finally:
            # Closed by the run already, unless announce failed.
            listening.close()
            self._address = None
            self._loader.reset()

    def _listen(self) -> socket.socket:
        if self._address is not None:
            raise RuntimeError("the embedded server is already running")
        self._store.begin_with([file.open() for file in self._files])
        self._files = []
        listening = bind(self._host, self._port)
        self._address = listening.getsockname()[:2]
        return listening

    def _build(self, started: threading.Event) -> Server:
        # A new one each time: its locks belong to the event loop of this start.
        self._loader = Loader(self._rules)
        backend = Backend(self._store, self._loader, Vocabulary(), self._token_delay_s)
        server: Server
        application = Application(
            build_endpoints(backend) if self._tape is None else self._tape,
            self._recorder,
            self._scripts,
            # The server exists only after the application that it serves.
            lambda scope, reset: server.cut(scope, reset),
            api_key=self._api_key,
            max_body_bytes=self._max_body_bytes,
            local_only=_is_loopback(self._address),
        )
        config = uvicorn.Config(
            application,
            # One implementation everywhere, so that bytes on the wire do not depend on what is
            # installed.
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            # The host program configures its own logging.
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # Go keeps idle connections open.
            timeout_keep_alive=3600,
        )
        server = Server(config, started)
        return server

    def reset(self) -> None:
        """Forget scripts and requests, unload all, and go back to the models it began with."""
        self._scripts.reset()
        self._recorder.reset()
        self._store.reset()
        self._loader.reset()


def _checked_models(name: str, models: object, kind: Any) -> list[Any]:
    given = list(models) if isinstance(models, Iterable) else []
    if not isinstance(models, Iterable) or not all(isinstance(m, kind) for m in given):
        raise TypeError(f'{name}= takes a list of models: {name}=[EmbeddedModel("tiny")]')
    return given


def _is_loopback(address: tuple[str, int] | None) -> bool:
    return address is None or ipaddress.ip_address(address[0]).is_loopback


def serve(
    host: str = "127.0.0.1",
    port: int = 11434,
    *,
    models: Iterable[EmbeddedModel | GgufModel] = (),
    token_delay_s: float = 0.0,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve the demo models, and more, until Ctrl-C; blocks.

    ```python
    from ollama_ext.embedded import serve

    def announce(url: str) -> None:
        print("listening at", url)
        raise KeyboardInterrupt  # what Ctrl-C does; leave it out to serve

    serve(port=0, announce=announce)
    ```

    Args:
        host: The address to listen on.
        port: The port; 11434 is Ollama's own.
        models: More models, over those of the same name.
        token_delay_s: Pause before each token of an answer, and for each embedded text, in seconds.
        announce: Called with the base URL once clients can connect.

    Raises:
        ImportError: When a model of weights needs llama.cpp, which is not installed.
        OSError: When the port is taken, or a model's file cannot be opened.
        ValueError: When a model's file is not a GGUF file.
    """
    server = EmbeddedOllama(models, host=host, port=port, token_delay_s=token_delay_s)
    # uvicorn raises the Ctrl-C again once it has stopped.
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever(announce)
