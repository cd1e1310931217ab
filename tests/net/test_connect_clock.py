"""The connect timeout counts the server's delay, and not our own."""

import asyncio
import time

import pytest
from raw_server import RawServer
from right_answers import TEXT, otherwise

from ollama_transport import AsyncClient, ChatRequest, Message, OllamaTimeoutError
from ollama_transport.net.streams import free_time

REQUEST = ChatRequest(model="m", messages=[Message("user", "hi")])


async def test_a_busy_loop_is_not_a_timeout() -> None:
    """Work that holds the loop longer than the connect timeout lets the call go on."""
    with RawServer(otherwise) as server:
        async with AsyncClient(server.url, timeout=(1.5, 20), max_retries=0) as client:
            call = asyncio.ensure_future(client.chat(REQUEST))
            for _ in range(4):
                await asyncio.sleep(0)
                time.sleep(0.5)  # noqa: ASYNC251 - the work of somebody who blocks
            assert (await call).text == TEXT


async def test_many_streams_begin_at_once() -> None:
    """Those that wait for their turn to connect do not run out of time."""
    with RawServer(otherwise) as server:
        async with AsyncClient(server.url, timeout=(1, 60), max_retries=0) as client:
            answers = await asyncio.gather(*(client.chat(REQUEST) for _ in range(400)))
    assert {answer.text for answer in answers} == {TEXT}


async def test_a_silent_connect_still_ends() -> None:
    """A free loop counts the whole time."""
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        async with free_time(0.3):
            await asyncio.Event().wait()
    assert time.monotonic() - begun >= 0.3


async def test_a_server_that_never_accepts_is_a_connect_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The phase and the seconds are told."""

    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never, raising=False)
    async with AsyncClient("http://127.0.0.1:9", timeout=(0.2, 20), max_retries=0) as client:
        with pytest.raises(OllamaTimeoutError, match=r"0.2 s \(connect\)") as caught:
            await client.chat(REQUEST)
    assert caught.value.phase == "connect"
