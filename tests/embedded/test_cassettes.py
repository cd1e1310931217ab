"""The recording proxy: what a server said is played again, piece by piece, and by vcrpy."""

import json
from pathlib import Path

import httpx
import pytest
import vcr
from running import Run

from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import ChatRequest, Message, ServerError

KEY = "sk-very-secret-value"
ASK = ChatRequest("demo", [Message("user", "Hello")])
OTHER = ChatRequest("demo", [Message("user", "Something else")])
# A line in two pieces, the second of which begins inside of a letter and holds U+0085.
LINE = (
    json.dumps(
        {
            "model": "demo",
            "message": {"role": "assistant", "content": "né \u0085 😀"},
            "done": True,
        },
        ensure_ascii=False,
    ).encode()
    + b"\n"
)
CUT = LINE.index("é".encode()) + 1
PIECES = [LINE[:CUT], LINE[CUT:]]


@pytest.fixture
def cassette(run: Run, tmp_path: Path) -> Path:
    """Return a cassette of a stream, of a whole answer, and of a failure."""
    path = tmp_path / "cassettes" / "chat.yaml"
    with EmbeddedOllama() as upstream:
        upstream.script("POST", "/api/chat", Reply.raw(chunks=PIECES, chunk_delay_s=0.05))
        with EmbeddedOllama.record(upstream.url, path) as proxy:
            client = run.client(proxy.url, api_key=KEY)
            assert run.lines(client.chat_stream(ASK))[0].text == "né \u0085 😀"
            upstream.script([Reply.chat(f"Your key is {KEY}."), Reply.error("no memory", 500)])
            assert KEY in run(client.chat(ASK)).text
            assert isinstance(run.thrown(client.chat, OTHER), ServerError)
        assert upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"
    return path


def test_a_replay_says_the_same_in_the_same_pieces(run: Run, cassette: Path) -> None:
    """Streams, whole answers and failures; an equal request gets the last answer again."""
    with EmbeddedOllama.replay(cassette) as server:
        client = run.client(server.url, max_retries=0)
        assert run.lines(client.chat_stream(ASK))[0].text == "né \u0085 😀"
        assert server.requests[0].chunks_sent == len(PIECES)
        assert run(client.chat(ASK)).text == "Your key is ***."
        assert run(client.chat(ASK)).text == "Your key is ***."
        assert run.thrown(client.chat, OTHER).error == "no memory"


def test_an_unrecorded_request_is_named(run: Run, cassette: Path) -> None:
    """The error names the file and how to record it."""
    with EmbeddedOllama.replay(cassette) as server:
        error = run.thrown(run.client(server.url, max_retries=0).chat, ChatRequest("another"))
    assert isinstance(error, ServerError)
    assert "chat.yaml has no answer" in error.error
    assert "EmbeddedOllama.record" in error.error


def test_no_secret_is_written(cassette: Path) -> None:
    """Not in a header, not in an answer that repeats it."""
    text = cassette.read_text()
    assert KEY not in text
    assert "authorization" not in text.lower()


def test_vcrpy_plays_it(cassette: Path) -> None:
    """The same file is a cassette of vcrpy's own."""
    found = json.loads(cassette.read_text())["interactions"][0]
    uri, body = found["request"]["uri"], found["request"]["body"]
    with vcr.use_cassette(str(cassette), record_mode="none", allow_playback_repeats=True):
        answer = httpx.post(uri, content=body)
    assert answer.status_code == 200
    assert answer.content == LINE


def test_cassettes_of_vcrpy_are_played(tmp_path: Path) -> None:
    """Its YAML is read, each body in one piece."""
    path = tmp_path / "theirs.yaml"
    with EmbeddedOllama() as upstream:
        upstream.script([Reply.chat("Fine.")])
        body = {
            "model": "demo",
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": False,
        }
        with vcr.use_cassette(str(path)):
            httpx.post(f"{upstream.url}/api/chat", json=body)
    with EmbeddedOllama.replay(path) as server:
        answer = httpx.post(f"{server.url}/api/chat", json=body)
        assert answer.json()["message"]["content"] == "Fine."


def test_a_missing_server_is_reported(run: Run, tmp_path: Path) -> None:
    """The proxy answers 502 with the reason, and writes nothing."""
    path = tmp_path / "none.yaml"
    with EmbeddedOllama.record("http://127.0.0.1:1", path) as proxy:
        error = run.thrown(run.client(proxy.url, max_retries=0).chat, ASK)
    assert "does not answer" in error.error
    assert not path.exists()


@pytest.mark.parametrize("text", ["[]", '{"interactions": [{}]}', '{"version": 1}'])
def test_a_file_other_than_a_cassette_is_refused(tmp_path: Path, text: str) -> None:
    """Where the server is made, not at its first request."""
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="not a cassette"):
        EmbeddedOllama.replay(path)
