"""Over real sockets: cuts, stalls, resets and odd boundaries, and what the server sees of us."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Iterator

import pytest
from recorded import recording
from running import Run

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import (
    AsyncClient,
    ChatLine,
    ChatRequest,
    OllamaConnectionError,
    OllamaTimeoutError,
    RetryPolicy,
    StreamTruncatedError,
    TransportError,
)

HELLO = recording("chat/tiny-chat/hello-stream")
REQUEST = ChatRequest("tiny-chat")
NEW = RetryPolicy(first_wait_s=0)
CHAT = ("POST", "/api/chat")


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama(demo=False) as server:
        yield server


@pytest.fixture
def server(running: EmbeddedOllama) -> EmbeddedOllama:
    """Return the one server of this file, which remembers nothing of the test before."""
    running.reset()
    return running


def lines_of(count: int | None = None, **how: object) -> Reply:
    return Reply.raw(chunks=HELLO.chunks[:count], **how)


def text(lines: list[ChatLine]) -> str:
    return "".join(line.text for line in lines)


def left(run: Run, server: EmbeddedOllama) -> bool:
    """Return whether the server sees its client leave, while the client's loop goes on."""
    if run.is_async:
        return bool(run(asyncio.to_thread(server.wait_for_disconnects)))
    return server.wait_for_disconnects()


CUTS = {
    "inside a line, closed": Reply.raw(
        chunks=[*HELLO.chunks[:2], HELLO.chunks[2][:30]], cut="close"
    ),
    "inside a line, ended": Reply.raw(chunks=[*HELLO.chunks[:2], HELLO.chunks[2][:30]]),
    "between lines, closed": lines_of(2, cut="close"),
    "between lines, ended": lines_of(2),
    "before a line's end": Reply.raw(chunks=[*HELLO.chunks[:2], HELLO.chunks[2][:-3]]),
    "short of its length": Reply.raw(chunks=HELLO.chunks[:3], sized=True, cut="close"),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_stream_that_is_cut_is_never_a_whole_answer(
    run: Run, server: EmbeddedOllama, name: str
) -> None:
    """Wherever a stream ends without its last line, it is an error that keeps what came."""
    server.script(*CHAT, CUTS[name])
    lines, error = run.until_error(run.client(server.url).chat_stream(REQUEST))
    assert type(error) is StreamTruncatedError
    assert [line.text for line in lines] == ["Hello", "!"]
    assert error.received == tuple(lines)
    assert error.url == f"{server.url}/api/chat"


def test_a_stream_that_is_reset_is_an_error(run: Run, server: EmbeddedOllama) -> None:
    """A TCP reset is told as a cut; lines that the kernel had not dropped are kept."""
    gate = Gate()
    server.script(*CHAT, lines_of(2, cut="reset", gate=gate, hold_at=2))
    stream = run.client(server.url).chat_stream(REQUEST)
    first = [run.next(stream) for _ in range(2)]
    gate.set()
    rest, error = run.until_error(stream)
    assert type(error) is StreamTruncatedError
    assert (text(first), rest) == ("Hello!", [])
    assert error.received == tuple(first)


def test_a_whole_answer_that_is_cut_is_an_error(run: Run, server: EmbeddedOllama) -> None:
    """Half of a JSON body is no answer."""
    data = recording("chat/tiny-chat/hello-whole").data
    server.script(*CHAT, Reply.raw(chunks=[data[:50], data[50:]], sized=True, cut="close"))
    error = run.thrown(run.client(server.url).chat, REQUEST)
    assert type(error) is StreamTruncatedError


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_odd_chunk_boundaries_change_nothing(run: Run, server: EmbeddedOllama, size: int) -> None:
    """Chunks of one byte, of seven, and one chunk for all give the same lines."""
    data = HELLO.data
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    server.script(*CHAT, Reply.raw(chunks=chunks))
    lines = run.lines(run.client(server.url).chat_stream(REQUEST))
    assert [line.raw for line in lines] == HELLO.objects


def test_a_slow_first_byte_is_waited_for(run: Run, server: EmbeddedOllama) -> None:
    """A model that takes its time to load is no failure."""
    server.script(*CHAT, lines_of(delay_s=0.2))
    assert text(run.lines(run.client(server.url, timeout=5).chat_stream(REQUEST))) == (
        "Hello! How can I help you today?"
    )


@pytest.mark.parametrize("sent", [0, 3])
def test_silence_beyond_the_timeout_fails_without_a_retry(
    run: Run, server: EmbeddedOllama, sent: int
) -> None:
    """A stall before or inside an answer is a read timeout; nothing is sent a second time."""
    gate = Gate()
    server.script(*CHAT, lines_of(gate=gate, hold_at=sent))
    stream = run.client(server.url, timeout=1.0, retry=NEW).chat_stream(REQUEST)
    lines, error = run.until_error(stream)
    gate.set()
    assert isinstance(error, OllamaTimeoutError)
    assert (error.phase, error.timeout_s, len(lines)) == ("read", 1.0, sent)
    assert len(server.requests) == 1


@pytest.mark.parametrize("cut", ["close", "reset"])
def test_a_connection_lost_before_the_answer_is_tried_again(
    run: Run, server: EmbeddedOllama, cut: str
) -> None:
    """A server that hangs up without a byte is asked once more, and answers."""
    server.script(*CHAT, Reply(silent=True, cut=cut), lines_of())
    lines = run.lines(run.client(server.url, retry=NEW).chat_stream(REQUEST))
    assert lines[-1].done
    assert len(server.requests) == 2
    assert server.requests[0].body == server.requests[1].body


def test_a_server_that_always_hangs_up_is_reported(run: Run, server: EmbeddedOllama) -> None:
    """After the last try the error says that the request may have arrived."""
    server.script(*CHAT, Reply.hang_up(), repeat=True)
    error = run.thrown(run.client(server.url, max_retries=1, retry=NEW).chat, REQUEST)
    assert isinstance(error, OllamaConnectionError)
    assert error.sent is True
    assert len(server.requests) == 2


def test_no_server_is_a_connection_error(run: Run) -> None:
    """A port that nobody listens on is told with its URL."""
    with EmbeddedOllama(demo=False) as gone:
        url = gone.url
    error = run.thrown(run.client(url, retry=NEW).version)
    assert isinstance(error, OllamaConnectionError)
    assert isinstance(error, ConnectionError)
    assert (error.sent, error.url) == (False, f"{url}/api/version")


def endless(server: EmbeddedOllama) -> None:
    server.script(*CHAT, lines_of(2, forever=True, chunk_delay_s=0.001))


def test_closing_a_stream_stops_the_server(run: Run, server: EmbeddedOllama) -> None:
    """A stream that is closed early closes its connection at once, and generation ends."""
    endless(server)
    lines = run.take(run.client(server.url).chat_stream(REQUEST), 3)
    assert len(lines) == 3
    assert left(run, server)


def test_leaving_the_loop_stops_the_server(run: Run, server: EmbeddedOllama) -> None:
    """Breaking out of a stream and dropping it is enough."""
    endless(server)
    client = run.client(server.url)

    def leave() -> None:
        for _ in client.chat_stream(REQUEST):
            break

    async def aleave() -> None:
        async for _ in client.chat_stream(REQUEST):
            break

    run(aleave() if run.is_async else leave())
    assert left(run, server)


def test_an_exception_in_the_loop_stops_the_server(run: Run, server: EmbeddedOllama) -> None:
    """So does an error of whoever reads the stream."""
    endless(server)
    client = run.client(server.url)

    def fail() -> None:
        for _ in client.chat_stream(REQUEST):
            raise KeyError("mine")

    async def afail() -> None:
        async for _ in client.chat_stream(REQUEST):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(afail() if run.is_async else fail())
    assert left(run, server)


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "send"])
def test_a_cancelled_task_stops_the_server(server: EmbeddedOllama, whole: bool) -> None:
    """Cancelling the task that waits closes its connection, while the loop goes on."""
    endless(server)

    async def consume(stream: AsyncGenerator[ChatLine]) -> None:
        async for _ in stream:
            pass

    async def main() -> bool:
        async with AsyncClient(server.url) as client:
            call = client.chat(REQUEST) if whole else consume(client.chat_stream(REQUEST))
            task = asyncio.create_task(call)  # type: ignore[arg-type] # two kinds of coroutines
            assert await asyncio.to_thread(server.wait_for_chunks, 3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await asyncio.to_thread(server.wait_for_disconnects)

    assert asyncio.run(main())


def test_closing_the_client_ends_its_streams(run: Run, server: EmbeddedOllama) -> None:
    """A stream whose client was closed ends with an error of ours, and the server stops."""
    endless(server)
    client = run.client(server.url, headers={"x-alone": "1"})
    stream = client.chat_stream(REQUEST)
    first = run.next(stream)
    assert first.text == "Hello"
    run(client.aclose() if run.is_async else client.close())
    _, error = run.until_error(stream)
    assert isinstance(error, StreamTruncatedError | TransportError)
    assert left(run, server)


def test_a_deadline_around_a_call_leaves_nothing_open(server: EmbeddedOllama) -> None:
    """asyncio.timeout around a call that stalls ends it, and the client goes on working."""
    gate = Gate()
    server.script(*CHAT, lines_of(gate=gate, hold_at=2))

    async def main() -> str:
        async with AsyncClient(server.url) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await client.chat(REQUEST)
            assert await asyncio.to_thread(server.wait_for_disconnects)
            return await client.version()

    assert asyncio.run(main()) == "0.33.0"
    gate.set()
    gc.collect()


@pytest.mark.parametrize("cut", ["close", "reset"])
def test_a_connection_that_breaks_after_the_last_line_is_ignored(
    run: Run, server: EmbeddedOllama, cut: str
) -> None:
    """Nothing is missing from an answer whose last line came, however the connection ends."""
    server.script(*CHAT, lines_of(cut=cut))
    lines = run.lines(run.client(server.url, retry=NEW).chat_stream(REQUEST))
    assert lines[-1].done
    assert text(lines) == "Hello! How can I help you today?"


def test_closing_while_a_loop_rests_leaves_the_closing_to_its_end(
    server: EmbeddedOllama, caplog: pytest.LogCaptureFixture
) -> None:
    """A model closed between two runs of a loop ends quietly with that loop."""
    server.script("GET", "/api/version", Reply.json({"version": "1"}))
    with asyncio.Runner() as runner, ChatOllama(model="m", base_url=server.url) as model:
        runner.run(model.async_client().version())
        model.close()
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []
