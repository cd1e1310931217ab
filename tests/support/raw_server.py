"""A server that plays scripted bytes on real sockets, one thread a connection."""

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

DEADLINE_S = 20.0
"""Longest wait of anything here."""


class End(Enum):
    """What a play may do to its connection instead of sending bytes."""

    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"
    RAGGED = "ragged"
    """Close the socket below TLS: no close_notify."""


Step = bytes | End | threading.Event
"""Bytes to send, an end, or an event to wait for."""


@dataclass(frozen=True)
class Asked:
    """One request as it came; ``number`` counts those of its connection, from 0."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    number: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Play = Callable[[Asked], Iterable[Step]]


class RawServer:
    """Answer each request with the next play, and with ``otherwise`` when there is none.

    ``is_scripted`` tells which requests take a play. Plays are lists of steps: the connection
    goes on after the last one, unless that was an end.
    """

    def __init__(
        self,
        otherwise: Play,
        *,
        is_scripted: Callable[[Asked], bool] = lambda _: True,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._otherwise = otherwise
        self._is_scripted = is_scripted
        self._tls = tls
        self._host = host
        self._port = 0
        self._plays: list[Play] = []
        self._changed = threading.Condition()
        self._open: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._socket: socket.socket | None = None
        self.requests: list[Asked] = []
        self.accepted = 0
        self.remembers = True
        """Whether requests are kept; long runs make too many."""
        self.greeting: tuple[Step, ...] = ()
        """Played when a connection is accepted, before any request."""

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._port}"

    def play(self, *plays: Play) -> None:
        """Play these for the next requests, in this order."""
        with self._changed:
            self._plays.extend(plays)

    def reset(self) -> None:
        """Forget plays and requests; connections stay."""
        with self._changed:
            self._plays.clear()
            self.requests.clear()
            self.greeting = ()

    def start(self) -> None:
        """Listen; on the same port as before, after a `kill`."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.create_server((self._host, self._port), family=family, backlog=4096)
        self._port = listening.getsockname()[1]
        self._socket = listening
        self._begin(self._accept, listening)

    def kill(self) -> None:
        """End every connection with a reset and stop listening, as a killed process does."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        with self._changed:
            for connection in self._open.values():
                _set_reset(connection)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive(), "a thread of the raw server does not end"
        self._threads.clear()

    def wait_until(self, holds: Callable[[], bool], what: str = "") -> None:
        """Wait until something holds that the server's threads bring about."""
        with self._changed:
            assert self._changed.wait_for(holds, DEADLINE_S), what

    def wait_until_left(self) -> None:
        """Wait until no client is connected."""
        self.wait_until(lambda: not self._open, "a client's connection is still open")

    @property
    def connected(self) -> int:
        return len(self._open)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _begin(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name="raw-server", daemon=True)
        self._threads = [old for old in self._threads if old.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(DEADLINE_S)
            with self._changed:
                number = self.accepted
                self.accepted += 1
                self._open[number] = connection
                self._changed.notify_all()
            self._begin(self._serve, number, connection)

    def _serve(self, number: int, raw: socket.socket) -> None:
        connection = raw
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(raw, server_side=True)
                with self._changed:
                    self._open[number] = connection
            if _played(connection, self.greeting):
                for asked in _requests(connection, number):
                    if not _played(connection, self._steps(asked)):
                        break
        except OSError:
            pass  # the client left
        finally:
            raw.close()
            connection.close()
            with self._changed:
                del self._open[number]
                self._changed.notify_all()

    def _steps(self, asked: Asked) -> Iterable[Step]:
        with self._changed:
            if self.remembers:
                self.requests.append(asked)
            scripted = self._plays and self._is_scripted(asked)
            play = self._plays.pop(0) if scripted else self._otherwise
            self._changed.notify_all()
        return play(asked)


def _played(connection: socket.socket, steps: Iterable[Step]) -> bool:
    """Play steps; return whether the connection goes on."""
    for step in steps:
        if isinstance(step, bytes | bytearray):
            connection.sendall(step)
        elif isinstance(step, threading.Event):
            assert step.wait(DEADLINE_S), "nobody set the event of a play"
        else:
            _end(connection, step)
            return False
    return True


def _end(connection: socket.socket, end: End) -> None:
    if end is End.STALL:
        while connection.recv(65536):
            pass
    elif end is End.RESET:
        _set_reset(connection)
    elif end is End.CLOSE:
        with contextlib.suppress(OSError):
            if isinstance(connection, ssl.SSLSocket):
                connection = connection.unwrap()
            connection.shutdown(socket.SHUT_WR)
            # What is still to be read would make a reset of the close.
            _drain(connection)
    else:
        # Closing the socket of a TLS connection sends no close_notify; `unwrap` would.
        connection.shutdown(socket.SHUT_WR)


def _drain(connection: socket.socket) -> None:
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until and connection.recv(65536):
        pass


def _set_reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _requests(connection: socket.socket, number: int) -> Iterator[Asked]:
    data = b""
    count = 0
    while True:
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return
            data += more
            if not data[:1].isalpha():
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                return
        head, _, data = data.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)
        }
        size = int(headers.get("content-length", "0"))
        while len(data) < size:
            if not (more := connection.recv(65536)):
                return
            data += more
        method, target, _ = line.split(" ")
        yield Asked(method, target, headers, data[:size], number, count)
        data, count = data[size:], count + 1
