"""FitCSVTool in a virtual machine, through its guest agent: no network, no certificate and no password in the guest.

Rule: the same script as over WinRM, with the same line in and out; a run that was cut off is ended there, and its
folder removed.

Facts (Proxmox VE 9; QEMU guest agent):
- `exec` takes a list of words, and at most 65,536 characters of standard input. What needs more is done in parts.
- What a command says comes with its end, as one text, and may be cut off at 16 MiB, which `out-truncated` tells.
- The agent runs as SYSTEM, whose %TEMP% has no space in it; a quote would reach cmd.exe with a backslash before it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from .. import windows
from ..errors import RunnerUnusable
from ..proxmox import POLL_S, VirtualMachine
from .port import Ran

DEADLINE_S = 120.0
#: How long ending a run that was cut off may take, on top of the deadline.
CLEAN_UP_S = 15.0
MOST_INPUT_CHARACTERS = 65_536


class GuestAgent:
    """A `Runner`, while its machine is awake."""

    name = "Windows by the guest agent"

    def __init__(
        self, machine: VirtualMachine, *, deadline_s: float = DEADLINE_S, guest_part: float = windows.GUEST_PART
    ) -> None:
        self._machine, self._deadline_s, self._guest_part = machine, deadline_s, guest_part

    def run(self, files: Mapping[str, bytes], commands: Sequence[Sequence[str]]) -> Ran:
        """See `port.Runner`."""
        return self._in_parts(files, commands, time.monotonic() + self._deadline_s)

    def links(self) -> Iterator[str]:
        """See `port.Runner`."""
        yield from self._machine.links()
        self._machine.agent("ping")
        yield "Its guest agent answers."
        self._exec(["cmd.exe", "/c", "ver"], "", time.monotonic() + self._deadline_s)
        yield "A command runs there."

    def probe(self) -> None:
        """Raises `RunnerUnusable` until the machine can do a run."""
        self._machine.agent("ping")
        self._exec(["cmd.exe", "/c", "ver"], "", time.monotonic() + self._deadline_s)

    def _in_parts(self, files: Mapping[str, bytes], commands: Sequence[Sequence[str]], end: float) -> Ran:
        if not commands:
            return Ran({}, [])
        named = {word for arguments in commands for word in arguments}
        sent = {name: content for name, content in files.items() if name in named}
        folder = f"weighbridge-{uuid.uuid4()}"
        seconds = max(0.0, end - time.monotonic()) * self._guest_part
        task = windows.task(folder, sent, commands, seconds).decode("ascii")
        if len(task) <= MOST_INPUT_CHARACTERS:
            answer = self._exec(windows.command_line().split(" "), task, end, folder)
            return windows.ran(answer.encode(), len(commands), self.name)
        if len(commands) == 1:
            raise RunnerUnusable(
                f"These files are more than a guest agent takes at once ({MOST_INPUT_CHARACTERS} characters). "
                "Use WinRM, or a file with fewer readings."
            )
        half = len(commands) // 2
        first = self._in_parts(files, commands[:half], end)
        second = self._in_parts({**files, **first.files}, commands[half:], end)
        return Ran({**first.files, **second.files}, [*first.outcomes, *second.outcomes])

    def _exec(self, words: Sequence[str], said: str, end: float, folder: str = "") -> str:
        """Standard output of one command that ended in time."""
        parameters: dict[str, object] = {"command": list(words)} | ({"input-data": said} if said else {})
        starting = self._machine.begin("exec", **parameters)
        try:
            state = self._ended(int(starting.result()["pid"]), end)
        except BaseException:
            # Ctrl-C may have come before the answer, and what was started has to be ended.
            with suppress(RunnerUnusable):
                self._stop(int(starting.result()["pid"]), folder)
            raise
        if state.get("out-truncated"):
            raise RunnerUnusable(f"The answer of {self.name} was cut short. Use WinRM for as much as this.")
        return str(state.get("out-data", ""))

    def _ended(self, number: int, end: float) -> Mapping[str, Any]:
        while time.monotonic() < end:
            state: Mapping[str, Any] = self._machine.agent("exec-status", "get", pid=number)
            if state["exited"]:
                return state
            time.sleep(POLL_S)
        raise RunnerUnusable(f"{self.name} did not finish within {self._deadline_s:g} s; it was stopped.")

    def _stop(self, number: int, folder: str) -> None:
        """End a command and remove its folder. What fails here is not reported: the fault that led here says more."""
        words = ["cmd.exe", "/c", "taskkill", "/t", "/f", "/pid", str(number)]
        if folder:
            words += ["&", "rmdir", "/s", "/q", rf"%TEMP%\{folder}"]
        with suppress(RunnerUnusable):
            self._ended(int(self._machine.agent("exec", command=words)["pid"]), time.monotonic() + CLEAN_UP_S)
