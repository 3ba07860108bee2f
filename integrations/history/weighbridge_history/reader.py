"""The process that reads a file: a question and the file come in, lines of JSON go out. See `process`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

from weighbridge.reasons import shown_parameters

from . import errors
from .limits import CHUNK_BYTES, MEBIBYTE, MEMORY_BYTES, MOST_HELD_BYTES, SECONDS
from .read import columns_here, read_here

#: One JSON text for each row would take longer than reading it.
ROWS_PER_ANSWER = 1000


def main() -> None:
    """Answer one question."""
    _limit()
    out = sys.stdout.buffer
    _write(out, {"ready": True})
    out.flush()  # if reading ends this process, it has started
    question = json.loads(sys.stdin.buffer.readline())
    try:
        for answer in _answers(question, sys.stdin.buffer):
            _write(out, answer)
    except (errors.FileUnusable, errors.MappingInvalid) as e:
        of_file = {"fault": e.reason.why.name, "parameters": shown_parameters(e.reason.parameters), "fix": e.fix}
        _write(out, {"raised": type(e).__name__, **of_file})
    else:
        _write(out, {"end": True})
    out.flush()


def _answers(question: dict[str, Any], file: IO[bytes]) -> Iterator[Any]:
    start = file.read(CHUNK_BYTES)
    if question["columns"]:
        yield from columns_here(_whole(start, file), question["mapping"])
        return
    choices = {**question["choices"]}
    choices["timezone"] = ZoneInfo(choices["timezone"]) if choices["timezone"] else None
    streamed = start[:200].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    history = read_here(start if streamed else _whole(start, file), file, **choices)
    rows, fields = history.rows, {name: getattr(history, name) for name in history.__slots__}
    yield fields | {"rows": len(rows)}
    for start_row in range(0, len(rows), ROWS_PER_ANSWER):
        # As Latin-1: any byte, and back.
        yield [
            (row.number, row.line.decode("latin-1"), row.reason, row.person)
            for row in rows[start_row : start_row + ROWS_PER_ANSWER]
        ]


def _whole(start: bytes, file: IO[bytes]) -> bytes:
    data = start + file.read(MOST_HELD_BYTES)
    if len(data) > MOST_HELD_BYTES:
        raise errors.FileUnusable(errors.FileFault.FILE_TOO_LARGE(maximum=MOST_HELD_BYTES // MEBIBYTE))
    return data


def _write(out: IO[bytes], answer: object) -> None:
    out.write(json.dumps(answer).encode() + b"\n")


def _limit() -> None:
    """Limit what this process may take. A limit that the system does not know is left out."""
    if sys.platform == "win32":
        return
    import resource  # not on Windows

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    with contextlib.suppress(OSError, ValueError):
        # What is mapped now (libraries, mostly not in memory) and what may still come into memory.
        mapped, held = map(int, Path("/proc/self/statm").read_text(encoding="ascii").split()[:2])
        most = MEMORY_BYTES + (mapped - held) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
