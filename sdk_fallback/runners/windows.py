"""Which machine: the one chosen by name, or the one that is configured, or this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ..errors import RunnerUnusable
from ..settings import PAGE, text_of
from .local_java import local_java
from .port import Ran, Runner

#: What `--on` takes: this computer, a Windows by WinRM, a Windows by Proxmox' guest agent.
MACHINES = ("local", "windows", "proxmox")
#: The setting that names each.
NAMED_BY = {"windows": "WINRM_HOST", "proxmox": "PROXMOX_HOST"}


@contextmanager
def runner_from(environment: Mapping[str, str], on: str | None = None) -> Iterator[Runner]:
    """A runner that can be used until the end of the block.

    Raises `RunnerUnusable`, or `NothingAvailable` where nothing was chosen.
    """
    chosen = on or next((machine for machine, name in NAMED_BY.items() if text_of(name, environment)), "local")
    if chosen == "local":
        yield local_java(environment, chosen=on is not None)
        return
    if not text_of(NAMED_BY[chosen], environment):
        raise RunnerUnusable(f"No Windows machine is named. Set {NAMED_BY[chosen]}. See {PAGE}.")
    try:
        # Not before they are needed: the local Java does without these libraries.
        from ..proxmox import virtual_machine
        from .guest_agent import GuestAgent
        from .winrm import winrm
    except ModuleNotFoundError:
        raise RunnerUnusable("A Windows machine needs more packages: pip install 'weighbridge[sdk]'.") from None

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
    """A `Runner` on a machine that Proxmox woke."""

    def __init__(self, runner: Runner, links: Callable[[], Iterator[str]]) -> None:
        self.name, self._runner, self._links = runner.name, runner, links

    def run(self, files: Mapping[str, bytes], commands: Sequence[Sequence[str]]) -> Ran:
        return self._runner.run(files, commands)

    def links(self) -> Iterator[str]:
        yield from self._links()
        yield from self._runner.links()
