"""Images that messages name by address: one fetcher serves both adapters."""

import json
import socket
import threading
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from both_ways import Facts
from langchain_core.messages import HumanMessage
from llama_index.core.base.llms.types import ChatMessage, ImageBlock
from raw_server import Asked, End, RawServer, Step
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import UnsupportedContentError

PNG = b"\x89PNG\r\n\x1a\n and so on"
PUBLIC = "93.184.216.34"

Sends = Callable[..., list[bytes]]


def answer(
    body: bytes, kind: str | None = "image/png", status: str = "200 OK", *more: str
) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *more]
    typed = [*lines, f"Content-Type: {kind}"] if kind else lines
    return "\r\n".join(typed).encode() + b"\r\n\r\n" + body


@pytest.fixture
def web() -> Iterator[RawServer]:
    """A server that has pictures; it is the model's server never."""
    with RawServer(lambda _: [answer(b"", status="404 Not Found"), End.CLOSE]) as server:
        yield server


@pytest.fixture(params=["LangChain", "LlamaIndex"])
def sends(request: pytest.FixtureRequest, run: Run) -> Sends:
    """Return the images that reach the model's server for addresses in one message."""
    network = Facts("chat/tiny-chat/hello-whole")
    settings: dict[str, Any] = {"client_kwargs": {"transport": network}, "fetch_image_urls": True}

    def langchain(*urls: str, **limits: Any) -> Any:
        model = ChatOllama(model="m", **settings, **limits)
        blocks = [{"type": "image_url", "image_url": url} for url in urls]
        messages = [HumanMessage(blocks)]
        return run(model.ainvoke(messages) if run.is_async else model.invoke(messages))

    def llamaindex(*urls: str, **limits: Any) -> Any:
        llm = Ollama(model="m", **settings, **limits)
        blocks = [ImageBlock(url=url) for url in urls]
        messages = [ChatMessage(role="user", blocks=blocks)]
        return run(llm.achat(messages) if run.is_async else llm.chat(messages))

    ask = {"LangChain": langchain, "LlamaIndex": llamaindex}[request.param]

    def sent(*urls: str, **limits: Any) -> list[bytes]:
        ask(*urls, **limits)
        images = json.loads(network.requests[-1].content)["messages"][0]["images"]
        return [b64decode(image) for image in images]

    return sent


def test_an_image_is_fetched_and_sent(sends: Sends, web: RawServer) -> None:
    web.play(lambda _: [answer(PNG)])
    assert sends(f"{web.url}/cat.png") == [PNG]


def test_an_image_whose_type_is_not_stated_is_known_by_its_bytes(
    sends: Sends, web: RawServer
) -> None:
    web.play(lambda _: [answer(PNG, None)])
    assert sends(f"{web.url}/cat.png") == [PNG]


@pytest.mark.parametrize(
    ("reply", "limits", "words"),
    [
        (answer(b"<html>", "text/html"), {}, "text/html, which is neither image nor audio"),
        (answer(b"<html>", None), {}, "does not begin like image"),
        (answer(PNG * 9), {"fetch_max_bytes": 20}, "larger than fetch_max_bytes=20"),
        (answer(b"", status="404 Not Found"), {}, "answered 404"),
        (answer(b"", None, "302 Found", "Location: file:///etc/passwd"), {}, "not an http"),
        (answer(b"", None, "302 Found", "Location: /again"), {}, "answered 404"),
    ],
)
def test_refused_media_are_errors_with_a_reason(
    sends: Sends, web: RawServer, reply: bytes, limits: dict[str, Any], words: str
) -> None:
    web.play(lambda _: [reply])
    with pytest.raises(UnsupportedContentError, match=words) as caught:
        sends(f"{web.url}/cat.png", **limits)
    assert "/cat.png" in str(caught.value)


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_server_that_drips_ends_with_the_deadline(
    sends: Sends, web: RawServer, where: str
) -> None:
    """Each byte comes in time and all of them never: the sum is bounded as well."""

    def drip(_: Asked) -> Iterable[Step]:
        whole = answer(PNG * 1000)
        at = 9 if where == "head" else len(whole) - len(PNG) * 999
        yield whole[:at]
        for byte in whole[at:]:
            yield bytes([byte])
            # Far longer than the limit in all, far shorter for each byte.
            threading.Event().wait(0.02)

    web.play(drip)
    with pytest.raises(UnsupportedContentError, match=r"longer than fetch_timeout_s=0\.3"):
        sends(f"{web.url}/cat.png", fetch_timeout_s=0.3)


@pytest.fixture
def public_name(monkeypatch: pytest.MonkeyPatch, web: RawServer) -> str:
    """A public host, which is reached through a proxy: the server of pictures."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, web.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        return real(PUBLIC if host == "pictures.example" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return "pictures.example"


def test_a_public_address_cannot_lead_to_a_private_one(
    sends: Sends, web: RawServer, public_name: str
) -> None:
    """Whoever writes a message could read this machine's own network otherwise."""
    web.play(lambda _: [answer(b"", None, "302 Found", f"Location: {web.url}/secret.png")])
    with pytest.raises(UnsupportedContentError, match="inside a private network"):
        sends(f"http://{public_name}/cat.png")
    assert [asked.target for asked in web.requests] == [f"http://{public_name}/cat.png"]


def test_a_public_address_may_lead_to_a_public_one(
    sends: Sends, web: RawServer, public_name: str
) -> None:
    web.play(
        lambda _: [answer(b"", None, "302 Found", f"Location: http://{PUBLIC}/cat.png")],
        lambda _: [answer(PNG)],
    )
    assert sends(f"http://{public_name}/cat.png") == [PNG]


def test_a_private_address_may_lead_to_a_private_one(sends: Sends, web: RawServer) -> None:
    """The caller named that network."""
    web.play(
        lambda _: [answer(b"", None, "302 Found", f"Location: {web.url}/other.png")],
        lambda _: [answer(PNG)],
    )
    assert sends(f"{web.url}/cat.png") == [PNG]


def test_an_address_named_twice_is_fetched_once(sends: Sends, web: RawServer) -> None:
    web.play(lambda _: [answer(PNG)])
    assert sends(f"{web.url}/cat.png", f"{web.url}/cat.png") == [PNG, PNG]
    assert len(web.requests) == 1
