"""A WS-Man host: TLS, NTLM with channel bindings, encrypted messages, shells whose commands are real processes.

Rule: it accepts nothing that is unencrypted, and no client that is not bound to this TLS channel. Its own errors, and
requests that Windows would refuse, are collected in `unexpected`.

Facts ([MS-WSMV], and what Windows does):
- NTLM signs in a connection, not a request; its messages are encrypted with the keys of that sign-in.
- Receive waits until there is output, or refuses with 2150858793 after the operation timeout that the client asked for.
- Deleting a shell stops everything that runs in it.
- cmd.exe accepts 8,191 characters.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from . import wsman
from .certificate import self_signed
from .powershell import Machine

USER = "weighbridge"
ROOT = Path(__file__).parents[3]
BOUNDARY = b"--Encrypted Boundary"
OCTETS = b"\tContent-Type: application/octet-stream\r\n"
SEALED = "application/HTTP-SPNEGO-session-encrypted"
LONGEST_COMMAND_LINE = 8191
LARGEST_ENVELOPE_BYTES = 153_600
#: Small, so that a large answer takes more than one Receive.
MOST_OUTPUT_BYTES = 20_000

Fault = Literal["hang", "cut", "shorten", "damage"]


class Command:
    """A process, and its output so far."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._said = {name: tempfile.TemporaryFile() for name in ("stdout", "stderr")}  # noqa: SIM115  # until `end`
        self._read = dict.fromkeys(self._said, 0)
        self._open, self._over = threading.Lock(), False
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, env=environment, stdin=subprocess.PIPE, start_new_session=True, **self._said
        )

    def send(self, content: bytes, *, end: bool) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(content)
            self.process.stdin.flush()
            if end:
                self.process.stdin.close()

    def receive(self, timeout_s: float, closing: threading.Event) -> tuple[bytes, bytes, int | None]:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and not closing.is_set():
            code = self.process.poll()  # before reading, so that no output is missed
            with self._open:
                if self._over:
                    raise wsman.SoapFault(wsman.NO_SUCH_SHELL, "The request has a shell that was not found.")
                stdout, stderr = self._new("stdout"), self._new("stderr")
            more = len(stdout) == MOST_OUTPUT_BYTES or len(stderr) == MOST_OUTPUT_BYTES
            if stdout or stderr or code is not None:
                return stdout, stderr, None if more else code
            closing.wait(0.02)
        raise wsman.SoapFault(wsman.TIMED_OUT, "The WS-Management service cannot complete the operation in time.")

    def _new(self, name: str) -> bytes:
        new = os.pread(self._said[name].fileno(), MOST_OUTPUT_BYTES, self._read[name])
        self._read[name] += len(new)
        return new

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        with self._open:
            self._over = True
            for file in self._said.values():
                file.close()


class WindowsHost:
    """A Windows host that runs from `with` to the end of the block.

    with WindowsHost(machine) as host:
        host.address        "localhost:PORT", for WINRM_HOST
        host.certificate    the file for WINRM_CA
        host.password       for WINRM_PASSWORD
        host.fail("Receive", "hang")
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.password = f"secret-{uuid.uuid4()}"
        self.shells: dict[str, dict[str, Command]] = {}
        #: How often each action was requested; and "refused sign-in".
        self.requests: Counter[str] = Counter()
        self.command_lines: list[str] = []
        self.unexpected: list[str] = []
        self.closing = threading.Event()
        #: Action -> what to call when such a request arrives.
        self.on_request: dict[str, Callable[[], object]] = {}
        self._faults: dict[str, Fault] = {}

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="windows-stand-in-")
        folder = Path(self._folder.name)
        users = folder / "users"
        users.write_text(f":{USER}:{self.password}\n")
        os.environ["NTLM_USER_FILE"] = str(users)  # where pyspnego looks
        self.certificate, key, fingerprint = self_signed(folder, "localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        # RFC 5929, tls-server-end-point
        self.bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + fingerprint)
        self._server = _Server(("127.0.0.1", 0), self, context)
        self.port = self._server.server_address[1]
        self.address = f"localhost:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for commands in self.shells.values():
            for command in commands.values():
                command.end()
        self._folder.cleanup()
        os.environ.pop("NTLM_USER_FILE", None)

    def fail(self, action: str, fault: Fault) -> None:
        """Let the next such request fail: no answer, a cut connection, half of the output, or wrong output."""
        self._faults[action] = fault

    @property
    def folders(self) -> list[str]:
        """What is left in %TEMP%."""
        return [path.name for path in Path(self.machine.temp).glob("weighbridge-*")]

    # -- the shell's actions -----------------------------------------------------------------------------

    def answer(self, request: wsman.Request) -> tuple[str, Fault | None]:
        self.requests[request.action] += 1
        self.on_request.get(request.action, lambda: None)()
        fault = self._faults.pop(request.action, None)
        if request.action != "Create" and request.shell not in self.shells:
            raise wsman.SoapFault(wsman.NO_SUCH_SHELL, "The request has a shell that was not found.")
        return getattr(self, f"_{request.action.lower()}")(request, fault), fault

    def _create(self, request: wsman.Request, _fault: Fault | None) -> str:
        shell = str(uuid.uuid4()).upper()
        self.shells[shell] = {}
        return wsman.created(shell)

    def _command(self, request: wsman.Request, _fault: Fault | None) -> str:
        nodes = request.body.iterfind(f".//{{{wsman.SHELL}}}Arguments")
        line = " ".join([request.text(".//rsp:Command"), *(node.text or "" for node in nodes)]).strip()
        self.command_lines.append(line)
        number = str(uuid.uuid4()).upper()
        self.shells[request.shell][number] = Command(self._process(line), self.machine.environment)
        return wsman.started(number)

    def _process(self, line: str) -> list[str]:
        if len(line) > LONGEST_COMMAND_LINE:
            line = "echo The command line is too long."
        if powershell := re.fullmatch(r"powershell (.*)", line):
            machine = json.dumps(self.machine._asdict())
            return [sys.executable, "-m", "tests.e2e.windows.powershell", machine, *powershell[1].split()]
        if self.machine.cmd:
            # As a file, because wine would escape quotes on the command line of cmd as in C.
            script = Path(self._folder.name, f"{uuid.uuid4()}.bat")
            script.write_text(f"@{line}\r\n")
            return [*self.machine.cmd, "Z:" + str(script).replace("/", "\\")]
        return [sys.executable, "-m", "tests.e2e.windows.cmd", self.machine.temp, line]

    def _send(self, request: wsman.Request, fault: Fault | None) -> str:
        command = self.shells[request.shell][request.command]
        for stream in request.body.iterfind(f".//{{{wsman.SHELL}}}Stream"):
            content = base64.b64decode(stream.text or "")
            if fault == "damage":
                content = damaged(content)
            command.send(content, end=stream.get("End", "").lower() == "true")
        return "<rsp:SendResponse/>"

    def _receive(self, request: wsman.Request, fault: Fault | None) -> str:
        if fault in ("hang", "cut"):
            return ""
        command = self.shells[request.shell][request.command]
        stdout, stderr, code = command.receive(request.timeout_s, self.closing)
        if fault == "shorten":
            stdout, code = stdout[: len(stdout) // 2], 0
        if fault == "damage":
            stdout = damaged(stdout)
        return wsman.received(request.command, stdout, stderr, code)

    def _signal(self, request: wsman.Request, _fault: Fault | None) -> str:
        # Windows accepts a signal even after the command has ended.
        if command := self.shells[request.shell].pop(request.command, None):
            command.end()
        return "<rsp:SignalResponse/>"

    def _delete(self, request: wsman.Request, _fault: Fault | None) -> str:
        for command in self.shells.pop(request.shell).values():
            command.end()
        return ""


def damaged(content: bytes) -> bytes:
    """The content with another letter in the middle of the base64: still JSON, but another text."""
    at = content.index(b'"body": "') + 40
    return content[:at] + (b"B" if content[at : at + 1] != b"B" else b"C") + content[at + 1 :]


class _Handler(BaseHTTPRequestHandler):
    """One connection, and therefore one sign-in."""

    protocol_version = "HTTP/1.1"
    server: _Server
    context: Any = None

    def do_POST(self) -> None:
        host = self.server.host
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if not self._signed_in():
                return
            self._serve(body)
        except Exception:
            host.unexpected.append(traceback.format_exc())
            self._reply(599, b"")

    def _signed_in(self) -> bool:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if token:
            if self.context is None or self.context.complete:
                self.context = spnego.server(protocol="ntlm", channel_bindings=self.server.host.bindings)
            try:
                reply = self.context.step(base64.b64decode(token))
            except SpnegoError:
                self.server.host.requests["refused sign-in"] += 1
                self.context = None
            else:
                if self.context.complete:
                    return True
                self._reply(401, b"", ("WWW-Authenticate", f"{scheme} {base64.b64encode(reply or b'').decode()}"))
                return False
        elif self.context is not None and self.context.complete:
            return True
        self._reply(401, b"", ("WWW-Authenticate", "Negotiate"))
        return False

    def _serve(self, body: bytes) -> None:
        if not body:  # a sign-in alone
            return self._reply(200, b"")
        if not self.headers["Content-Type"].startswith("multipart/encrypted") or len(body) > LARGEST_ENVELOPE_BYTES:
            self.server.host.unexpected.append(f"{self.headers['Content-Type']}, {len(body)} bytes")
            return self._reply(500, b"")
        request = wsman.read(self._unsealed(body))
        try:
            answer, fault = self.server.host.answer(request)
        except wsman.SoapFault as refusal:
            return self._sealed(500, wsman.write(None, wsman.fault(refusal)))
        if fault == "hang":
            self.server.host.closing.wait()
        if fault in ("hang", "cut"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return self._sealed(200, wsman.write(request, answer))

    # -- messages ([MS-WSMV] 2.2.9.1) --------------------------------------------------------------------

    def _unsealed(self, body: bytes) -> bytes:
        _, header, content = body.split(BOUNDARY + b"\r\n", 2)
        sealed = content.removeprefix(b"\tContent-Type: application/octet-stream\r\n").removesuffix(
            BOUNDARY + b"--\r\n"
        )
        size = int.from_bytes(sealed[:4], "little")
        plain: bytes = self.context.unwrap_winrm(sealed[4 : 4 + size], sealed[4 + size :])
        assert int(header.split(b"Length=")[1]) == len(plain)
        return plain

    def _sealed(self, status: int, plain: bytes) -> None:
        wrapped = self.context.wrap_winrm(plain)
        self._reply(
            status,
            b"".join(
                [
                    BOUNDARY + b"\r\n",
                    f"\tContent-Type: {SEALED}\r\n".encode(),
                    f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={len(plain)}\r\n".encode(),
                    BOUNDARY + b"\r\n",
                    OCTETS,
                    len(wrapped.header).to_bytes(4, "little") + wrapped.header + wrapped.data,
                    BOUNDARY + b"--\r\n",
                ]
            ),
            ("Content-Type", f'multipart/encrypted;protocol="{SEALED}";boundary="Encrypted Boundary"'),
        )

    def _reply(self, status: int, content: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        try:
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # the client has gone, as after Ctrl-C
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing: a test prints what it needs."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], host: WindowsHost, context: ssl.SSLContext) -> None:
        super().__init__(address, _Handler)
        self.host = host
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do TLS in the connection's own thread: a client that rejects our certificate blocks no one else."""
        with contextlib.suppress(OSError):
            request.settimeout(60)
            with self._context.wrap_socket(request, server_side=True) as connection:
                super().finish_request(connection, client_address)
