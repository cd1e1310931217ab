"""A network that is not there: scripted answers under httpx's interface, for both clients."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx
from recorded import Recording, recording


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer in given pieces, and how it ends."""

    def __init__(self, pieces: Sequence[bytes], failure: Exception | None = None) -> None:
        self.pieces = pieces
        self.failure = failure
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.failure is not None:
            raise self.failure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


Answer = Recording | httpx.Response | Exception | str


class Network(httpx.MockTransport):
    """Play answers in order, the last one again and again, and keep what was asked.

    An answer is the name of a recording, a recording, an httpx response, or an error to raise.
    """

    def __init__(self, *answers: Answer) -> None:
        super().__init__(self._play)
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def _play(self, request: httpx.Request) -> httpx.Response:
        request.read() if isinstance(request.stream, httpx.SyncByteStream) else None
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return played(recording(answer) if isinstance(answer, str) else answer)

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]


def played(found: Recording, pieces: Sequence[bytes] | None = None) -> httpx.Response:
    """Return a recorded answer, in its own pieces or in others."""
    headers = {"content-type": found.headers.get("content-type", "")}
    return httpx.Response(
        found.status, headers=headers, stream=Pieces(found.chunks if pieces is None else pieces)
    )


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def status(code: int, text: str = "", **headers: str) -> httpx.Response:
    """Return an error as Ollama sends it."""
    named: dict[str, Any] = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(code, json={"error": text}, headers=named)
