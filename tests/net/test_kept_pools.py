"""Connections outlive the copies of a model that frameworks make for each call; none leaks."""

import asyncio
import gc
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.runnables import ConfigurableField
from listening import Listener, Serving, answer, request_of
from recorded import recording
from running import Run

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import AsyncClient, Client

HELLO = answer(recording("chat/tiny-chat/hello-whole").data)
VERSION = answer(b'{"version":"1"}')


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as found:
        yield found


def answer_six_times(listener: Listener) -> None:
    connection = listener.accept()
    for _ in range(6):
        request_of(connection)
        connection.sendall(HELLO)


@pytest.mark.parametrize("kwargs", [{}, {"verify": ssl.create_default_context()}])
def test_copies_that_a_call_makes_share_a_connection(
    run: Run, listener: Listener, kwargs: dict[str, Any]
) -> None:
    """`configurable_fields` makes a model for each call: six of them use one connection."""
    settings: dict[str, Any] = {"timeout": 10, "max_retries": 0, "client_kwargs": kwargs}
    made = ChatOllama(model="tiny-chat", base_url=listener.url, **settings)
    model = made.configurable_fields(temperature=ConfigurableField(id="t"))

    def ask(number: int) -> Any:
        chosen = model.with_config(configurable={"t": number / 10})
        message = run(chosen.ainvoke("Hi")) if run.is_async else chosen.invoke("Hi")
        gc.collect()
        return message.content

    with Serving(answer_six_times, listener):
        said = {ask(number) for number in range(6)}
    assert len(said) == 1


def test_a_model_that_comes_in_time_uses_the_connections_of_the_one_before(
    run: Run, listener: Listener
) -> None:
    """A client that was collected leaves its connections to the next of equal settings."""

    def talk(listener: Listener) -> None:
        connection = listener.accept()
        for _ in range(3):
            request_of(connection)
            connection.sendall(VERSION)

    with Serving(talk, listener):
        for _ in range(3):
            client = (AsyncClient if run.is_async else Client)(listener.url, timeout=10)
            assert run(client.version()) == "1"
            del client
            gc.collect()


def serve_until_left(left: threading.Event, listener: Listener) -> None:
    connection = listener.accept()
    request_of(connection)
    connection.sendall(VERSION)
    assert connection.recv(1) == b""
    left.set()


async def test_a_running_loop_closes_unused_connections(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the grace period the server sees the connection end, though nothing else is called."""
    monkeypatch.setattr("ollama_transport.net.pool.GRACE_S", 0.05)
    left = threading.Event()
    with Serving(lambda one: serve_until_left(left, one), listener):
        client = AsyncClient(listener.url, timeout=10)
        assert await client.version() == "1"
        del client
        gc.collect()
        assert await asyncio.to_thread(left.wait, 10)


def test_the_next_call_of_any_model_closes_unused_connections(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads have no clock that runs by itself: the next use of another client looks."""
    monkeypatch.setattr("ollama_transport.net.pool.GRACE_S", 0.0)
    left = threading.Event()
    with Serving(lambda one: serve_until_left(left, one), listener):
        client = Client(listener.url, timeout=10)
        assert client.version() == "1"
        del client
        gc.collect()
        with EmbeddedOllama(demo=False) as other, Client(other.url) as another:
            another.version()
        assert left.wait(10)


AT_THE_END = """
import asyncio, sys
from ollama_transport import AsyncClient, ChatRequest, Message

url, kind = sys.argv[1:]
given = {"client_kwargs": {"cookies": {}}} if kind == "own" else {}

async def main(count):
    client = AsyncClient(url, **given)
    asked = ChatRequest("demo", [Message("user", "hi")])
    await asyncio.gather(*(client.chat(asked) for _ in range(count)))
    if kind == "closed":
        client.leave_pool().release(client)

if kind == "uvloop":
    import uvloop
    runs = uvloop.run
else:
    runs = asyncio.run
for count in (2, 16):
    runs(main(count))
"""


@pytest.mark.parametrize("kind", ["shared", "own", "closed", "uvloop"])
def test_a_client_inside_a_coroutine_leaves_no_socket(kind: str) -> None:
    """At the end of `asyncio.run` every connection of a gather is closed, not collected."""
    if kind == "uvloop":
        pytest.importorskip("uvloop", reason="not made for this system")
    with EmbeddedOllama() as server:
        command = [sys.executable, "-X", "dev", "-c", AT_THE_END, server.url, kind]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    warnings = [line for line in done.stderr.decode().splitlines() if "Warning" in line]
    assert (done.returncode, warnings) == (0, [])
