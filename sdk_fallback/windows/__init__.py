"""The script that runs in the guest, and the lines of text that go in and out.

Rule: the script never varies, so it fits on any command line, and a test can compare it with the file that is shipped.
Everything that varies is sent as base64 of JSON with its SHA-256, in both directions.
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

#: cmd.exe's longest command line; it may silently cut a longer one.
LONGEST_COMMAND_LINE = 8191
#: The guest's share of the time left for a run: it stops before we do, so that it can still report it.
GUEST_PART = 0.8
JAR = r"C:\weighbridge\FitCSVTool.jar"

#: The script's word for a fault -> the sentence that says what to do.
FAULTS = {
    "damaged": "The data sent to {name} was damaged on the way (its checksum is wrong there). Try again.",
    "no-jar": f"There is no {JAR} on {{name}}. Run setup.ps1 there, with -Jar and Garmin's FitCSVTool.jar.",
    "no-java": "There is no Java on {name}. Run setup.ps1 there, or install one for all users and restart WinRM.",
    "late": "FitCSVTool did not finish in time on {name} and was stopped.",
    "full": "The disk of {name} is full. Free some space on its drive C:.",
}


def script() -> str:
    """bootstrap.ps1, without comments and indentation."""
    text = Path(__file__).with_name("bootstrap.ps1").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def command_line() -> str:
    """The script as one command."""
    encoded = base64.b64encode(script().encode("utf-16-le")).decode("ascii")
    return f"powershell -NoProfile -NonInteractive -EncodedCommand {encoded}"


def task(folder: str, files: Mapping[str, bytes], commands: Sequence[Sequence[str]], seconds: float) -> bytes:
    """The script's input."""
    return seal(
        {
            "folder": folder,
            "seconds": round(seconds, 1),
            "files": {name: base64.b64encode(content).decode("ascii") for name, content in files.items()},
            "commands": [" ".join(arguments) for arguments in commands],
        }
    )


def ran(answer: bytes, commands: int, name: str) -> Ran:
    """The results in the script's answer. Raises `RunnerUnusable`, with the machine's `name` in the message."""
    said = unseal(answer, name)
    fault = said["fault"]
    if fault:
        # Windows' messages may name files and folders there, but no secret and no measurement.
        sentence = FAULTS.get(fault, "The script failed on {name}: {fault}")
        raise RunnerUnusable(sentence.format(name=name, fault=" ".join(fault.split())[:300]))
    files = {file: base64.b64decode(content) for file, content in said["files"].items()}
    outcomes = [ToolRun(outcome["code"], outcome["output"]) for outcome in said["outcomes"]]
    if len(outcomes) != commands:
        raise RunnerUnusable(f"Expected the results of {commands} runs of FitCSVTool; {name} sent {len(outcomes)}.")
    return Ran(files, outcomes)


def seal(content: Mapping[str, Any]) -> bytes:
    """One line of text: the content as base64 of JSON, with its SHA-256."""
    body = base64.b64encode(json.dumps(content).encode()).decode("ascii")
    return json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "body": body}).encode()


def unseal(line: bytes, name: str) -> Any:
    """The content of a sealed line. Raises `RunnerUnusable`, with the machine's `name` in the message."""
    start = line.find(b"{")
    if start < 0:
        raise RunnerUnusable(f"PowerShell on {name} returned no answer. Run `powershell -Command 1` there.")
    try:
        envelope = json.loads(line[start:])
        body, checksum = str(envelope["body"]), envelope["sha256"]
    except (ValueError, KeyError, TypeError):
        raise RunnerUnusable(f"The answer of {name} was cut short. Try again.") from None
    if hashlib.sha256(body.encode()).hexdigest() != checksum:
        raise RunnerUnusable(f"The answer of {name} was damaged on the way (its checksum is wrong). Try again.")
    return json.loads(base64.b64decode(body))
