"""Ports of this machine for servers that a test starts.

Fact: Linux gives connections ports of 32768 or greater. Any connection can take such a port between the choice and the
start of the server, and then the server cannot start.

Strategy: each process of the tests gives out the ports below one after the other, from a start of its own.
"""

from __future__ import annotations

import os
import random
import socket

_FIRST, _COUNT = 15_000, 15_000
_next = random.Random(os.getpid()).randrange(_COUNT)


def free_port() -> int:
    """A port of 127.0.0.1 at which nothing listens, and which this process has not given out before."""
    global _next
    for _ in range(_COUNT):
        port, _next = _FIRST + _next, (_next + 1) % _COUNT
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise RuntimeError("no port is free")
