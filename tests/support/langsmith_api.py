"""LangSmith's API on loopback: it takes runs one by one or in compressed batches."""

import email
import email.policy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import zstandard
from langchain_core.tracers import LangChainTracer
from langsmith import Client

# What LangSmith's own server answers of itself; without it the client compresses nothing.
INFO = {
    "version": "0.12.0",
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
    },
    "instance_flags": {"zstd_compression_enabled": True},
}


class LangSmith:
    """What LangSmith was told of each run: its beginning and its end together."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.bodies: list[str] = []
        self.batches: list[dict[str, str | None]] = []
        self._lock = threading.Lock()

    def take(self, body: bytes) -> None:
        """Take one run, or the beginning or the end of it."""
        self.bodies.append(body.decode())
        told = json.loads(body)
        self._tell(told["id"], told)

    def take_batch(self, body: bytes, headers: Any) -> None:
        """Take many runs; each part is a run, or a field of one, by its name "post.ID.FIELD"."""
        if headers.get("content-encoding") == "zstd":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        self.bodies.append(body.decode())
        head = f"content-type: {headers['content-type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        for part in message.iter_parts():
            name = part.get_param("name", header="content-disposition")
            _, run, *field = str(name).split(".")
            value = json.loads(part.get_payload(decode=True))
            self._tell(run, {field[0]: value} if field else value)
        # Last, so that whoever sees the batch sees its runs.
        self.batches.append({n: headers.get(n) for n in ("content-encoding", "x-api-key")})

    def _tell(self, run: str, told: dict[str, Any]) -> None:
        with self._lock:
            known = self.runs.setdefault(run, {})
            known.update({name: value for name, value in told.items() if value is not None})

    def of(self, kind: str) -> dict[str, Any]:
        """Return the one run of a kind, such as "llm"."""
        (run,) = [run for run in self.runs.values() if run["run_type"] == kind]
        return run


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        told: LangSmith = self.server.langsmith  # type: ignore[attr-defined]  # set below
        if self.path.endswith("/runs/multipart"):
            told.take_batch(body, self.headers)
        else:
            told.take(body)
        self._answer({})

    do_PATCH = do_POST  # noqa: N815 - the names are the base class's

    def do_GET(self) -> None:
        self._answer(INFO)

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[tuple[LangSmith, str]]:
    """Serve LangSmith's API for a while, and say at which URL."""
    told = LangSmith()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    server.langsmith = told  # type: ignore[attr-defined]  # what the handler looks for
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield told, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def langsmith() -> Iterator[tuple[LangSmith, LangChainTracer]]:
    """Serve LangSmith's API for a while, and give a tracer that sends runs there at once."""
    with served() as (told, url):
        client = Client(api_url=url, api_key="lsv2_pt_test", auto_batch_tracing=False)
        try:
            yield told, LangChainTracer(project_name="test", client=client)
        finally:
            client.session.close()
