"""kill -9 of a real Home Assistant between the arrival of a reading and its delivery: nothing is lost or doubled.

Home Assistant, Mosquitto and the function are real; Garmin is the stand-in. Each life of Home Assistant ends with
SIGKILL at a random moment after a reading of its own arrived. A kill counts if this reading was still on its way.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.parts import wait_until
from tests.e2e.parts.home_assistant import BROKER_ENTRY, HOME_ASSISTANT_ROOT, IN_ROOT, ROOT
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.garmin.server import GarminStandIn
from tests.home_assistant.running import RunningFunction
from tests.listening import check_address
from tests.ports import free_port
from tests.skips import NOT_HERE

KILLS = 50
AT = datetime(2026, 11, 1, 7, tzinfo=UTC)
#: Each kill falls into this time after the arrival of a reading. Garmin shows a reading SHOWN_S after the upload, and
#: the function looks half a second after it. So most kills count, and some come right after the end.
LONGEST_S, SHOWN_S = 0.7, 0.3
#: Those that came too late to count are among them.
MOST_LIVES = 2 * KILLS
#: In the log of the broker.
SUBSCRIBED = "scale/# (QoS 1"
ENTRY = "weighbridge"
#: Home Assistant's own start, in a new process for each life. What takes longest, the imports, is done once, before the
#: fork. It prints the id of each process.
SERVER = """
import importlib, os, signal, sys
sys.path = [path for path in sys.path if path]
from homeassistant import __main__, bootstrap
for domain in sorted({*bootstrap.DEFAULT_INTEGRATIONS, "mqtt", "sensor", "event", "binary_sensor", "repairs"}):
    for name in (domain, f"{domain}.config_flow"):
        try:
            importlib.import_module(f"homeassistant.components.{name}")
        except ImportError:
            pass
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in sys.stdin:
    if (pid := os.fork()) == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sys.stdin.close()
        sys.argv = ["hass", "--skip-pip", "-c", "/config", "--log-no-color"]
        sys.exit(__main__.main())
    print(pid, file=sys.stdout, flush=True)
"""
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
        self.folder = folder
        self.pid = 0
        self.store = folder / ".storage" / f"weighbridge.{ENTRY}"
        self.store.parent.mkdir(parents=True)
        (folder / "configuration.yaml").write_text(CONFIGURATION)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "custom_components", folder / "custom_components", ignore=ignored)
        self.port = free_port()
        self._write("http", {"server_host": ["127.0.0.1"], "server_port": self.port})
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
        (self.folder / ".storage" / name).write_text(json.dumps(document))

    def __enter__(self) -> Home:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_"))}
        with (self.folder / "output").open("ab") as output:
            self._server = subprocess.Popen(
                (IN_ROOT, HOME_ASSISTANT_ROOT, "/ha/bin/python", "-c", SERVER),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env=inherited | {"CONFIG": str(self.folder)},
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._server.kill()
        self._server.communicate()

    def start(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write("start\n")
        self._server.stdin.flush()
        self.pid = int(self._server.stdout.readline())

    def kill(self) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            wait_until("Home Assistant has ended", lambda: not Path(f"/proc/{self.pid}").exists())
        self.pid = 0

    def log(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def stored(self) -> str:
        with suppress(FileNotFoundError):
            return self.store.read_text()
        return ""

    def waiting(self) -> list[str]:
        """The topics of the readings that are stored and on their way."""
        stored = self.stored()
        return [item["source"] for item in json.loads(stored)["data"]["items"]] if stored else []

    def is_done(self, topic: str) -> bool:
        """Whether the reading of this topic was stored and has left: its delivery has ended."""
        return f"mqtt:{topic}" in self.stored() and topic not in self.waiting()


def message(n: int) -> bytes:
    """The nth weigh-in, with a time and a weight of its own."""
    return json.dumps({"weight": 70 + n / 10, "timestamp": (AT + timedelta(hours=6 * n)).isoformat()}).encode()


def live(home: Home, broker: Mosquitto, n: int, after_s: float) -> bool:
    """One life. Returns whether its reading had arrived and was still on its way when it ended."""
    topic, is_retained, subscriptions = f"scale/{n}", n % 2 == 0, broker.log().count(SUBSCRIBED)
    if is_retained:
        broker.publish(topic, message(n), retain=True)
    home.start()
    wait_until("Home Assistant listens", lambda: broker.log().count(SUBSCRIBED) > subscriptions, 120)
    if is_retained:
        # The broker keeps it, so a kill may come before it is on the disk.
        wait_until("the broker has sent it", lambda: sent(broker, topic), 60)
    else:
        broker.publish(topic, message(n))
        wait_until("the reading is on the disk", lambda: f"mqtt:{topic}" in home.stored(), 60)
    time.sleep(after_s)
    home.kill()
    return not home.is_done(topic)


def sent(broker: Mosquitto, topic: str) -> bool:
    return any("Sending PUBLISH" in line and f"'{topic}'" in line for line in broker.log().splitlines())


@pytest.mark.skipif(not HOME_ASSISTANT_ROOT, reason=f"{NOT_HERE}Home Assistant is in a Debian root")
def test_kill(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """After 50 kills, each between the arrival of a reading and the end of its delivery, Garmin has each weigh-in once:
    those that the broker retains, and those that came live and were on the disk."""
    chance = random.Random(19)
    kills = lives = 0
    with GarminStandIn(show_delay_s=SHOWN_S) as garmin, mosquitto() as broker:
        function = RunningFunction(garmin, tmp_path / "function")
        (tmp_path / "function").mkdir()
        function.reset()
        home = Home(tmp_path / "home", broker.port, function.url, function.key)
        try:
            with home:
                while kills < KILLS and lives < MOST_LIVES:
                    kills += live(home, broker, lives, chance.uniform(0, LONGEST_S))
                    lives += 1
                home.start()
                wait_until("all arrived", lambda: len(function.weights()) >= lives, 120)
                wait_until("nothing waits", lambda: not home.waiting(), 120)
                check_address(home.pid, home.port, home.folder)
        finally:
            function.stop()
        assert "blocking call" not in home.log()
        found = sorted(weight["timestampGMT"] for weight in function.weights())
        figure(f"{kills} kills of Home Assistant while a reading was on its way, {lives - kills} after that")
        assert found == [(AT + timedelta(hours=6 * n)).timestamp() * 1000 for n in range(lives)]
        assert kills == KILLS
        assert garmin.unexpected == []
