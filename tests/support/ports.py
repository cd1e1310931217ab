"""Ports for programs that take a number instead of finding a port themselves."""

import random
import socket

# Below what systems give to those who ask for any port: nobody gets one of these by chance between
# the look and the program's start.
_FIRST, _LAST = 20_000, 32_000
_LOOKS = 1_000


def free_port() -> int:
    """Return a port of the loopback on which nothing listens."""
    for _ in range(_LOOKS):
        port = random.randint(_FIRST, _LAST)
        with socket.socket() as looked_at:
            try:
                looked_at.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
