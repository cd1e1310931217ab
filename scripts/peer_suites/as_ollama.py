"""A pytest plugin: `ollama` is ours, and doubles of its server end an answer as a real one."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import pytest
import werkzeug.wrappers
from pytest_httpserver.httpserver import HTTPServer, RequestHandlerBase, RequestMatcher

import ollama_transport
import ollama_transport.client.base
import ollama_transport.settings.host
from ollama_transport.schema.functions import function_tool


def _module(name: str, **names: Any) -> None:
    module = ModuleType(name)
    vars(module).update(names)
    sys.modules[name] = module


def _tool(given: Mapping[str, Any] | Callable[..., Any]) -> ollama_transport.Tool:
    fields = function_tool(given) if callable(given) else given
    return ollama_transport.Tool.model_validate(fields)


sys.modules["ollama"] = ollama_transport
_module(
    "ollama._client",
    Client=ollama_transport.Client,
    AsyncClient=ollama_transport.AsyncClient,
    CONNECTION_ERROR_MESSAGE="no server answers at",
    _copy_tools=lambda tools=None: [_tool(tool) for tool in tools or ()],
)
_module(
    "ollama._types",
    ChatRequest=ollama_transport.ChatRequest,
    CreateRequest=ollama_transport.CreateRequest,
    GenerateRequest=ollama_transport.GenerateRequest,
    Image=ollama_transport.Image,
    Message=ollama_transport.Message,
)
_module("ollama._utils", convert_function_to_tool=_tool)


def _same(value: Any) -> Any:
    """Return a body without what means the same as its absence, and without the stream flag."""
    if isinstance(value, dict):
        kept = {name: _same(part) for name, part in value.items() if name != "stream"}
        return {name: part for name, part in kept.items() if part not in (None, [], {}, "", False)}
    return [_same(part) for part in value] if isinstance(value, list) else value


def _matches(matcher: RequestMatcher, request: werkzeug.wrappers.Request) -> bool:
    wanted = matcher.json
    if not isinstance(wanted, dict):
        return True
    try:
        return bool(_same(json.loads(request.data)) == _same(wanted))
    except ValueError:
        return False


RequestMatcher.match_json = _matches

# A real server's last line has `done`; an answer without it was cut off (wire reference 3.2).
_respond = RequestHandlerBase.respond_with_json


def _respond_whole(handler: RequestHandlerBase, answer: Any, *more: Any, **named: Any) -> Any:
    if isinstance(answer, dict) and ("message" in answer or "response" in answer):
        answer = {"done": True, **answer}
    return _respond(handler, answer, *more, **named)


RequestHandlerBase.respond_with_json = _respond_whole
_Response = werkzeug.wrappers.Response


class _WholeStream(_Response):
    def __init__(self, response: Any = None, *more: Any, **named: Any) -> None:
        if not (response is None or isinstance(response, str | bytes)):
            response = list(_ended(response))
        super().__init__(response, *more, **named)


def _ended(lines: Iterable[str]) -> Iterable[str]:
    read = [json.loads(line) for line in lines]
    if read and "status" not in read[-1]:
        read[-1]["done"] = True
    return [json.dumps(line) + "\n" for line in read]


werkzeug.wrappers.Response = _WholeStream  # type: ignore[misc] # the tests import it by this name

_dispatch = HTTPServer.dispatch


def _dispatch_all(server: HTTPServer, request: werkzeug.wrappers.Request) -> _Response:
    # Ours asks first; a real server answers 404 for a blob that it does not have.
    if request.method == "HEAD" and request.path.startswith("/api/blobs/"):
        return _Response(status=404)
    return _dispatch(server, request)


HTTPServer.dispatch = _dispatch_all

_SERVER = HTTPServer(host="127.0.0.1")
_CHAT = {"model": "m", "message": {"role": "assistant", "content": "Hello"}, "done": True}


def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a server in the place of the default one and of ollama.com: for `Client._request`."""
    if not _SERVER.is_running():
        _SERVER.start()
    _SERVER.clear()
    _SERVER.expect_request("/api/chat", method="POST").respond_with_json(_CHAT)
    _SERVER.expect_request("/api/web_search", method="POST").respond_with_json({"results": []})
    page = {"title": "", "content": "", "links": []}
    _SERVER.expect_request("/api/web_fetch", method="POST").respond_with_json(page)
    monkeypatch.setenv("OLLAMA_HOST", _SERVER.url_for(""))
    cloud = f"http://localhost:{_SERVER.port}"
    monkeypatch.setattr(ollama_transport.settings.host, "CLOUD_HOST", "localhost")
    monkeypatch.setattr(ollama_transport.client.base, "CLOUD_URL", cloud)


def sent_headers(client: ollama_transport.Client) -> Mapping[str, str]:
    """Return the headers of a request as the server receives them: for `client._client.headers`."""
    with pytest.MonkeyPatch.context() as patch:
        served(patch)
        client.chat("m", [{"role": "user", "content": "Hello"}])
        received = _SERVER.log[-1][0].headers
    return {name.lower(): value for name, value in received.items()}


def pytest_unconfigure() -> None:
    if _SERVER.is_running():
        _SERVER.stop()
