"""The stand-in for powershell.exe: it accepts exactly the shipped script, and does the script's work in Python.

Rule: any other script, or any other way to call it, is refused with exit code 64. So whoever changes bootstrap.ps1
must change this file too.

Weakness: this proves everything around the PowerShell text, and nothing about the text itself.

Run by the host as `python -m tests.e2e.windows.powershell MACHINE -NoProfile …`, MACHINE being a `Machine` as JSON.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

SCRIPT = Path(__file__).parents[3] / "sdk_fallback" / "windows" / "bootstrap.ps1"


class Machine(NamedTuple):
    """The paths and programs of the Windows machine."""

    #: %TEMP%
    temp: str
    #: The command that starts Java there (empty: no Java), and the jar's path as Java sees it and as we see it.
    java: list[str]
    jar: str
    jar_path: str
    #: A cmd.exe, including `/c`. Empty: `cmd.py` does the few commands that are needed.
    cmd: list[str]
    environment: dict[str, str]
    #: Whether its disk is full.
    full: bool = False


class Thrown(Exception):
    """`throw` in the script."""


def main(machine: Machine, arguments: list[str]) -> int:
    if arguments[:3] != ["-NoProfile", "-NonInteractive", "-EncodedCommand"] or len(arguments) != 4:
        return 64
    lines = (line.strip() for line in SCRIPT.read_text(encoding="utf-8").splitlines())
    shipped = "\n".join(line for line in lines if line and not line.startswith("#"))
    if base64.b64decode(arguments[3]).decode("utf-16-le") != shipped:
        return 64
    files: dict[str, str] = {}
    outcomes: list[dict[str, Any]] = []
    fault, folder = "", None
    try:
        sent = json.loads(sys.stdin.read())
        if checksum(sent["body"]) != sent["sha256"]:
            raise Thrown("damaged")
        task = json.loads(base64.b64decode(sent["body"]))
        end = time.monotonic() + task["seconds"]
        if not Path(machine.jar_path).exists():
            raise Thrown("no-jar")
        if not machine.java:
            raise Thrown("no-java")
        path = Path(machine.temp, task["folder"])
        path.mkdir()
        folder = path
        if machine.full:
            # Linux' own full disk: every write to this file fails.
            (folder / next(iter(task["files"]))).symlink_to("/dev/full")
        for name, content in task["files"].items():
            (folder / name).write_bytes(base64.b64decode(content))
        outcomes += [run(machine, folder, command, end) for command in task["commands"]]
        for file in folder.iterdir():
            if file.name not in task["files"]:
                files[file.name] = base64.b64encode(file.read_bytes()).decode()
    except (Thrown, OSError) as e:
        fault = "full" if isinstance(e, OSError) and e.errno == errno.ENOSPC else str(e)
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    answer = json.dumps({"fault": fault, "files": files, "outcomes": outcomes})
    body = base64.b64encode(answer.encode()).decode()
    sys.stdout.buffer.write(json.dumps({"sha256": checksum(body), "body": body}).encode() + b"\r\n")
    return 0


def run(machine: Machine, folder: Path, command: str, end: float) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [*machine.java, "-cp", machine.jar, "com.garmin.fit.csv.CSVTool", *command.split()],
            cwd=folder,
            env=machine.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(0.0, end - time.monotonic()),
        )
    except subprocess.TimeoutExpired:
        raise Thrown("late") from None
    return {"code": done.returncode, "output": (done.stdout + done.stderr).decode("utf-8", "replace")}


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(Machine(**json.loads(sys.argv[1])), sys.argv[2:]))
