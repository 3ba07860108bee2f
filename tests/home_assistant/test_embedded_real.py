"""The function inside a real Home Assistant, as a process: its memory, its log, and kill -9.

Rule: the Home Assistant is the one beside these tests in the Debian root (tests/e2e/install_home_assistant.sh).
"""

from __future__ import annotations

import json
import os
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

from tests.function_client import free_port
from tests.garmin.server import GarminStandIn
from tests.skips import NOT_HERE

HASS = Path("/ha/bin/hass")
ROOT = Path(__file__).parents[2]
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


class Running:
    """A Home Assistant with the integration, in this folder."""

    def __init__(self, folder: Path, garmin: GarminStandIn) -> None:
        self._folder, self._garmin = folder, garmin
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
        environment = {name: text for name, text in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
        environment |= {"GARMIN_DOMAIN": self._garmin.domain, "GARMIN_CA_BUNDLE": str(self._garmin.ca_bundle)}
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [HASS, "--skip-pip", "--config", self._folder, "--log-no-color"],
                env=environment,
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
    if not HASS.exists():
        pytest.skip(f"{NOT_HERE}a Home Assistant beside these tests")
    garmin.account.mfa_code = CODE
    running = Running(tmp_path, garmin)
    running.start()
    yield running
    running.kill()


def test_real(home: Running, garmin: GarminStandIn, figure: Callable[[str], None]) -> None:
    """Added by the flow with a second factor, the function takes 40 MiB at most, blocks nothing, and a weigh-in is
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
    assert "blocking call" not in home.log()
    assert not [line for line in home.log().splitlines() if "ERROR" in line and "weighbridge" in line]
    assert more <= MOST_MIB
