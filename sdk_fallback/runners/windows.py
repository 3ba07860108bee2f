"""The machine that runs FitCSVTool: the one chosen with `--on`, or else the configured one, or else this computer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from weighbridge.commands import needs_extra

from ..errors import RunnerUnusable
from ..settings import PAGE, text_of
from .local_java import local_java
from .port import Ran, Runner

#: The values of `--on`: this computer, Windows over WinRM, Windows through Proxmox' guest agent.
MACHINES = ("local", "windows", "proxmox")
#: The setting that chooses each machine.
NAMED_BY = {"windows": "WINRM_HOST", "proxmox": "PROXMOX_HOST"}


@contextmanager
def runner_from(environment: Mapping[str, str], on: str | None = None) -> Iterator[Runner]:
    """A runner, usable until the end of the block.

    Raises `RunnerUnusable`, or `NothingAvailable` if no machine was chosen and this computer has none.
    """
    chosen = on or next((machine for machine, name in NAMED_BY.items() if text_of(name, environment)), "local")
    if chosen == "local":
        yield local_java(environment, chosen=on is not None)
        return
    if not text_of(NAMED_BY[chosen], environment):
        raise RunnerUnusable(f"No Windows machine is configured. Set {NAMED_BY[chosen]}. See {PAGE}.")
    try:
        # Imported late: the local Java does not need these libraries.
        from ..proxmox import virtual_machine
        from .guest_agent import GuestAgent
        from .winrm import winrm
    except ModuleNotFoundError:
        raise RunnerUnusable(needs_extra("A Windows machine", "sdk")) from None

    machine = virtual_machine(environment)
    if chosen == "proxmox" and machine:
        agent = GuestAgent(machine)
        with machine.awake(agent.probe):
            yield agent
        return
    runner = winrm(environment)
    if not machine:
        yield runner
        return
    with machine.awake(lambda: list(runner.links())):
        yield _WokenRunner(runner, machine.links)


class _WokenRunner:
    """A `Runner` on a machine that Proxmox started."""

    def __init__(self, runner: Runner, links: Callable[[], Iterator[str]]) -> None:
        self.name, self._runner, self._links = runner.name, runner, links

    def run(self, files: Mapping[str, bytes], commands: Sequence[Sequence[str]]) -> Ran:
        return self._runner.run(files, commands)

    def links(self) -> Iterator[str]:
        yield from self._links()
        yield from self._runner.links()
