"""Images of megabytes: the bytes on the wire, and an event loop that is not held up by them."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from faked import Network
from langchain_core.messages import HumanMessage
from llama_index.core.base.llms.types import ChatMessage, ImageBlock
from raw_server import Asked, RawServer, Step
from recorded import recording
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import AsyncClient, UnsupportedContentError
from ollama_transport.wire.calls.body import PIECE_BYTES, encode_body, image_data

PIECE = PIECE_BYTES // 4 * 3
# Not a whole number of pieces, and two pads at the end.
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * (3 * PIECE // 256) + b"end.."
TEXT = b64encode(PICTURE).decode()
FOLDED = "\r\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76))


def whole(asked: Asked) -> list[Step]:
    name = "openai/hello-whole" if "/v1/" in asked.path else "chat/tiny-chat/hello-whole"
    body = recording(name).data
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return [head.encode() + b"\r\n" + body]


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with RawServer(whole) as found:
        yield found


def langchain(form: str) -> list[Any]:
    block = {
        "bytes": {"type": "image", "data": PICTURE, "mime_type": "image/png"},
        "base64": {"type": "image", "base64": TEXT, "mime_type": "image/png"},
        "data URI": {"type": "image_url", "image_url": f"data:image/png;base64,{TEXT}"},
    }[form]
    return [HumanMessage([block])]


def llamaindex(form: str) -> list[Any]:
    block = {
        "bytes": lambda: ImageBlock(image=PICTURE),
        "base64": lambda: ImageBlock(image=TEXT.encode()),
        "data URI": lambda: ImageBlock(url=f"data:image/png;base64,{TEXT}"),
    }[form]()
    return [ChatMessage(role="user", blocks=[block])]


@pytest.mark.parametrize("form", ["bytes", "base64", "data URI"])
def test_a_large_image_arrives_unchanged(
    run: Run, server: RawServer, adapter: str, wire: str, form: str
) -> None:
    """Whatever its form, its base64 is sent, in a body of known length."""
    server.reset()
    settings: dict[str, Any] = {"model": "m", "base_url": server.url, "api": wire}
    if adapter == "LangChain":
        model = ChatOllama(**settings)
        asked = langchain(form)
        run(model.ainvoke(asked) if run.is_async else model.invoke(asked))
    else:
        llm = Ollama(**settings, context_window=8192)
        messages = llamaindex(form)
        run(llm.achat(messages) if run.is_async else llm.chat(messages))
    [got] = [asked for asked in server.requests if "chat" in asked.path]
    [message] = got.json["messages"]
    sent = message["images"][0] if wire == "native" else message["content"][-1]["image_url"]["url"]
    assert sent.removeprefix("data:image/png;base64,") == TEXT
    assert int(got.headers["content-length"]) == len(got.body)


@pytest.mark.parametrize("image", [PICTURE, TEXT], ids=["bytes", "base64"])
def test_other_tasks_run_while_a_large_image_is_made_ready(image: bytes | str) -> None:
    """A loop gets its turns between the pieces of an image, before anything is sent."""

    async def turns(image: bytes | str) -> int:
        count = 0

        async def other() -> None:
            nonlocal count
            while not network.requests:
                count += 1
                await asyncio.sleep(0)

        network = Network("chat/tiny-chat/hello-whole")
        question = [{"role": "user", "content": "?", "images": [image]}]
        async with asyncio.timeout(60), AsyncClient(transport=network) as client:
            await asyncio.gather(other(), client.chat(model="m", messages=question))
        return count

    small = asyncio.run(turns(PICTURE[:100]))
    assert asyncio.run(turns(image)) >= small + len(TEXT) // PIECE_BYTES


@pytest.mark.parametrize(
    "text",
    [TEXT, FOLDED, f"data:image/png;base64,{FOLDED}", FOLDED + "\r\n"],
    ids=["plain", "folded", "data URI", "line end"],
)
def test_line_ends_of_large_base64_are_left_out(text: str) -> None:
    """However the pieces of the text fall, one line of base64 is sent."""
    assert encode_body({"image": image_data(text)}) == b'{"image":"%b"}' % TEXT.encode()


@pytest.mark.parametrize("before", range(3))
def test_pads_may_lie_in_two_pieces(before: int) -> None:
    """The end of a text is found where it is cut as well."""
    text = "\n" * before + "A" * (PIECE_BYTES - 2) + "=="
    assert encode_body({"image": image_data(text)}).endswith(b'AA=="}')


@pytest.mark.parametrize(
    "text",
    [
        TEXT[:-1],
        TEXT + TEXT,
        TEXT[:-1] + "==",
        "A" * (PIECE_BYTES - 1) + "=" + "AAAA",
        "A" * 65535 + "=" + "A" * 65536,
        "A" * PIECE_BYTES + "AA-_",
        "A" * 65536 + "/pictures/cat.png" * 4,
        "../" * 65536,
    ],
    ids=["cut", "twice", "padded", "pad", "early pad", "web", "path", "paths"],
)
def test_large_text_that_is_not_base64_is_refused(run: Run, text: str) -> None:
    """Damage anywhere in it is told, and nothing is sent."""
    network = Network("chat/tiny-chat/hello-whole")
    question = [{"role": "user", "content": "?", "images": [text]}]
    with pytest.raises(UnsupportedContentError, match="not base64") as caught:
        run(run.client(transport=network).chat(model="m", messages=question))
    assert len(str(caught.value)) < 500
    assert not network.requests


def test_an_image_that_its_owner_changes_is_sent_as_it_was() -> None:
    """A bytearray is copied when the call is made."""
    given = bytearray(PICTURE)
    image = image_data(given)  # type: ignore[arg-type] # taken, not announced
    given[:4] = b"late"
    assert encode_body({"image": image}) == b'{"image":"%b"}' % TEXT.encode()
