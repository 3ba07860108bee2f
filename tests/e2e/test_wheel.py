"""The wheel works in an empty folder on a machine without a checkout.

Strategy: the wheel is installed with the hashed list of packages into a new environment, and each command runs in a new
folder, without a variable of this checkout. Third-party software reads what the commands write.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from trove_classifiers import classifiers

from sdk_fallback.errors import NothingAvailable
from sdk_fallback.fitcsvtool import checked_output, decode_command, read_csv
from sdk_fallback.runners.local_java import local_java
from tests.e2e.parts import unavailable, wait_until
from tests.garmin.server import GarminStandIn
from tests.outside import by_fitdecode
from tests.ports import free_port
from weighbridge import __version__
from weighbridge.cli import COMMANDS

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/weighbridge/weighbridge"
#: Four values of examples/fitdays.json, as any decoder shows them.
SHOWN = {"weight": "81.4", "percent_fat": "18.2", "percent_hydration": "56.39", "muscle_mass": "63.2"}


class Installed:
    """An installed Weighbridge, and an empty folder for each command."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.folder = program, folder
        (folder / "home").mkdir()

    def new_folder(self) -> Path:
        folder = self.folder / f"empty{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        return folder

    @property
    def environment(self) -> dict[str, str]:
        """A new user's environment: no setting, no import path, an empty home."""
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_", "PYTHON", "VIRTUAL"))
        }
        return kept | {"HOME": str(self.folder / "home")}

    def run(self, *arguments: object, folder: Path, said: str = "", exit_code: int = 0) -> str:
        """What a command prints. If it fails, the failure shows its stderr."""
        done = self.end(*arguments, folder=folder, said=said)
        assert done.returncode == exit_code, done.stderr
        return done.stdout

    def end(self, *arguments: object, folder: Path, said: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(self.program), *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            input=said,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def serving(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """The address of `weighbridge serve`, and the file of its output."""
        port, log = free_port(), folder / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [str(self.program), "serve", "--port", str(port)],
                cwd=folder,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until("it answers or has ended", lambda: process.poll() is not None or is_answering(port))
            assert process.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}", log
        finally:
            process.terminate()
            process.wait(timeout=30)


def is_answering(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5).close()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--directory", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("machine")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [folder / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements.txt"], check=True)
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True)
    return Installed(folder / "venv" / "bin" / "weighbridge", folder)


# -- what is in the wheel ----------------------------------------------------------------------------------


def test_wheel_has_only_our_packages(wheel: Path) -> None:
    """The wheel has no top-level name except Weighbridge's, and no test or private file of a checkout."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.startswith("weighbridge")} == {"sdk_fallback"}
    assert f"weighbridge-{__version__}.dist-info" in tops
    assert not [name for name in names if "test" in name or "node_modules" in name or name.endswith((".pyc", ".env"))]


def test_templates_are_those_of_the_checkout(wheel: Path) -> None:
    """The templates in the wheel are those of the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {Path(name).name: archive.read(name) for name in archive.namelist() if "/templates/" in name}
    assert packed == {path.name: path.read_bytes() for path in (ROOT / "templates").glob("*.fit")}


def test_metadata_is_valid_and_complete(wheel: Path) -> None:
    """The metadata is valid and says where the project is."""
    with zipfile.ZipFile(wheel) as archive:
        raw = archive.read(f"weighbridge-{__version__}.dist-info/METADATA")
    metadata = Metadata.from_email(raw, validate=True)
    assert (metadata.name, str(metadata.version), str(metadata.requires_python)) == (
        "weighbridge",
        __version__,
        ">=3.11",
    )
    assert metadata.license_expression == "MIT"
    assert metadata.description_content_type == "text/markdown"
    assert {"Homepage", "Documentation", "Issues", "Changelog"} <= set(metadata.project_urls or {})
    assert set(metadata.classifiers or ()) <= classifiers
    assert metadata.keywords


def test_page_of_the_package_has_no_dead_link(wheel: Path) -> None:
    """The README in the metadata is that of the checkout, with absolute links and pictures, which lead to its files."""
    with zipfile.ZipFile(wheel) as archive:
        raw = archive.read(f"weighbridge-{__version__}.dist-info/METADATA")
    text = Metadata.from_email(raw, validate=True).description or ""
    found = re.findall(r'\]\(([^)#][^)]*)\)|src="([^"]+)"', text)
    assert len(found) > 20
    for link in (one or other for one, other in found):
        assert link.startswith("https://"), link
        if place := re.fullmatch(rf"{REPOSITORY}/(?:blob|raw)/main/([^#]+)(?:#.*)?", link):
            assert (ROOT / place[1]).is_file(), link
    assert text.replace(f"{REPOSITORY}/blob/main/", "").replace(f"{REPOSITORY}/raw/main/", "").strip() == (
        (ROOT / "README.md").read_text(encoding="utf-8").replace(f"{REPOSITORY}/blob/main/", "").strip()
    )


def test_source_distribution_makes_the_same_wheel(dist: Path, wheel: Path, tmp_path: Path) -> None:
    """The source distribution builds the same wheel."""
    (source,) = dist.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path / "again"]
    subprocess.run(command, cwd=folder, check=True)
    assert contents(tmp_path / "again" / wheel.name) == contents(wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# -- what it does, once installed --------------------------------------------------------------------------


def test_version_and_commands_are_shown(installed: Installed) -> None:
    """`--version` shows the version, and `--help` every command."""
    folder = installed.new_folder()
    assert __version__ in installed.run("--version", folder=folder)
    shown = installed.run("--help", folder=folder)
    for command in ("fit", "serve", "login", "doctor", "refresh", "kept", "import", "form", "outbox", "fitdays", "sdk"):
        assert f"  {command} " in shown


def test_reading_becomes_a_valid_file(installed: Installed) -> None:
    """A reading becomes a file that Garmin's own tool reads."""
    folder = installed.new_folder()
    shutil.copy(ROOT / "examples" / "fitdays.json", folder)
    installed.run("fit", "fitdays.json", "-o", "a.fit", folder=folder)
    content = (folder / "a.fit").read_bytes()
    (weigh_in,) = by_fitdecode(content)
    assert {name: f"{weigh_in.value[name]:g}" for name in SHOWN} == SHOWN
    try:
        runner = local_java(os.environ, chosen=False)
    except NothingAvailable as missing:
        unavailable(str(missing))
    ran = runner.run({"a.fit": content}, [decode_command("a.fit", "a.csv")])
    rows = read_csv(checked_output(ran, 0, "a.csv"))
    (values,) = [row.values for row in rows if (row.kind, row.message) == ("Data", "weight_scale")]
    assert {name: values[name] for name in SHOWN} == SHOWN


def test_reading_may_come_from_standard_input(installed: Installed) -> None:
    """A reading may come from the standard input."""
    folder = installed.new_folder()
    installed.run("fit", "-", "-o", "a.fit", folder=folder, said='{"weight": 81.4}')
    (weigh_in,) = by_fitdecode((folder / "a.fit").read_bytes())
    assert weigh_in.value["weight"] == 81.4


def test_contradictory_reading_makes_no_file(installed: Installed) -> None:
    """A reading that contradicts itself makes no file, and the message names the value."""
    folder = installed.new_folder()
    done = installed.end("fit", "-", "-o", "a.fit", folder=folder, said='{"weight": 81.4, "fat mass": 90}')
    assert done.returncode == 1
    assert "fat mass" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_serve_says_where_files_go(installed: Installed) -> None:
    """`serve` answers as the function, and says where files go."""
    folder = installed.new_folder()
    with installed.serving(folder) as (address, log):
        body = (ROOT / "examples" / "fitdays.json").read_bytes()
        key = installed.run("key", folder=folder).strip()
        request = urllib.request.Request(address, body, {"X-API-Key": key})
        with urllib.request.urlopen(request, timeout=30) as answer:
            receipt = json.load(answer)
        assert (receipt["status"], receipt["final"]) == ("kept", True)
        (kept,) = (folder / "weigh-ins").rglob("*.fit")
        assert kept == folder / "weigh-ins" / receipt["fit"]["file_name"]
        said = log.read_text()
    assert address in said
    assert str(folder / "weigh-ins") in said


def test_wrong_setting_or_port_in_use_ends_serve(installed: Installed) -> None:
    """A wrong setting or a port in use ends `serve` at once with one sentence."""
    folder = installed.new_folder()
    (folder / ".env").write_text("WEIGHBRIDGE_TIMEZONE=Nowhere/Town\n")
    done = installed.end("serve", folder=folder)
    assert done.returncode == 1
    assert "WEIGHBRIDGE_TIMEZONE must be a time zone such as Europe/Berlin." in done.stderr
    assert "Traceback" not in done.stderr
    (folder / ".env").unlink()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = installed.end("serve", "--port", port, folder=folder)
    assert done.returncode == 1
    assert f"{port} is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_demo_writes_only_its_own_folder(installed: Installed) -> None:
    """The demo writes only into its own folder."""
    folder = installed.new_folder()
    shown = installed.run("demo", folder=folder)
    assert "decoded by fitdecode" in shown
    assert [path.name for path in folder.iterdir()] == ["weighbridge-demo"]


@pytest.mark.parametrize("command", ["form"])
def test_missing_extra_is_one_sentence(installed: Installed, command: str) -> None:
    """A missing extra is reported in one sentence."""
    done = installed.end(command, folder=installed.new_folder())
    assert done.returncode == 1
    assert (
        done.stderr
        == f"weighbridge {command} needs more packages. In the checkout: pipx install --force '.[{command}]'.\n"
    )


def test_pipx_installs_the_wheel(
    wheel: Path, tmp_path: Path, garmin: GarminStandIn, figure: Callable[[str], None]
) -> None:
    """From an empty folder, without a checkout, `pipx install` of the wheel installs Weighbridge, with packages from
    the index that pip is set to. After a sign-in, a weigh-in that is sent to `weighbridge serve` is in Garmin."""
    started = time.monotonic()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_MAN_DIR": str(tmp_path / "man"),
        "PIPX_DEFAULT_PYTHON": sys.executable,
    }
    (tmp_path / "machine").mkdir()
    pipx = Installed(tmp_path / "bin" / "weighbridge", tmp_path / "machine")
    folder = pipx.new_folder()
    done = subprocess.run(
        [sys.executable, "-m", "pipx", "install", wheel],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    settings = {
        "WEIGHBRIDGE_DELIVERY": "garth,folder",
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        "WEIGHBRIDGE_CONFIRM_SECONDS": 2,
    }
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    garmin.write_token(tmp_path)
    pipx.run("login", "--import", "-", folder=folder, said=(tmp_path / "default.json").read_text())
    with pipx.serving(folder) as (address, _):
        key = pipx.run("key", folder=folder).strip()
        request = urllib.request.Request(address, b'{"weight": 81.4}', {"X-API-Key": key})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["status"] == "confirmed"
    assert [held["weight"] for held in garmin.weigh_ins()] == [81400.0]
    took_s = time.monotonic() - started
    figure(f"from pipx to a weigh-in in Garmin: {took_s:.0f} s, 5 commands: pipx, login, serve, key, curl")
    shutil.copy(ROOT / "examples" / "fitdays.json", folder)
    pipx.run("fit", "fitdays.json", "-o", "a.fit", folder=folder)
    assert len(by_fitdecode((folder / "a.fit").read_bytes())) == 1
    for command, place in COMMANDS.items():
        done = pipx.end(command, "--help", folder=folder)
        if place.extra in ("", "sdk"):  # the files of the SDK need its packages only when they reach Windows
            assert done.returncode == 0, done.stderr
        else:
            assert f"pipx install --force '.[{place.extra}]'" in done.stderr
