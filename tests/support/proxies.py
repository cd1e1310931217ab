"""HAProxy and nginx with the files of examples/, changed in addresses and paths alone."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleet import PATIENCE_S, Member
from postgres import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass
class Proxy:
    """A running proxy: where it listens, where HAProxy tells who served what, and its process."""

    kind: str
    port: int
    stats_port: int
    folder: Path
    pid: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def program_of(kind: str) -> str | None:
    """Return the program's path; None where it is not installed."""
    # Debian keeps servers where users without rights do not look.
    return shutil.which(kind, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def running_proxy(kind: str, members: list[Member], folder: Path) -> Iterator[Proxy]:
    """Run a proxy before the members until the block ends."""
    program = program_of(kind)
    assert program is not None
    proxy = Proxy(kind, free_port(), free_port(), folder)
    command = {"haproxy": _haproxy, "nginx": _nginx}[kind](program, proxy, members)
    with (folder / "proxy.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(proxy.port, process, folder)
            proxy.pid = process.pid
            yield proxy
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _addressed(text: str, members: list[Member], proxy: Proxy) -> str:
    """Put the members' addresses into an example."""
    for number, member in enumerate(members, 11):
        assert f"192.0.2.{number}:11434" in text
        text = text.replace(f"192.0.2.{number}:11434", f"127.0.0.1:{member.port}")
    return text


def _haproxy(program: str, proxy: Proxy, members: list[Member]) -> list[str]:
    text = _addressed((EXAMPLES / "haproxy.cfg").read_text(), members, proxy)
    text = text.replace("bind :11434", f"bind 127.0.0.1:{proxy.port}")
    text = text.replace("bind 127.0.0.1:8404", f"bind 127.0.0.1:{proxy.stats_port}")
    file = proxy.folder / "haproxy.cfg"
    file.write_text(text)
    return [program, "-db", "-f", str(file)]


def _nginx(program: str, proxy: Proxy, members: list[Member]) -> list[str]:
    text = _addressed((EXAMPLES / "nginx.conf").read_text(), members, proxy)
    text = text.replace("listen 11434;", f"listen 127.0.0.1:{proxy.port};")
    text = text.replace("/var/log/nginx/ollama.log", str(proxy.folder / "access.log"))
    # Its temporary folders and its workers' user are those of the package otherwise.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {proxy.folder / kind};\n" for kind in kinds)
    text = re.sub(r"^http \{\n", lambda found: found.group() + paths, text, flags=re.MULTILINE)
    file = proxy.folder / "nginx.conf"
    file.write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    here = f"daemon off; pid {proxy.folder / 'nginx.pid'}; {user}"
    errors = str(proxy.folder / "error.log")
    return [program, "-c", str(file), "-e", errors, "-g", here]


def _wait_for(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Wait until the port is listened on."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, (folder / "proxy.log").read_text()
        time.sleep(0.02)  # the deadline bounds it; a listening port is no event
    raise AssertionError("the proxy does not listen")
