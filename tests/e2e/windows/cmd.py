"""The stand-in for cmd.exe without wine: the few commands that the runner sends, and exit code 1 for any other.

Run by the host as `python -m tests.e2e.windows.cmd TEMP "line"`.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path


def main(temp: Path, line: str) -> int:
    if line == "ver":
        print("Microsoft Windows [Version 10.0.19045.1]")
    elif remove := re.fullmatch(r'if exist "%TEMP%\\([\w-]+)" rmdir /s /q "%TEMP%\\\1"', line):
        shutil.rmtree(temp / remove[1], ignore_errors=True)
    elif leave := re.fullmatch(r"exit (\d+)", line):
        return int(leave[1])
    elif echo := re.fullmatch(r"echo (.*)", line):
        print(echo[1])
    elif line == "more":
        print(sys.stdin.read(), end="")
    elif line == "pause":
        time.sleep(600)
    else:
        print(f"'{line[:40]}' is not recognized as an internal or external command.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
