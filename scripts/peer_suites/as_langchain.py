"""A pytest plugin: `langchain_ollama` is ours, and a local server answers what the mocks hold.

The suite patches `langchain_ollama.<module>.Client` and sets what its methods return. Here the
names are patched in empty modules, and a server on this machine asks the patched class at each
request. What no mock answers goes to the embedded server. Texts of errors and warnings are not
compared (`match=`): they are meant to differ.
"""

import asyncio
import base64
import functools
import inspect
import json
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any
from unittest.mock import NonCallableMock

import httpx
import ollama
import pytest

import langchain_ollama_ext as ours
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama
from ollama_transport import Client

MODELS = [
    EmbeddedModel("llama3.1", ("completion", "tools", "vision", "embedding"), context_length=32768),
    EmbeddedModel("deepseek-r1:1.5b", ("completion", "tools", "thinking"), context_length=32768),
    EmbeddedModel("gpt-oss:20b", ("completion", "tools", "thinking"), context_length=32768),
]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
SHOWN = {"capabilities": ["completion", "embedding", "tools"], "model_info": {}, "details": {}}
# ollama-python passes these to its methods as None; on the wire they are absent.
ARGUMENTS = ["dimensions", "format", "keep_alive", "logprobs", "think", "top_logprobs"]
LINE = {"model": "m", "created_at": "2025-01-01T00:00:00Z", "done": True, "done_reason": "stop"}


class Unpatched:
    """What the suite replaces by a mock."""

    def list(self) -> None:
        """Be there to be patched."""


def _module(name: str, **names: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(names)
    sys.modules[name] = module
    return module


def _home(name: str, cls: type) -> ModuleType:
    patched = {"Client": Unpatched, "AsyncClient": Unpatched, "validate_model": lambda *_: None}
    return _module(f"langchain_ollama.{name}", **patched, **{cls.__name__: cls})


HOMES = [
    _home("chat_models", ours.ChatOllama),
    _home("llms", ours.OllamaLLM),
    _home("embeddings", ours.OllamaEmbeddings),
]
PACKAGE = _module("langchain_ollama", **{name: getattr(ours, name) for name in ours.__all__})
vars(PACKAGE).update(__path__=[], __all__=list(ours.__all__))
for home in HOMES:
    setattr(PACKAGE, home.__name__.partition(".")[2], home)


def _is_mock(value: object) -> bool:
    return isinstance(value, NonCallableMock)


class Wire:
    """What was sent, and who answers."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.next: dict[str, Any] | None = None
        self.upstream = ""
        self.models: list[weakref.ref[Any]] = []

    def answer(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]] | None:
        """Return the lines of an answer; None where no mock has one."""
        self.bodies.append(body)
        if path == "/api/show" and self.next is None:
            return self._validated(body)
        if self.next is not None:
            return [self.next]
        made = [model for reference in self.models if (model := reference()) is not None]
        for model in made:
            if _is_mock(lines := model.__dict__.get("_create_generate_stream")):
                return list(lines())
        return _mocked(path.removeprefix("/api/"), body)

    def _validated(self, body: dict[str, Any]) -> list[dict[str, Any]] | None:
        found = None
        for home in HOMES:
            if _is_mock(home.validate_model):
                home.validate_model(None, body["model"])
                found = [SHOWN]
            if _is_mock(home.Client.list) and not _is_mock(home.Client):
                home.Client.list()
        return found


WIRE = Wire()


def _mocked(name: str, body: dict[str, Any]) -> list[dict[str, Any]] | None:
    classes = [cls for home in HOMES for cls in (home.Client, home.AsyncClient) if _is_mock(cls)]
    for cls in classes:
        method = getattr(cls.return_value, name, None)
        if method is not None and not _is_mock(method.return_value):
            given = {**dict.fromkeys(ARGUMENTS), "options": {}, **body}
            return asyncio.run(_lines(method(**given)))
    return None


async def _lines(value: Any) -> list[dict[str, Any]]:
    value = await value if inspect.isawaitable(value) else value
    if hasattr(value, "__aiter__"):
        return [line async for line in value]
    return [value] if isinstance(value, dict) else list(value)


def _joined(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for line in lines:
        message = {**whole.get("message", {}), **line.get("message", {})}
        texts = [part.get("message", {}).get("content", "") for part in (whole, line)]
        logprobs = [*whole.get("logprobs", []), *line.get("logprobs", [])]
        whole |= line
        if message:
            whole["message"] = {**message, "content": "".join(texts)}
        if logprobs:
            whole["logprobs"] = logprobs
    return whole


class Handler(BaseHTTPRequestHandler):
    """Answers for the mocks, or passes a request on."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Pass it on."""
        self._pass_on(None)

    def do_POST(self) -> None:
        """Answer as the mocks say; what they raise is what a server would do."""
        data = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(data)
        try:
            lines = WIRE.answer(self.path, body)
        except httpx.ConnectError:
            self.close_connection = True
            return None
        except ollama.ResponseError as error:
            return self._send(500, [{"error": str(error)}])
        except ValueError as error:
            return self._send(404, [{"error": str(error)}])
        if lines is None:
            return self._pass_on(data)
        streams = self.path in ("/api/chat", "/api/generate") and body.get("stream", True)
        return self._send(200, lines if streams else [_joined(lines)])

    def _pass_on(self, data: bytes | None) -> None:
        url = f"{WIRE.upstream}{self.path}"
        answer = httpx.request(self.command, url, content=data, timeout=60)
        self._write(answer.status_code, answer.content, answer.headers["content-type"])

    def _send(self, status: int, lines: Sequence[dict[str, Any]]) -> None:
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        self._write(status, data, "application/x-ndjson")

    def _write(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _told(client: Client) -> tuple[str, dict[str, str]]:
    """Return the address and the headers that the caller gave, as ollama-python's client gets."""
    config = client.config
    port = {"http": ":80", "https": ":443"}[config.endpoint.scheme]
    own = {name.title(): text for name, text in config.headers.items() if "ollama-ext" not in text}
    return config.endpoint.url.removesuffix(port), own


def _watch(cls: Any, home: ModuleType) -> None:
    """Tell the mocks of the clients about each model that is made."""
    init = cls.__init__

    @functools.wraps(init)
    def made(self: Any, *given: Any, **named: Any) -> None:
        init(self, *given, **named)
        WIRE.models.append(weakref.ref(self))
        for kind in ("Client", "AsyncClient"):
            if _is_mock(mock := getattr(home, kind)):
                host, headers = _told(self.sync_client())
                mock(host=host, headers=headers)

    cls.__init__ = made


for home, cls in zip(HOMES, (ours.ChatOllama, ours.OllamaLLM, ours.OllamaEmbeddings), strict=True):
    _watch(cls, home)


def _invoked(model: ours.ChatOllama, messages: Any, message: dict[str, Any]) -> Any:
    WIRE.next = {**LINE, "message": {"role": "assistant", "content": "", **message}}
    try:
        return model.invoke(messages)
    finally:
        WIRE.next = None


def _sent(model: ours.ChatOllama, messages: Any) -> Any:
    """Return the messages as they were sent, for the peer's private function that makes them."""
    before = len(WIRE.bodies)
    _invoked(model, messages, {"content": "x"})
    return WIRE.bodies[before]["messages"]


def _arguments(call: dict[str, Any]) -> Any:
    """Return a call's arguments as they were read, for the peer's private functions."""
    answer = _invoked(ours.ChatOllama(model="m"), "x", {"tool_calls": [call]})
    return [*answer.tool_calls, *answer.invalid_tool_calls][0]["args"]


def _address(url: str | None) -> tuple[str | None, dict[str, str] | None]:
    if not url:
        return None, None
    host, headers = _told(ours.ChatOllama(model="m", base_url=url).sync_client())
    return host, headers or None


_OWN: Any = ours.ChatOllama
_OWN._convert_messages_to_ollama_messages = _sent
_LLM: Any = ours.OllamaLLM
_LLM._create_generate_stream = lambda *_: None
HOMES[0]._parse_arguments_from_tool_call = _arguments
HOMES[0]._parse_json_string = lambda _, raw_tool_call, **__: _arguments(raw_tool_call)
_module("langchain_ollama._utils", parse_url_with_auth=_address)


def _any_text(check: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*given: Any, **named: Any) -> Any:
        return check(*given, **{name: value for name, value in named.items() if name != "match"})

    return checked


vars(pytest).update(raises=_any_text(pytest.raises), warns=_any_text(pytest.warns))


@pytest.fixture(scope="session", autouse=True)
def _network() -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    with EmbeddedOllama(MODELS) as upstream, pytest.MonkeyPatch.context() as patched:
        WIRE.upstream = upstream.url
        patched.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")
        yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give langchain-tests a picture: it downloads its own from the web."""
    monkeypatch.setattr(httpx, "get", lambda *_, **__: httpx.Response(200, content=PNG))
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "none: nothing is downloaded")
