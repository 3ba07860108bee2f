"""A small file of what a program has to remember: a JSON object.

Rule: the file has one size and is written in place under its own lock. That needs no space on a full disk, and a
reader waits for a writer. A file that cannot be read is an empty one. One that cannot be written is made up for by the
memory of the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .private import make_private_folder

SIZE_BYTES = 16_384

Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class StateFile:
    """One file. Safe to share between threads and processes."""

    def __init__(self, path: Path | None) -> None:
        """`path`: None = remember in this process only."""
        self._path = path
        self._remembered: Mapping[str, Any] = {}
        self._is_written = True

    def read(self) -> Mapping[str, Any]:
        """The content; empty if there is none."""
        if self._path is None or not self._is_written:
            return self._remembered
        try:
            with self._opened(os.O_RDONLY, fcntl.LOCK_SH) as handle:
                return parse(os.pread(handle, SIZE_BYTES, 0))
        except FileNotFoundError:
            return {}
        except OSError:
            return self._remembered

    def change(self, change: Change) -> None:
        """Replace the content. No other thread or process does so in between."""
        try:
            if self._path is not None:
                self._is_written = self._write(self._path, change)
                return
        except OSError:
            self._is_written = False
        self._remembered = change(self._remembered)

    def _write(self, path: Path, change: Change) -> bool:
        make_private_folder(path.parent)
        with self._opened(os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as handle:
            self._remembered = change(parse(os.pread(handle, SIZE_BYTES, 0)))
            content = json.dumps(self._remembered).encode().ljust(SIZE_BYTES)
            return os.pwrite(handle, content, 0) == len(content)

    @contextlib.contextmanager
    def _opened(self, flags: int, lock: int) -> Iterator[int]:
        handle = os.open(self._path or "", flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, lock)
            yield handle
        finally:
            os.close(handle)


def parse(content: bytes) -> Mapping[str, Any]:
    """The JSON object in a file; {} for anything else."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def number(value: Any) -> float:
    """A number of a file that may be a time; 0 for anything else."""
    # A JSON number may be NaN, infinite, or an int too large for a float.
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11
    return float(value) if usable else 0.0
