"""The command line as a user has it: results of commands, and a pseudo-terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CLOSED = "127.0.0.1:1"
"""Nobody listens there."""

TIMEOUT_S = 30.0
PATIENCE_S = 2.0
_ROOT = Path(__file__).parents[2]
# The child makes the terminal its own, so that Ctrl-C typed there reaches it as a signal. Under
# `nohup` or behind `&` of a script it would inherit that SIGINT is ignored.
_CHILD = (
    "import fcntl, signal, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from ollama_ext.cli import main; main()"
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\x01\x02]")


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code, its output, and what it told beside it."""

    code: int
    out: str
    err: str


class Ext(Protocol):
    """Run a command to its end."""

    def __call__(
        self, *arguments: object, host: str = ..., stdin: str | bytes = ..., cwd: Path = ...
    ) -> Result: ...


class Opens(Protocol):
    """Run a command at a terminal."""

    def __call__(self, *arguments: object, host: str = ..., columns: int = ...) -> "Terminal": ...


def environment(host: str) -> dict[str, str]:
    """Return an environment for the command line: the tree's packages, and one server."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {
        "OLLAMA_HOST": host,
        "PYTHONPATH": str(_ROOT),
        "PYTHONUTF8": "1",
        "TERM": "xterm-256color",
    }


class Terminal:
    """Run a command at a terminal: type into it, and read until something is there."""

    def __init__(self, arguments: Sequence[str], *, host: str, columns: int = 80) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, columns))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(host),
            start_new_session=True,
        )
        os.close(slave)
        self.raw = ""
        self._seen = 0

    @property
    def text(self) -> str:
        """Everything that was written so far, without colours and cursor movements."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def expect(self, wanted: str, deadline: float | None = None) -> str:
        """Read until a text comes after the last one expected, and return what came with it."""
        deadline = time.monotonic() + TIMEOUT_S if deadline is None else deadline
        while (place := self.text.find(wanted, self._seen)) < 0:
            if not self._read_until(deadline):
                raise AssertionError(f"{wanted!r} is not in {self.text[self._seen :]!r}")
        start, self._seen = self._seen, place + len(wanted)
        return self.text[start : self._seen]

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def enter(self, line: str) -> None:
        """Type a line and end it."""
        self.type(f"{line}\r")

    def interrupt(self, until: str) -> None:
        """Press Ctrl-C until a text comes.

        A prompt that is just going to wait for the next key notices the first one only then.
        """
        deadline = time.monotonic() + TIMEOUT_S
        while self.text.find(until, self._seen) < 0 and time.monotonic() < deadline:
            self.type("\x03")
            again = min(deadline, time.monotonic() + PATIENCE_S)
            while self.text.find(until, self._seen) < 0 and self._read_until(again):
                pass
        self.expect(until, deadline)

    def interrupted(self) -> int:
        """Press Ctrl-C, read to the end and return the exit code."""
        self.type("\x03")
        return self.end()

    def end(self) -> int:
        """Read to the end and return the exit code; raise TimeoutExpired if it goes on."""
        deadline = time.monotonic() + TIMEOUT_S
        while self._read_until(deadline):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def _read_until(self, deadline: float) -> bool:
        """Read once; False when nothing came by then, or at the end of the output."""
        patience_s = deadline - time.monotonic()
        if patience_s <= 0:
            return False
        ready, _, _ = select.select([self._master], [], [], patience_s)
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False  # Linux says so that the other end is closed
        self.raw += data.decode("utf-8", "replace")
        return bool(data)

    def close(self) -> None:
        """End the command, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIMEOUT_S)
        os.close(self._master)
