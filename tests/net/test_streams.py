"""Sockets of threads and of event loops: both wait, fail and end in the same way."""

import asyncio
import gc
import select
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import pytest
import trustme
from listening import Listener, reset
from running import Run

from ollama_transport.net.streams import MOST_UNREAD_BYTES, LoopStream, SocketStream

LONG_S = 30.0
SHORT_S = 0.1


@pytest.fixture(params=["sync", "async", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a test with sockets that block, with asyncio's own loop, and with that of web servers."""
    factory = None
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop", reason="not made for this system").new_event_loop
    with Run(asynchronous=request.param != "sync", loop_factory=factory) as runner:
        yield runner


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[Any]:
    """Return the contexts of server and client; None for a connection in clear."""
    if request.param == "plain":
        yield None, None
        return
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    yield server, client


class Ends:
    """Both ends of one connection: ``stream`` is ours, ``peer`` a plain socket."""

    def __init__(self, run: Run, listener: Listener, client: ssl.SSLContext | None) -> None:
        self.run = run
        kind: Any = LoopStream if run.is_async else SocketStream
        accepting = threading.Thread(target=self._accept, args=(listener,))
        accepting.start()
        self.stream = run(kind.open("127.0.0.1", listener.port, client, LONG_S))
        accepting.join()

    def _accept(self, listener: Listener) -> None:
        self.peer = listener.accept()

    def read(self, wait_s: float | None = LONG_S) -> bytes:
        data: bytes = self.run(self.stream.read(wait_s))
        return data

    def write(self, data: bytes, wait_s: float | None = LONG_S) -> None:
        self.run(self.stream.write(data, wait_s))

    def read_until_it_fails(self) -> None:
        while self.read():
            pass

    def write_until_it_fails(self) -> None:
        for _ in range(200):
            self.write(b"x" * 100_000)

    def close(self) -> None:
        self.stream.close()
        self.run(self.stream.wait_closed())


@pytest.fixture
def ends(run: Run, tls: Any) -> Iterator[Ends]:
    server, client = tls
    with Listener(server) as listener:
        both = Ends(run, listener, client)
        yield both
        both.close()


def test_bytes_sent_arrive(ends: Ends) -> None:
    """Bytes go both ways, in their order."""
    ends.write(b"ping")
    assert ends.peer.recv(100) == b"ping"
    ends.peer.sendall(b"pong")
    assert ends.read() == b"pong"
    ends.write(b"")
    ends.write(b"again")
    assert ends.peer.recv(100) == b"again"


@pytest.mark.parametrize("wait_s", [SHORT_S, LONG_S, None])
def test_the_end_of_a_connection_is_no_bytes(ends: Ends, wait_s: float | None) -> None:
    """What came before is read first; then the end, as often as one asks."""
    ends.peer.sendall(b"last")
    ends.peer.close()
    assert [ends.read(wait_s) for _ in range(3)] == [b"last", b"", b""]
    assert ends.stream.is_readable()


@pytest.mark.parametrize("tls", ["plain"], indirect=True)
def test_a_reset_is_an_error(ends: Ends) -> None:
    """A connection that is torn down is not taken for one that ended."""
    ends.write(b"x")
    ends.peer.recv(1)
    reset(ends.peer)
    with pytest.raises(httpcore.ReadError):
        ends.read_until_it_fails()


@pytest.mark.parametrize("wait_s", [SHORT_S, 0.0])
def test_silence_ends_the_wait(ends: Ends, wait_s: float) -> None:
    """A wait is as long as it was said to be; the connection can be read from afterwards."""
    with pytest.raises(httpcore.ReadTimeout):
        ends.read(wait_s)
    ends.peer.sendall(b"late")
    assert ends.read(SHORT_S) == b"late"


@pytest.mark.parametrize("before", [LONG_S, None])
@pytest.mark.parametrize("writes", [True, False])
def test_each_read_has_a_wait_of_its_own(ends: Ends, before: float | None, writes: bool) -> None:
    """A short wait after a longer one is short, also with a write of yet another in between."""
    ends.peer.sendall(b"x")
    assert ends.read(before) == b"x"
    ends.peer.sendall(b"y")
    assert ends.read(SHORT_S) == b"y"
    if writes:
        ends.write(b"z", LONG_S)
    with later(ends, 4 * SHORT_S):
        with pytest.raises(httpcore.ReadTimeout):
            ends.read(SHORT_S)
        assert ends.read(LONG_S) == b"late"


@pytest.mark.parametrize("wait_s", [LONG_S, None])
def test_a_wait_that_was_over_in_time_harms_no_later_one(ends: Ends, wait_s: float | None) -> None:
    """What an earlier read would not have waited for, a later one still may."""
    ends.peer.sendall(b"x")
    assert ends.read(SHORT_S) == b"x"
    with later(ends, 4 * SHORT_S):
        assert ends.read(wait_s) == b"late"


@contextmanager
def later(ends: Ends, after_s: float) -> Iterator[None]:
    """Have the peer send after a while."""
    timer = threading.Timer(after_s, ends.peer.sendall, args=(b"late",))
    timer.start()
    yield
    timer.join()


def test_writing_to_a_closed_peer_is_an_error(ends: Ends) -> None:
    """Writing to nobody is an error at the latest when nothing more fits on the way."""
    reset(ends.peer)
    with pytest.raises(httpcore.WriteError):
        ends.write_until_it_fails()


@pytest.mark.parametrize("tls", ["plain"], indirect=True)
def test_a_peer_that_closes_without_reading_is_an_error(ends: Ends) -> None:
    """Who waits to send on learns that there is nobody to send to."""

    def leave() -> None:
        # Not before the first bytes are there: the rest does not fit on the way.
        select.select([ends.peer], [], [], LONG_S)
        reset(ends.peer)

    leaving = threading.Thread(target=leave)
    leaving.start()
    with pytest.raises(httpcore.WriteError):
        ends.write(b"x" * 50_000_000)
    leaving.join()


def test_a_peer_that_never_reads_times_out(ends: Ends) -> None:
    """What does not fit on the way waits for so long."""
    with pytest.raises(httpcore.WriteTimeout):
        ends.write(b"x" * 50_000_000, SHORT_S)


def test_much_arrives_whole(ends: Ends) -> None:
    """A request of many megabytes is what it was."""
    data = bytes(range(256)) * 40_000
    received = bytearray()

    def take() -> None:
        while len(received) < len(data):
            received.extend(ends.peer.recv(65536))

    reader = threading.Thread(target=take)
    reader.start()
    ends.write(data)
    # A loop sends on by itself, as long as it runs.
    ends.run(asyncio.to_thread(reader.join) if ends.run.is_async else reader.join())
    assert bytes(received) == data


def test_an_idle_connection_detects_that_it_was_closed(ends: Ends) -> None:
    """The pool asks that before it uses one again."""
    ends.peer.sendall(b"x")
    assert ends.read() == b"x"
    assert not ends.stream.is_readable()
    ends.peer.close()
    _until(ends.run, ends.stream.is_readable)


def _until(run: Run, holds: Any) -> None:
    # The kernel and the loop hand it on in their own time.
    for _ in range(1000):
        if holds():
            return
        run(asyncio.sleep(0.01)) if run.is_async else threading.Event().wait(0.01)
    raise AssertionError("it never came to hold")


def test_no_server_is_an_error(run: Run) -> None:
    """A port that nobody listens on, and a name that nobody has."""
    with Listener() as gone:
        port = gone.port
    kind: Any = LoopStream if run.is_async else SocketStream
    for host in ("127.0.0.1", "nowhere.invalid"):
        with pytest.raises(httpcore.ConnectError):
            run(kind.open(host, port, None, LONG_S))


def test_a_stranger_is_not_trusted(run: Run, authority: trustme.CA) -> None:
    """A certificate of an unknown authority, and one for another name, end the connection."""
    known = ssl.create_default_context()
    authority.configure_trust(known)
    kind: Any = LoopStream if run.is_async else SocketStream
    for name, client in (("127.0.0.1", ssl.create_default_context()), ("other.example", known)):
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(server)
        with Listener(server) as listener:
            refusing = threading.Thread(target=_accept_badly, args=(listener,))
            refusing.start()
            with pytest.raises(httpcore.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                run(kind.open("127.0.0.1", listener.port, client, LONG_S))
            refusing.join()


def _accept_badly(listener: Listener) -> None:
    with pytest.raises(OSError, match=r"alert|EOF|reset"):
        listener.accept()


def test_a_server_that_never_answers_the_handshake_ends_the_wait(
    run: Run, authority: trustme.CA
) -> None:
    """The time to connect counts for TLS as well."""
    client = ssl.create_default_context()
    kind: Any = LoopStream if run.is_async else SocketStream
    with Listener() as silent, pytest.raises(httpcore.ConnectTimeout):
        run(kind.open("127.0.0.1", silent.port, client, SHORT_S))


async def test_a_loop_reads_ahead_within_bounds() -> None:
    """Who does not read stops the sender; who goes on gets everything."""
    with Listener() as listener:
        accepting = asyncio.create_task(asyncio.to_thread(listener.accept))
        stream = await LoopStream.open("127.0.0.1", listener.port, None, LONG_S)
        peer = await accepting
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        much = 40 * MOST_UNREAD_BYTES
        sending = asyncio.create_task(asyncio.to_thread(peer.sendall, b"x" * much))
        done, _ = await asyncio.wait([sending], timeout=0.5)
        assert not done
        assert stream._unread_bytes < 2 * MOST_UNREAD_BYTES
        received = 0
        while received < much:
            received += len(await stream.read(LONG_S))
        await sending
        stream.close()
        await stream.wait_closed()


async def test_a_closed_connection_is_forgotten_at_once() -> None:
    """The alarm of a long wait does not keep what was read in memory until it rings."""
    with Listener() as listener:
        accepting = asyncio.create_task(asyncio.to_thread(listener.accept))
        stream = await LoopStream.open("127.0.0.1", listener.port, None, LONG_S)
        (await accepting).sendall(b"x")
        assert await stream.read(LONG_S) == b"x"
        stream.close()
        await stream.wait_closed()
        remembered = weakref.ref(stream)
        del stream
        await asyncio.sleep(0)
        gc.collect()
        assert remembered() is None


async def test_a_cancelled_task_stops_sending() -> None:
    """What was cancelled before it wrote stays unsent."""

    async def writing(stream: LoopStream) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await stream.write(b"x", LONG_S)

    with Listener() as listener:
        accepting = asyncio.create_task(asyncio.to_thread(listener.accept))
        stream = await LoopStream.open("127.0.0.1", listener.port, None, LONG_S)
        peer = await accepting
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(writing(stream))
        stream.close()
        await stream.wait_closed()
        assert peer.recv(1) == b""
