"""FitCSVTool in a virtual machine, through its guest agent: no network, no certificate and no password in the guest.

Rule: the script, its input line and its output line are the same as over WinRM. A run that was cut off is stopped in
the guest, and its folder removed.

Facts (Proxmox VE 9; QEMU guest agent):
- `exec` takes a list of words, and at most 65,536 characters of standard input. A larger batch is split.
- The output of a command comes when it ends, as one text. It may be cut off at 16 MiB; then `out-truncated` is set.
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
#: How long the cleanup of a run that was cut off may take, after the deadline.
CLEAN_UP_S = 15.0
MOST_INPUT_CHARACTERS = 65_536


class GuestAgent:
    """A `Runner`. Its machine must be awake."""

    name = "Windows through the guest agent"

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
        """Raise `RunnerUnusable` until the machine is ready for a run."""
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
                f"These files are too large for a guest agent (limit: {MOST_INPUT_CHARACTERS} characters at once). "
                "Use WinRM, or a file with fewer readings."
            )
        half = len(commands) // 2
        first = self._in_parts(files, commands[:half], end)
        second = self._in_parts({**files, **first.files}, commands[half:], end)
        return Ran({**first.files, **second.files}, [*first.outcomes, *second.outcomes])

    def _exec(self, words: Sequence[str], said: str, end: float, folder: str = "") -> str:
        """The standard output of a command that ended in time."""
        parameters: dict[str, object] = {"command": list(words)} | ({"input-data": said} if said else {})
        starting = self._machine.begin("exec", **parameters)
        try:
            state = self._ended(int(starting.result()["pid"]), end)
        except BaseException:
            # Ctrl-C may have come before the answer, but the command must still be stopped.
            with suppress(RunnerUnusable):
                self._stop(int(starting.result()["pid"]), folder)
            raise
        if state.get("out-truncated"):
            raise RunnerUnusable(f"The answer of {self.name} was cut short. Use WinRM for this amount of data.")
        return str(state.get("out-data", ""))

    def _ended(self, number: int, end: float) -> Mapping[str, Any]:
        while time.monotonic() < end:
            state: Mapping[str, Any] = self._machine.agent("exec-status", "get", pid=number)
            if state["exited"]:
                return state
            time.sleep(POLL_S)
        raise RunnerUnusable(f"{self.name} did not finish within {self._deadline_s:g} s and was stopped.")

    def _stop(self, number: int, folder: str) -> None:
        """Stop a command and remove its folder. A failure here is not reported: the original fault matters more."""
        words = ["cmd.exe", "/c", "taskkill", "/t", "/f", "/pid", str(number)]
        if folder:
            words += ["&", "rmdir", "/s", "/q", rf"%TEMP%\{folder}"]
        with suppress(RunnerUnusable):
            self._ended(int(self._machine.agent("exec", command=words)["pid"]), time.monotonic() + CLEAN_UP_S)
