"""The command line, in this process (with an environment, a person and a clock of the test's) or in one of its own."""

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


#: Somebody who is there, and is not to be asked.
NOBODY = Terminal(nobody, nobody, lambda _address: False, lambda: False, lambda: True)


def run(
    words: Sequence[str],
    environment: Mapping[str, str],
    terminal: Terminal = NOBODY,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Run `weighbridge WORDS` here: its exit code. What it prints goes where this process's output goes."""
    try:
        main(list(words), prog_name="weighbridge", obj=Surroundings(environment, terminal, now, sleep))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    raise AssertionError("a command always ends with an exit code")


def clean(environment: Mapping[str, object]) -> dict[str, str]:
    """The environment of a process that sees just these settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_")) and k != "PORT"}
    return kept | {name: str(value) for name, value in environment.items()}


#: `weighbridge`, whether it is installed or not.
WEIGHBRIDGE = (sys.executable, "-m", "weighbridge")


def weighbridge(
    *words: object, folder: Path, stdin: bytes = b"", **environment: object
) -> subprocess.CompletedProcess[bytes]:
    """Run `weighbridge WORDS` as a process of its own, in this folder."""
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
    """The same, for a process that has to find the packages of this checkout where this one has found them."""
    ours = [path for path in sys.path if Path(path).is_relative_to(ROOT) and "site-packages" not in path]
    return {**environment, "PYTHONPATH": os.pathsep.join(ours)}
