"""A server's end of a connection, in the hands of a test."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Self


class Listener:
    """A port that a test accepts connections on, with TLS if it gives a context."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(10)
        self._tls = tls
        self._accepted: list[socket.socket] = []

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    def accept(self) -> socket.socket:
        """Return the server's end of the next connection; blocks, at most ten seconds."""
        connection, _ = self._socket.accept()
        connection.settimeout(10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        self._accepted.append(connection)
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._accepted:
            connection.close()
        self._socket.close()


class Serving:
    """Run a server's part of a talk in a thread; leaving waits for its end."""

    def __init__(self, talk: Callable[[Listener], None], listener: Listener) -> None:
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(talk, listener))

    def _run(self, talk: Callable[[Listener], None], listener: Listener) -> None:
        try:
            talk(listener)
        except BaseException as failure:  # noqa: BLE001 - handed to the test
            self._failure = failure

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        if self._failure is not None:
            raise self._failure


def reset(connection: socket.socket) -> None:
    """End a connection with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def request_of(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return head and body of the request that comes."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    while len(body) < _length(head):
        body += _some(connection)
    return head, body


def _length(head: bytes) -> int:
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the client left"
    return data


def answer(body: bytes = b"{}", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return an answer of a known length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
