"""Scripted replies: exact bytes, cuts, gates, and what was asked."""

import json
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from ollama_ext.embedded import Gate, Reply

RECORDINGS = Path(__file__).parents[1] / "recordings"
CHAT = "/api/chat"


def raw_answer(server, body=b"{}", path=CHAT):
    """Everything a client's socket reads until the server closes, and whether it was reset."""
    where = urlsplit(server.url)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    found = b""
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        try:
            while part := connection.recv(65536):
                found += part
        except ConnectionResetError:
            return found, True
    return found, False


def drain(connection):
    while connection.recv(65536):
        pass


def test_replies_play_in_order_then_the_models_answer(server, http):
    """Scripted replies come one a request, in order; then the models answer again."""
    server.script("POST", CHAT, Reply.json({"one": 1}), Reply.error(503, "busy"))
    server.script("post", CHAT, Reply.text("three", status=502))
    body = {"model": "demo", "messages": [], "stream": False}
    answers = [http.post(CHAT, json=body) for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 503, 502, 200]
    assert answers[0].json() == {"one": 1}
    assert answers[1].json() == {"error": "busy"}
    assert answers[2].text == "three"
    assert answers[3].json()["done_reason"] == "load"


def test_repeat(server, http):
    """repeat=True plays the last reply for ever."""
    server.script("GET", "/api/tags", Reply.json(1), Reply.json(2), repeat=True)
    assert [http.get("/api/tags").json() for _ in range(4)] == [1, 2, 2, 2]


def test_lines(server, http):
    """A stream of lines is chunked, a line a chunk, with the type of a stream."""
    server.script("POST", CHAT, Reply.lines([{"a": "<"}, '{"raw":1}', b'{"cut']))
    response = http.post(CHAT, json={})
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["transfer-encoding"] == "chunked"
    assert response.content == b'{"a":"\\u003c"}\n{"raw":1}\n{"cut'
    assert server.requests[-1].chunks_sent == 3


def test_headers_and_status(server, http):
    """Status and headers are the script's."""
    server.script("POST", CHAT, Reply.error(429, "slow down", headers={"retry-after": "1"}))
    response = http.post(CHAT, json={})
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    assert response.headers["content-type"] == "application/json; charset=utf-8"


def test_raw_chunks_keep_their_boundaries(server):
    """Chunks go over the wire as they were given, in the middle of a character too."""
    chunks = ["é".encode()[:1], "é".encode()[1:] + b"\n"]
    server.script("POST", CHAT, Reply.raw(chunks=chunks, cut=True))
    found, reset = raw_answer(server)
    assert found.endswith(b"\r\n\r\n1\r\n\xc3\r\n2\r\n\xa9\n\r\n")
    assert not reset


def test_cut_closes_without_the_last_chunk(server, http):
    """cut=True closes the connection; the terminating chunk is missing."""
    server.script("POST", CHAT, Reply.lines([{"a": 1}], cut=True))
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(CHAT, json={})
    assert server.wait_until_idle()
    assert server.requests[-1].outcome == "cut"
    assert http.get("/").status_code == 200


def test_cut_of_a_sized_body(server, http):
    """A body with a length that is cut comes short."""
    server.script("POST", CHAT, Reply.raw(chunks=[b'{"a":', b"1}"], sized=True, cut=True))
    found, _ = raw_answer(server)
    assert b"content-length: 7" in found.lower()
    assert found.endswith(b'\r\n\r\n{"a":')


def test_reset(server):
    """cut="reset" sends a TCP reset."""
    gate = Gate()
    server.script("POST", CHAT, Reply.lines([{"a": 1}], cut="reset", gate=gate, hold_at=1))
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(
            f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        gate.set()
        with pytest.raises(ConnectionResetError):
            drain(connection)


def test_hang_up(server):
    """hang_up() sends nothing at all."""
    server.script("POST", CHAT, Reply.hang_up())
    assert raw_answer(server) == (b"", False)


def test_clean_end_without_done(server, http):
    """A stream that just ends, ends as HTTP asks for."""
    server.script("POST", CHAT, Reply.lines([{"done": False}]))
    assert http.post(CHAT, json={}).json() == {"done": False}


def test_gate_holds_the_answer(server, http):
    """A gate holds chunks back until a test sets it."""
    gate = Gate()
    server.script("POST", CHAT, Reply.lines([{"n": 1}, {"n": 2}], gate=gate, hold_at=1))
    with http.stream("POST", CHAT, json={}) as response:
        parts = response.iter_raw()
        assert next(parts) == b'{"n":1}\n'
        assert server.requests[-1].outcome == "pending"
        assert server.requests[-1].chunks_sent == 1
        gate.set()
        assert next(parts) == b'{"n":2}\n'
    assert server.wait_until_idle()
    assert server.requests[-1].outcome == "complete"


def test_plain_event_is_refused_as_a_gate():
    """A threading.Event cannot be awaited: the error names what can."""
    with pytest.raises(TypeError, match="Gate"):
        Reply.lines([{}], gate=threading.Event())


def test_forever_ends_with_the_client(server, http):
    """An endless reply ends when the client leaves, and how much was sent is known."""
    server.script("POST", CHAT, Reply.lines([{"n": 1}], forever=True))
    with http.stream("POST", CHAT, json={}) as response:
        next(response.iter_raw())
    assert server.wait_for_disconnects(1)
    (left,) = server.disconnects
    assert left.outcome == "client_left"
    assert left.chunks_sent > 0


def test_client_that_leaves_before_the_answer(server, http):
    """A client that gives up while the answer is held counts as gone, with nothing sent."""
    server.script("POST", CHAT, Reply.json({}, gate=Gate()))
    with pytest.raises(httpx.ReadTimeout):
        http.post(CHAT, json={}, timeout=0.2)
    assert server.wait_for_disconnects(1)
    assert (server.disconnects[0].status, server.disconnects[0].chunks_sent) == (None, 0)


def test_delays(server, http):
    """Delays hold the first byte and the chunks (no time is asserted, only that all comes)."""
    server.script("POST", CHAT, Reply.lines([1, 2], delay_s=0.01, chunk_delay_s=0.01))
    assert http.post(CHAT, json={}).content == b"1\n2\n"


def test_events(server, http):
    """SSE events are written as the compatible dialect writes them."""
    server.script("POST", "/v1/chat/completions", Reply.events([{"a": 1}, "[DONE]"]))
    response = http.post("/v1/chat/completions", json={})
    assert response.headers["content-type"] == "text/event-stream"
    assert response.content == b'data: {"a":1}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    "name", ["chat/tiny-chat/hello-stream", "openai/hello-stream", "errors/no-tools", "tags"]
)
def test_recordings_play(server, http, name):
    """A recording plays with its status, its type and its bytes, in its own chunks."""
    path = RECORDINGS / f"{name}.json"
    recording = json.loads(path.read_text(encoding="utf-8"))
    server.script("POST", CHAT, Reply.recording(path), Reply.recording(recording))
    for _ in range(2):
        response = http.post(CHAT, json={})
        recorded = recording["response"]
        assert response.status_code == recorded["status"]
        assert response.headers["content-type"] == recorded["headers"]["Content-Type"]
        assert response.text == "".join(chunk["text"] for chunk in recorded["chunks"])
        assert server.requests[-1].chunks_sent == len(recorded["chunks"])


def test_requests_are_recorded(server, http):
    """What was asked can be read back: method, path, query, headers, body."""
    http.post("/api/show?x=1", json={"model": "demo"}, headers={"X-Own": "é".encode("latin-1")})
    http.get("/")
    assert server.wait_until_idle()
    show, root = server.requests
    assert (show.method, show.path, show.query) == ("POST", "/api/show", "x=1")
    assert show.headers["x-own"] == "é"
    assert show.json == {"model": "demo"}
    assert (show.status, show.outcome) == (200, "complete")
    assert (root.method, root.path, root.json) == ("GET", "/", None)
    assert repr(root) == "<Request GET /: complete, 200, 1 chunks>"


def test_waiting_for_requests(server, http):
    """Waiting tells whether so many requests came."""
    assert not server.wait_for_requests(1, timeout_s=0.01)
    http.get("/")
    assert server.wait_for_requests(1)


def test_reset_forgets_everything(server, http):
    """reset() drops scripts, requests, loaded and created models."""
    server.script("GET", "/api/version", Reply.json(1), repeat=True)
    http.post("/api/chat", json={"model": "demo", "messages": []})
    http.post("/api/copy", json={"source": "demo", "destination": "copied"})
    server.reset()
    assert server.requests == []
    assert http.get("/api/version").json() == {"version": "0.33.0"}
    assert http.get("/api/ps").json() == {"models": []}
    assert "copied:latest" not in http.get("/api/tags").text


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Reply.lines([], forever=True),
        lambda: Reply.lines([], cut="rst"),
        lambda: Reply.json({}, forever=True),
        lambda: Reply.raw(b"a", chunks=[b"b"]),
    ],
)
def test_replies_that_make_no_sense(wrong):
    """A reply that cannot be played is refused when it is made."""
    with pytest.raises(ValueError, match=r"."):
        wrong()


def test_script_without_a_reply(server):
    """A script of nothing is refused."""
    with pytest.raises(ValueError, match="at least one"):
        server.script("GET", "/")
