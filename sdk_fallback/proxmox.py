"""The virtual machine on Proxmox in which FitCSVTool can run: started for a run if it is off, and restored afterwards.

Rule: a run that starts the machine shuts it down again, even after a fault or Ctrl-C. A machine that was running keeps
running. Two runs on this computer take turns, so that neither shuts the machine down while the other uses it.

Strategy: a request that starts something (the machine, a command in it) runs in a thread, so that Ctrl-C cannot lose
the answer. Without the id in the answer, what was started could not be stopped.

Weakness: the lock is on this computer only. Two computers that use one machine can shut it down under each other.

Facts (Proxmox VE 9, its API's schema):
- A start or a shutdown is a task with its own id; a failure is in the task's status, not in the answer.
- A shutdown with `forceStop` turns the machine off if it has not shut down in time.
- Every failure of the guest agent is HTTP status 500, with the reason in words.
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
#: Windows needs one or two minutes from power-on until a command runs.
READY_WITHIN_S = 300.0
SHUT_DOWN_WITHIN_S = 120
#: How long a run waits for another run on the same machine.
TURN_WITHIN_S = 600.0

_FAULTS = (ResourceException, requests.RequestException, OSError)


class ProxmoxAccess(NamedTuple):
    """Which machine, and the token to use."""

    address: tuple[str, int]
    token: ProxmoxToken
    node: str
    vm: int
    #: PEM: Proxmox' own authority. None: the authorities that this computer trusts.
    certificate: Path | None

    @property
    def host(self) -> str:
        return self.address[0]

    @property
    def port(self) -> int:
        return self.address[1]


class VirtualMachine:
    """A virtual machine on a Proxmox node."""

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
        """Keep the machine running, and ready, until the end of the block.

        It is ready when `probe` no longer raises `RunnerUnusable`. Raises `RunnerUnusable`.
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
        """The steps that work once the machine is awake, one sentence each."""
        yield f"Proxmox at {self._access.host} accepts the token."
        yield (
            f"{self.name} was running."
            if self._initial_status == "running"
            else f"{self.name} was off, and has been started."
        )

    def agent(self, what: str, method: Literal["get", "post"] = "post", /, **parameters: Any) -> Any:
        """The guest agent's answer. Raises `RunnerUnusable`."""
        with self._translated():
            return getattr(self._qemu.agent(what), method)(**parameters)

    def begin(self, what: str, **parameters: Any) -> Future[Any]:
        """The guest agent's answer to a request that starts something. It is not lost, even after Ctrl-C."""
        return self._starter.submit(self.agent, what, **parameters)

    # -- start and shutdown ------------------------------------------------------------------------------

    @contextmanager
    def _lock(self) -> Iterator[None]:
        name = re.sub(r"\W", "-", f"weighbridge-{self._access.host}-{self._access.port}-{self._access.vm}.lock")
        lock = FileLock(Path(tempfile.gettempdir(), name))
        try:
            lock.acquire(timeout=self._turn_within_s)
        except Timeout:
            raise RunnerUnusable(
                f"Another run has used {self.name} for {self._turn_within_s:g} s. Wait until it ends, or stop it."
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
        """Repeat the probe, if the machine was off: just after a start its port answers before commands work."""
        end = time.monotonic() + (self._ready_within_s if self._initial_status == "stopped" else 0)
        while True:
            try:
                probe()
            except RunnerUnusable as fault:
                if self._initial_status != "stopped":
                    raise
                if time.monotonic() > end:
                    raise RunnerUnusable(
                        f"{self.name} was started but was not ready within {self._ready_within_s:g} s: {fault}"
                    ) from fault
                time.sleep(POLL_S)
            else:
                return

    def _restore(self) -> str:
        """Shut the machine down if it was off before. Returns a sentence if that failed, else ""."""
        if self._initial_status != "stopped":
            return ""
        if self._starting:
            wait([self._starting])  # until the start ends, the status is still "stopped"
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
                    raise RunnerUnusable(f"The Proxmox task for {self.name} failed: {state['exitstatus'][:200]}.")
                return
            time.sleep(POLL_S)
        raise RunnerUnusable(f"The Proxmox task for {self.name} did not finish. Check its log in Proxmox.")

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
                    return f"Proxmox at {place} rejected the token of {access.token.user}. Check PROXMOX_TOKEN."
                case 403:
                    return (
                        f"The token of {access.token.user} lacks a permission ({said}). It needs VM.Audit, "
                        "VM.PowerMgmt and VM.GuestAgent.Unrestricted (VM.Monitor before Proxmox 9) on the machine."
                    )
            return f"Proxmox at {place} answered HTTP {e.status_code}: {said}."
        if wrong := next((c for c in causes(e) if isinstance(c, ssl.SSLCertVerificationError)), None):
            return (
                f"The certificate of {place} is not trusted ({wrong.verify_message.rstrip('.')}), so nothing was sent. "
                "PROXMOX_CA must be a copy of /etc/pve/pve-root-ca.pem, and PROXMOX_HOST a name in the certificate."
            )
        if any(isinstance(c, (NewConnectionError, ConnectTimeoutError, ConnectionRefusedError)) for c in causes(e)):
            return f"No Proxmox answers at {place}. Check PROXMOX_HOST."
        if isinstance(e, (requests.Timeout, TimeoutError)):
            return f"Proxmox at {place} did not answer for {REQUEST_S:g} s."
        return f"The connection to {place} broke, or the server there is not Proxmox. Check PROXMOX_HOST."


def virtual_machine(environment: Mapping[str, str]) -> VirtualMachine | None:
    """The machine that the environment names, or None. Raises `RunnerUnusable`."""
    if not text_of("PROXMOX_HOST", environment):
        return None
    needed = {"PROXMOX_TOKEN", "PROXMOX_NODE", "PROXMOX_VM"}
    return VirtualMachine(ProxmoxAccess(**read(PROXMOX, environment, needed=needed)))
