"""Asks a process of its own to read a file, and gives back what it found.

Rule: what a file can do to the process that reads it (take all memory, abort, never end) does not reach the caller. The
answer is lines of JSON, limited in length; nothing in it is executed.

Weakness: on Windows and macOS only the time is limited, not the memory (`RLIMIT_AS` is Linux's). There, the limits of
`limits` and the extents of a spreadsheet are all that holds a file back.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from threading import Event, Thread, Timer
from typing import IO, Any

from . import errors
from .errors import FileFault, FileUnusable
from .limits import MEBIBYTE, MEMORY_BYTES, SECONDS

MOST_ANSWERED_BYTES = 512 * MEBIBYTE
#: What a Python needs of the environment. The keys and passwords in it are not for a reader of files.
_ENVIRONMENT = ("PATH", "SYSTEMROOT", "PYTHONHOME", "PYTHONTZPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


def ask(question: Mapping[str, Any], data: bytes) -> Iterator[Any]:
    """The reader's answers about a file. Raises what the reader raised, or `FileUnusable` if it ended without."""
    environment = {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.Popen(  # noqa: S603  # this Python and our own module
        [sys.executable, "-P", "-m", f"{__package__}.reader"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    late = Event()

    def stop() -> None:
        late.set()
        child.kill()

    timer = Timer(SECONDS, stop)
    feeder = Thread(target=_feed, args=(child.stdin, json.dumps(question).encode() + b"\n", data), daemon=True)
    timer.start()
    feeder.start()
    try:
        yield from _answers(child, late)
    finally:
        timer.cancel()
        child.kill()
        child.wait()
        feeder.join()
        if child.stdout:
            child.stdout.close()


def _feed(pipe: IO[bytes], question: bytes, data: bytes) -> None:
    # A reader that has seen enough ends before the end of the file.
    with contextlib.suppress(OSError), pipe:
        pipe.write(question)
        shutil.copyfileobj(io.BytesIO(data), pipe, MEBIBYTE)


def _answers(child: subprocess.Popen[bytes], late: Event) -> Iterator[Any]:
    left, started = MOST_ANSWERED_BYTES, False
    while child.stdout and (line := child.stdout.readline(left + 1)):
        left -= len(line)
        if left < 0:
            raise FileUnusable(FileFault.TOO_MANY_WEIGH_INS())
        if not line.endswith(b"\n"):
            break
        answer = json.loads(line)
        match answer:
            case {"ready": True}:
                started = True
            case {"end": True}:
                return
            case {"raised": kind, "fault": fault, "parameters": parameters, "fix": fix}:
                raise _raised(kind, fault, parameters, fix)
            case _:
                yield answer
    code = child.wait()
    if late.is_set() or (os.name == "posix" and code == -signal.SIGXCPU):
        raise FileUnusable(FileFault.TOO_LONG_TO_READ(seconds=SECONDS))
    if not started:
        raise FileUnusable(FileFault.READER_DID_NOT_START())
    raise FileUnusable(FileFault.READER_ENDED(maximum=MEMORY_BYTES // MEBIBYTE))


def _raised(kind: str, fault: str, parameters: dict[str, Any], fix: str) -> Exception:
    raised: Exception = getattr(errors, kind)(FileFault[fault](**parameters), fix)
    return raised
