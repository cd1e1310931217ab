"""What answers instead of the models: a proxy that records, and a player of its recordings."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ollama_ext.embedded.protocol.failures import error_body
from ollama_ext.embedded.protocol.responses import JSON, body_response
from ollama_ext.embedded.scripting.cassettes import (
    Interaction,
    read_cassette,
    scrubbed,
    write_cassette,
)

# Hop-by-hop headers. No compression is requested, so that the chunks are the server's own.
_HOP = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding"})

# The web server writes these itself.
_UNSAID = _HOP | {"date"}


class RecordingTape:
    """Forwards requests to another server and records its answers.

    Args:
        upstream: The base URL of that server.
        path: The file, rewritten after each complete answer.
    """

    def __init__(self, upstream: str, path: Path) -> None:
        self._upstream = upstream.rstrip("/")
        self._path = path
        self._found: list[Interaction] = []
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = (await receive()).get("body", b"")
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
        try:
            found = await self._forward(scope, headers, body, send)
        except httpx.ConnectError as error:
            text = f"the server to record does not answer: {error}"
            await _refusal(scope, 502, text)(scope, receive, send)
            return
        # Requests run concurrently, and the file is rewritten as a whole.
        async with self._lock:
            self._found.append(scrubbed(found, headers))
            await asyncio.to_thread(write_cassette, self._path, list(self._found))
        # After the file is written, so that an answer the client has seen is in it.
        await _piece(send, b"", more=False)

    async def _forward(
        self, scope: Scope, headers: dict[str, str], body: bytes, send: Send
    ) -> Interaction:
        url = self._upstream + _path(scope)
        sent = {name: value for name, value in headers.items() if name not in _HOP}
        sent["accept-encoding"] = "identity"
        # One client per request: it must not outlive its loop, and recording need not be fast.
        async with (
            httpx.AsyncClient(timeout=None) as client,  # a model may take its time
            client.stream(scope["method"], url, headers=sent, content=body) as response,
        ):
            status = response.status_code
            answered = {n: v for n, v in response.headers.items() if n not in _UNSAID}
            await _begin(send, status, answered)
            chunks = []
            async for chunk in response.aiter_raw():
                chunks.append(chunk)
                await _piece(send, chunk)
        return Interaction(scope["method"], url, body, status, answered, tuple(chunks))


class PlayingTape:
    """Answers requests from a recording, in its order; the last of equal ones is repeated.

    Args:
        path: The cassette.

    Raises:
        OSError: When the file cannot be read.
        ValueError: When it is not a cassette.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = read_cassette(path)
        self._played: list[Interaction] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = (await receive()).get("body", b"")
        path = _path(scope)
        found = self._next(scope["method"], path, body)
        if found is None:
            text = (
                f"{self._path.name} has no answer to {scope['method']} {path} with this body: "
                "record it again with EmbeddedOllama.record(upstream, path)"
            )
            await _refusal(scope, 500, text)(scope, receive, send)
            return
        await _begin(send, found.status, found.headers)
        for chunk in found.chunks:
            await _piece(send, chunk)
        await _piece(send, b"", more=False)

    def _next(self, method: str, path: str, body: bytes) -> Interaction | None:
        for place, found in enumerate(self._left):
            if found.answers(method, path, body):
                self._played.append(self._left.pop(place))
                return found
        again = [found for found in self._played if found.answers(method, path, body)]
        return again[-1] if again else None


def _path(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _refusal(scope: Scope, status: int, text: str) -> Response:
    return body_response(error_body(scope["path"], status, text), JSON, status)


async def _begin(send: Send, status: int, headers: Mapping[str, str]) -> None:
    raw = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _piece(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
