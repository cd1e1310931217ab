"""How a model of weights is loaded, kept, shared, given up, and made of a file."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terminals import CLOSED, environment
from weights import HELLO, MODELS, needs_engine

from ollama_ext.embedded import EmbeddedOllama, GgufModel
from ollama_ext.embedded.llama.gguf import read_gguf
from ollama_transport import ChatRequest, Client, Message, StreamFailedError

HI = {"messages": [{"role": "user", "content": "Hello!"}], "stream": False}
# A long answer: hot, so that its end is seldom the likeliest token.
STORY = {
    "messages": [{"role": "user", "content": "Tell me a story."}],
    "options": {"temperature": 2.0, "top_k": 0, "top_p": 1.0, "seed": 1},
}
# An answer that goes on until the context is full.
AGAIN = "again and again, and on and on"
ENDLESS = {"type": "array", "items": {"enum": [AGAIN]}, "minItems": 200}
TINY = GgufModel("tiny", MODELS / "tiny-chat.gguf", {"temperature": 0})
GGUF = (MODELS / "tiny-embed.gguf").read_bytes()


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama([TINY], demo=False) as running:
        yield running


@pytest.fixture
def http(server: EmbeddedOllama) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120, trust_env=False) as client:
        yield client


def chat(http: httpx.Client, **fields: Any) -> Any:
    response = http.post("/api/chat", json={"model": "tiny", **HI, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def loaded(http: httpx.Client) -> list[int]:
    """Return the contexts of the models in memory."""
    return [model["context_length"] for model in http.get("/api/ps").json()["models"]]


def children() -> list[int]:
    """Return the processes that run models for this one."""
    told = subprocess.run(
        ["ps", "-eww", "-o", "pid,ppid,args"], capture_output=True, text=True
    ).stdout
    rows = [line.split(None, 2) for line in told.splitlines()]
    ours = [row for row in rows if len(row) == 3 and "runner.py" in row[2]]
    return [int(row[0]) for row in ours if row[1] == str(os.getpid())]


@needs_engine
def test_a_model_is_in_memory_as_long_as_ps_says(server: EmbeddedOllama, http: Any) -> None:
    """Nothing is loaded before it is asked for; keep_alive 0 gives the memory back."""
    before = children()
    assert loaded(http) == []
    first = chat(http)
    assert first["message"]["content"] == HELLO
    assert loaded(http) == [2048]
    assert len(children()) == len(before) + 1
    assert chat(http)["load_duration"] < first["load_duration"]
    chat(http, keep_alive=0)
    assert loaded(http) == []
    assert children() == before


@needs_engine
def test_memory_is_given_back_on_time(server: EmbeddedOllama, http: Any) -> None:
    """A model goes when its keep_alive is over, also when nobody asks again."""
    before = children()
    chat(http, keep_alive="50ms")
    (runner,) = set(children()) - set(before)
    # The end of its output is the end of the process.
    subprocess.run(["tail", f"--pid={runner}", "-f", "/dev/null"], timeout=30, check=True)
    assert loaded(http) == []


@needs_engine
def test_another_context_loads_the_model_anew(server: EmbeddedOllama, http: Any) -> None:
    """num_ctx is the context that ps shows, and that a prompt has to fit in."""
    chat(http, options={"num_ctx": 256})
    assert loaded(http) == [256]
    long = [{"role": "user", "content": "Why is the sky blue? " * 60}]
    body = {"model": "tiny", "messages": long, "options": {"num_ctx": 256}}
    assert '\\"n_ctx\\":256' in http.post("/api/chat", json=body).text
    chat(http)
    assert loaded(http) == [2048]


@needs_engine
def test_num_thread_is_passed_to_the_engine(server: EmbeddedOllama, http: Any) -> None:
    """num_thread loads the model anew, as on Ollama; without it the model stays as it is."""
    chat(http)
    first = children()
    chat(http, options={"num_thread": 3})
    second = children()
    chat(http)
    assert first != second == children()


@needs_engine
def test_another_context_waits_for_who_is_answered(server: EmbeddedOllama, http: Any) -> None:
    """A load for another context lets a stream that runs come to its end first."""
    with http.stream("POST", "/api/chat", json={"model": "tiny", **STORY}) as stream:
        lines = stream.iter_lines()
        next(lines)
        other = threading.Thread(target=chat, args=(http,), kwargs={"options": {"num_ctx": 256}})
        other.start()
        assert server.wait_for_requests(2)
        assert '"done":true' in list(lines)[-1]
    other.join(60)
    assert loaded(http) == [256]


@needs_engine
def test_leaving_a_stream_frees_its_slot(server: EmbeddedOllama, http: Any) -> None:
    """A client that leaves ends the generation: the one slot is free for the next at once."""
    body = {"model": "tiny", **STORY, "format": ENDLESS}
    with http.stream("POST", "/api/chat", json=body) as stream:
        next(stream.iter_lines())
    assert server.wait_for_disconnects(1)
    assert chat(http)["message"]["content"] == HELLO
    assert server.wait_until_idle()


@needs_engine
def test_a_process_that_dies_is_an_error_and_then_started_anew(
    server: EmbeddedOllama, http: Any
) -> None:
    """A stream whose engine dies ends in an error of ours; the next request loads again."""
    before = children()
    with Client(server.url, max_retries=0) as client:
        request = ChatRequest("tiny", [Message("user", "Tell me a story.")], format=ENDLESS)
        stream = client.chat_stream(request)
        next(stream)
        (runner,) = set(children()) - set(before)
        os.kill(runner, signal.SIGKILL)
        with pytest.raises(StreamFailedError, match="model runner has unexpectedly stopped"):
            list(stream)
    # A request may still meet the process that has just died; the one after it loads anew.
    tries = [
        http.post("/api/chat", json={"model": "tiny", "stream": False, **HI}) for _ in range(2)
    ]
    assert tries[-1].json()["message"]["content"] == HELLO


@needs_engine
def test_weights_that_cannot_be_loaded(tmp_path: Path) -> None:
    """A file that breaks off after its header is a 500 that says what llama.cpp said."""
    broken = tmp_path / "broken.gguf"
    whole = (MODELS / "tiny-chat.gguf").read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    with EmbeddedOllama([GgufModel("broken", broken)]) as server:
        response = httpx.post(
            f"{server.url}/api/chat", json={"model": "broken", **HI}, timeout=120, trust_env=False
        )
    assert response.status_code == 500
    assert "llama runner process has terminated: " in response.json()["error"]


@needs_engine
@pytest.mark.parametrize(
    ("name", "data", "error", "match"),
    [
        ("missing.gguf", None, FileNotFoundError, "missing"),
        ("text.gguf", b"a text, and no weights", ValueError, "is not a GGUF file"),
        ("empty.gguf", b"", ValueError, "is not a GGUF file"),
        ("cut.gguf", GGUF[:500], ValueError, "its header is cut"),
        ("old.gguf", b"GGUF\1" + bytes(40), ValueError, "version 1"),
    ],
)
def test_files_that_are_not_models(
    tmp_path: Path, name: str, data: bytes | None, error: type[Exception], match: str
) -> None:
    """A start with a file that is no model fails at once and says which file it is."""
    if data is not None:
        (tmp_path / name).write_bytes(data)
    server = EmbeddedOllama([GgufModel("broken", tmp_path / name)])
    with pytest.raises(error, match=match):
        server.start()


@given(st.integers(4, 3000), st.binary(min_size=1, max_size=8))
def test_a_broken_header_is_reported(at: int, damage: bytes) -> None:
    """Whatever a header says, reading it ends in a model or in ValueError."""
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        file.write(GGUF[:at] + damage + GGUF[at + len(damage) :])
        file.flush()
        with contextlib.suppress(ValueError):
            read_gguf(file.name)


@needs_engine
def test_a_model_made_of_a_file(server: EmbeddedOllama, tmp_path: Path) -> None:
    """`create --from file.gguf` uploads a file, and its model answers; it can be made of again."""
    arguments = [sys.executable, "-m", "ollama_ext.cli", "create"]
    made = [*arguments, "mine", "--from", str(MODELS / "tiny-chat.gguf"), "-p", "temperature=0"]
    again = [*arguments, "poet", "--from", "mine", "--system", "You are a poet."]
    for command in (made, again):
        done = subprocess.run(
            command, env=environment(server.url), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    with Client(server.url) as client:
        answer = client.chat(ChatRequest("mine", [Message("user", "Hello!")]))
        assert answer.text == HELLO
        assert client.show("poet").system == "You are a poet."
        assert client.chat(ChatRequest("poet", [Message("user", "Hello!")])).text


@needs_engine
def test_serve_with_a_file() -> None:
    """`serve --gguf NAME=PATH` serves a file beside the demo models."""
    given_files = [f"--gguf={name}={MODELS / f'tiny-{name}.gguf'}" for name in ("chat", "embed")]
    with subprocess.Popen(
        [sys.executable, "-m", "ollama_ext.cli", "serve", "--port", "0", *given_files],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(CLOSED),
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = line.partition(" answers at ")[2].partition(",")[0]
            with Client(url) as client:
                names = {model.name for model in client.list()}
                text = client.chat(ChatRequest("chat", [Message("user", "Hello!")])).text
        finally:
            process.kill()
    assert "with chat, embed by llama.cpp" in line
    assert {"chat:latest", "embed:latest", "demo:latest"} <= names
    assert text


@pytest.mark.parametrize("pair", ["tiny", "tiny=", "tiny=/nowhere.gguf", "a b=/dev/null"])
def test_serve_names_an_invalid_gguf_argument(pair: str) -> None:
    """A --gguf without a name, a path or a model behind it exits with 2 and is named."""
    done = subprocess.run(
        [sys.executable, "-m", "ollama_ext.cli", "serve", "--port", "0", "--gguf", pair],
        env=environment(CLOSED),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--gguf '{pair}'" in done.stderr


def test_without_llama_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra a start says what to install, and a model made of a file follows rules."""
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ImportError, match=r"pip install 'ollama-ext\[local\]'"):
        EmbeddedOllama([TINY]).start()
    with EmbeddedOllama() as server, Client(server.url) as client:
        client.create_from_gguf("mine", MODELS / "tiny-chat.gguf")
        answer = client.chat(ChatRequest("mine", [Message("user", "Who are you?")]))
    assert "I follow rules" in answer.text
