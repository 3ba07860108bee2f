"""kill -9 of a real Home Assistant between the arrival of a reading and its delivery: nothing is lost or doubled.

Home Assistant, Mosquitto and the function are real; Garmin is the stand-in. Each life of Home Assistant ends with
SIGKILL at a random moment after a reading arrived. WEIGHBRIDGE_KILLS says how many lives there are.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.parts import free_port, wait_until
from tests.e2e.parts.home_assistant import BROKER_ENTRY, HOME_ASSISTANT_ROOT, IN_ROOT, ROOT
from tests.e2e.parts.mosquitto import mosquitto
from tests.garmin.server import GarminStandIn
from tests.home_assistant.running import RunningFunction
from tests.skips import NOT_HERE

KILLS = int(os.environ.get("WEIGHBRIDGE_KILLS", "8"))
AT = datetime(2026, 11, 1, 7, tzinfo=UTC)
#: The readings arrive and are sent within this time; a kill falls into it, or shortly after.
LONGEST_S = 0.4
#: In the log of the broker.
SUBSCRIBED = "scale/# (QoS 1"
ENTRY = "weighbridge"
CONFIGURATION = """\
homeassistant:
  name: Home
  time_zone: Europe/Berlin
logger:
  default: warning
"""


class Home:
    """A Home Assistant with MQTT and the integration, and nothing else."""

    def __init__(self, folder: Path, mqtt_port: int, url: str, key: str) -> None:
        self._folder = folder
        self.store = folder / ".storage" / f"weighbridge.{ENTRY}"
        self.store.parent.mkdir(parents=True)
        (folder / "configuration.yaml").write_text(CONFIGURATION)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "custom_components", folder / "custom_components", ignore=ignored)
        self._write("http", {"server_host": ["127.0.0.1"], "server_port": free_port()})
        person = {
            "data": {"name_in_function": "", "topic": "scale/#"},
            "subentry_id": "person",
            "subentry_type": "person",
            "title": "Anna",
            "unique_id": "",
        }
        broker = {**BROKER_ENTRY, "data": {"broker": "127.0.0.1", "port": mqtt_port, "discovery": False}}
        ours = {
            **BROKER_ENTRY,
            "entry_id": ENTRY,
            "domain": "weighbridge",
            "title": "Weighbridge",
            "data": {"url": url, "api_key": key},
            "subentries": [person],
        }
        self._write("core.config_entries", {"entries": [broker, ours]})

    def _write(self, name: str, data: object) -> None:
        document = {"version": 1, "minor_version": 1, "key": name, "data": data}
        (self._folder / ".storage" / name).write_text(json.dumps(document))

    def start(self) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_"))}
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                (IN_ROOT, HOME_ASSISTANT_ROOT, "/ha/bin/hass", "--skip-pip", "-c", "/config", "--log-no-color"),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=inherited | {"CONFIG": str(self._folder)},
            )

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stored(self) -> str:
        with suppress(FileNotFoundError):
            return self.store.read_text()
        return ""

    def log(self) -> str:
        return (self._folder / "output").read_text(errors="replace")


def message(n: int) -> bytes:
    """The nth weigh-in, with a time and a weight of its own."""
    return json.dumps({"weight": 70 + n / 10, "timestamp": (AT + timedelta(hours=6 * n)).isoformat()}).encode()


@pytest.mark.skipif(not HOME_ASSISTANT_ROOT, reason=f"{NOT_HERE}Home Assistant is in a Debian root")
def test_kill(tmp_path: Path) -> None:
    """After so many kills, Garmin has each weigh-in once: those that the broker retains, and those that came live and
    were on the disk."""
    chance = random.Random(19)
    between = 0
    with GarminStandIn() as garmin, mosquitto() as broker:
        function = RunningFunction(garmin, tmp_path / "function")
        (tmp_path / "function").mkdir()
        function.reset()
        home = Home(tmp_path / "home", broker.port, function.url, function.key)
        try:
            for n in range(KILLS):
                topic, is_retained = f"scale/{n}", n % 2 == 0
                subscriptions = broker.log().count(SUBSCRIBED)
                if is_retained:
                    broker.publish(topic, message(n), retain=True)
                home.start()
                wait_until("Home Assistant listens", lambda n=subscriptions: broker.log().count(SUBSCRIBED) > n, 120)
                if not is_retained:
                    broker.publish(topic, message(n))
                    wait_until("the reading is on the disk", lambda t=topic: f"mqtt:{t}" in home.stored(), 60)
                time.sleep(chance.uniform(0, LONGEST_S))
                home.kill()
                between += '"items":[{' in home.stored().replace(" ", "")
            home.start()
            wait_until(
                "all is delivered", lambda: len(function.weights()) >= KILLS and '"id"' not in home.stored(), 120
            )
        finally:
            home.kill()
            function.stop()
        found = sorted(weight["timestampGMT"] for weight in function.weights())
        print(f"{KILLS} kills, {between} of them while a reading was on its way")
        assert found == [(AT + timedelta(hours=6 * n)).timestamp() * 1000 for n in range(KILLS)]
        assert between > 0
        assert garmin.unexpected == []
