"""Runs the command line: in this process, with the environment, terminal and clock of the test, or in its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from weighbridge.cli import main
from weighbridge.operate.surroundings import Surroundings, Terminal

ROOT = Path(__file__).parent.parent


def nobody(question: str) -> str:
    raise AssertionError(f"nothing should be asked: {question}")


#: A terminal at which nothing should be asked.
NOBODY = Terminal(nobody, nobody, lambda _address: False, lambda: False, lambda: True)


def run(
    words: Sequence[str],
    environment: Mapping[str, str],
    terminal: Terminal = NOBODY,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Run `weighbridge WORDS` in this process and return its exit code. Its output is the output of this process."""
    try:
        main(list(words), prog_name="weighbridge", obj=Surroundings(environment, terminal, now, sleep))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    raise AssertionError("a command always ends with an exit code")


def clean(environment: Mapping[str, object]) -> dict[str, str]:
    """An environment with only these settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_")) and k != "PORT"}
    return kept | {name: str(value) for name, value in environment.items()}


#: `weighbridge`, even if it is not installed.
WEIGHBRIDGE = (sys.executable, "-m", "weighbridge")


def weighbridge(
    *words: object, folder: Path, stdin: bytes = b"", **environment: object
) -> subprocess.CompletedProcess[bytes]:
    """Run `weighbridge WORDS` in its own process, in this folder."""
    return subprocess.run(
        [*WEIGHBRIDGE, *map(str, words)],
        cwd=folder,
        env=with_sources(clean(environment)),
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
    )


def with_sources(environment: Mapping[str, str]) -> dict[str, str]:
    """The same, for a process that must find the packages of this checkout where this process found them."""
    ours = [path for path in sys.path if Path(path).is_relative_to(ROOT) and "site-packages" not in path]
    return {**environment, "PYTHONPATH": os.pathsep.join(ours)}
