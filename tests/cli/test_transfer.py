"""Moving models: pull, push, create."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from recorded import recording
from terminals import Ext, Opens

from ollama_ext.embedded import EmbeddedOllama, Reply

MODELS = Path(__file__).parents[1] / "models"
LAYER = "sha256:" + "6a0746a1ec1a" * 5 + "6a07"


def _pulling(
    *, completed: int | None = None, total: int = 4_700_000_000, digest: str = LAYER
) -> dict[str, Any]:
    line = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": total}
    return line if completed is None else {**line, "completed": completed}


def test_pull_gets_a_model(ext: Ext, server: EmbeddedOllama) -> None:
    """After `pull` the model is there; the states go to stderr, each once, the result to stdout."""
    found = ext("pull", "tiny", host=server.url)
    assert (found.code, found.out) == (0, "tiny is there\n")
    lines = found.err.splitlines()
    assert lines[0] == "pulling manifest"
    assert lines[1].startswith("pulling ")
    assert lines[1].endswith(" B")
    assert lines[2:] == ["verifying sha256 digest", "writing manifest", "success"]
    assert ext("show", "tiny", host=server.url).code == 0


def test_pull_as_json_is_a_line_for_each_step(ext: Ext, server: EmbeddedOllama) -> None:
    """With --json each step is a line of JSON as the server sent it, and nothing else is said."""
    steps = [
        {"status": "pulling manifest"},
        _pulling(),
        _pulling(completed=5),
        {"status": "success"},
    ]
    server.script("POST", "/api/pull", Reply.lines(steps))
    found = ext("pull", "tiny", "--json", host=server.url)
    assert (found.code, found.err) == (0, "")
    assert [json.loads(line) for line in found.out.splitlines()] == steps


def test_insecure_reaches_the_server(ext: Ext, server: EmbeddedOllama) -> None:
    """--insecure is sent."""
    ext("pull", "tiny", "--insecure", host=server.url)
    assert server.requests[-1].json["insecure"] is True
    ext("push", "demo", "--insecure", host=server.url)
    assert server.requests[-1].json["insecure"] is True


def test_pull_of_an_unknown_model_is_four(ext: Ext, server: EmbeddedOllama) -> None:
    """A model that the registry does not have exits with 4, although the status was 200."""
    found = ext("pull", "nope", host=server.url)
    assert (found.code, found.out) == (4, "")
    assert "file does not exist" in found.err
    assert "received" not in found.err
    assert "The name or its tag may be wrong" in found.err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_pull_that_fails_on_the_way_is_one(
    ext: Ext, server: EmbeddedOllama, options: list[str]
) -> None:
    """A pull that a real Ollama gave up exits with 1 and shows its words."""
    recorded = recording("pull/unreachable-stream")
    server.script("POST", "/api/pull", Reply.raw(chunks=recorded.chunks))
    found = ext("pull", "localhost:9/library/nope", "--insecure", *options, host=server.url)
    assert found.code == 1
    assert "connection refused" in found.err
    assert "is there" not in found.out


@pytest.mark.parametrize("cut", ["close", "reset"])
def test_server_that_dies_in_a_pull(
    ext: Ext, server: EmbeddedOllama, cut: Literal["close", "reset"]
) -> None:
    """When the server dies on the way, the message says that what came is kept, and what to run."""
    steps = [{"status": "pulling manifest"}, _pulling(completed=10)]
    server.script("POST", "/api/pull", Reply.lines(steps, cut=cut))
    found = ext("pull", "tiny", host=server.url)
    assert (found.code, found.out) == (1, "")
    assert "what was transferred is kept; `ollama-ext pull tiny` goes on from there" in found.err
    assert "was cut off" in found.err


def test_silent_server_in_a_pull(ext: Ext, server: EmbeddedOllama) -> None:
    """A pull that falls silent is given up after --timeout, with the same hint."""
    reply = Reply.lines([{"status": "pulling manifest"}, _pulling()], chunk_delay_s=30)
    server.script("POST", "/api/pull", reply)
    found = ext("pull", "tiny", "--timeout", "0.2", host=server.url)
    assert found.code == 3
    assert "`ollama-ext pull tiny` goes on from there" in found.err


def test_push_sends_a_model(ext: Ext, server: EmbeddedOllama) -> None:
    """`push` shows its states and its result; a model that is not there exits with 1."""
    found = ext("push", "demo", host=server.url)
    assert (found.code, found.out) == (0, "demo is in its registry\n")
    assert found.err.splitlines()[0] == "retrieving manifest"
    server.script("POST", "/api/push", Reply.raw(chunks=recording("push/missing-stream").chunks))
    found = ext("push", "nope", host=server.url)
    assert (found.code, found.out) == (1, "")
    assert "error:" in found.err


def test_create_from_a_model(ext: Ext, server: EmbeddedOllama, tmp_path: Path) -> None:
    """`create --from` sends system, template and parameters, of the types that they look like."""
    template = tmp_path / "template"
    template.write_text("{{ .Prompt }}", encoding="utf-8")
    found = ext(
        "create", "mario", "--from", "demo", "--system", "You are Mario.", "--template", template,
        "-p", "temperature=0.5", "-p", "num_ctx=64", "-p", "stop=a", "-p", "stop=b",
        "--quantize", "q4_K_M",
        host=server.url,
    )  # fmt: skip
    assert (found.code, found.out) == (0, "mario is made\n")
    body = server.requests[-1].json
    assert body["from"] == "demo"
    assert body["system"] == "You are Mario."
    assert body["template"] == "{{ .Prompt }}"
    assert body["parameters"] == {"temperature": 0.5, "num_ctx": 64, "stop": ["a", "b"]}
    assert body["quantize"] == "q4_K_M"
    assert "You are Mario." in ext("show", "mario", host=server.url).out


def test_create_from_a_file(ext: Ext, server: EmbeddedOllama) -> None:
    """`create --gguf` uploads the file once, and makes a model of it."""
    gguf = MODELS / "tiny-chat.gguf"
    found = ext("create", "mine", "--gguf", gguf, "--json", host=server.url)
    assert found.code == 0
    assert json.loads(found.out.splitlines()[-1]) == {"status": "success"}
    assert ext("show", "mine", host=server.url).code == 0
    ext("create", "again", "--gguf", gguf, host=server.url)
    uploads = [r for r in server.requests if r.method == "POST" and "/blobs/" in r.path]
    assert len(uploads) == 1
    assert len(uploads[0].body) == gguf.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "give exactly one source"),
        (["--from", "demo", "--gguf", "{file}"], "give exactly one source"),
        (["--gguf", "{file}"], "not a GGUF file"),
        (["--gguf", "/nowhere.gguf"], "does not exist"),
        (["--from", "demo", "-p", "temperature"], "give NAME=VALUE"),
        (["--from", "demo", "-p", "=1"], "give NAME=VALUE"),
        (["--from", "demo", "-p", "seed=1", "-p", "seed=2"], "given twice"),
        (["--from", "demo", "--template", "{binary}"], "not text in UTF-8"),
    ],
)
def test_create_takes_no_nonsense(
    ext: Ext, server: EmbeddedOllama, tmp_path: Path, arguments: list[str], hint: str
) -> None:
    """What cannot be made is told before the server is asked, with 2."""
    (tmp_path / "file").write_text("a text")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    places = {"{file}": tmp_path / "file", "{binary}": tmp_path / "binary"}
    given = [places.get(argument, argument) for argument in arguments]
    found = ext("create", "mine", *given, host=server.url)
    assert (found.code, found.out) == (2, "")
    assert hint in " ".join(found.err.split())
    assert server.requests == []


def test_create_that_fails_is_one(ext: Ext, server: EmbeddedOllama) -> None:
    """A model that the server cannot make exits with 1."""
    server.script("POST", "/api/create", Reply.lines([{"error": "invalid file magic"}]))
    found = ext("create", "mine", "--from", "demo", host=server.url)
    assert (found.code, found.out) == (1, "")
    assert "invalid file magic" in found.err


@pytest.mark.parametrize("command", ["pull", "push"])
def test_interrupted_transfer_leaves_a_clear_state(
    terminal: Opens, server: EmbeddedOllama, command: str
) -> None:
    """Ctrl-C in a transfer exits with 130 and says what goes on from there."""
    steps = [{"status": "pulling manifest"}, _pulling(completed=2_350_000_000)]
    server.script("POST", f"/api/{command}", Reply.lines(steps, forever=True, chunk_delay_s=0.01))
    screen = terminal(command, "tiny", host=server.url)
    screen.expect("2.4/4.7 GB")
    screen.interrupt(
        f"what was transferred is kept; `ollama-ext {command} tiny` goes on from there"
    )
    assert screen.end() == 130
    assert "Traceback" not in screen.text
    assert server.wait_for_disconnects(1)


def test_an_interrupted_create_reports_that_nothing_was_made(
    terminal: Opens, server: EmbeddedOllama
) -> None:
    """Ctrl-C in a create exits with 130 and says that there is no model."""
    steps = [{"status": "parsing GGUF"}, {"status": "quantizing"}]
    server.script("POST", "/api/create", Reply.lines(steps, forever=True, chunk_delay_s=0.01))
    screen = terminal("create", "mine", "--from", "demo", host=server.url)
    screen.expect("quantizing")
    screen.interrupt("interrupted: mine was not created")
    assert screen.end() == 130


def test_bars_for_each_layer(terminal: Opens, server: EmbeddedOllama) -> None:
    """In the terminal each layer has a bar with size, speed and time left."""
    second = "sha256:" + "feed" * 16
    steps = [
        {"status": "pulling manifest"},
        *(_pulling(completed=part * 470_000_000) for part in range(11)),
        _pulling(digest=second, total=2000),
        _pulling(digest=second, total=2000, completed=2000),
        {"status": "verifying sha256 digest"},
        {"status": "success"},
    ]
    server.script("POST", "/api/pull", Reply.lines(steps, chunk_delay_s=0.02))
    screen = terminal("pull", "tiny", host=server.url)
    assert screen.end() == 0
    last = screen.text[screen.text.rindex("pulling 6a07") :]
    assert "━" in last
    assert "4.7/4.7 GB" in last
    assert "/s" in last
    assert "0:00:00" in last
    assert "pulling feedfeedfeed" in last
    assert "2.0/2.0 kB" in last
    assert "?" not in last
    assert screen.text.rstrip().endswith("tiny is there")


def test_resumed_pull_counts_from_where_it_was(terminal: Opens, server: EmbeddedOllama) -> None:
    """What an earlier pull had brought shows at once, and not as a speed of its own."""
    steps = [_pulling(completed=2_350_000_000), _pulling(completed=2_350_000_100)]
    reply = Reply.lines([*steps, {"status": "success"}], chunk_delay_s=0.2)
    server.script("POST", "/api/pull", reply)
    screen = terminal("pull", "tiny", host=server.url)
    assert screen.end() == 0
    assert "2.4/4.7 GB" in screen.text
    assert "GB/s" not in screen.text


def test_bars_in_a_narrow_terminal(terminal: Opens, server: EmbeddedOllama) -> None:
    """A narrow terminal breaks nothing."""
    screen = terminal("pull", "tiny", host=server.url, columns=20)
    assert screen.end() == 0
    assert "tiny is there" in screen.text
