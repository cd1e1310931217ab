"""How the tests use the command line: in this process, as a process, and at a terminal."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import CLOSED, Ext, Opens, Result, Terminal, environment

from ollama_ext.cli import main
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    """Run an Ollama double that can pull one model."""
    with EmbeddedOllama(pullable=[EmbeddedModel("tiny")]) as running:
        yield running


@pytest.fixture
def ext(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ext:
    """Return what runs a command in this process, as the console script does."""

    def run(*arguments: object, host: str | None = None, stdin: str | bytes = b"") -> Result:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        if host is not None:
            monkeypatch.setenv("OLLAMA_HOST", host)
        monkeypatch.setattr(sys, "argv", ["ollama-ext", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, found.out, found.err)

    return run


@pytest.fixture
def process() -> Ext:
    """Return what runs a command as a process of its own."""

    def run(
        *arguments: object, host: str = CLOSED, stdin: str = "", cwd: Path | None = None
    ) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "ollama_ext.cli", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment(host),
            cwd=cwd,
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def terminal() -> Iterator[Opens]:
    """Return what runs a command at a pseudo-terminal; they end with the test."""
    opened: list[Terminal] = []

    def run(*arguments: object, host: str = CLOSED, columns: int = 80) -> Terminal:
        opened.append(Terminal([str(a) for a in arguments], host=host, columns=columns))
        return opened[-1]

    yield run
    for each in opened:
        each.close()
