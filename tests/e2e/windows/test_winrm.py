"""FitCSVTool over WinRM: pywinrm, TLS, NTLM, encrypted messages, shells with real processes, and real Java.

The stand-ins for cmd and PowerShell are in Python here; tests/e2e has Java for Windows under wine.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pypsrp.exceptions import AuthenticationError
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan

from sdk_fallback import windows
from sdk_fallback.cli import AGREES
from sdk_fallback.errors import RunnerUnusable
from sdk_fallback.fitcsvtool import checked_output, decode_command
from sdk_fallback.report import verify_golden
from sdk_fallback.runners.winrm import WinRM, WinRMAccess
from tests.e2e.windows.host import USER, WindowsHost
from tests.e2e.windows.powershell import Machine
from tests.sdk_command import sdk
from tests.skips import java
from weighbridge.resources import TEMPLATES
from weighbridge.secret import SecretStr

TEMPLATE = (TEMPLATES / "weight_scale.fit").read_bytes()
DECODE = [decode_command("in.fit", "out.csv")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    tool = java()
    temp = tmp_path / "temp"
    temp.mkdir()
    return Machine(str(temp), [tool.java], str(tool.jar), str(tool.jar), [], dict(os.environ))


@pytest.fixture
def host(machine: Machine) -> Iterator[WindowsHost]:
    """A Windows machine for one test. Nothing may be left on it afterwards."""
    with WindowsHost(machine) as host:
        yield host
        assert host.unexpected == []
        assert host.shells == {}
        assert host.folders == []


def access(host: WindowsHost) -> WinRMAccess:
    return WinRMAccess("localhost", host.port, USER, SecretStr(host.password), host.certificate)


def environment_of(host: WindowsHost) -> dict[str, str]:
    return {
        "WINRM_HOST": host.address,
        "WINRM_USER": USER,
        "WINRM_PASSWORD": host.password,
        "WINRM_CA": str(host.certificate),
    }


def fault_of(host: WindowsHost, runner: WinRM) -> str:
    """The message of the fault that ends a run. It must not contain the password."""
    with pytest.raises(RunnerUnusable) as caught:
        runner.run({"in.fit": TEMPLATE}, DECODE)
    assert host.password not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    return str(caught.value)


# --- it works ---


def test_golden_readings_over_winrm(host: WindowsHost) -> None:
    """Every golden reading agrees over WinRM, with one shell for each batch."""
    sections, differences, _ = verify_golden(WinRM(access(host)))
    assert differences == []
    assert {section.columns[1].title for section in sections} == {"FitCSVTool writes"}
    assert host.requests["Create"] == host.requests["Delete"] == 2


def test_large_data_goes_in_pieces(host: WindowsHost) -> None:
    """Large input and output go in pieces."""
    ran = WinRM(access(host)).run({"in.fit": TEMPLATE, "large.bin": bytes(300_000)}, DECODE)
    assert host.requests["Send"] > 3
    assert checked_output(ran, 0, "out.csv")
    assert list(ran.files) == ["out.csv"]


def test_two_runs_at_once(host: WindowsHost) -> None:
    """Two runs at once do not disturb each other."""
    runners = [WinRM(access(host)) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda runner: runner.run({"in.fit": TEMPLATE}, DECODE), runners))
    assert done[0] == done[1]
    assert checked_output(done[0], 0, "out.csv")


def test_whole_command_with_secret_in_a_file(host: WindowsHost, tmp_path: Path) -> None:
    """`sdk verify` and `sdk doctor` work with the password in a file, and do not show it."""
    (tmp_path / "password").write_text(host.password + "\n")
    environment = environment_of(host) | {"WINRM_PASSWORD": "", "WINRM_PASSWORD_FILE": str(tmp_path / "password")}
    verified, looked = sdk(["verify"], environment), sdk(["doctor"], environment)
    assert (verified.exit_code, looked.exit_code) == (AGREES, AGREES)
    said = verified.output + looked.output
    assert "FitCSVTool ran on Windows over WinRM." in said
    for link in (f"Port {host.port} of localhost is open", "certificate", "can sign in", "A command runs there", "21."):
        assert link in said
    assert host.password not in said + " ".join(host.command_lines)


def test_environment_proxy_and_ca_are_ignored(host: WindowsHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy or a CA bundle from the environment is ignored."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.devnull)
    assert WinRM(access(host)).run({"in.fit": TEMPLATE}, DECODE).files


# --- faults before anything runs ---


def test_wrong_password(host: WindowsHost) -> None:
    """A wrong password is named, and tried only once."""
    wrong = access(host)._replace(password=SecretStr("planted-secret"))
    said = fault_of(host, WinRM(wrong))
    assert said.startswith("localhost rejected the sign-in of weighbridge. Check WINRM_USER and WINRM_PASSWORD")
    assert "planted" not in said
    assert host.requests["refused sign-in"] == 1


def test_another_certificate(host: WindowsHost, machine: Machine) -> None:
    """Another certificate is not trusted, and nothing is sent."""
    with WindowsHost(machine) as other:
        said = fault_of(host, WinRM(access(host)._replace(certificate=other.certificate)))
    assert re.match(r"The certificate of localhost:\d+ is not trusted \(.*\), so nothing was sent\. WINRM_CA", said)
    assert not host.requests


def test_certificate_for_another_name(host: WindowsHost) -> None:
    """A certificate for another name is not trusted."""
    said = fault_of(host, WinRM(access(host)._replace(host="127.0.0.1")))
    assert "is not trusted" in said
    assert "for the name 127.0.0.1." in said


def test_closed_port(host: WindowsHost) -> None:
    """A closed port is named."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        runner = WinRM(access(host)._replace(port=closed.getsockname()[1]))
        assert fault_of(host, runner).startswith("Nothing answers at localhost:")
        with pytest.raises(RunnerUnusable, match="Nothing answers"):
            next(runner.links())


def test_silent_port(host: WindowsHost) -> None:
    """A port that accepts a connection and never answers ends the run in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        runner = WinRM(access(host)._replace(port=silent.getsockname()[1]), silence_s=0.3)
        assert "was silent for 0.3 s" in fault_of(host, runner)


def test_server_without_tls(host: WindowsHost) -> None:
    """A server that does not speak TLS is named."""
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        said = fault_of(host, WinRM(access(host)._replace(port=other.getsockname()[1])))
        thread.join()
    assert "does not speak TLS" in said


# --- faults during a run ---


def test_hanging_host(host: WindowsHost) -> None:
    """A host that hangs ends the run in time, and is cleaned up."""
    host.fail("Receive", "hang")
    assert "was silent for 6 s" in fault_of(host, WinRM(access(host), silence_s=6))


@pytest.mark.parametrize("action", ["Create", "Command", "Send", "Receive", "Signal", "Delete"])
def test_broken_connection(host: WindowsHost, action: str) -> None:
    """A connection that breaks at any step is named, and the host is cleaned up."""
    host.fail(action, "cut")
    said = fault_of(host, WinRM(access(host)))
    assert said == f"The connection to {host.address} broke in the middle. Try again."
    if action == "Create":  # its id was lost with the answer; Windows closes the shell when it is idle
        host.shells.clear()


@pytest.mark.parametrize(
    ("action", "fault", "words"),
    [
        ("Send", "damage", "The data sent to Windows over WinRM was damaged on the way"),
        ("Receive", "damage", "The answer of Windows over WinRM was damaged on the way (its checksum is wrong)"),
        ("Receive", "shorten", "The answer of Windows over WinRM was cut short"),
    ],
)
def test_damaged_data_is_not_trusted(host: WindowsHost, action: str, fault: str, words: str) -> None:
    """Data that was damaged or cut short on the way is not trusted."""
    host.fail(action, fault)  # type: ignore[arg-type]
    assert words in fault_of(host, WinRM(access(host)))


def test_hanging_tool(host: WindowsHost, tmp_path: Path) -> None:
    """A tool that hangs is stopped on the host, and that is reported."""
    host.machine = host.machine._replace(java=[program(tmp_path, "exec sleep 600")])
    said = fault_of(host, WinRM(access(host), guest_part=0.02))
    assert said == "FitCSVTool did not finish in time on Windows over WinRM and was stopped."


def test_hanging_host_at_the_deadline(host: WindowsHost, tmp_path: Path) -> None:
    """A host that hangs ends the run at the deadline, even if a longer silence is allowed."""
    host.machine = host.machine._replace(java=[program(tmp_path, "exec sleep 600")])
    host.fail("Receive", "hang")
    assert "did not finish within 6 s" in fault_of(host, WinRM(access(host), deadline_s=6, silence_s=600))


def test_ctrl_c_leaves_nothing_behind(host: WindowsHost, tmp_path: Path) -> None:
    """Ctrl-C leaves no shell, folder or process on the host."""
    host.machine = host.machine._replace(java=[program(tmp_path, "exec sleep 600")])

    def press() -> None:
        del host.on_request["Receive"]
        while not host.folders:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    host.on_request["Receive"] = press
    with pytest.raises(KeyboardInterrupt):
        WinRM(access(host)).run({"in.fit": TEMPLATE}, DECODE)


def program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "java"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


# --- faults in the guest ---


def test_missing_java(host: WindowsHost) -> None:
    """A missing Java is named."""
    host.machine = host.machine._replace(java=[])
    assert fault_of(host, WinRM(access(host))).startswith("There is no Java on Windows over WinRM. Run setup.ps1")


def test_missing_jar(host: WindowsHost) -> None:
    """A missing jar is named."""
    host.machine = host.machine._replace(jar_path="/nowhere/FitCSVTool.jar")
    assert fault_of(host, WinRM(access(host))).startswith(r"There is no C:\weighbridge\FitCSVTool.jar on Windows")


def test_old_jar(host: WindowsHost, tmp_path: Path) -> None:
    """A jar that is too old is named."""
    old = program(tmp_path, "echo 'FIT CSV Tool - Protocol 2.0 Profile 20.96 Release'")
    host.machine = host.machine._replace(java=[old])
    with pytest.raises(RunnerUnusable, match=r"profile 20.96; 21.120 or newer is needed"):
        verify_golden(WinRM(access(host)))


def test_full_disk(host: WindowsHost) -> None:
    """A full disk is named."""
    host.machine = host.machine._replace(full=True)
    assert (
        fault_of(host, WinRM(access(host)))
        == "The disk of Windows over WinRM is full. Free some space on its drive C:."
    )


def test_name_that_needs_quoting(host: WindowsHost) -> None:
    """A file name that would need quoting is refused."""
    for name in ("a b", "a&b", "..\\a", '"'):
        with pytest.raises(ValueError, match="not a plain name"):
            WinRM(access(host)).run({name: b""}, DECODE)


# --- the stand-in, checked by another client ---


@pytest.fixture
def outside(host: WindowsHost) -> Iterator[WSMan]:
    with WSMan(
        "localhost",
        port=host.port,
        username=USER,
        password=host.password,
        auth="ntlm",
        cert_validation=str(host.certificate),
        encryption="always",
        no_proxy=True,
        operation_timeout=1,
        read_timeout=10,
    ) as wsman:
        yield wsman


def test_pypsrp_runs_commands(outside: WSMan) -> None:
    """pypsrp runs commands on the stand-in, and gets their output and exit code."""
    with WinRS(outside) as shell:
        for line, stdout, code in [("ver", b"Microsoft Windows [Version 10.0.19045.1]\n", 0), ("exit 7", b"", 7)]:
            process = Process(shell, line)
            process.invoke()
            process.signal(SignalCode.CTRL_C)
            assert (process.stdout, process.rc) == (stdout, code)


def test_pypsrp_sends_input(host: WindowsHost, outside: WSMan) -> None:
    """pypsrp sends input, and keeps waiting after operation timeouts."""
    with WinRS(outside) as shell:
        process = Process(shell, "more")
        process.begin_invoke()
        process.poll_invoke(timeout=1)
        process.send(b"a line", end=True)
        process.end_invoke()
        process.signal(SignalCode.TERMINATE)
        assert (process.stdout, process.rc) == (b"a line", 0)
    assert host.requests["Receive"] > 1


def test_pypsrp_stops_a_command(outside: WSMan) -> None:
    """pypsrp stops a running command."""
    with WinRS(outside) as shell:
        process = Process(shell, "pause")
        process.begin_invoke()
        process.signal(SignalCode.TERMINATE)


def test_command_line_too_long(outside: WSMan) -> None:
    """A command line of more than 8191 characters is not executed."""
    with WinRS(outside) as shell:
        process = Process(shell, "echo " + "x" * 8187)
        process.invoke()
        process.signal(SignalCode.TERMINATE)
        assert process.stdout == b"The command line is too long.\n"


def test_pypsrp_with_a_wrong_password(host: WindowsHost) -> None:
    """pypsrp is refused with a wrong password."""
    wrong = {"auth": "ntlm", "cert_validation": str(host.certificate), "no_proxy": True, "encryption": "always"}
    with (
        WSMan("localhost", port=host.port, username=USER, password="no", **wrong) as wsman,  # type: ignore[arg-type]
        pytest.raises(AuthenticationError),
        WinRS(wsman),
    ):
        pass


def test_another_script_is_refused(outside: WSMan) -> None:
    """The stand-in refuses any script but the shipped one."""
    another = base64.b64encode(windows.script().replace("Stop", "Continue").encode("utf-16-le")).decode()
    with WinRS(outside) as shell:
        process = Process(shell, f"powershell -NoProfile -NonInteractive -EncodedCommand {another}")
        process.invoke()
        process.signal(SignalCode.TERMINATE)
        assert process.rc == 64
