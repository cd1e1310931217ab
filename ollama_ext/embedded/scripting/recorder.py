"""The requests to a server, and how each answer ended."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal

Outcome = Literal["pending", "complete", "client_left", "cut", "failed"]
DEFAULT_WAIT_S = 10.0


class Request:
    """A request the embedded server received.

    ```python
    from langchain_ollama_ext import ChatOllama
    from ollama_ext.embedded import EmbeddedOllama

    with EmbeddedOllama() as server:
        ChatOllama(model="demo", base_url=server.url).invoke("Hello")
        request = server.requests[-1]
    print(request.path, request.json["messages"], request.outcome)
    ```

    Attributes:
        method: Such as ``"POST"``.
        path: Such as ``"/api/chat"``.
        query: The text after the ``?``, undecoded.
        headers: Names in lower case; the last of several with one name.
        body: The bytes.
        outcome: ``"pending"`` while the answer runs; then ``"complete"``, ``"client_left"`` when
            the client closed the connection before the end, ``"cut"`` when the script did, or
            ``"failed"`` when an engine raised in the middle of it (the log has its traceback).
        status: The status that was sent; None before that.
        chunks_sent: Chunks of the body given to the connection so far; in a native stream that is
            lines.
        bytes_sent: Bytes of the body given to the connection so far.
    """

    def __init__(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        # A copy, which a test may keep after the connection is closed.
        self.headers = dict(headers)
        self.body = body
        self.outcome: Outcome = "pending"
        self.status: int | None = None
        self.chunks_sent = 0
        self.bytes_sent = 0

    def __repr__(self) -> str:
        sent = f"{self.status}, {self.chunks_sent} chunks"
        return f"<Request {self.method} {self.path}: {self.outcome}, {sent}>"

    @property
    def json(self) -> Any:
        """The body as JSON; None for an empty one.

        Raises:
            ValueError: When it is not JSON.
        """
        return json.loads(self.body) if self.body else None


class Recorder:
    """The requests of one server, safe to read from any thread."""

    def __init__(self) -> None:
        # The server's thread writes and the tests read.
        self._changed = threading.Condition()
        self._requests: list[Request] = []

    def reset(self) -> None:
        """Forget the requests so far."""
        with self._changed:
            self._requests = []

    def add(self, request: Request) -> None:
        """Record a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def sent(self, request: Request, status: int | None, body: bytes) -> None:
        """Record what is written of the answer to a request."""
        with self._changed:
            if status is not None:
                request.status = status
            # The empty message that ends a body is no chunk.
            if body:
                request.chunks_sent += 1
                request.bytes_sent += len(body)
            self._changed.notify_all()

    def finish(self, request: Request, outcome: Outcome) -> None:
        """Record how a request's answer ended; only the first call counts."""
        with self._changed:
            if request.outcome == "pending":
                request.outcome = outcome
            self._changed.notify_all()

    @property
    def requests(self) -> list[Request]:
        """The requests so far, oldest first."""
        with self._changed:
            return list(self._requests)

    def wait(self, ready: Callable[[list[Request]], bool], timeout_s: float) -> bool:
        """Wait until a condition holds for the requests; False after ``timeout_s`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: ready(self._requests), timeout_s)
