"""The ASGI application of one server: recording, scripts, filters, then the endpoints."""

import asyncio
import ipaddress
import posixpath
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ollama_ext.embedded.answers.backend import Backend
from ollama_ext.embedded.endpoints import catalog, chat, embed, openai, transfers
from ollama_ext.embedded.models.store import CloudDisabledError
from ollama_ext.embedded.protocol.failures import WireError, error_body
from ollama_ext.embedded.protocol.responses import JSON, body_response
from ollama_ext.embedded.scripting.player import Cutter, Scripts, play
from ollama_ext.embedded.scripting.recorder import Recorder, Request
from ollama_ext.embedded.scripting.saying import fitted

Endpoint = Callable[[HttpRequest], Awaitable[Response]]
_LOCAL_ENDINGS = (".localhost", ".local", ".internal")
_OWN_SCHEMES = ("app", "file", "tauri", "vscode-webview", "vscode-file")
_TABLE: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET HEAD", "/", catalog.root),
    ("GET HEAD", "/api/version", catalog.version),
    ("GET HEAD", "/api/tags", catalog.tags),
    ("GET", "/api/ps", catalog.ps),
    ("POST", "/api/show", catalog.show),
    ("POST", "/api/copy", catalog.copy),
    ("DELETE", "/api/delete", catalog.delete),
    ("HEAD", "/api/blobs/{digest}", catalog.head_blob),
    ("POST", "/api/blobs/{digest}", catalog.post_blob),
    ("POST", "/api/chat", chat.chat),
    ("POST", "/api/generate", chat.generate),
    ("POST", "/api/embed", embed.embed),
    ("POST", "/api/embeddings", embed.embeddings),
    ("POST", "/api/pull", transfers.pull),
    ("POST", "/api/push", transfers.push),
    ("POST", "/api/create", transfers.create),
    ("POST", "/api/experimental/web_search", transfers.web),
    ("POST", "/api/experimental/web_fetch", transfers.web),
    ("POST", "/v1/chat/completions", openai.chat_completions),
    ("POST", "/v1/completions", openai.completions),
    ("POST", "/v1/embeddings", openai.embeddings),
    ("GET", "/v1/models", openai.models),
    ("GET", "/v1/models/{model}", openai.model),
)


def _routes() -> list[Route]:
    # A table keeps the methods beside the paths; 405 needs them exact.
    routes = []
    for methods, path, endpoint in _TABLE:
        route = Route(path, endpoint, methods=methods.split())
        # Starlette adds HEAD to every GET; Ollama has it on three paths only.
        route.methods = set(methods.split())
        routes.append(route)
    return routes


def build_endpoints(backend: Backend) -> Starlette:
    """Return the Starlette application of the endpoints."""
    app = Starlette(
        routes=_routes(),
        exception_handlers={
            404: _not_found,
            405: _wrong_method,
            WireError: _refused,
            Exception: _broken,
        },
    )
    # Starlette redirects to a full URL; Ollama names the path alone.
    app.router.redirect_slashes = False
    app.state.backend = backend
    return app


async def _not_found(request: HttpRequest, _error: Exception) -> Response:
    path = request.url.path
    if (clean := _clean(path)) != path:
        # Go's mux, for any method: a POST becomes a GET on the way (wire reference, rule 1.11).
        return body_response(b"", None, 301, {"location": clean})
    if path.endswith("/") and _has_route(request, path.rstrip("/")):
        # A 301 lets clients change the method, so it is for GET only.
        status = 301 if request.method == "GET" else 307
        return body_response(b"", None, status, {"location": path.rstrip("/")})
    return body_response(b"404 page not found", "text/plain", 404)


def _clean(path: str) -> str:
    """Return a path as Go's mux cleans it: single slashes, no dots; a slash at its end stays."""
    clean = posixpath.normpath(f"/{path.lstrip('/')}")
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


def _has_route(request: HttpRequest, path: str) -> bool:
    scope = {**request.scope, "path": path}
    return any(route.matches(scope)[0] is not Match.NONE for route in request.app.routes)


async def _wrong_method(_request: HttpRequest, error: Exception) -> Response:
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return body_response(b"405 method not allowed", "text/plain", 405, headers)


async def _refused(request: HttpRequest, error: Exception) -> Response:
    if not isinstance(error, WireError):
        raise error
    # Cloud models are refused before the compatible layers see the request (8.2).
    path = "" if isinstance(error, CloudDisabledError) else request.url.path
    body = error_body(path, error.status, error.text, newline=not error.early)
    return body_response(body, error.content_type, error.status)


async def _broken(request: HttpRequest, error: Exception) -> Response:
    # Starlette raises it again behind this answer, so that the log has its traceback too.
    text = f"the embedded server failed at this request: {type(error).__name__}: {error}"
    return body_response(error_body(request.url.path, 500, text), JSON, 500)


class Application:
    """One server as a whole, as called by uvicorn.

    Args:
        endpoints: The Starlette application behind.
        recorder: Records the requests.
        scripts: Scripted replies, which replace the endpoints.
        cutter: Closes a request's connection.
        api_key: The Bearer key every request needs; None means that no key is required.
        max_body_bytes: Largest accepted request; more is refused with 413.
        local_only: Whether names of other machines are refused, as a server that is bound to
            loopback does.
    """

    def __init__(
        self,
        endpoints: ASGIApp,
        recorder: Recorder,
        scripts: Scripts,
        cutter: Cutter,
        *,
        api_key: str | None,
        local_only: bool,
        max_body_bytes: int,
    ) -> None:
        self._endpoints = endpoints
        self._recorder = recorder
        self._scripts = scripts
        self._cutter = cutter
        self._api_key = api_key
        self._local_only = local_only
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and stop as soon as the client disconnects."""
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served here, not {scope['type']}")
        # The body is read whole first: scripts and records need it, and then only the end of the
        # connection is left to wait for.
        try:
            body = await _read_body(receive, self._max_body_bytes)
        except _TooLargeError:
            refusal = error_body(scope["path"], 413, self._too_large())
            # The rest is not read: the connection cannot be used again.
            await body_response(refusal, JSON, 413, {"connection": "close"})(scope, receive, send)
            return
        if body is None:
            return
        request = _describe(scope, body)
        self._recorder.add(request)
        work = asyncio.ensure_future(self._answer(request, scope, self._counted(request, send)))
        watch = asyncio.ensure_future(receive())
        # Whichever comes first: the answer is complete, or the client has left.
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
                self._recorder.finish(request, "client_left")
            # Re-raises an error of a custom engine.
            elif not work.cancelled():
                work.result()
        finally:
            watch.cancel()
            await asyncio.wait({watch})
            self._recorder.finish(request, "failed")

    def _too_large(self) -> str:
        return f"the request is larger than max_body_bytes={self._max_body_bytes}"

    def _counted(self, request: Request, send: Send) -> Send:
        async def counted(message: Message) -> None:
            # Recorded before it is written, so that the record has all that the client has seen.
            body = message.get("body", b"")
            self._recorder.sent(request, message.get("status"), body)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                self._recorder.finish(request, "complete")
            await send(message)

        return counted

    async def _answer(self, request: Request, scope: Scope, send: Send) -> None:
        # Scripts come first: a test decides what its server answers.
        reply = self._scripts.next(request.method, request.path)
        if reply is not None:
            await play(fitted(reply, request), scope, send, self._noted_cutter(request))
            return
        refused = self._filtered(request)
        receive = _replay(request.body)
        if refused is not None:
            await refused(scope, receive, send)
        else:
            await self._endpoints(scope, receive, send)

    def _noted_cutter(self, request: Request) -> Cutter:
        def cut(scope: Scope, reset: bool) -> None:
            self._recorder.finish(request, "cut")
            self._cutter(scope, reset)

        return cut

    def _filtered(self, request: Request) -> Response | None:
        if self._local_only and not is_local_host(request.headers.get("host", "")):
            return body_response(b"", None, 403)
        if not is_allowed_origin(request.headers.get("origin")):
            return body_response(b"", None, 403)
        key = self._api_key
        if key is not None and request.headers.get("authorization") != f"Bearer {key}":
            body = error_body("", 401, "unauthorized")
            return body_response(body, JSON, 401)
        return None


def is_local_host(host: str) -> bool:
    """Return whether a loopback server accepts a Host header (wire reference 1.12)."""
    # The port does not matter, and a missing Host is accepted.
    name = _hostname(f"//{host}")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        own = ("", "localhost", socket.gethostname().lower())
        return name in own or name.endswith(_LOCAL_ENDINGS)
    return address.is_loopback or address.is_private or address.is_unspecified


def is_allowed_origin(origin: str | None) -> bool:
    """Return whether an Origin header is on Ollama's default allow list (wire reference 1.13)."""
    if not origin:
        return True
    scheme = origin.partition(":")[0].lower()
    if scheme in _OWN_SCHEMES:
        return True
    local = ("localhost", "127.0.0.1", "0.0.0.0")
    return scheme in ("http", "https") and _hostname(origin) in local


def _hostname(url: str) -> str:
    # A lone bracket is an invalid host; it must not raise an error.
    try:
        found = urlsplit(url).hostname
    except ValueError:
        return "?"
    return "" if found is None else found


class _TooLargeError(Exception):
    """The request has more bytes than the server accepts."""


async def _read_body(receive: Receive, most: int) -> bytes | None:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        most -= len(parts[-1])
        if most < 0:
            raise _TooLargeError
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _describe(scope: Scope, body: bytes) -> Request:
    headers: dict[str, str] = {
        n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]
    }
    query: Any = scope["query_string"]
    return Request(scope["method"], scope["path"], query.decode("latin-1"), headers, body)
