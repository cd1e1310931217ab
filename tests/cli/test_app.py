"""What every command shares: help, options, exit codes, completion, and how errors look."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from terminals import CLOSED, Ext, environment

from ollama_ext.embedded import EmbeddedOllama, Reply

COMMANDS = [
    "chat",
    "copy",
    "create",
    "delete",
    "demo",
    "doctor",
    "embed",
    "models",
    "ps",
    "pull",
    "push",
    "serve",
    "show",
]
ASKING = [name for name in COMMANDS if name != "serve"]


def test_help_names_every_command_and_every_exit_code(ext: Ext) -> None:
    """Who runs `ollama-ext --help`, or reads the guide, sees what there is, and what codes mean."""
    page = (Path(__file__).parents[2] / "docs/guides/command-line.md").read_text()
    found = ext("--help")
    assert found.code == 0
    for name in COMMANDS:
        assert re.search(rf"│ {name}\s", found.out)
        assert f"`{name}`" in page
    for text in (found.out, page.partition("\n\n    $")[0]):
        words = " ".join(text.split())
        for code in (0, 1, 2, 3, 4, 5, 130, 141):
            assert f" {code} " in words.partition("Exit codes:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(ext: Ext, name: str) -> None:
    """`COMMAND --help` explains the command, and where it asks a server, says how to choose it."""
    found = ext(name, "--help")
    assert found.code == 0
    assert f"Usage: ollama-ext {name}" in found.out
    assert "--host" in found.out
    assert ("--timeout" in found.out) == (name in ASKING)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("models", "300"),
        ("chat", "the first that can chat"),
        ("chat", "the model's"),
        ("demo", "three bundled ones"),
        ("embed", "the first that can embed"),
    ],
)
def test_help_tells_what_happens_without_an_argument(ext: Ext, name: str, default: str) -> None:
    """`--help` shows defaults that are described in words, too."""
    words = " ".join(re.sub("[│\\s]+", " ", ext(name, "--help").out).split())
    assert f"Default: {default}." in words


def test_version(ext: Ext) -> None:
    """`--version` says the version and nothing else."""
    found = ext("--version")
    assert (found.code, found.err) == (0, "")
    assert re.fullmatch(r"ollama-ext \d+\.\d+\.\d+\S*\n", found.out)


def test_help_loads_no_framework_and_no_server() -> None:
    """`--help` is quick, because nothing heavy is imported for it."""
    code = (
        "import sys\nfrom ollama_ext.cli import main\nsys.argv = ['ollama-ext', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = 'langchain_core llama_index starlette uvicorn numpy pyarrow'.split()\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(CLOSED),
        check=True,
        timeout=60,
    )
    assert done.stderr.strip() == "[]"


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """Without typer the command says what to install, and exits with 2."""
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(name='typer')")
    env = environment(CLOSED)
    env["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{env['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "ollama_ext.cli", "models"],
        capture_output=True,
        text=True,
        env=env,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr == 'ollama-ext needs typer: run `pip install "ollama-ext[cli]"`.\n'


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["nonsense"], "No such command"),
        (["modles"], "No such command"),
        (["show"], "Missing argument"),
        (["models", "--nonsense"], "No such option"),
        (["--timeout", "0", "models"], "seconds above 0"),
        (["models", "--timeout", "-1"], "seconds above 0"),
        (["models", "--timeout", "nan"], "seconds above 0"),
        (["models", "--timeout", "inf"], "seconds above 0"),
        (["models", "--timeout", "soon"], "--timeout"),
        (["models", "--host", ""], "empty"),
        (["models", "--host", "ftp://there"], "accepted are HOST"),
        (["--host", "a:b:c:d", "models"], "accepted are HOST"),
        (["models", "--host", "there:99999"], "99999"),
    ],
)
def test_wrong_usage_exits_with_two_and_a_reason(ext: Ext, arguments: list[str], hint: str) -> None:
    """A mistake in the call exits with 2: a hint on stderr, no output, no traceback."""
    found = ext(*arguments)
    assert (found.code, found.out) == (2, "")
    assert hint in found.err
    assert "Traceback" not in found.err


def test_wrong_host_in_the_environment_is_two(ext: Ext) -> None:
    """An OLLAMA_HOST that cannot be understood is told, with the forms that can."""
    found = ext("models", host="http:/there")
    assert found.code == 2
    assert "accepted are HOST" in found.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["models"],
        ["show", "demo"],
        ["ps"],
        ["copy", "demo", "other"],
        ["delete", "demo", "--yes"],
        ["pull", "tiny"],
        ["push", "demo"],
        ["create", "new", "--from", "demo"],
        ["chat", "demo"],
        ["demo", "--model", "demo"],
        ["doctor"],
    ],
)
def test_no_server_is_three(process: Ext, arguments: list[str]) -> None:
    """Each command that asks a server exits with 3 when none is there; it says how to start one."""
    found = process(*arguments, stdin="hello")
    assert found.code == 3
    told = found.out if arguments == ["doctor"] else found.err
    assert "no server answers at http://127.0.0.1:1" in told
    assert "ollama serve" in told
    assert "Traceback" not in found.out + found.err


def test_embed_without_a_server_is_three(process: Ext, tmp_path: Path) -> None:
    """Embedding as well."""
    (tmp_path / "a.txt").write_text("a text")
    found = process("embed", "a.txt", "--out", "a.jsonl", cwd=tmp_path)
    assert found.code == 3
    assert not (tmp_path / "a.jsonl").exists()


def test_too_slow_a_server_is_three(ext: Ext, server: EmbeddedOllama) -> None:
    """A server that is silent for longer than --timeout is given up, with 3."""
    server.script("GET", "/api/tags", Reply.json({"models": []}, delay_s=30))
    found = ext("models", "--timeout", "0.05", host=server.url)
    assert found.code == 3
    assert "0.05 s" in found.err


@pytest.mark.parametrize("arguments", [["show"], ["chat"], ["copy"], ["delete", "--yes"]])
def test_unknown_model_is_four(ext: Ext, server: EmbeddedOllama, arguments: list[str]) -> None:
    """A model that is not there exits with 4 and says how to get it."""
    more = ["other"] if arguments == ["copy"] else []
    found = ext(*arguments, "nope", *more, host=server.url, stdin="hello")
    assert (found.code, found.out) == (4, "")
    assert "ollama pull nope" in found.err


def test_a_missing_server_is_reported_in_terms_of_the_command(ext: Ext) -> None:
    """The way out is an option or a variable, and not an argument of the library."""
    found = ext("models", host=CLOSED)
    assert found.code == 3
    assert "give --host or set OLLAMA_HOST" in found.err
    assert "base_url" not in found.err


def test_a_proxys_page_is_a_line(ext: Ext, server: EmbeddedOllama) -> None:
    """The page of a proxy that reaches no server is shown as one line, without its tags."""
    page = "<html>\n<title>503 Down</title>\n<body><h1>503 Down</h1>\n</body></html>"
    server.script("GET", "/api/tags", Reply.text(page, status=503), repeat=True)
    found = ext("models", host=server.url)
    assert found.code == 1
    assert "answered 503: 503 Down." in found.err
    assert found.err.count("\n") == 1


def test_wrong_key_is_five(ext: Ext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that wants another key exits with 5, and the message names the variable."""
    monkeypatch.setenv("OLLAMA_API_KEY", "wrong")
    with EmbeddedOllama(api_key="right") as server:
        found = ext("models", host=server.url)
    assert (found.code, found.out) == (5, "")
    assert "OLLAMA_API_KEY" in found.err
    assert "wrong" not in found.err


def test_failure_of_the_server_is_one(ext: Ext, server: EmbeddedOllama) -> None:
    """A server that fails exits with 1, with its own words on stderr."""
    server.script("GET", "/api/tags", Reply.error(500, "the disk is on fire [bold]"))
    found = ext("models", host=server.url)
    assert (found.code, found.out) == (1, "")
    assert "the disk is on fire [bold]" in found.err


def test_something_else_than_ollama_is_one(ext: Ext, server: EmbeddedOllama) -> None:
    """A web server that is no Ollama is told as what it says, not as a traceback."""
    server.script("GET", "/api/tags", Reply.text("<html>It works!</html>"))
    found = ext("models", host=server.url)
    assert found.code == 1
    assert "It works!" in found.err
    assert "Traceback" not in found.err


def test_host_before_and_after_the_command(ext: Ext, server: EmbeddedOllama) -> None:
    """--host may stand before or after the command; the one after it wins."""
    assert ext("--host", server.url, "models", host=CLOSED).code == 0
    assert ext("models", "--host", server.url, host=CLOSED).code == 0
    assert ext("-H", CLOSED, "models", "-H", server.url, host=CLOSED).code == 0
    assert ext("--host", server.url, "models", "--host", "ftp://there").code == 2


def test_a_reader_that_leaves_causes_no_error(server: EmbeddedOllama) -> None:
    """`ollama-ext models | head -1` says nothing of a broken pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "ollama_ext.cli", "models"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            env=environment(server.url),
            check=False,
            timeout=60,
        )
    assert done.stderr == b""
    assert done.returncode == 141


def test_characters_that_the_encoding_lacks(server: EmbeddedOllama) -> None:
    """A terminal that is not in UTF-8 gets other signs, and no traceback."""
    env = environment(server.url) | {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "ollama_ext.cli", "doctor"],
        capture_output=True,
        env=env,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert rb"\u2713 server: Ollama" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        "ollama-ext show dem",
        "ollama-ext chat dem",
        "ollama-ext pull dem",
        "ollama-ext delete dem",
        "ollama-ext demo --model dem",
        "ollama-ext create new --from dem",
    ],
)
def test_model_names_complete(server: EmbeddedOllama, words: str) -> None:
    """The shell completes the names of the server's models, wherever a model is named."""
    names = _completed(words, server.url)
    assert {"demo:latest", "demo-embed:latest"} <= set(names)


def test_completion_asks_the_host_that_was_given(server: EmbeddedOllama) -> None:
    """Completion asks the server of --host, before or after the command."""
    assert "demo:latest" in _completed(f"ollama-ext -H {server.url} show dem", CLOSED)
    assert "demo:latest" in _completed(f"ollama-ext show --host {server.url} dem", CLOSED)


@pytest.mark.parametrize("host", [CLOSED, "ftp://nonsense"])
def test_completion_without_a_server_is_silent(host: str) -> None:
    """Where no server answers nothing is completed, and nothing is said."""
    assert _completed("ollama-ext show dem", host) == []


def _completed(words: str, host: str) -> list[str]:
    env = environment(host) | {
        "_OLLAMA_EXT_COMPLETE": "complete_bash",
        "COMP_WORDS": words.replace(" ", "\n"),
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "ollama_ext.cli"],
        capture_output=True,
        text=True,
        env=env,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("arguments", [["models"], ["ps"], ["show", "demo"], ["doctor"], ["demo"]])
def test_json_is_json_alone(process: Ext, server: EmbeddedOllama, arguments: list[str]) -> None:
    """With --json, standard output parses as one JSON value."""
    found = process(*arguments, "--json", host=server.url)
    assert found.code == 0
    assert isinstance(json.loads(found.out), list | dict)


def test_commands_take_a_key_from_the_environment(
    ext: Ext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OLLAMA_API_KEY opens a server that wants a key."""
    monkeypatch.setenv("OLLAMA_API_KEY", "right")
    with EmbeddedOllama(api_key="right") as server:
        assert ext("models", host=server.url).code == 0
