"""What runs in the guest, and the line of text that goes in and out.

Rule: the script never varies, so that it is short enough for any command line and a test can hold it against the one
shipped. What varies is sealed: base64 of JSON with its SHA-256, in both directions.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import RunnerUnusable
from ..runners.port import Ran, ToolRun

#: cmd.exe's longest command line; what is longer may be cut without a word.
LONGEST_COMMAND_LINE = 8191
#: Of the time that is left for a run: the guest stops by itself before we do, so that it can still say so.
GUEST_PART = 0.8
JAR = r"C:\weighbridge\FitCSVTool.jar"

#: What the script says went wrong, in one word -> the sentence that says what to do.
FAULTS = {
    "damaged": "What was sent to {name} did not arrive whole (its checksum is wrong there). Try again.",
    "no-jar": f"There is no {JAR} on {{name}}. Run setup.ps1 there, with -Jar and Garmin's FitCSVTool.jar.",
    "no-java": "There is no Java on {name}. Run setup.ps1 there, or install one for all users and restart WinRM.",
    "late": "FitCSVTool did not finish in time on {name}; it was stopped.",
    "full": "The disk of {name} is full. Make room on its drive C:.",
}


def script() -> str:
    """bootstrap.ps1 without comments and indentation."""
    text = Path(__file__).with_name("bootstrap.ps1").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def command_line() -> str:
    """The script as one command."""
    encoded = base64.b64encode(script().encode("utf-16-le")).decode("ascii")
    return f"powershell -NoProfile -NonInteractive -EncodedCommand {encoded}"


def task(folder: str, files: Mapping[str, bytes], commands: Sequence[Sequence[str]], seconds: float) -> bytes:
    """What the script is to do."""
    return seal(
        {
            "folder": folder,
            "seconds": round(seconds, 1),
            "files": {name: base64.b64encode(content).decode("ascii") for name, content in files.items()},
            "commands": [" ".join(arguments) for arguments in commands],
        }
    )


def ran(answer: bytes, commands: int, name: str) -> Ran:
    """What the script said it did. Raises `RunnerUnusable`, as `name`'s fault."""
    said = unseal(answer, name)
    fault = said["fault"]
    if fault:
        # Windows' own sentences name files and folders there, but no secret and no measurement.
        sentence = FAULTS.get(fault, "On {name} the script stopped: {fault}")
        raise RunnerUnusable(sentence.format(name=name, fault=" ".join(fault.split())[:300]))
    files = {file: base64.b64decode(content) for file, content in said["files"].items()}
    outcomes = [ToolRun(outcome["code"], outcome["output"]) for outcome in said["outcomes"]]
    if len(outcomes) != commands:
        raise RunnerUnusable(f"{name} answered for {len(outcomes)} of {commands} runs of FitCSVTool.")
    return Ran(files, outcomes)


def seal(content: Mapping[str, Any]) -> bytes:
    body = base64.b64encode(json.dumps(content).encode()).decode("ascii")
    return json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "body": body}).encode()


def unseal(line: bytes, name: str) -> Any:
    """Raises `RunnerUnusable`, as `name`'s fault."""
    start = line.find(b"{")
    if start < 0:
        raise RunnerUnusable(f"PowerShell on {name} ended without an answer. Try `powershell -Command 1` there.")
    try:
        envelope = json.loads(line[start:])
        body, checksum = str(envelope["body"]), envelope["sha256"]
    except (ValueError, KeyError, TypeError):
        raise RunnerUnusable(f"The answer of {name} was cut short. Try again.") from None
    if hashlib.sha256(body.encode()).hexdigest() != checksum:
        raise RunnerUnusable(f"The answer of {name} did not arrive whole (its checksum is wrong). Try again.")
    return json.loads(base64.b64decode(body))
