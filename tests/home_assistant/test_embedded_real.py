"""The function inside a real Home Assistant, as a process: its memory, its log, and kill -9.

Rule: the Home Assistant is the one beside these tests in the Debian root (tests/e2e/install_home_assistant.sh). The
function in it is the wheel, made and installed with the commands of docs/home-assistant.md. Nothing of the checkout can
be imported.

Strategy: the wheel goes into an environment of the test, which has all packages of that Home Assistant, too.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.garmin.server import GarminStandIn
from tests.listening import check_address
from tests.ports import free_port
from tests.skips import NOT_HERE

HOME_ASSISTANT = Path("/ha/bin/python")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "home-assistant.md"
CODE = "123456"
MOST_MIB = 40
CONFIGURATION = """
homeassistant:
  time_zone: Europe/Berlin
frontend:
config:
api:
logger:
  default: warning
"""


def clean_environment() -> dict[str, str]:
    """Without settings of Weighbridge, and without a path of these tests."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("WEIGHBRIDGE_", "PYTHON"))}


def run(*command: object, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def of_the_page(pattern: str) -> list[str]:
    """The words of a command on the page."""
    found = re.search(pattern, PAGE.read_text(), re.MULTILINE)
    assert found, pattern
    return shlex.split(found[1])


def with_wheel(folder: Path) -> Path:
    """The Python of an environment with that Home Assistant, and the wheel, made and installed as the page says."""
    program, *make, checkout = of_the_page(r"^\$ (python3 -m pip wheel .+)$")
    assert (program, checkout) == ("python3", ".")
    run(HOME_ASSISTANT, *make, ROOT, folder=folder)
    python = folder / "environment" / "bin" / "python"
    run(HOME_ASSISTANT, "-m", "venv", "--without-pip", folder / "environment", folder=folder)
    theirs = run(HOME_ASSISTANT, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder)
    ours = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder)
    (Path(ours) / "home_assistant.pth").write_text(theirs)
    program, *install = of_the_page(r"^\| Core, .+?`(pip install .+?)`")
    assert program == "pip"
    run(HOME_ASSISTANT, "-m", "pip", "--python", python, *install, folder=folder)
    assert run(python, "-c", "import weighbridge; print(weighbridge.__file__)", folder=folder).startswith(ours)
    return python


class Running:
    """A Home Assistant with the integration, in this folder, run by this Python."""

    def __init__(self, folder: Path, python: Path, garmin: GarminStandIn) -> None:
        self._folder, self._python, self._garmin = folder, python, garmin
        self._port = free_port()
        self._token = ""
        storage = folder / ".storage"
        storage.mkdir()
        (folder / "custom_components").symlink_to(ROOT / "custom_components")
        (folder / "configuration.yaml").write_text(CONFIGURATION)
        http = {"server_host": ["127.0.0.1"], "server_port": self._port}
        self._store("http", {"version": 1, "minor_version": 1, "data": http})
        self._store("onboarding", {"version": 4, "data": {"done": ["core_config", "analytics", "integration"]}})

    def _store(self, key: str, content: dict[str, Any]) -> None:
        (self._folder / ".storage" / key).write_text(json.dumps({"key": key, **content}))

    def start(self) -> None:
        stand_in = {"GARMIN_DOMAIN": self._garmin.domain, "GARMIN_CA_BUNDLE": str(self._garmin.ca_bundle)}
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._python, "-m", "homeassistant", "--skip-pip", "--config", self._folder, "--log-no-color"],
                env=clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"} | stand_in,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        until(lambda: self._process.poll() is not None or self._answers())
        if not self._token:
            self._token = self._onboard()
        until(lambda: self.ask("GET", "/api/config")["state"] == "RUNNING")

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self._port}/manifest.json", timeout=30).close()
        except OSError:
            return False
        return True

    def _onboard(self) -> str:
        client_id = f"http://127.0.0.1:{self._port}/"
        person = {"name": "Ann", "username": "ann", "password": "a password", "language": "en", "client_id": client_id}
        code = self.ask("POST", "/api/onboarding/users", person)["auth_code"]
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": code, "client_id": client_id})
        request = urllib.request.Request(f"{client_id}auth/token", form.encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(json.load(answer)["access_token"])

    def ask(self, method: str, path: str, body: object = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise RuntimeError(f"{path}: HTTP {e.code}, {e.read().decode()}; {self.log()}") from e

    def check_address(self) -> None:
        check_address(self._process.pid, self._port, self._folder)

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def log(self) -> str:
        return (self._folder / "output").read_text()

    # -- the integration -------------------------------------------------------------------------------------

    def add(self) -> None:
        """By the flow, with a sign-in that has a second factor."""
        flows = "/api/config/config_entries/flow"
        step = self.ask("POST", flows, {"handler": "weighbridge"})
        for typed in (
            {"next_step_id": "embedded"},
            {"name": "Anna", "in_china": False},
            {"next_step_id": "password"},
            {"email": "runner@example.com", "password": "correct horse"},
            {"code": CODE},
            {},
        ):
            step = self.ask("POST", f"{flows}/{step['flow_id']}", typed)
        assert step["type"] == "create_entry", step

    def weigh_in(self, **values: object) -> Any:
        """The answer of the action."""
        answer = self.ask("POST", "/api/services/weighbridge/add_weigh_in?return_response", values)
        return answer["service_response"]


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def home(tmp_path: Path, garmin: GarminStandIn) -> Iterator[Running]:
    if not HOME_ASSISTANT.exists():
        pytest.skip(f"{NOT_HERE}a Home Assistant beside these tests")
    garmin.account.mfa_code = CODE
    folder = tmp_path / "configuration"
    folder.mkdir()
    running = Running(folder, with_wheel(tmp_path), garmin)
    running.start()
    yield running
    running.kill()


def test_real(home: Running, garmin: GarminStandIn, figure: Callable[[str], None]) -> None:
    """Added by the flow with a second factor, the wheel takes 40 MiB at most, blocks nothing, and a weigh-in is
    confirmed. After kill -9 right after a renewal, the renewed token is used."""
    without = home.resident_mib()
    home.add()
    assert home.weigh_in(measured_at="2026-11-23T06:31:00Z", weight_kg=81.4)["status"] == "confirmed"
    more = home.resident_mib() - without
    figure(f"Home Assistant {without:.1f} MiB, with the function inside {more:+.1f} MiB")
    garmin.expire_access_tokens()
    before = garmin.sign_in.refreshes
    assert home.weigh_in(measured_at="2026-11-24T06:31:00Z", weight_kg=81.2)["status"] == "confirmed"
    home.kill()
    assert garmin.sign_in.refreshes == before + 1
    home.start()
    garmin.expire_access_tokens()
    assert home.weigh_in(measured_at="2026-11-25T06:31:00Z", weight_kg=81.0)["status"] == "confirmed"
    assert (garmin.sign_in.refreshes, garmin.sign_in.refused_refreshes) == (before + 2, 0)
    home.check_address()
    assert "blocking call" not in home.log()
    assert not [line for line in home.log().splitlines() if "ERROR" in line and "weighbridge" in line]
    assert more <= MOST_MIB
