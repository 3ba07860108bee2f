"""A machine on Proxmox: woken, used through its guest agent, and left as it was found, whatever happened meanwhile.

The API is fakepve's; the guest's commands are processes of this computer, with a real Java and the real FitCSVTool.
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
from pydantic import SecretStr

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
    """Proxmox machines whose state is known; afterwards each is as it was, and nothing is left in it."""

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


def test_every_golden_reading_agrees_through_the_guest_agent(proxmoxes: Proxmoxes, machine: Machine) -> None:
    with runner_from(proxmoxes.make(machine, "running").environment) as runner:
        assert runner.name == "Windows through the guest agent"
        sections, differences = verify_golden(runner)
    assert differences == []
    assert len(sections) == 2


def test_more_than_the_agent_takes_at_once_goes_in_parts(proxmoxes: Proxmoxes, machine: Machine) -> None:
    files = {f"in{n}.fit": TEMPLATE for n in range(200)}
    commands = [decode_command(name, name.replace(".fit", ".csv")) for name in list(files)[:6]]
    files |= {"large0.fit": TEMPLATE + bytes(20_000), "large1.fit": TEMPLATE + bytes(20_000)}
    commands += [decode_command("large0.fit", "large0.csv"), decode_command("large1.fit", "large1.csv")]
    with runner_from(proxmoxes.make(machine, "running").environment) as runner:
        ran = runner.run(files, commands)
    assert len(ran.outcomes) == len(commands)
    assert {f"in{n}.csv" for n in range(6)} <= ran.files.keys()


def test_one_file_that_is_too_large_is_refused_with_the_way_out(proxmoxes: Proxmoxes, machine: Machine) -> None:
    with runner_from(proxmoxes.make(machine, "running").environment) as runner, pytest.raises(RunnerUnusable) as caught:
        runner.run({"in.fit": bytes(MOST_INPUT_CHARACTERS)}, DECODE)
    assert "Use WinRM" in str(caught.value)


def test_a_machine_that_runs_goes_on_running(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "running")
    run(proxmox)
    assert proxmox.calls == []


def test_a_machine_that_is_off_is_started_awaited_and_shut_down(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.boots_for = 5
    run(proxmox)
    assert proxmox.calls == ["start", "shutdown"]


def test_the_whole_command_works_and_doctor_walks_the_chain(
    proxmoxes: Proxmoxes, machine: Machine, tmp_path: Path
) -> None:
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


def test_proxmox_wakes_the_machine_for_winrm_too(proxmoxes: Proxmoxes, machine: Machine) -> None:
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


def test_two_runs_at_once_take_turns_and_the_machine_is_off_afterwards(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "stopped")
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(run, proxmox) for _ in range(2)]:
            done.result()
    assert proxmox.calls == ["start", "shutdown"] * 2


# --- what is off or wrong on the way ---


def test_a_run_that_waits_too_long_for_its_turn_says_so(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "running")
    first = virtual_machine(proxmox.environment)
    assert first
    with first.awake(lambda: None):
        assert "Another run has used VM 105" in fault_of(proxmox, turn_within_s=0.2)


def test_a_wrong_token_is_named(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.apitokens.clear()
    assert "Check PROXMOX_TOKEN" in fault_of(proxmox)
    assert proxmox.calls == []


def test_a_token_that_may_not_start_it_is_named(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.grant("weighbridge@pve!sdk", "/vms/105", "VM.Audit")
    assert "It needs VM.Audit, VM.PowerMgmt" in fault_of(proxmox)


def test_a_machine_that_does_not_exist_is_named(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "running")
    environment = proxmox.environment | {"PROXMOX_VM": "404"}
    with pytest.raises(RunnerUnusable, match="There is no VM 404 on the node pve1"), runner_from(environment):
        pass


def test_an_agent_that_is_not_there_is_named(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "running")
    proxmox.guest_vm.agent = None
    assert "No guest agent runs in VM 105" in fault_of(proxmox)


def test_a_machine_that_cannot_be_started_is_named_and_stays_off(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.guest_vm.start_error = "volume 'local-lvm:vm-105-disk-0' does not exist"
    assert "The Proxmox task for VM 105 on 127.0.0.1 failed" in fault_of(proxmox)


def test_a_machine_that_never_gets_ready_is_left_in_time_and_shut_down(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.boots_for = 1_000_000
    assert "was not ready within 1 s: No guest agent runs" in fault_of(proxmox, ready_within_s=1.0)
    assert proxmox.calls == ["start", "shutdown"]


def test_a_machine_that_does_not_shut_down_by_itself_is_turned_off(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.guest_vm.acpi = False
    run(proxmox)


def test_a_shutdown_that_proxmox_refuses_is_said(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "stopped")
    proxmox.fail("POST", "status/shutdown", status=500, message="VM is locked (backup)")
    assert "may be running now; shut it down in Proxmox" in fault_of(proxmox)
    proxmox.guest_vm.status = "stopped"


def test_a_port_at_which_nothing_answers_is_named(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "running")
    environment = proxmox.environment | {"PROXMOX_HOST": "127.0.0.1:1"}
    with pytest.raises(RunnerUnusable, match=r"No Proxmox answers at 127\.0\.0\.1:1"), runner_from(environment):
        pass


def test_another_certificate_is_not_trusted(proxmoxes: Proxmoxes, machine: Machine, tmp_path: Path) -> None:
    proxmox = proxmoxes.make(machine, "running")
    with WindowsHost(machine) as other:
        environment = proxmox.environment | {"PROXMOX_CA": str(other.certificate)}
        with pytest.raises(RunnerUnusable, match=r"is not trusted .* so nothing was sent"), runner_from(environment):
            pass


# --- what goes wrong in the guest ---


def slow(machine: Machine, folder: Path) -> Machine:
    """The same with a Java that takes its time."""
    java = folder / "java"
    java.write_text("#!/bin/sh\nsleep 600\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return machine._replace(java=[str(java)])


def test_a_tool_that_hangs_is_stopped_there_and_told(proxmoxes: Proxmoxes, machine: Machine, tmp_path: Path) -> None:
    proxmox = proxmoxes.make(slow(machine, tmp_path), "stopped")
    assert "FitCSVTool did not finish in time" in fault_of(proxmox, guest_part=0.02)


def test_a_guest_that_says_nothing_more_is_left_at_the_deadline_and_cleaned(
    proxmoxes: Proxmoxes, machine: Machine
) -> None:
    proxmox = proxmoxes.make(machine, "stopped")
    guest = proxmox.guest_processes

    class Silent:
        """Of PowerShell nothing is heard any more."""

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
def test_ctrl_c_ends_the_tool_and_shuts_the_machine_down(
    proxmoxes: Proxmoxes, machine: Machine, tmp_path: Path, moment: str
) -> None:
    proxmox = proxmoxes.make(slow(machine, tmp_path), "stopped")
    guest = proxmox.guest_processes

    class Pressed:
        """The key is pressed while a call of the agent is not yet answered; `proxmoxes` looks what is left."""

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


def test_ctrl_c_before_the_start_is_answered_shuts_the_machine_down(proxmoxes: Proxmoxes, machine: Machine) -> None:
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
def test_what_is_missing_in_the_guest_is_named(
    proxmoxes: Proxmoxes, machine: Machine, change: dict[str, object], words: str
) -> None:
    assert words in fault_of(proxmoxes.make(machine._replace(**change), "stopped"))  # type: ignore[arg-type]


def test_an_answer_that_was_cut_short_is_not_believed(proxmoxes: Proxmoxes, machine: Machine) -> None:
    proxmox = proxmoxes.make(machine, "running")
    guest = proxmox.guest_processes

    class Short:
        start = guest.start

        def state(self, number: int) -> dict[str, object]:
            state = guest.state(number)
            return state | {"out-data": str(state["out-data"])[:40]} if "out-data" in state else state

    proxmox.guest_processes = Short()
    assert "was cut short" in fault_of(proxmox)


def test_the_token_is_in_no_representation(proxmoxes: Proxmoxes, machine: Machine) -> None:
    named = virtual_machine(proxmoxes.make(machine, "running").environment)
    assert named
    assert isinstance(named._access.token.value, SecretStr)
    assert TOKEN not in repr(vars(named))
