"""A loopback server in a process of its own, so that its cost is none of the client's."""

import asyncio
import contextlib
import subprocess
import sys
from typing import Self

from benchmarks.replies import Reply, reply


class Server:
    """Run the server while a `with` block lasts; ``url`` is where it listens."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server"], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Connection(asyncio.Protocol):
    """Answer the requests of one connection, one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing received."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""
        self._pauses: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole."""
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end or len(rest) < (length := _content_length(head)):
            return
        self._received = rest[length:]
        path = head.split(b" ", 2)[1].decode()
        self._send(reply(path, rest[:length]))

    def _send(self, answer: Reply) -> None:
        if not answer.pause_s:
            self._transport.write(answer.writes[0])
            return
        self._pauses = asyncio.ensure_future(self._send_slowly(answer))

    async def _send_slowly(self, answer: Reply) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for write in answer.writes:
            self._transport.write(write)
            due += answer.pause_s
            await asyncio.sleep(due - loop.time())

    def connection_lost(self, _: Exception | None) -> None:
        """Send nothing more."""
        if self._pauses is not None:
            self._pauses.cancel()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
