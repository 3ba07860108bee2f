"""The stand-in for cmd.exe under the guest agent: `/c` and one of the few commands that the runner sends.

Run as `python -m tests.e2e.windows.agent_cmd TEMP /c word word …`. Any other command is refused with exit code 1.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def main(temp: Path, words: list[str]) -> int:
    line = " ".join(words)
    if line == "/c ver":
        print("Microsoft Windows [Version 10.0.19045.1]")
        return 0
    ended = re.fullmatch(r"/c taskkill /t /f /pid (\d+)(?: & rmdir /s /q %TEMP%\\(weighbridge-[\w-]+))?", line)
    if not ended:
        return 1
    with suppress(ProcessLookupError):
        os.killpg(int(ended[1]), signal.SIGKILL)
    while runs(int(ended[1])):
        time.sleep(0.01)
    if ended[2]:
        shutil.rmtree(temp / ended[2], ignore_errors=True)
    return 0


def runs(group: int) -> bool:
    """Whether a process of this group is alive: kill returns before it takes effect."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
