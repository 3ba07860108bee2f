"""A machine on Proxmox is started, used through its guest agent, and always restored afterwards.

The API is fakepve's. The guest's commands are processes of this computer, with real Java and the real FitCSVTool.
"""

from __future__ import annotations

import os
import signal
import stat
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from sdk_fallback.cli import AGREES
from sdk_fallback.errors import RunnerUnusable
from sdk_fallback.fitcsvtool import decode_command
from sdk_fallback.proxmox import VirtualMachine, virtual_machine
from sdk_fallback.report import verify_golden
from sdk_fallback.runners.guest_agent import MOST_INPUT_CHARACTERS, GuestAgent
from sdk_fallback.runners.windows import runner_from
from tests.e2e.windows.host import USER as WINDOWS_USER
from tests.e2e.windows.host import WindowsHost
from tests.e2e.windows.powershell import Machine
from tests.e2e.windows.proxmox import TOKEN, Processes, Proxmox, commands_of, serving
from tests.sdk_command import sdk
from tests.skips import java
from weighbridge.resources import TEMPLATES
from weighbridge.secret import SecretStr

TEMPLATE = (TEMPLATES / "weight_scale.fit").read_bytes()
FILES = {"in.fit": TEMPLATE}
DECODE = [decode_command("in.fit", "out.csv")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    tool = java()
    temp = tmp_path / "temp"
    temp.mkdir()
    return Machine(str(temp), [tool.java], str(tool.jar), str(tool.jar), [], dict(os.environ))


class Proxmoxes:
    """Makes Proxmox hosts with one machine each. Afterwards each machine is as it was, and nothing is left in it."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder

    def make(self, machine: Machine, status: str) -> Proxmox:
        folder = self._folder / status
        folder.mkdir()
        guest = Processes(commands_of(machine, folder / "bin"))
        proxmox = self._stack.enter_context(serving(folder, guest, status))

        def as_found() -> None:
            left = guest.end()
            assert left == []
            assert proxmox.guest_vm.status == status
            assert list(Path(machine.temp).iterdir()) == []

        self._stack.callback(as_found)
        return proxmox


@pytest.fixture
def proxmoxes(tmp_path: Path) -> Iterator[Proxmoxes]:
    with ExitStack() as stack:
        yield Proxmoxes(stack, tmp_path)


def run(proxmox: Proxmox, **patience: float) -> None:
    named = virtual_machine(proxmox.environment)
    assert named
    mine = {name: patience.pop(name) for name in ("deadline_s", "guest_part") if name in patience}
    vm = VirtualMachine(named._access, **patience)  # type: ignore[arg-type]
    agent = GuestAgent(vm, **mine)
    with vm.awake(GuestAgent(vm).probe):
        ran = agent.run(FILES, DECODE)
    assert ran.outcomes[0].exit_code == 0
    assert "out.csv" in ran.files


def fault_of(proxmox: Proxmox, **patience: float) -> str:
    with pytest.raises(RunnerUnusable) as caught:
        run(proxmox, **patience)
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    return str(caught.value)


# --- it works ---


def test_golden_readings_through_the_agent(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """Every golden reading agrees through the guest agent."""
    with runner_from(proxmoxes.make(machine, "running").environment) as runner:
        assert runner.name == "Windows through the guest agent"
        sections, differences, _ = verify_golden(runner)
    assert differences == []
    assert len(sections) == 2


def test_large_batch_is_split(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A batch that is larger than the agent accepts is split."""
    files = {f"in{n}.fit": TEMPLATE for n in range(200)}
    commands = [decode_command(name, name.replace(".fit", ".csv")) for name in list(files)[:6]]
    files |= {"large0.fit": TEMPLATE + bytes(20_000), "large1.fit": TEMPLATE + bytes(20_000)}
    commands += [decode_command("large0.fit", "large0.csv"), decode_command("large1.fit", "large1.csv")]
    with runner_from(proxmoxes.make(machine, "running").environment) as runner:
        ran = runner.run(files, commands)
    assert len(ran.outcomes) == len(commands)
    assert {f"in{n}.csv" for n in range(6)} <= ran.files.keys()


def test_file_too_large(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """One file that is too large for the agent is refused, with the way out."""
    with runner_from(proxmoxes.make(machine, "running").environment) as runner, pytest.raises(RunnerUnusable) as caught:
        runner.run({"in.fit": bytes(MOST_INPUT_CHARACTERS)}, DECODE)
    assert "Use WinRM" in str(caught.value)


def test_running_machine_keeps_running(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A machine that was running keeps running."""
    proxmox = proxmoxes.make(machine, "running")
    run(proxmox)
    assert proxmox.calls == []


def test_stopped_machine_is_started_and_shut_down(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A machine that was off is started, used when it is ready, and shut down."""
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.boots_for = 5
    run(proxmox)
    assert proxmox.calls == ["start", "shutdown"]


def test_doctor_checks_each_step(proxmoxes: Proxmoxes, machine: Machine, tmp_path: Path) -> None:
    """`sdk doctor` checks each step up to a real run, with the token in a file."""
    proxmox = proxmoxes.make(machine, "stopped")
    token = tmp_path / "token"
    token.write_text(proxmox.environment["PROXMOX_TOKEN"] + "\n")
    environment = proxmox.environment | {"PROXMOX_TOKEN": "", "PROXMOX_TOKEN_FILE": str(token)}
    done = sdk(["doctor"], environment)
    assert done.exit_code == AGREES
    said = done.stdout.splitlines()
    assert said[:4] == [
        "Proxmox at 127.0.0.1 accepts the token.",
        "VM 105 on 127.0.0.1 was off, and has been started.",
        "Its guest agent answers.",
        "A command runs there.",
    ]
    assert said[4].startswith("FitCSVTool works on Windows through the guest agent")
    assert proxmox.calls == ["start", "shutdown"]


def test_proxmox_starts_the_machine_for_winrm(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """Proxmox starts the machine for WinRM too, and shuts it down."""
    proxmox = proxmoxes.make(machine, "stopped")
    with WindowsHost(machine) as host:
        environment = proxmox.environment | {
            "WINRM_HOST": host.address,
            "WINRM_USER": WINDOWS_USER,
            "WINRM_PASSWORD": host.password,
            "WINRM_CA": str(host.certificate),
        }
        done = sdk(["doctor", "--on", "windows"], environment)
        assert done.exit_code == AGREES
        assert host.shells == {}
    assert proxmox.calls == ["start", "shutdown"]
    assert "was off, and has been started" in done.stdout
    assert "FitCSVTool works on Windows over WinRM" in done.stdout


def test_two_runs_take_turns(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """Two runs at once take turns, and the machine is off afterwards."""
    proxmox = proxmoxes.make(machine, "stopped")
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(run, proxmox) for _ in range(2)]:
            done.result()
    assert proxmox.calls == ["start", "shutdown"] * 2


# --- faults on the way ---


def test_turn_timeout(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A run that waits too long for its turn says so."""
    proxmox = proxmoxes.make(machine, "running")
    first = virtual_machine(proxmox.environment)
    assert first
    with first.awake(lambda: None):
        assert "Another run has used VM 105" in fault_of(proxmox, turn_within_s=0.2)


def test_wrong_token(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A wrong token is named, and nothing is started."""
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.apitokens.clear()
    assert "Check PROXMOX_TOKEN" in fault_of(proxmox)
    assert proxmox.calls == []


def test_token_without_permission(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A token without the permission to start the machine is named."""
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.grant("weighbridge@pve!sdk", "/vms/105", "VM.Audit")
    assert "It needs VM.Audit, VM.PowerMgmt" in fault_of(proxmox)


def test_missing_machine(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A machine that does not exist is named."""
    proxmox = proxmoxes.make(machine, "running")
    environment = proxmox.environment | {"PROXMOX_VM": "404"}
    with pytest.raises(RunnerUnusable, match="There is no VM 404 on the node pve1"), runner_from(environment):
        pass


def test_missing_agent(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A missing guest agent is named."""
    proxmox = proxmoxes.make(machine, "running")
    proxmox.guest_vm.agent = None
    assert "No guest agent runs in VM 105" in fault_of(proxmox)


def test_start_fails(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A machine that cannot be started is named, and stays off."""
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.guest_vm.start_error = "volume 'local-lvm:vm-105-disk-0' does not exist"
    assert "The Proxmox task for VM 105 on 127.0.0.1 failed" in fault_of(proxmox)


def test_machine_never_ready(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A machine that never becomes ready ends the run in time, and is shut down."""
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.boots_for = 1_000_000
    assert "was not ready within 1 s: No guest agent runs" in fault_of(proxmox, ready_within_s=1.0)
    assert proxmox.calls == ["start", "shutdown"]


def test_shutdown_is_forced(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A machine that does not shut down by itself is turned off."""
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.guest_vm.acpi = False
    run(proxmox)


def test_shutdown_fails(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A shutdown that Proxmox refuses is reported."""
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.fail("POST", "status/shutdown", status=500, message="VM is locked (backup)")
    assert "may be running now; shut it down in Proxmox" in fault_of(proxmox)
    proxmox.guest_vm.status = "stopped"


def test_closed_port(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A port without an answer is named."""
    proxmox = proxmoxes.make(machine, "running")
    environment = proxmox.environment | {"PROXMOX_HOST": "127.0.0.1:1"}
    with pytest.raises(RunnerUnusable, match=r"No Proxmox answers at 127\.0\.0\.1:1"), runner_from(environment):
        pass


def test_another_certificate(proxmoxes: Proxmoxes, machine: Machine, tmp_path: Path) -> None:
    """Another certificate is not trusted, and nothing is sent."""
    proxmox = proxmoxes.make(machine, "running")
    with WindowsHost(machine) as other:
        environment = proxmox.environment | {"PROXMOX_CA": str(other.certificate)}
        with pytest.raises(RunnerUnusable, match=r"is not trusted .* so nothing was sent"), runner_from(environment):
            pass


# --- faults in the guest ---


def slow(machine: Machine, folder: Path) -> Machine:
    """The same machine, with a Java that sleeps."""
    java = folder / "java"
    java.write_text("#!/bin/sh\nsleep 600\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return machine._replace(java=[str(java)])


def test_hanging_tool(proxmoxes: Proxmoxes, machine: Machine, tmp_path: Path) -> None:
    """A tool that hangs is stopped in the guest, and that is reported."""
    proxmox = proxmoxes.make(slow(machine, tmp_path), "stopped")
    assert "FitCSVTool did not finish in time" in fault_of(proxmox, guest_part=0.02)


def test_silent_guest(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """A guest that stops answering ends the run at the deadline, and is cleaned up."""
    proxmox = proxmoxes.make(machine, "stopped")
    guest = proxmox.guest_processes

    class Silent:
        """A guest in which PowerShell never ends."""

        def __init__(self) -> None:
            self.unheard: set[int] = set()

        def start(self, words: list[str], said: str) -> int:
            number = guest.start(words, said)
            if words[0] == "powershell":
                self.unheard.add(number)
            return number

        def state(self, number: int) -> dict[str, object]:
            return {"exited": 0} if number in self.unheard else guest.state(number)

    proxmox.guest_processes = Silent()
    assert "did not finish within 2 s and was stopped" in fault_of(proxmox, deadline_s=2.0)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("moment", ["before the tool's number is known", "while the tool runs"])
def test_ctrl_c_during_a_run(proxmoxes: Proxmoxes, machine: Machine, tmp_path: Path, moment: str) -> None:
    """Ctrl-C during a run stops the tool and shuts the machine down."""
    proxmox = proxmoxes.make(slow(machine, tmp_path), "stopped")
    guest = proxmox.guest_processes

    class Pressed:
        """Presses Ctrl-C before a call of the agent is answered; the fixture checks what is left."""

        tool = 0

        def start(self, words: list[str], said: str) -> int:
            number = guest.start(words, said)
            if words[0] == "powershell":
                self.tool = number
                self._await_the_tool()
                if moment == "before the tool's number is known":
                    press_ctrl_c()
            return number

        def state(self, number: int) -> dict[str, object]:
            if number == self.tool:
                press_ctrl_c()
            return guest.state(number)

        def _await_the_tool(self) -> None:
            while not list(Path(machine.temp).iterdir()):
                time.sleep(0.01)

    proxmox.guest_processes = Pressed()
    with pytest.raises(KeyboardInterrupt):
        run(proxmox)
    assert proxmox.calls == ["start", "shutdown"]


def test_ctrl_c_during_the_start(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """Ctrl-C before Proxmox has answered the start still shuts the machine down."""
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.when_started = press_ctrl_c
    with pytest.raises(KeyboardInterrupt):
        run(proxmox)
    assert proxmox.calls == ["start", "shutdown"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"java": []}, "There is no Java"),
        ({"jar_path": "/nowhere.jar"}, "There is no C:"),
        ({"full": True}, "The disk of"),
    ],
)
def test_missing_parts_in_the_guest(
    proxmoxes: Proxmoxes, machine: Machine, change: dict[str, object], words: str
) -> None:
    """A missing Java, a missing jar or a full disk in the guest is named."""
    assert words in fault_of(proxmoxes.make(machine._replace(**change), "stopped"))  # type: ignore[arg-type]


def test_short_answer_is_not_trusted(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """An answer that was cut short is not trusted."""
    proxmox = proxmoxes.make(machine, "running")
    guest = proxmox.guest_processes

    class Short:
        start = guest.start

        def state(self, number: int) -> dict[str, object]:
            state = guest.state(number)
            return state | {"out-data": str(state["out-data"])[:40]} if "out-data" in state else state

    proxmox.guest_processes = Short()
    assert "was cut short" in fault_of(proxmox)


def test_token_is_never_shown(proxmoxes: Proxmoxes, machine: Machine) -> None:
    """The token is in no representation of the machine."""
    named = virtual_machine(proxmoxes.make(machine, "running").environment)
    assert named
    assert isinstance(named._access.token.value, SecretStr)
    assert TOKEN not in repr(vars(named))
