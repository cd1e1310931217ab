"""A server in a process of its own that answers each chat with the same lines, at no cost to us.

Run as a script: it prints its port. The lines come on standard input.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Self

PACKET_BYTES = 16384
PAUSE_S = 0.0002
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
)
SHOWN = json.dumps({"capabilities": ["completion", "tools"], "model_info": {}}).encode()


class LineServer:
    """Serve lines in one of three ways.

    "packets": as many as fit are one write; "writes": each is a write of its own, as fast as they
    go; "paced": each comes when the client waits for it, as from a model.
    """

    def __init__(self, lines: Sequence[Any], way: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n".join(json.dumps(line) for line in lines).encode())
        self._process.stdin.close()
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def drained(port: int) -> None:
    """Read one answer and look at nothing: what no client can do without."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /api/chat HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        while not connection.recv(65536).endswith(b"0\r\n\r\n"):
            pass


def main(way: str) -> None:
    """Serve until the process is killed."""
    chunks = [
        b"%x\r\n%s\n\r\n" % (len(line) + 1, line) for line in sys.stdin.buffer.read().splitlines()
    ]
    chunks.append(b"0\r\n\r\n")
    if way == "packets":
        data = b"".join(chunks)
        chunks = [data[at : at + PACKET_BYTES] for at in range(0, len(data), PACKET_BYTES)]
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - read by the other process
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pause = PAUSE_S if way == "paced" else 0
        threading.Thread(target=_serve, args=(connection, chunks, pause), daemon=True).start()


def _serve(connection: socket.socket, chunks: list[bytes], pause_s: float) -> None:
    while head := _request(connection):
        if b"/api/show" in head:
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SHOWN) + SHOWN
            )
            continue
        connection.sendall(HEAD)
        for chunk in chunks:
            connection.sendall(chunk)
            until = time.perf_counter() + pause_s
            while time.perf_counter() < until:
                pass  # a sleep is as long as the kernel likes


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
    missing = int(length.partition(b":")[2]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65536))
    return head


if __name__ == "__main__":
    main(sys.argv[1])
