"""Real programs that a test starts and discards, one module each.

Rule: if a program is missing, the test is skipped with a sentence that says how to install it (tests/skips.py).
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.skips import unavailable

__all__ = ["family", "find_program", "is_listening", "unavailable", "wait_until"]


def find_program(name: str, *folders: Path, package: str) -> Path:
    """The program of this name, on the path or in one of these folders."""
    places = [Path(found)] if (found := shutil.which(name)) else []
    places += [folder / name for folder in folders if (folder / name).exists()]
    if not places:
        unavailable(f"{name} is not installed (Debian: apt install {package})")
    return places[0]


def wait_until(what: str, condition: Callable[[], bool], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"Not within {within_s:g} s: {what}")
        time.sleep(0.02)


def wait_for_another_second() -> None:
    """Times in a file are whole seconds."""
    second = int(time.time())
    wait_until("it is another second", lambda: int(time.time()) > second)


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def family(pid: int) -> Iterator[int]:
    """A process and its children, whichever of its threads started them."""
    yield pid
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from family(int(child))
