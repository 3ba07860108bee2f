"""FitCSVTool on a Windows machine, over WinRM.

Rule: NTLM inside TLS, with one trusted certificate (`WINRM_CA`), and encrypted messages. Nothing is ever sent to a
machine with another certificate, and no switch allows it. However a run ends, even with Ctrl-C, the command is stopped,
its folder removed and the shell closed, over a new connection if the old one may be broken.

Facts (pywinrm 0.5):
- Its own loop for output never ends, so our loop polls, each time for no longer than the time left.
- Its exceptions come from several families, and some are subclasses of each other; `_message` handles all of them.
- Unless both are given, it takes a proxy from the environment, and trusts the certificates of REQUESTS_CA_BUNDLE.
- A shell whose id was lost on the way cannot be closed; `idle_timeout` makes Windows close it.

Weakness: until that timeout (60 s or more), such a shell stays open on the machine.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import ParseError

import requests
from spnego.exceptions import SpnegoError
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.protocol import Protocol

from weighbridge.secret import SecretStr

from .. import windows
from ..errors import RunnerUnusable, causes
from ..settings import WINRM, WINRM_PORT, read
from .port import Ran

DEADLINE_S = 120.0
#: How long the cleanup of a failed run may take, after the deadline.
CLEAN_UP_S = 15.0
#: How long a machine may be silent before it counts as hanging. It is asked to answer within half of this time.
SILENCE_S = 30.0
#: Size of a piece of standard input: with base64 and encryption, it stays below 153,600 bytes, Windows' lowest limit.
PIECE_BYTES = 100_000
#: Names that need no quoting. Our files have no others.
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")

#: What pywinrm raises for an answer that is not WinRM's.
_NOT_WINRM = (SpnegoError, ParseError, AssertionError, AttributeError, LookupError, StopIteration)
_FAULTS = (
    *(WinRMError, WinRMTransportError, WinRMOperationTimeoutError, requests.RequestException, HTTPError, OSError),
    *_NOT_WINRM,
)


class WinRMAccess(NamedTuple):
    """Which machine, and the account to use."""

    host: str
    port: int
    user: str
    password: SecretStr
    #: PEM: the machine's certificate, or that of the authority that signed it.
    certificate: Path


class _Shell(NamedTuple):
    protocol: Protocol
    shell: str
    end: float
    #: How long the machine may be silent.
    silence_s: float


class WinRM:
    """A `Runner`."""

    name = "Windows over WinRM"

    def __init__(
        self,
        access: WinRMAccess,
        *,
        deadline_s: float = DEADLINE_S,
        silence_s: float = SILENCE_S,
        guest_part: float = windows.GUEST_PART,
    ) -> None:
        self._access = access
        self._guest_part = guest_part
        self._deadline_s, self._silence_s = deadline_s, silence_s

    def run(self, files: Mapping[str, bytes], commands: Sequence[Sequence[str]]) -> Ran:
        """See `port.Runner`."""
        if not commands:
            return Ran({}, [])
        words = [*files, *(word for arguments in commands for word in arguments)]
        if strange := next((word for word in words if not _PLAIN.fullmatch(word)), None):
            raise ValueError(f"{strange!r} is not a plain name")
        end = time.monotonic() + self._deadline_s
        folder = f"weighbridge-{uuid.uuid4()}"
        with self._shell(end, folder) as shell:
            seconds = max(0.0, end - time.monotonic()) * self._guest_part
            task = windows.task(folder, files, commands, seconds)
            answer = self._execute(shell, windows.command_line(), task)
        return windows.ran(answer, len(commands), self.name)

    def links(self) -> Iterator[str]:
        """See `port.Runner`."""
        access = self._access
        with self._translated(), socket.create_connection((access.host, access.port), self._silence_s) as connection:
            yield f"Port {access.port} of {access.host} is open."
            context = ssl.create_default_context(cafile=access.certificate)
            with context.wrap_socket(connection, server_hostname=access.host):
                yield f"Its certificate is the one in {access.certificate}."
        with self._shell(time.monotonic() + self._deadline_s) as shell:
            yield f"{access.user} can sign in and open a shell."
            self._execute(shell, "ver")
            yield "A command runs there."

    # -- the protocol ------------------------------------------------------------------------------------

    def _protocol(self) -> Protocol:
        access = self._access
        host = f"[{access.host}]" if ":" in access.host else access.host
        return Protocol(
            f"https://{host}:{access.port}/wsman",
            transport="ntlm",
            username=access.user,
            password=access.password.get_secret_value(),
            ca_trust_path=str(access.certificate),
            message_encryption="always",
            proxy=None,
        )

    @contextmanager
    def _shell(self, end: float, folder: str = "") -> Iterator[_Shell]:
        """A shell on the machine, closed afterwards. Faults inside the block become `RunnerUnusable`."""
        shell = None
        done = False
        try:
            with self._translated():
                protocol = self._with_timeout(self._protocol(), end, self._silence_s)
                # Windows accepts no less than 60 s.
                idle = f"PT{max(60, int(self._deadline_s))}S"
                number = protocol.open_shell(codepage=65001, idle_timeout=idle)
                shell = _Shell(protocol, number, end, self._silence_s)
                yield shell
                self._with_timeout(protocol, end, self._silence_s).close_shell(shell.shell)
                done = True
        finally:
            if shell and not done:
                self._clean_up(shell.shell, folder)

    def _clean_up(self, shell: str, folder: str) -> None:
        """After a failed run: close its shell, which stops what runs in it, then remove its folder.

        A failure here is not reported: the original fault matters more, and Windows closes an idle shell by itself.
        """
        end = time.monotonic() + CLEAN_UP_S
        with suppress(*_FAULTS):
            self._with_timeout(self._protocol(), end, CLEAN_UP_S).close_shell(shell)
        if not folder:
            return
        with suppress(*_FAULTS, RunnerUnusable):
            protocol = self._with_timeout(self._protocol(), end, CLEAN_UP_S)
            again = _Shell(protocol, protocol.open_shell(codepage=65001, idle_timeout="PT60S"), end, CLEAN_UP_S)
            try:
                self._execute(again, rf'if exist "%TEMP%\{folder}" rmdir /s /q "%TEMP%\{folder}"')
            finally:
                self._with_timeout(protocol, end, CLEAN_UP_S).close_shell(again.shell)

    def _execute(self, shell: _Shell, command: str, stdin: bytes = b"") -> bytes:
        """The standard output of one command."""
        protocol, number, end, silence_s = shell
        running = self._with_timeout(protocol, end, silence_s).run_command(number, command, console_mode_stdin=False)
        for start in range(0, len(stdin), PIECE_BYTES):
            piece = stdin[start : start + PIECE_BYTES]
            last = start + PIECE_BYTES >= len(stdin)
            self._with_timeout(protocol, end, silence_s).send_command_input(number, running, piece, end=last)
        output, done = b"", False
        while not done:
            with suppress(WinRMOperationTimeoutError):  # nothing new so far
                new, _, _, done = self._with_timeout(protocol, end, silence_s).get_command_output_raw(number, running)
                output += new
        self._with_timeout(protocol, end, silence_s).cleanup_command(number, running)
        return output

    def _with_timeout(self, protocol: Protocol, end: float, silence_s: float) -> Protocol:
        """The same protocol, with its timeouts set for one request within the time that is left."""
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        patience_s = min(silence_s, left)
        protocol.transport.read_timeout_sec = patience_s  # type: ignore[assignment]  # requests takes fractions
        protocol.operation_timeout_sec = max(1, int(patience_s / 2))
        return protocol

    # -- faults ------------------------------------------------------------------------------------------

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _FAULTS as e:
            raise RunnerUnusable(self._message(e)) from e

    def _message(self, e: Exception) -> str:
        host, port, user, _, certificate = self._access
        place = f"{host}:{port}"
        wrapped = list(causes(e))
        if isinstance(e, InvalidCredentialsError):
            return (
                f"{host} rejected the sign-in of {user}. Check WINRM_USER and WINRM_PASSWORD. "
                "Too many attempts lock the account."
            )
        if wrong := next((c for c in wrapped if isinstance(c, ssl.SSLCertVerificationError)), None):
            return (
                f"The certificate of {place} is not trusted ({wrong.verify_message.rstrip('.')}), so nothing was sent. "
                f"WINRM_CA ({certificate}) must be the winrm.pem that setup.ps1 wrote there, for the name {host}."
            )
        if any(isinstance(c, ssl.SSLError) for c in wrapped):
            return f"{place} does not speak TLS. WinRM over HTTPS listens on port {WINRM_PORT}. Run setup.ps1 there."
        if any(isinstance(c, (NewConnectionError, ConnectTimeoutError, ConnectionRefusedError)) for c in wrapped):
            return f"Nothing answers at {place}. Is the machine on? Does its firewall allow this computer (setup.ps1)?"
        if isinstance(e, socket.gaierror):
            return f"No machine is named {host}. Check WINRM_HOST."
        # For an answer that stops in the middle, requests raises ConnectionError with the timeout inside.
        if any(isinstance(c, (TimeoutError, requests.Timeout, ReadTimeoutError)) for c in wrapped):
            return f"{self.name} did not finish within {self._deadline_s:g} s, or was silent for {self._silence_s:g} s."
        if isinstance(e, WSManFaultError):
            return f"WinRM on {host} failed: {' '.join(e.reason.split())[:200]} ({e.wsman_fault_code or e.code})."
        if isinstance(e, WinRMTransportError):
            return f"{place} answered HTTP {e.code}. Is this WinRM? Check WINRM_HOST, and run setup.ps1 there."
        if isinstance(e, _NOT_WINRM):
            return f"The answer of {place} is not WinRM's. Check WINRM_HOST, and run setup.ps1 there."
        return f"The connection to {place} broke in the middle. Try again."


def winrm(environment: Mapping[str, str]) -> WinRM:
    """The machine that the environment names. Raises `RunnerUnusable`."""
    values = read(WINRM, environment, needed={variable.name for variable in WINRM})
    host, port = values.pop("address")
    return WinRM(WinRMAccess(host, port, **values))
