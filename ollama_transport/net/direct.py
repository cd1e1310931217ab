"""The shortest way through httpx, for calls that need none of its client's layers.

httpx's client makes five header objects for each request, and passes it through layers for
authentication, redirects, hooks and cookies, which together cost as much as sending it. A client
of our own pools rarely has any of them. Its transport is used as usual, where tracers and mocks
stand; if a program replaces a method of httpx's client, or uses one of its layers, that is called.
"""

import logging
import time
from datetime import timedelta
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import httpx
from httpx import _client

from ollama_transport.net.connections import AsyncTransport, Transport

# httpx logs each request there.
_logger = logging.getLogger("httpx")

_Http = httpx.Client | httpx.AsyncClient
_MOST_TEMPLATES = 64


class _Template:
    """A request as httpx makes it, without its body and all else that differs between calls."""

    def __init__(self, request: httpx.Request) -> None:
        self._method = request.method
        self._url = request.url
        self._headers = httpx.Headers(request.headers)
        # The only header that depends on the body.
        self._headers.pop("content-length", None)
        self._extensions = request.extensions

    def filled(self, content: bytes, extensions: dict[str, Any] | None) -> httpx.Request:
        request = httpx.Request(
            self._method,
            self._url,
            headers=self._headers,
            stream=httpx.ByteStream(content),
            extensions={**self._extensions, **({} if extensions is None else extensions)},
        )
        request.headers["Content-Length"] = str(len(content))
        return request


_TEMPLATES: WeakKeyDictionary[_Http, dict[Any, _Template]] = WeakKeyDictionary()


def build(
    http: _Http,
    method: str,
    url: str,
    headers: dict[str, str],
    content: Any,
    extensions: dict[str, Any] | None,
) -> httpx.Request:
    """Return a request, like ``http.build_request``."""
    if not isinstance(content, bytes) or not is_plain(http):
        return http.build_request(
            method, url, headers=headers, content=content, extensions=extensions
        )
    known = _TEMPLATES.setdefault(http, {})
    key = (method, url, *headers.items())
    template = known.get(key)
    if template is None:
        # Headers differ from call to call where traces are propagated.
        if len(known) >= _MOST_TEMPLATES:
            known.clear()
        template = known[key] = _Template(
            http.build_request(method, url, headers=headers, content=b"")
        )
    return template.filled(content, extensions)


def is_plain(http: _Http) -> bool:
    """Return whether a client has nothing that the short way would skip."""
    return (
        type(http._transport) in (Transport, AsyncTransport)
        and not http._mounts
        and http._auth is None
        and not any(http._event_hooks.values())
        and not http.cookies
        and not http.is_closed
        and _layers(type(http)) == _OWN.get(type(http))
    )


def send(http: httpx.Client, request: httpx.Request) -> httpx.Response:
    """Send a request of `build` once, like ``http.send``; the answer is not read."""
    if not is_plain(http) or _has_user(request):
        return http.send(request, stream=True, follow_redirects=False)
    begun = time.perf_counter()
    try:
        response = http._transport.handle_request(request)
    except httpx.RequestError as error:
        # httpx's client does this, and error messages rely on it.
        error.request = request
        raise
    try:
        _finish(http, request, response, begun)
    except BaseException:
        response.close()
        raise
    return response


async def asend(http: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Same as `send`, for asyncio."""
    if not is_plain(http) or _has_user(request):
        return await http.send(request, stream=True, follow_redirects=False)
    begun = time.perf_counter()
    try:
        response = await http._transport.handle_async_request(request)
    except httpx.RequestError as error:
        error.request = request
        raise
    try:
        _finish(http, request, response, begun)
    except BaseException:
        await response.aclose()
        raise
    return response


def _has_user(request: httpx.Request) -> bool:
    """Return whether httpx would make an Authorization header of the URL."""
    return b"@" in request.url.netloc or bool(request.url.username)


def _finish(http: _Http, request: httpx.Request, response: httpx.Response, begun: float) -> None:
    """Finish an answer as httpx's client does; here, `elapsed` is the time to its head."""
    response.request = request
    response.elapsed = timedelta(seconds=time.perf_counter() - begun)
    response.default_encoding = http._default_encoding
    if "set-cookie" in response.headers:
        http.cookies.extract_cookies(response)
    if _logger.isEnabledFor(logging.INFO):
        _logger.info(
            'HTTP Request: %s %s "%s %d %s"',
            request.method,
            request.url,
            response.http_version,
            response.status_code,
            response.reason_phrase,
        )
    if response.has_redirect_location:
        response.next_request = http._build_redirect_request(request, response)


def _layers(kind: type[_Http]) -> tuple[Any, ...]:
    single = kind._send_single_request
    return (kind.build_request, kind.send, kind._send_handling_auth, single)


def _own_layers(kind: type[_Http]) -> tuple[Any, ...] | None:
    """Return the methods of httpx's client; None if another package has replaced one already."""
    layers = _layers(kind)
    own = all(
        type(f) is FunctionType and f.__code__.co_filename == _client.__file__ for f in layers
    )
    return layers if own else None


_OWN = {kind: _own_layers(kind) for kind in (httpx.Client, httpx.AsyncClient)}
