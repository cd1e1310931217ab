"""Count instructions: they hardly depend on what else the machine does.

Valgrind takes orders from the program it runs as a sequence of instructions that do nothing
elsewhere. Here they are written into a page of memory, so that no compiler is needed.
"""

import ctypes
import mmap
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OUTPUT = "BENCHMARKS_CALLGRIND_OUTPUT"
# int64 request(int64 *arguments): the request's magic (valgrind.h, amd64-linux) around rax and rdx.
CODE = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
# callgrind.h: the tool's requests are numbered from 'C' << 24 | 'T' << 16.
_BASE = ord("C") << 24 | ord("T") << 16
DUMP, ZERO, START, STOP = _BASE, _BASE + 1, _BASE + 4, _BASE + 5
# A count below zero is written as a number of 64 bits.
LOST = 1 << 63
TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def is_there() -> bool:
    """Return whether instructions can be counted on this machine."""
    return platform.machine() == "x86_64" and shutil.which("valgrind") is not None


def run(arguments: list[str]) -> None:
    """Run this program under valgrind, which counts nothing until it is switched on.

    Raises:
        subprocess.CalledProcessError: where it fails.
    """
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        environment = {**os.environ, OUTPUT: folder, "PYTHONHASHSEED": "0"}
        command = [
            "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
            f"--callgrind-out-file={folder}/out", sys.executable, "-m", "benchmarks", *arguments,
        ]  # fmt: skip
        subprocess.run(command, env=environment, check=True)


def counter() -> "Counter | None":
    """Return what counts the instructions of this process, or None where `run` did not start it."""
    return Counter(Path(os.environ[OUTPUT])) if OUTPUT in os.environ else None


class Counter:
    """Count the instructions between `start` and `stop`, in all threads of this process."""

    def __init__(self, folder: Path) -> None:
        rights = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        self._page = mmap.mmap(-1, mmap.PAGESIZE, prot=rights)
        self._page.write(CODE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._request = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(address)
        self._folder = folder

    def start(self) -> None:
        """Count from nothing."""
        self._ask(START)
        self._ask(ZERO)

    def stop(self) -> int | None:
        """Return what was counted since `start`; None where callgrind lost count (it is rare)."""
        self._ask(DUMP)
        self._ask(STOP)
        # Dumps are named out.1, out.2, …; each is read and removed at once.
        (dump,) = self._folder.glob("out.*")
        total = TOTAL.search(dump.read_text())
        dump.unlink()
        if total is None:
            raise RuntimeError("callgrind's dump has no total: this version writes another format.")
        count = int(total[1])
        return count if count < LOST else None

    def _ask(self, request: int) -> None:
        arguments = (ctypes.c_int64 * 6)(request)
        self._request(ctypes.addressof(arguments))
