"""Images that a message names by address: fetched once, without blocking, without our secrets."""

import asyncio
import base64
import gc
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_ways import Way

from llamaindex_ollama_ext import Ollama, _media
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import UnsupportedContentError
from ollama_transport.conversation import FetchLimits

Make = Callable[..., Ollama]
PNG = b"\x89PNG\r\n\x1a\n and so on"


def picture(server: EmbeddedOllama, path: str = "/cat.png") -> ImageBlock:
    return ImageBlock(url=f"{server.url}{path}")


def asked(server: EmbeddedOllama, path: str) -> list[Any]:
    return [request for request in server.requests if request.path == path]


def test_an_address_is_fetched_once_for_a_chat(server: EmbeddedOllama, way: Way) -> None:
    """D14: the image goes along with every turn, and is fetched for the first one only."""
    server.script("GET", "/cat.png", Reply.raw(PNG))
    llm = Ollama("demo-vision", server.url)
    history = [ChatMessage(role="user", blocks=[TextBlock(text="What is it?"), picture(server)])]
    for _ in range(3):
        way.chat(llm, history)
    assert len(asked(server, "/cat.png")) == 1
    sent = [request.json["messages"][0]["images"] for request in asked(server, "/api/chat")]
    assert sent == [[base64.b64encode(PNG).decode()]] * 3


def test_the_key_of_the_server_stays_with_it(server: EmbeddedOllama, way: Way) -> None:
    """D16: whoever has the image is not told how to get into the Ollama server."""
    server.script("GET", "/cat.png", Reply.raw(PNG))
    llm = Ollama("demo-vision", server.url, headers={"Authorization": "Bearer sesame"})
    way.chat(llm, [ChatMessage(blocks=[picture(server)])])
    (request,) = asked(server, "/cat.png")
    assert "authorization" not in request.headers


def test_fetching_leaves_the_loop_free(server: EmbeddedOllama) -> None:
    """D14: while an image comes, other tasks of the loop run; several images come at a time."""
    gate = Gate()
    server.script("GET", "/cat.png", Reply.raw(PNG, gate=gate))
    server.script("GET", "/dog.png", Reply.raw(PNG, gate=gate))
    llm = Ollama("demo-vision", server.url)
    message = ChatMessage(blocks=[picture(server), picture(server, "/dog.png")])

    async def both() -> None:
        task = asyncio.create_task(llm.achat([message]))
        assert await asyncio.to_thread(server.wait_for_requests, 2)
        gate.set()
        await task

    asyncio.run(both())


def test_fetched_media_go_with_the_message(server: EmbeddedOllama) -> None:
    """D14: the data is kept for the life of the block, and no longer."""
    server.script("GET", "/cat.png", Reply.raw(PNG))
    block = picture(server)
    assert _media.load_media([block], FetchLimits(1000, 5)) == {id(block): PNG}
    key = (id(block), str(block.url))
    assert key in _media._FETCHED
    del block
    gc.collect()
    assert key not in _media._FETCHED


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply.error(404, "no cat"), "answered 404"),
        (Reply.hang_up(), "was not fetched"),
        (Reply.raw(chunks=[b"x" * 11] * 2), "larger than fetch_max_bytes=20"),
    ],
)
def test_an_address_that_cannot_be_fetched_is_named(
    server: EmbeddedOllama, way: Way, reply: Reply, words: str
) -> None:
    """D14: an image that does not come is an error that names the address; nothing is sent."""
    server.script("GET", "/cat.png", reply)
    with pytest.raises(UnsupportedContentError, match=words) as caught:
        way.chat(
            Ollama("demo-vision", server.url, fetch_max_bytes=20),
            [ChatMessage(blocks=[picture(server)])],
        )
    assert "/cat.png" in str(caught.value)
    assert asked(server, "/api/chat") == []


def test_a_file_that_is_gone_is_named(tmp_path: Any, way: Way) -> None:
    """D14: a path that cannot be read is an error that names it."""
    file = tmp_path / "gone.png"
    file.write_bytes(PNG)
    block = ImageBlock(path=file)
    file.unlink()
    with pytest.raises(UnsupportedContentError, match=r"gone\.png"):
        way.chat(Ollama("m", "http://127.0.0.1:1"), [ChatMessage(blocks=[block])])
