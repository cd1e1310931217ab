"""Running the embedded server from the command line."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from terminals import CLOSED, Ext, environment

Serving = tuple[subprocess.Popen[str], str]


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Run `serve` on a free port and return the process and its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "ollama_ext.cli", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(CLOSED),
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, line.partition(" answers at ")[2].partition(",")[0]
        process.kill()


def test_serve_answers_and_ends_at_ctrl_c(serving: Serving, ext: Ext) -> None:
    """It says its URL as soon as clients can connect; Ctrl-C ends it without a traceback."""
    process, url = serving
    assert ext("models", host=url).code == 0
    assert process.stdout is not None
    assert process.stdout.readline() == f"Set OLLAMA_HOST={url} to use it; Ctrl-C ends it.\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (0, "")


def test_serve_on_a_port_that_is_taken(ext: Ext) -> None:
    """A port that another server has exits with 1 and says what to give."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = ext("serve", "--port", port)
    assert (found.code, found.out) == (1, "")
    assert f"cannot listen on 127.0.0.1, port {port}" in found.err
    assert "--port" in found.err


def test_serve_on_an_address_of_another_machine(ext: Ext) -> None:
    """An address that this machine does not have exits with 1."""
    found = ext("serve", "--host", "192.0.2.1", "--port", "0")
    assert found.code == 1
    assert "cannot listen on 192.0.2.1" in found.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["serve", "--port", "99999"], "--port"),
        (["serve", "--port", "web"], "--port"),
        (["--host", "127.0.0.1", "serve", "--port", "0"], "Give --host after serve"),
        (["--timeout", "5", "serve", "--port", "0"], "serve does not use options before it"),
    ],
)
def test_serve_takes_no_nonsense(process: Ext, arguments: list[str], hint: str) -> None:
    """Options that mean nothing to it exit with 2."""
    found = process(*arguments)
    assert (found.code, found.out) == (2, "")
    assert hint in found.err
