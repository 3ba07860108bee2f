"""FitCSVTool through a real QEMU guest agent on its socket, behind the Proxmox API of fakepve.

Debian packages: qemu-guest-agent, default-jre-headless. The agent is the one for Linux; the stand-ins of
tests/e2e/windows replace cmd.exe and PowerShell.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sdk_fallback.errors import RunnerUnusable
from sdk_fallback.fitcsvtool import decode_command
from sdk_fallback.proxmox import virtual_machine
from sdk_fallback.report import verify_golden
from sdk_fallback.runners.guest_agent import GuestAgent
from sdk_fallback.runners.windows import runner_from
from tests.e2e.parts import find_program, wait_until
from tests.e2e.windows.powershell import Machine
from tests.e2e.windows.proxmox import Proxmox, commands_of, serving
from tests.skips import java
from weighbridge.resources import TEMPLATES


class QemuGuestAgent:
    """A `Guest`: the agent's own protocol, as QEMU speaks it for Proxmox."""

    def __init__(self, address: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(address))
        self._answers = self._socket.makefile("rb")
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._ask("guest-sync", id=next(self._numbers))

    def start(self, words: list[str], said: str) -> int:
        asked = {"path": words[0], "arg": words[1:], "capture-output": True}
        started = self._ask("guest-exec", **asked, **({"input-data": _base64(said)} if said else {}))
        return int(started["pid"])

    def state(self, number: int) -> dict[str, object]:
        state = self._ask("guest-exec-status", pid=number)
        texts = {name: base64.b64decode(state[name]).decode() for name in ("out-data", "err-data") if name in state}
        return state | {"exited": int(state["exited"])} | texts

    def close(self) -> None:
        self._answers.close()
        self._socket.close()

    def _ask(self, command: str, **arguments: object) -> dict[str, Any]:
        with self._lock:
            self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            answer: dict[str, dict[str, Any]] = json.loads(self._answers.readline())
        return answer["return"]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    tool = java()
    temp = tmp_path / "temp"
    temp.mkdir()
    return Machine(str(temp), [tool.java], str(tool.jar), str(tool.jar), [], dict(os.environ))


@pytest.fixture
def proxmox(tmp_path: Path, machine: Machine) -> Iterator[Proxmox]:
    """A Proxmox with a machine that is off. Afterwards it is off again, and nothing is left in it."""
    program = find_program("qemu-ga", Path("/usr/sbin"), package="qemu-guest-agent")
    commands = commands_of(machine, tmp_path / "bin")
    address, log = tmp_path / "agent", tmp_path / "agent.log"
    process = subprocess.Popen(
        [program, "-m", "unix-listen", "-p", address, "-t", tmp_path, "-f", tmp_path / "pid", "-l", log],
        env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("the agent listens", address.exists)
        with closing(QemuGuestAgent(address)) as agent, serving(tmp_path, agent, "stopped") as proxmox:
            yield proxmox
            assert proxmox.guest_vm.status == "stopped"
            assert list(Path(machine.temp).iterdir()) == []
    finally:
        process.kill()  # it ignores SIGTERM while no client is connected
        process.wait()


def test_golden_readings_through_a_real_agent(proxmox: Proxmox) -> None:
    """Every golden reading agrees through a real guest agent, and the machine is shut down afterwards."""
    with runner_from(proxmox.environment) as runner:
        sections, differences, _ = verify_golden(runner)
    assert differences == []
    assert len(sections) == 2
    assert proxmox.calls == ["start", "shutdown"]


def test_cut_off_run_is_stopped_by_a_real_agent(proxmox: Proxmox) -> None:
    """A real guest agent stops a run that was cut off."""
    vm = virtual_machine(proxmox.environment)
    assert vm
    agent = GuestAgent(vm, guest_part=0.01)
    many = {f"in{n}.fit": (TEMPLATES / "weight_scale.fit").read_bytes() for n in range(40)}
    commands = [decode_command(name, name.replace(".fit", ".csv")) for name in many]
    with pytest.raises(RunnerUnusable, match="did not finish"), vm.awake(agent.probe):
        agent.run(many, commands)
