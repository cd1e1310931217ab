"""The responses of the endpoints: Go's JSON, and streams whose headers wait for a first chunk."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ollama_ext.embedded.protocol.encoding import dump_json, dump_line
from ollama_ext.embedded.protocol.failures import WireError

NDJSON = "application/x-ndjson"
JSON = "application/json; charset=utf-8"
BARE_JSON = "application/json"
EVENTS = "text/event-stream"


def body_response(
    body: bytes,
    content_type: str | None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response with exactly this content type; None sends no content type."""
    # Set by hand, because Starlette adds a charset to text types and Ollama does not always.
    response = Response(body, status, headers=None if headers is None else dict(headers))
    if content_type is not None:
        response.headers["content-type"] = content_type
    return response


def json_response(value: object, status: int = 200, content_type: str = JSON) -> Response:
    """Return a value as Go writes it."""
    return body_response(dump_json(value), content_type, status)


class StreamResponse(StreamingResponse):
    """A stream of chunks; the first was made already, so its failure had a real status.

    Args:
        first: The first chunk; None for a stream without any.
        rest: The chunks after it; closed when the client leaves.
        content_type: Its content type.
    """

    def __init__(self, first: bytes | None, rest: AsyncGenerator[bytes], content_type: str) -> None:
        self._rest = rest
        self._chunks = _joined(first, rest)
        super().__init__(self._chunks, headers={"content-type": content_type})

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - the signature is ASGI's
        receive: Receive,  # noqa: ARG002 - the application watches for clients that leave
        send: Send,
    ) -> None:
        """Send the headers, then each chunk as it comes."""
        # Closed here, not by the garbage collector: until then the model's slot stays taken.
        async with aclosing(self._rest), aclosing(self._chunks):
            await self.stream_response(send)


async def _joined(first: bytes | None, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    if first is not None:
        yield first
    async for chunk in rest:
        yield chunk


async def stream_response(chunks: AsyncGenerator[bytes], content_type: str) -> Response:
    """Wait for the first chunk, then return a response that streams (wire reference 1.14)."""
    # Nothing is sent before this: not even the status is known yet.
    first = await anext(chunks, None)
    return StreamResponse(first, chunks, content_type)


async def native_lines(values: AsyncGenerator[object]) -> AsyncGenerator[bytes]:
    """Write NDJSON lines; a failure after the first becomes a last ``{"error"}`` line (7.4)."""
    begun = False
    try:
        async with aclosing(values) as stream:
            async for value in stream:
                yield dump_line(value)
                begun = True
    except WireError as error:
        if not begun:
            raise
        yield dump_line({"error": error.text})
