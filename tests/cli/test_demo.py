"""The demo: one question over documents, answered through both frameworks."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import CLOSED, Ext, Opens, environment

from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama, Gate, Reply, Request

ANSWER = "The lighthouse of Skerry Point was built in 1871"
# What reaches beyond this machine fails, and says what it was.
OFFLINE = """
import socket, sys
connect, find = socket.socket.connect, socket.getaddrinfo
def local(host):
    if host not in ("127.0.0.1", "localhost", "::1", None):
        sys.stderr.write(f"WENT TO {host}\\n")
        raise OSError("no network here")
def connect_locally(self, address):
    if isinstance(address, tuple):
        local(address[0])
    return connect(self, address)
def find_locally(host, *arguments, **named):
    local(host)
    return find(host, *arguments, **named)
socket.socket.connect, socket.getaddrinfo = connect_locally, find_locally
from ollama_ext.cli import main
main()
"""


@pytest.fixture(autouse=True)
def main_loop() -> Iterator[None]:
    """Give the main thread a loop of its own, and close it: LlamaIndex makes one otherwise."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(autouse=True)
def rules_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no language model answer in this process, installed or not: tests/engine has it do so."""
    monkeypatch.setattr("ollama_ext.cli._demo_server.local_weights", lambda: None)


def _requests(server: EmbeddedOllama, path: str) -> list[Request]:
    return [r for r in server.requests if r.path == path]


def test_demo_without_a_server(ext: Ext) -> None:
    """Without an Ollama and a model the embedded server answers, and one line says so."""
    found = ext("demo", host=CLOSED)
    assert found.code == 0
    assert found.err == (
        "No server answers at http://127.0.0.1:1: the embedded one does instead, by rules.\n"
    )
    for framework in ("LangChain ─", "LlamaIndex ─"):
        _, _, part = found.out.partition(framework)
        answer, _, sources = part.partition("Sources:")
        assert ANSWER in answer
        assert "1. lighthouse.md (0." in sources
        assert "prompt tokens" in sources


def test_demo_needs_no_network_and_clutters_nothing(tmp_path: Path) -> None:
    """On a machine without a network and without caches nothing is downloaded or warned of."""
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, "demo"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(CLOSED) | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        check=False,
        timeout=120,
    )
    assert done.returncode == 0
    assert "WENT TO" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert all("1871" in half for half in done.stdout.split("Lla"))


def test_demo_on_a_server(ext: Ext, server: EmbeddedOllama) -> None:
    """A server that can chat and embed is used for both, by its own models."""
    found = ext("demo", host=server.url)
    assert found.code == 0
    assert found.err == f"Ollama 0.33.0 answers at {server.url}.\n"
    assert found.out.count(ANSWER) == 2
    assert len(_requests(server, "/api/chat")) == 2
    assert _requests(server, "/api/embed")


def test_demo_offers_what_is_there(ext: Ext) -> None:
    """Without names the first model that can chat and the first that can embed are used."""
    models = [EmbeddedModel("talker"), EmbeddedModel("embedder", ("embedding",))]
    with EmbeddedOllama(models, demo=False) as server:
        found = ext("demo", host=server.url)
    assert "embedded by embedder:latest, answered by talker:latest" in found.out


@pytest.mark.parametrize(
    ("model", "says", "asked"),
    [
        (EmbeddedModel("talker"), "nomic-embed-text` gets one. Until then", "/api/chat"),
        (EmbeddedModel("embedder", ("embedding",)), "llama3.2` gets one. Until then", "/api/embed"),
    ],
)
def test_demo_on_half_a_server(ext: Ext, model: EmbeddedModel, says: str, asked: str) -> None:
    """A server that has one of the two models does that half; a line says what gets the other."""
    with EmbeddedOllama([model], demo=False) as server:
        found = ext("demo", host=server.url)
        assert found.code == 0
        assert found.err.count("\n") == 2
        assert says in found.err
        assert found.out.count(ANSWER) == 2
        assert len(_requests(server, asked)) >= 2
        assert len(_requests(server, "/api/chat")) + len(_requests(server, "/api/embed")) == len(
            _requests(server, asked)
        )


def test_demo_on_a_server_without_models(ext: Ext) -> None:
    """A server without any model is told how to get both, and the embedded one answers."""
    with EmbeddedOllama(demo=False) as server:
        found = ext("demo", host=server.url)
    assert found.code == 0
    assert "ollama pull llama3.2" in found.err
    assert "ollama pull nomic-embed-text" in found.err
    assert found.out.count(ANSWER) == 2


def test_demo_with_named_models(ext: Ext, server: EmbeddedOllama) -> None:
    """--model and --embed-model are used."""
    found = ext("demo", "--model", "demo-rendered", "--embed-model", "demo-embed", host=server.url)
    assert found.code == 0
    assert {r.json["model"] for r in _requests(server, "/api/chat")} == {"demo-rendered"}
    assert {r.json["model"] for r in _requests(server, "/api/embed")} == {"demo-embed"}


@pytest.mark.parametrize("option", ["--model", "--embed-model"])
def test_demo_with_a_model_that_is_missing(ext: Ext, server: EmbeddedOllama, option: str) -> None:
    """A named model that is missing exits with 4 and says what is there instead."""
    found = ext("demo", option, "nope", host=server.url)
    assert (found.code, found.out) == (4, "")
    assert "nope is not on the server, demo-" in found.err


def test_demo_asks_whether_another_model_will_do(terminal: Opens, server: EmbeddedOllama) -> None:
    """At a terminal the missing model is offered another, which a yes takes and a no does not."""
    for answer, code in (("y", 0), ("n", 4)):
        screen = terminal("demo", "--model", "nope", host=server.url)
        screen.expect("nope is not on the server, demo-vision:latest is.")
        screen.expect("Use demo-vision:latest? [y/N]")
        screen.enter(answer)
        assert screen.end() == code
        assert (ANSWER in screen.text) == (code == 0)


def test_demo_as_json(ext: Ext, server: EmbeddedOllama) -> None:
    """--json writes question, models, answers, sources and usage, for programs."""
    found = ext("demo", "--json", "--host", server.url)
    told = json.loads(found.out)
    assert told["question"] == "When was the lighthouse of Skerry Point built?"
    assert told["chat"] == {
        "base_url": server.url, "model": "demo-vision:latest", "embedded": False,
    }  # fmt: skip
    assert [answer["framework"] for answer in told["answers"]] == ["LangChain", "LlamaIndex"]
    for answer in told["answers"]:
        assert answer["text"].startswith(ANSWER)
        assert answer["sources"][0]["source"] == "lighthouse.md"
        scores = [source["score"] for source in answer["sources"]]
        assert scores == sorted(scores, reverse=True)
        assert answer["completion_tokens"] > 0
        assert answer["requests"] == 3


def test_demo_counts_what_the_server_counted(ext: Ext, server: EmbeddedOllama) -> None:
    """Tokens are the server's own counts, of the answer and of every embedding."""
    told = json.loads(ext("demo", "--json", host=server.url).out)
    first = told["answers"][0]
    assert first["prompt_tokens"] > 100
    assert len(_requests(server, "/api/embed")) + len(_requests(server, "/api/chat")) == sum(
        answer["requests"] for answer in told["answers"]
    )


def test_demo_over_own_documents(ext: Ext, server: EmbeddedOllama, tmp_path: Path) -> None:
    """Files and folders of the user's are read; the answer comes from them."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "ada.md").write_text("Ada Lovelace wrote the first programme in 1843.")
    (tmp_path / "notes" / "other.log").write_text("not read")
    (tmp_path / "one.rst").write_text("The kettle was bought in Holm.")
    question = "When did Ada Lovelace write the first programme [sic]?"
    found = ext("demo", tmp_path / "notes", tmp_path / "one.rst", "-q", question, host=server.url)
    assert found.code == 0
    assert found.out.startswith(f"{question}\n2 passages of 2 files, ")
    assert found.out.count("1843") >= 2
    assert "1. ada.md (" in found.out


@pytest.mark.parametrize(
    ("name", "data", "hint"),
    [
        ("missing.md", None, "does not exist"),
        ("picture.png", b"\x89PNG\xff", "is not text in UTF-8"),
        ("zeros.md", bytes(9), "is not text"),
        ("empty.md", b" \n", "there is no text in"),
    ],
)
def test_demo_over_binary_files(
    ext: Ext, server: EmbeddedOllama, tmp_path: Path, name: str, data: bytes | None, hint: str
) -> None:
    """Files without text exit with 2 before a server is asked."""
    if data is not None:
        (tmp_path / name).write_bytes(data)
    found = ext("demo", tmp_path / name, host=server.url)
    assert (found.code, found.out) == (2, "")
    assert hint in " ".join(found.err.split())
    assert server.requests == []


def test_demo_over_an_empty_folder(ext: Ext, server: EmbeddedOllama, tmp_path: Path) -> None:
    """A folder without .md and .txt files exits with 2."""
    found = ext("demo", tmp_path, host=server.url)
    assert found.code == 2
    assert "contains no .md or .txt files" in found.err


def test_demo_keeps_credentials_and_key(ext: Ext, monkeypatch: pytest.MonkeyPatch) -> None:
    """What opens the server for the command opens it for both frameworks."""
    monkeypatch.setenv("OLLAMA_API_KEY", "right")
    with EmbeddedOllama(api_key="right") as server:
        assert ext("demo", host=server.url).code == 0
        monkeypatch.setenv("OLLAMA_API_KEY", "wrong")
        assert ext("demo", host=server.url).code == 5


def test_demo_of_a_server_that_fails(ext: Ext, server: EmbeddedOllama) -> None:
    """A server that fails in the middle exits with 1, with its words."""
    server.script("POST", "/api/chat", Reply.error(500, "out of luck"), repeat=True)
    found = ext("demo", host=server.url)
    assert found.code == 1
    assert "out of luck" in found.err
    assert "Traceback" not in found.err


def test_demo_over_an_openai_compatible_server(ext: Ext, server: EmbeddedOllama) -> None:
    """Over /v1 both frameworks answer as well."""
    found = ext("demo", "--model", "demo", "--embed-model", "demo-embed", host=f"{server.url}/v1")
    assert found.code == 0
    assert found.out.count(ANSWER) == 2
    assert len(_requests(server, "/v1/chat/completions")) == 2


def test_demo_over_an_openai_compatible_server_that_does_not_embed(
    ext: Ext, server: EmbeddedOllama
) -> None:
    """Where its one model cannot embed, the embedded server does, and a line says so."""
    server.script("GET", "/v1/models", Reply.json({"data": [{"id": "demo"}]}), repeat=True)
    refused = Reply.error(500, "Llama model must be created with embedding=True")
    server.script("POST", "/v1/embeddings", refused, repeat=True)
    found = ext("demo", host=f"{server.url}/v1")
    assert found.code == 0
    assert "cannot embed: Llama model must be created with embedding=True" in found.err
    assert found.out.count(ANSWER) == 2


def test_demo_without_the_frameworks(
    ext: Ext, server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a framework the message says what to install."""
    monkeypatch.setitem(sys.modules, "ollama_ext.cli._demo_llamaindex", None)
    found = ext("demo", host=server.url)
    assert found.code == 2
    assert 'pip install "ollama-ext[cli]"' in found.err


def test_demo_streams_after_a_spinner(terminal: Opens, server: EmbeddedOllama) -> None:
    """A spinner turns until the first piece; then the answer comes as it is made."""
    gate, rest = Gate(), Gate()
    line = {"model": "demo", "created_at": "2026-01-01T00:00:00Z", "done": False}
    lines = [
        {**line, "message": {"role": "assistant", "content": "Early "}},
        {**line, "message": {"role": "assistant", "content": "late."}},
        {**line, "message": {"role": "assistant", "content": ""}, "done": True},
    ]
    held = Reply.lines(lines, gate=gate, hold_at=0)
    server.script("POST", "/api/chat", held, Reply.lines(lines, gate=rest, hold_at=1))
    screen = terminal("demo", host=server.url)
    screen.expect("waiting for the model")
    gate.set()
    screen.expect("Early late.")
    screen.expect("LlamaIndex")
    screen.expect("Early ")
    assert screen.text.count("late.") == 1
    rest.set()
    screen.expect("late.")
    assert screen.end() == 0


def test_demo_interrupted(terminal: Opens, server: EmbeddedOllama) -> None:
    """Ctrl-C ends one framework's answer and goes on to the other; the exit code is 130."""
    line = {"model": "demo", "done": False, "message": {"role": "assistant", "content": "Early "}}
    server.script("POST", "/api/chat", Reply.lines([line, line], gate=Gate(), hold_at=1))
    screen = terminal("demo", host=server.url)
    screen.expect("Early ")
    screen.interrupt("(interrupted)")
    screen.expect("LlamaIndex")
    assert screen.end() == 130
    assert screen.text.count(ANSWER) == 1
    assert "Traceback" not in screen.text


def test_demo_cuts_what_does_not_end(ext: Ext) -> None:
    """An answer that goes on and on is cut after 256 tokens, and the demo says so."""
    babble = EmbeddedModel("babble", engine=lambda _: Answer(" and so on" * 1000))
    with EmbeddedOllama([babble]) as server:
        found = ext("demo", "--model", "babble", host=server.url)
        bodies = [request.json for request in _requests(server, "/api/chat")]
    assert found.code == 0
    assert found.out.count("(cut after 256 tokens)") == 2
    assert found.out.count(" and so on") < 200
    assert [body["options"]["num_predict"] for body in bodies] == [256, 256]
