"""Looking at everything that has to work."""

import json
import os
from importlib import metadata
from typing import Any

import pytest
from terminals import CLOSED, Ext, Opens

from ollama_ext.cli._app import Target
from ollama_ext.cli._doctor import examine
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply


def _findings(ext: Ext, *arguments: str, **how: Any) -> tuple[int, dict[str, Any]]:
    found = ext("doctor", "--json", *arguments, **how)
    return found.code, {finding["name"]: finding for finding in json.loads(found.out)}


def test_doctor_on_a_healthy_server(ext: Ext, server: EmbeddedOllama) -> None:
    """Where all is well, each thing is a line with a tick, and the exit code is 0."""
    found = ext("doctor", host=server.url)
    assert (found.code, found.err) == (0, "")
    assert "✗" not in found.out
    assert f"✓ host: {server.url}, by OLLAMA_HOST\n" in found.out
    assert "✓ server: Ollama 0.33.0\n" in found.out
    assert "✓ demo-embed:latest: embedding; context 8,192 tokens; 138 B\n" in found.out
    assert "· langchain-core: " in found.out
    assert "tokens/s\n" in found.out
    assert "✓ embed: demo-embed:latest made 2 vectors of 256 in " in found.out


def test_doctor_asks_one_request_each_way(ext: Ext, server: EmbeddedOllama) -> None:
    """It tries a whole answer, a stream and an embedding."""
    ext("doctor", host=server.url)
    chats = [r.json for r in server.requests if r.path == "/api/chat"]
    # A whole answer is asked for as a stream too, and joined.
    assert [chat["stream"] for chat in chats] == [True, True]
    assert len([r for r in server.requests if r.path == "/api/embed"]) == 1


@pytest.mark.parametrize(
    ("variables", "option", "why"),
    [
        ({}, [], "http://127.0.0.1:11434, by default"),
        ({"OLLAMA_PORT": "1"}, [], "http://127.0.0.1:1, by OLLAMA_PORT"),
        ({"OLLAMA_HOST": "localhost:1"}, [], "http://localhost:1, by OLLAMA_HOST"),
        ({"OLLAMA_HOST": "there"}, ["--host", CLOSED], "http://127.0.0.1:1, by --host"),
    ],
)
def test_doctor_shows_the_host_and_its_source(
    ext: Ext,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    option: list[str],
    why: str,
) -> None:
    """The resolved host comes with the reason for it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    _, findings = _findings(ext, *option)
    assert findings["host"]["text"] == why


def test_doctor_without_a_server(ext: Ext) -> None:
    """Where no server answers it exits with 3, and says how to start one."""
    code, findings = _findings(ext, host=CLOSED)
    assert code == 3
    assert findings["server"]["ok"] is False
    assert "ollama serve" in findings["server"]["text"]
    assert "chat" not in findings


def test_doctor_with_a_host_that_means_nothing(ext: Ext) -> None:
    """A host that cannot be understood is a finding, and exits with 2."""
    code, findings = _findings(ext, host="ftp://there")
    assert code == 2
    assert "accepted are HOST" in findings["host"]["text"]


def test_doctor_with_a_wrong_key(ext: Ext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses exits with 5."""
    monkeypatch.setenv("OLLAMA_API_KEY", "wrong")
    with EmbeddedOllama(api_key="right") as server:
        code, findings = _findings(ext, host=server.url)
    assert code == 5
    assert findings["key"]["text"] == "OLLAMA_API_KEY is sent"
    assert "wrong" not in str(findings)


def test_doctor_shows_that_a_key_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that would travel in clear is told as not sent, before the server is asked."""
    monkeypatch.setenv("OLLAMA_API_KEY", "secret")
    findings = examine(Target("http://192.0.2.1"), os.environ)
    key = next(finding for finding in findings if finding.name == "key")
    assert key.text == "OLLAMA_API_KEY is set but not sent: it would be unencrypted"


def test_doctor_on_a_server_without_models(ext: Ext) -> None:
    """A server without models exits with 4 and says how to get one."""
    with EmbeddedOllama(demo=False) as server:
        code, findings = _findings(ext, host=server.url)
    assert code == 4
    assert "ollama-ext pull" in findings["models"]["text"]
    assert findings["chat"]["ok"] is None
    assert "ollama pull nomic-embed-text" in findings["embed"]["text"]


def test_doctor_without_an_embedding_model(ext: Ext) -> None:
    """A server that only chats is healthy; what is missing is told."""
    with EmbeddedOllama([EmbeddedModel("talker")], demo=False) as server:
        code, findings = _findings(ext, host=server.url)
    assert code == 0
    assert findings["chat"]["ok"] is True
    assert findings["embed"]["ok"] is None


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/api/version", "server"),
        ("GET", "/api/tags", "models"),
        ("GET", "/api/ps", "in memory"),
        ("POST", "/api/show", "demo:latest"),
        ("POST", "/api/chat", "chat"),
        ("POST", "/api/embed", "embed"),
    ],
)
def test_doctor_finds_each_failure(
    ext: Ext, server: EmbeddedOllama, method: str, path: str, name: str
) -> None:
    """Whatever fails is the finding of that name, in the server's words, and exits with 1."""
    server.script(method, path, Reply.error(500, "out of luck"), repeat=True)
    code, findings = _findings(ext, host=server.url)
    assert code == 1
    assert findings[name]["ok"] is False
    assert "out of luck" in findings[name]["text"]


def test_doctor_shows_what_runs_where(ext: Ext, server: EmbeddedOllama) -> None:
    """Models in memory are told with where they run."""
    model = {"name": "m", "size": 4, "size_vram": 1, "context_length": 64}
    server.script("GET", "/api/ps", Reply.json({"models": [model]}))
    _, findings = _findings(ext, host=server.url)
    assert findings["in memory"]["text"] == "m on 25% GPU, context 64"


def test_doctor_names_what_to_install(
    ext: Ext, server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A framework that is missing is told with the command that installs it."""
    version = metadata.version

    def without(name: str) -> str:
        if name == "langchain-core":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    code, findings = _findings(ext, host=server.url)
    assert code == 0
    assert 'pip install "ollama-ext[langchain]"' in findings["langchain-core"]["text"]


def test_doctor_on_an_openai_compatible_server(ext: Ext, server: EmbeddedOllama) -> None:
    """Over /v1 it lists the models and tries both requests there."""
    server.script("GET", "/api/version", Reply.text("404 page not found", status=404))
    code, findings = _findings(ext, host=f"{server.url}/v1")
    assert code == 0
    assert findings["server"]["text"] == "an OpenAI-compatible server"
    assert findings["demo:latest"]["ok"] is True
    assert findings["chat"]["ok"] is True
    assert "/v1/embeddings" in {r.path for r in server.requests}


def test_doctor_on_a_server_that_does_not_embed(ext: Ext, server: EmbeddedOllama) -> None:
    """An OpenAI-compatible server that only chats is healthy; that it does not embed is told."""
    refused = Reply.error(500, "no embeddings here")
    server.script("POST", "/v1/embeddings", refused, repeat=True)
    code, findings = _findings(ext, host=f"{server.url}/v1")
    assert code == 0
    assert findings["embed"]["ok"] is None
    assert "no embeddings here" in findings["embed"]["text"]


def test_doctor_at_the_terminal(terminal: Opens, server: EmbeddedOllama) -> None:
    """At a terminal it ends with the last finding, and 0."""
    screen = terminal("doctor", host=server.url)
    screen.expect("✓ server: Ollama 0.33.0")
    screen.expect("✓ embed: ")
    assert screen.end() == 0
