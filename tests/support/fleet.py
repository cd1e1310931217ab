"""Several servers in processes of their own, which can be killed."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
# Far more than it takes: past it something hangs.
PATIENCE_S = 120


@dataclass
class Member:
    """One server of the fleet."""

    name: str
    port: int
    process: "subprocess.Popen[str] | None" = None
    """None for a server that somebody else ends."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End it at once, as a power cut would; its connections break off."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def fleet_of(names: list[str], token_delay_s: float = 0.0) -> Iterator[list[Member]]:
    """Run a server for each name until the block ends."""
    command = [sys.executable, str(HERE / "fleet_server.py")]
    with contextlib.ExitStack() as stack:
        begun = []
        for name in names:
            process = subprocess.Popen(
                [*command, name, str(token_delay_s)],
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(_ended, process)
            begun.append((name, process))
        # Begun side by side: each takes a second to be ready.
        yield [Member(name, _port_of(process), process) for name, process in begun]


def _port_of(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the server could not start"
    return int(line)


def _ended(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(PATIENCE_S)
    if process.stdout is not None:
        process.stdout.close()
