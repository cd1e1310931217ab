"""LangSmith's API on loopback: it takes runs one by one, and keeps them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from langchain_core.tracers import LangChainTracer
from langsmith import Client


class LangSmith:
    """What LangSmith was told of each run: its beginning and its end together."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.bodies: list[str] = []

    def take(self, body: bytes) -> None:
        self.bodies.append(body.decode())
        told = json.loads(body)
        run = self.runs.setdefault(told["id"], {})
        run.update({name: value for name, value in told.items() if value is not None})

    def of(self, kind: str) -> dict[str, Any]:
        """Return the one run of a kind, such as "llm"."""
        (run,) = [run for run in self.runs.values() if run["run_type"] == kind]
        return run


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.langsmith.take(body)  # type: ignore[attr-defined]  # set below
        self._answer({})

    do_PATCH = do_POST  # noqa: N815 - the names are the base class's

    def do_GET(self) -> None:
        self._answer({"version": "0.12.0"})

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def langsmith() -> Iterator[tuple[LangSmith, LangChainTracer]]:
    """Serve LangSmith's API for a while, and give a tracer that sends runs there at once."""
    told = LangSmith()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    server.langsmith = told  # type: ignore[attr-defined]  # what the handler looks for
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    client = Client(api_url=url, api_key="lsv2_pt_test", auto_batch_tracing=False)
    try:
        yield told, LangChainTracer(project_name="test", client=client)
    finally:
        client.session.close()
        server.shutdown()
        server.server_close()
        thread.join()
