"""Callers that stop, fail, are cancelled, fork or exit: nothing stays, the next call works."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest
from fault_ways import RIGHT, WAYS, Way, in_time, nothing_left
from langchain_core.callbacks import BaseCallbackHandler
from raw_server import Asked, End, RawServer, Step
from right_answers import (
    CHUNKED,
    LAST_CHUNK,
    chunk,
    head,
    is_generation,
    kind_of,
    otherwise,
    right,
)

STREAMS = [way for way in WAYS if way.form == "streamed"]
AWAITED = [way for way in WAYS if way.is_async]
SPOKEN = [way for way in WAYS if way.form != "embedded"]
streams = pytest.mark.parametrize("way", STREAMS, ids=lambda way: way.id)
TURNS = 2000
LINE = 32 * 1024


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(otherwise, is_scripted=is_generation) as found:
        yield found


def done(way: Way, work: Callable[[Any], Any], model: Any) -> Any:
    """Return what work on a model gives, in time; close the model, and look for tasks."""

    async def awaited() -> Any:
        try:
            return await work(model)
        finally:
            await model.aclose()
            await nothing_left()

    def blocking() -> Any:
        with model:
            return work(model)

    return in_time(lambda: asyncio.run(awaited()) if way.is_async else blocking())


def held(asked: Asked) -> list[Step]:
    """Send one piece of the right answer, and then nothing."""
    answer = right(asked)
    return [head(CHUNKED, kind_of(answer)), *map(chunk, answer.pieces[:3]), End.STALL]


@streams
def test_a_stream_that_is_left_stops_the_server(way: Way, server: RawServer) -> None:
    """Closing after the first piece ends the connection at once, and the next call is answered."""
    server.play(held)

    async def leave(model: Any) -> Any:
        stream = await way.astream_of(model)
        async with aclosing(stream):
            await anext(stream)
        await asyncio.to_thread(server.wait_until_left)
        return await way.aask(model)

    def leave_blocking(model: Any) -> Any:
        with closing(way.stream_of(model)) as stream:
            next(stream)
        server.wait_until_left()
        return way.ask(model)

    assert (
        done(way, leave if way.is_async else leave_blocking, way.model(server.url))
        == (RIGHT["streamed"])
    )
    server.wait_until_left()


class Long:
    """Send many long lines of text before the right answer, and count what has gone out."""

    def __init__(self) -> None:
        self.sent = 0

    def __call__(self, asked: Asked) -> Iterator[Step]:
        answer = right(asked)
        first = answer.objects()[0]
        line = (
            answer.of([first], ends=False).pieces[0].replace(b"{", b'{"f":"%s",' % (b"x" * LINE), 1)
        )
        yield head(CHUNKED, kind_of(answer))
        for _ in range(TURNS):
            yield chunk(line)
            self.sent += 1
        yield from map(chunk, answer.pieces)
        yield LAST_CHUNK


@streams
def test_a_consumer_that_stops_reading_holds_the_server_up(way: Way, server: RawServer) -> None:
    """What is not read waits at the server, not in our memory; reading on gives all of it."""
    long = Long()
    server.play(long)

    def is_still() -> bool:
        before = long.sent
        return not _changes(lambda: long.sent != before)

    async def pause(model: Any) -> int:
        stream = await way.astream_of(model)
        async with aclosing(stream):
            await anext(stream)
            while not await asyncio.to_thread(is_still):
                pass
            assert long.sent < TURNS
            return 1 + len([1 async for _ in stream])

    def pause_blocking(model: Any) -> int:
        with closing(way.stream_of(model)) as stream:
            next(stream)
            while not is_still():
                pass
            assert long.sent < TURNS
            return 1 + len(list(stream))

    pieces = done(way, pause if way.is_async else pause_blocking, way.model(server.url))
    assert pieces > TURNS


def _changes(has: Callable[[], bool]) -> bool:
    """Return whether something happens within a moment."""
    waiting = threading.Event()
    return any(has() or waiting.wait(0.02) for _ in range(10))


class RefusalError(Exception):
    pass


@pytest.mark.parametrize("way", SPOKEN, ids=lambda way: way.id)
def test_an_on_token_that_raises_ends_the_call(way: Way, server: RawServer) -> None:
    """What it raises comes to the caller as it is; the connection does not stay."""
    calls = iter([True])

    def once(*_: object) -> None:
        if next(calls, False):
            raise RefusalError

    async def ask(model: Any) -> Any:
        with pytest.raises(RefusalError):
            await way.aask(model)
        return await way.aask(model)

    def ask_blocking(model: Any) -> Any:
        with pytest.raises(RefusalError):
            way.ask(model)
        return way.ask(model)

    model = way.model(server.url, on_token=once)
    assert done(way, ask if way.is_async else ask_blocking, model) == RIGHT[way.form]
    server.wait_until_left()


class Raising(BaseCallbackHandler):
    raise_error = True

    def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        raise RefusalError


@pytest.mark.parametrize(
    "way", [way for way in STREAMS if way.framework == "langchain"], ids=lambda way: way.id
)
def test_a_handler_that_raises_ends_the_stream(way: Way, server: RawServer) -> None:
    """LangChain hands on what a handler with raise_error raises; the server is left."""
    server.play(held)
    config = {"callbacks": [Raising()]}

    async def ask(model: Any) -> Any:
        with pytest.raises(RefusalError):
            async for _ in model.astream("hi", config):
                pass
        await asyncio.to_thread(server.wait_until_left)
        return await way.aask(model)

    def ask_blocking(model: Any) -> Any:
        with pytest.raises(RefusalError):
            list(model.stream("hi", config))
        server.wait_until_left()
        return way.ask(model)

    model = way.model(server.url)
    assert done(way, ask if way.is_async else ask_blocking, model) == RIGHT["streamed"]


class Counted(Coroutine[Any, Any, Any]):
    """A coroutine whose waits are told."""

    def __init__(self, work: Any, note_wait: Callable[[], None]) -> None:
        self._work = work
        self._note_wait = note_wait

    def send(self, value: Any) -> Any:
        waits_for = self._work.send(value)
        self._note_wait()
        return waits_for

    def throw(self, *error: Any) -> Any:
        waits_for = self._work.throw(*error)
        self._note_wait()
        return waits_for

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Any:
        return self._work.__await__()


class CancelledAt:
    """Count the waits of every task of a loop, and cancel a task at one of them."""

    def __init__(self, place: int) -> None:
        self._left = place
        self.victim: asyncio.Task[Any] | None = None

    def make_task(self, loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> Any:
        """Return a task whose waits are counted (asyncio calls this)."""
        return asyncio.Task(Counted(work, self._note_wait), loop=loop, **more)

    def _note_wait(self) -> None:
        if self.victim is not None and not self.victim.done():
            if self._left == 0:
                asyncio.get_running_loop().call_soon(self.victim.cancel)
            self._left -= 1


async def cancelled_at(way: Way, model: Any, place: int) -> bool:
    """Cancel a call at one of its waits; return whether it was done before that."""
    loop = asyncio.get_running_loop()
    at = CancelledAt(place)
    loop.set_task_factory(at.make_task)
    try:
        at.victim = asyncio.create_task(way.aask(model))
        (result,) = await asyncio.gather(at.victim, return_exceptions=True)
    finally:
        loop.set_task_factory(None)
    if isinstance(result, asyncio.CancelledError):
        return False
    assert result == RIGHT[way.form]
    return at._left >= 0


@pytest.mark.parametrize("way", AWAITED, ids=lambda way: way.id)
@pytest.mark.parametrize("connects", [True, False], ids=["connects", "connected"])
def test_a_call_may_be_cancelled_at_any_wait(way: Way, connects: bool, server: RawServer) -> None:
    """Wherever the cancellation strikes, it comes through, and the next call is answered."""

    async def sweep(model: Any) -> int:
        for place in range(1000):
            if connects:
                await model.aclose()
            if await cancelled_at(way, model, place):
                return place
            assert await way.aask(model) == RIGHT[way.form], place
            await nothing_left()
        raise AssertionError("no call was done")

    waits = done(way, sweep, way.model(server.url))
    # A kept connection takes a small request at once; then the answer alone is waited for.
    assert waits >= 1
    server.wait_until_left()


FORKS = """
import asyncio, os, sys
from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from llama_index.core.llms import ChatMessage

url, kind = sys.argv[1:]
chat = ChatOllama(model="m", base_url=url, max_retries=0, timeout=10)
llm = Ollama("m", base_url=url, max_retries=0, request_timeout=10)

async def aask():
    answer = await llm.achat([ChatMessage("hi")])
    return (await chat.ainvoke("hi")).content + answer.message.content

def ask():
    if kind == "async":
        return asyncio.run(aask())
    return chat.invoke("hi").content + llm.chat([ChatMessage("hi")]).message.content

first = ask()
child = os.fork()
assert ask() == first
if child == 0:
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert ask() == first
"""

EXITS = """
import asyncio, sys
from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from llama_index.core.llms import ChatMessage

url, kind = sys.argv[1:]
chat = ChatOllama(model="m", base_url=url)
llm = Ollama("m", base_url=url)

async def main():
    global streams
    streams = [chat.astream("hi"), await llm.astream_chat([ChatMessage("hi")])]
    for stream in streams:
        await anext(stream)

if kind == "async":
    asyncio.run(main())
else:
    streams = [chat.stream("hi"), llm.stream_chat([ChatMessage("hi")])]
    for stream in streams:
        next(stream)
"""


def ran(script: str, *arguments: str) -> tuple[int, str]:
    """Return code and complaints of a script in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", script, *arguments],
        capture_output=True,
        check=False,
        timeout=60,
    )
    return run.returncode, run.stderr.decode()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_fork_has_connections_of_its_own(server: RawServer, kind: str) -> None:
    """Parent and child ask at once on models that both had used, and both are answered."""
    code, complaints = ran(FORKS, server.url, kind)
    assert code == 0, complaints
    server.wait_until_left()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_process_may_exit_with_open_streams(server: RawServer, kind: str) -> None:
    """It ends by itself, no socket is left to the collector, and the server sees it leave."""
    server.play(held, held)
    code, complaints = ran(EXITS, server.url, kind)
    assert code == 0, complaints
    assert "ResourceWarning" not in complaints
    assert "never" not in complaints
    server.wait_until_left()
