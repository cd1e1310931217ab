"""A client outside of the pools leaves no socket when a request is cancelled at any moment."""

import asyncio
import gc
import random

import httpx
from raw_server import RawServer

from ollama_transport.net import new_async_client

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TIMES = 1000


async def test_nothing_stays_open() -> None:
    """Connections of httpx leave one in some sixty of these to the garbage collector."""
    chance, limits = random.Random(0), httpx.Limits(max_keepalive_connections=0)
    with RawServer(lambda _: [ANSWER]) as server:
        async with new_async_client(10, limits=limits, trust_env=False) as client:
            for _ in range(TIMES):
                request = asyncio.create_task(client.post(server.url, json={}))
                asyncio.get_running_loop().call_later(chance.random() * 0.003, request.cancel)
                await asyncio.wait([request])
                if not request.cancelled():
                    assert request.result().text == "ok"
            # asyncio warns when it collects a socket that nobody closed.
            gc.collect()
            await asyncio.to_thread(server.wait_until_left)
