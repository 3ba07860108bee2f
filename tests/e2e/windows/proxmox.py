"""A Proxmox: fakepve, which has the schema and the errors of the real API, with a guest whose commands really run.

Rule: fakepve only records `exec` and its status. Here they go to a `Guest`: processes of this computer (`Processes`),
or a real QEMU guest agent on its socket (tests/e2e). cmd.exe and PowerShell are the same stand-ins as for WinRM.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from fakepve import FakePve, FakeVm, PveError, settle
from fakepve.certs import make_cert

from .powershell import Machine

ROOT = Path(__file__).parents[3]
VM, NODE = 105, "pve1"
USER, TOKEN_NAME, TOKEN = "weighbridge@pve", "sdk", "11111111-2222-3333-4444-555555555555"


class Guest(Protocol):
    def start(self, words: list[str], said: str) -> int: ...

    def state(self, number: int) -> dict[str, object]: ...


def commands_of(machine: Machine, folder: Path) -> Path:
    """A folder with `powershell` and `cmd.exe`, for the front of PATH."""
    folder.mkdir()
    for name, module, first in (
        ("powershell", "tests.e2e.windows.powershell", shlex.quote(json.dumps(machine._asdict()))),
        ("cmd.exe", "tests.e2e.windows.agent_cmd", shlex.quote(machine.temp)),
    ):
        script = folder / name
        script.write_text(f'#!/bin/sh\ncd {shlex.quote(str(ROOT))}\nexec {sys.executable} -m {module} {first} "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return folder


class Processes:
    """A guest whose processes run on this computer."""

    def __init__(self, commands: Path) -> None:
        self._environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"}
        self._running: dict[int, tuple[subprocess.Popen[bytes], Any]] = {}

    def start(self, words: list[str], said: str) -> int:
        output = tempfile.TemporaryFile()  # noqa: SIM115  # until `end`
        process = subprocess.Popen(
            words,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin
        with suppress(BrokenPipeError):
            process.stdin.write(said.encode())
            process.stdin.close()
        self._running[process.pid] = process, output
        return process.pid

    def state(self, number: int) -> dict[str, object]:
        process, output = self._running[number]
        if process.poll() is None:
            return {"exited": 0}
        return {"exited": 1, "exitcode": process.returncode, "out-data": os.pread(output.fileno(), 1 << 24, 0).decode()}

    def end(self) -> list[int]:
        """Kill the processes that are still running, and return their ids."""
        left = [number for number, (process, _) in self._running.items() if process.poll() is None]
        for number in left:
            with suppress(ProcessLookupError):
                os.killpg(number, signal.SIGKILL)
        for process, output in self._running.values():
            process.wait()
            output.close()
        return left


class Proxmox(FakePve):  # type: ignore[misc]  # it ships no types
    """A Proxmox with one machine. `serving` starts it.

    proxmox.address        "127.0.0.1:PORT", for PROXMOX_HOST
    proxmox.certificate    the file for PROXMOX_CA
    proxmox.guest_vm       fakepve's switches for the machine, including its status
    proxmox.fail(…)        fakepve's faults for single calls
    """

    certificate: Path

    def __init__(self, guest: Guest, status: str) -> None:
        super().__init__(host="127.0.0.1", port=0)
        self.time_scale = 0
        self.apitokens[f"{USER}!{TOKEN_NAME}"] = TOKEN
        self.guest_vm: FakeVm = self.add_vm(VM, "windows", node=NODE, status=status)
        self.guest_vm.agent = {}
        self.guest_processes = guest
        #: After a start, this many calls find no agent yet.
        self.boots_for = 0
        self.calls: list[str] = []
        #: Called as soon as Proxmox gets the request to start the machine.
        self.when_started: Callable[[], object] = lambda: None

    async def stop(self) -> None:
        # Connections that a client keeps open would outlive the event loop.
        for connection in self.runner.server.connections:
            if connection.transport:
                connection.transport.abort()
        await super().stop()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PROXMOX_HOST": self.address,
            "PROXMOX_TOKEN": f"{USER}!{TOKEN_NAME}={TOKEN}",
            "PROXMOX_NODE": NODE,
            "PROXMOX_VM": str(VM),
            "PROXMOX_CA": str(self.certificate),
        }

    async def _do_start(self, vm: FakeVm, user: str, values: dict[str, Any]) -> Any:
        self.calls.append("start")
        self.when_started()
        return await super()._do_start(vm, user, values)

    async def _do_shutdown(self, vm: FakeVm, user: str, values: dict[str, Any]) -> Any:
        self.calls.append("shutdown")
        return await super()._do_shutdown(vm, user, values)

    async def _agent_call(self, match: Any, values: dict[str, Any]) -> Any:
        answer = await super()._agent_call(match, values)
        command = match.template.rsplit("/", 1)[1]
        if "start" in self.calls and self.boots_for > 0:
            self.boots_for -= 1
            raise PveError(500, "QEMU guest agent is not running")
        if command == "exec":
            words = list(values["command"])
            return {"pid": await asyncio.to_thread(self.guest_processes.start, words, values.get("input-data", ""))}
        if command == "exec-status":
            return await asyncio.to_thread(self.guest_processes.state, int(values["pid"]))
        return answer


@contextmanager
def serving(folder: Path, guest: Guest, status: str = "running") -> Iterator[Proxmox]:
    """A running Proxmox for one test, with its own event loop."""
    certificate, key, _ = make_cert(str(folder), hosts=("127.0.0.1",))
    proxmox = Proxmox(guest, status)
    proxmox.certificate = Path(certificate)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def done(work: Awaitable[Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(30)  # type: ignore[arg-type]

    done(proxmox.start(certificate, key))
    try:
        yield proxmox
    finally:
        done(settle())
        done(proxmox.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
