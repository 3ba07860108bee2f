"""The virtual machine on Proxmox in which FitCSVTool can run: woken for a run, and afterwards as it was found.

Rule: whoever starts it shuts it down, also after a fault or Ctrl-C; a machine that ran before goes on running. Two runs
on this computer take turns, so that the one which started the machine does not end it under the other.

Strategy: what starts something (the machine, a command in it) is asked in a thread, so that Ctrl-C cannot lose the
answer: without the number in it, what was started could not be ended.

Facts (Proxmox VE 9, its API's schema):
- A start or a shutdown is a task with a number of its own; its fault is in the task's status, not in the answer.
- A shutdown with `forceStop` turns the machine off when it has not ended in time.
- Everything that the guest agent cannot do is a status of 500, with the reason in words.
"""

from __future__ import annotations

import re
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import requests
from filelock import FileLock, Timeout
from proxmoxer import ProxmoxAPI, ResourceException
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from .errors import RunnerUnusable, causes
from .settings import PROXMOX, ProxmoxToken, read, text_of

REQUEST_S = 10.0
POLL_S = 0.2
#: A Windows that was off takes one or two minutes until a command runs.
READY_WITHIN_S = 300.0
SHUT_DOWN_WITHIN_S = 120
#: For how long a run waits for another one on the same machine.
TURN_WITHIN_S = 600.0

_FAULTS = (ResourceException, requests.RequestException, OSError)


class ProxmoxAccess(NamedTuple):
    """Which machine, and who asks."""

    address: tuple[str, int]
    token: ProxmoxToken
    node: str
    vm: int
    #: PEM: Proxmox' own authority. None: those that this computer trusts anyway.
    certificate: Path | None

    @property
    def host(self) -> str:
        return self.address[0]

    @property
    def port(self) -> int:
        return self.address[1]


class VirtualMachine:
    """One machine of one Proxmox."""

    def __init__(
        self,
        access: ProxmoxAccess,
        *,
        ready_within_s: float = READY_WITHIN_S,
        shut_down_within_s: int = SHUT_DOWN_WITHIN_S,
        turn_within_s: float = TURN_WITHIN_S,
    ) -> None:
        self._access = access
        self._ready_within_s, self._shut_down_within_s = ready_within_s, shut_down_within_s
        self._turn_within_s = turn_within_s
        self.name = f"VM {access.vm} on {access.host}"
        self._initial_status = "running"
        self._starter = ThreadPoolExecutor(max_workers=1)
        self._starting: Future[None] | None = None
        api = ProxmoxAPI(
            access.host,
            port=access.port,
            user=access.token.user,
            token_name=access.token.name,
            token_value=access.token.value.get_secret_value(),
            verify_ssl=str(access.certificate) if access.certificate else True,
            timeout=REQUEST_S,
        )
        self._node = api.nodes(access.node)
        self._qemu = self._node.qemu(access.vm)

    @contextmanager
    def awake(self, probe: Callable[[], object]) -> Iterator[None]:
        """The machine runs, and `probe` went through, from here to the end of the block.

        `probe` raises `RunnerUnusable` until the machine truly works. Raises `RunnerUnusable`.
        """
        with self._lock():
            self._initial_status = self._status()
            try:
                if self._initial_status == "stopped":
                    self._starting = self._starter.submit(self._start)
                    self._starting.result()
                self._wait_until_ready(probe)
                yield
            except BaseException as fault:
                left_on = self._restore()
                if left_on and isinstance(fault, RunnerUnusable):
                    raise RunnerUnusable(f"{fault} {left_on}") from fault
                raise
            if left_on := self._restore():
                raise RunnerUnusable(left_on)

    def links(self) -> Iterator[str]:
        """What holds once it is awake, in sentences."""
        yield f"Proxmox at {self._access.host} lets the token in."
        yield (
            f"{self.name} was running."
            if self._initial_status == "running"
            else f"{self.name} was off, and has been started."
        )

    def agent(self, what: str, method: Literal["get", "post"] = "post", /, **parameters: Any) -> Any:
        """The answer of the guest agent. Raises `RunnerUnusable`."""
        with self._translated():
            return getattr(self._qemu.agent(what), method)(**parameters)

    def begin(self, what: str, **parameters: Any) -> Future[Any]:
        """The answer of the guest agent to something that it starts. It arrives, whatever happens meanwhile."""
        return self._starter.submit(self.agent, what, **parameters)

    # -- waking and sleeping -----------------------------------------------------------------------------

    @contextmanager
    def _lock(self) -> Iterator[None]:
        name = re.sub(r"\W", "-", f"weighbridge-{self._access.host}-{self._access.port}-{self._access.vm}.lock")
        lock = FileLock(Path(tempfile.gettempdir(), name))
        try:
            lock.acquire(timeout=self._turn_within_s)
        except Timeout:
            raise RunnerUnusable(
                f"Another run has used {self.name} for {self._turn_within_s:g} s. Wait for its end, or end it."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _status(self) -> str:
        with self._translated():
            return str(self._qemu.status.current.get()["status"])

    def _start(self) -> None:
        with self._translated():
            self._wait_for_task(self._qemu.status.start.post())

    def _wait_until_ready(self, probe: Callable[[], object]) -> None:
        """A machine that has just been started answers at its port before it can do anything; so it has to do it."""
        end = time.monotonic() + (self._ready_within_s if self._initial_status == "stopped" else 0)
        while True:
            try:
                probe()
            except RunnerUnusable as fault:
                if self._initial_status != "stopped":
                    raise
                if time.monotonic() > end:
                    raise RunnerUnusable(
                        f"{self.name} was started, and was not ready within {self._ready_within_s:g} s: {fault}"
                    ) from fault
                time.sleep(POLL_S)
            else:
                return

    def _restore(self) -> str:
        """Shut it down if it was off before. Returns what to say when that did not work."""
        if self._initial_status != "stopped":
            return ""
        if self._starting:
            wait([self._starting])  # before its end, a machine that is about to run is "stopped"
        try:
            if self._status() == "running":
                with self._translated():
                    self._wait_for_task(self._qemu.status.shutdown.post(timeout=self._shut_down_within_s, forceStop=1))
        except RunnerUnusable as fault:
            return f"{self.name} was off before, and may be running now; shut it down in Proxmox. ({fault})"
        return ""

    def _wait_for_task(self, task: str) -> None:
        end = time.monotonic() + self._shut_down_within_s + self._ready_within_s
        while time.monotonic() < end:
            state = self._node.tasks(task).status.get()
            if state["status"] == "stopped":
                if state.get("exitstatus") not in ("OK", None) and not str(state["exitstatus"]).startswith("WARNINGS"):
                    raise RunnerUnusable(f"Proxmox could not do it with {self.name}: {state['exitstatus'][:200]}.")
                return
            time.sleep(POLL_S)
        raise RunnerUnusable(f"Proxmox did not finish its task with {self.name}. Look at the task in its own pages.")

    # -- faults ------------------------------------------------------------------------------------------

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _FAULTS as e:
            raise RunnerUnusable(self._message(e)) from e

    def _message(self, e: Exception) -> str:
        access = self._access
        place = f"{access.host}:{access.port}"
        if isinstance(e, ResourceException):
            said = " ".join(str(e.content).split())[:200]
            if "guest agent is not running" in said:
                return f"No guest agent runs in {self.name}: qm set {access.vm} --agent 1, and run setup.ps1 there."
            if "does not exist" in said:
                return f"There is no VM {access.vm} on the node {access.node}. Check PROXMOX_VM and PROXMOX_NODE."
            match e.status_code:
                case 401:
                    return f"Proxmox at {place} does not know the token of {access.token.user}. Check PROXMOX_TOKEN."
                case 403:
                    return (
                        f"The token of {access.token.user} may not do that ({said}). It needs VM.Audit, VM.PowerMgmt "
                        "and VM.GuestAgent.Unrestricted (VM.Monitor before Proxmox 9) on the machine."
                    )
            return f"Proxmox at {place} refused with {e.status_code}: {said}."
        if wrong := next((c for c in causes(e) if isinstance(c, ssl.SSLCertVerificationError)), None):
            return (
                f"The certificate of {place} is not trusted ({wrong.verify_message.rstrip('.')}), so nothing was sent. "
                "PROXMOX_CA has to be a copy of /etc/pve/pve-root-ca.pem, and PROXMOX_HOST a name in the certificate."
            )
        if any(isinstance(c, (NewConnectionError, ConnectTimeoutError, ConnectionRefusedError)) for c in causes(e)):
            return f"No Proxmox answers at {place}. Check PROXMOX_HOST."
        if isinstance(e, (requests.Timeout, TimeoutError)):
            return f"Proxmox at {place} was silent for {REQUEST_S:g} s."
        return f"The connection to Proxmox at {place} broke, or what answers there is not Proxmox. Check PROXMOX_HOST."


def virtual_machine(environment: Mapping[str, str]) -> VirtualMachine | None:
    """The machine that the environment names, None where it names none. Raises `RunnerUnusable`."""
    if not text_of("PROXMOX_HOST", environment):
        return None
    needed = {"PROXMOX_TOKEN", "PROXMOX_NODE", "PROXMOX_VM"}
    return VirtualMachine(ProxmoxAccess(**read(PROXMOX, environment, needed=needed)))
