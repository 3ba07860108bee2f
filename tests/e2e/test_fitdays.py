"""The poller: the real library against a stand-in for the cloud, to a real function and to a real broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import jinja2
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.parts import wait_until
from tests.e2e.parts.fitdays_cloud import EMAIL, PASSWORD, FitdaysCloud
from tests.e2e.parts.form import function
from tests.e2e.parts.mosquitto import mosquitto
from tests.function_client import ROOT
from tests.garmin.server import GarminStandIn
from weighbridge.errors import SettingsInvalid
from weighbridge_fitdays.settings import VARIABLES, read_settings
from weighbridge_fitdays.sinks import SENSORS

ACCOUNT = {"FITDAYS_EMAIL": EMAIL, "FITDAYS_PASSWORD": PASSWORD}
COMMAND = [sys.executable, "-m", "weighbridge", "fitdays", "poll"]


@pytest.fixture
def cloud() -> Iterator[FitdaysCloud]:
    with FitdaysCloud() as cloud:
        yield cloud
    assert cloud.invalid_requests == []


def environment(cloud: FitdaysCloud, folder: Path, **more: object) -> dict[str, str]:
    settings = {
        **ACCOUNT,
        "FITDAYS_API": cloud.address,
        "FITDAYS_STATE": folder / "state",
        "FITDAYS_EVERY_SECONDS": 1,
    }
    return os.environ | {name: str(value) for name, value in (settings | more).items()}


def poll(settings: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, "--once"], env=settings, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@contextmanager
def polling(settings: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The poller, until the test has ended, in whichever way."""
    with log.open("ab") as output:
        running = subprocess.Popen(COMMAND, env=settings, cwd=ROOT, stdout=output, stderr=output)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def weights(garmin: GarminStandIn) -> list[float]:
    return sorted(entry.raw["weight"] / 100 for entry in garmin.weights.visible())


def test_each_weigh_in_reaches_garmin_once(cloud: FitdaysCloud, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Each weigh-in of the cloud is one in Garmin Connect, with the values of the app; deleted ones are not."""
    cloud.weigh(1)
    cloud.weigh(2, weight_g=81_600)
    cloud.weigh(3, weight_g=99_900, is_deleted=1)
    cloud.weigh(4, weight_g=81_700, bfr=0, sfr=0, uvi=0, rom=0, rosm=0, bm=0, vwc=0, pp=0, bmr=0, is_weight_only=1)
    with function(garmin, tmp_path) as address:
        settings = environment(cloud, tmp_path, WEIGHBRIDGE_URL=address)
        assert poll(settings)[0] == 0
        assert weights(garmin) == [81.4, 81.6, 81.7]
        full = next(entry.raw for entry in garmin.weights.visible() if entry.raw["weight"] == 8140)
        assert (full["percent_fat"], full["percent_hydration"], full["bone_mass"]) == (1820, 5640, 340)
        # weight × muscle rate: what the app shows as muscle mass
        assert full["muscle_mass"] == 6317
        assert poll(settings)[1].endswith("0 new.\n")
        cloud.weigh(5, weight_g=81_000)
        assert "1 new." in poll(settings)[1]
    assert weights(garmin) == [81.0, 81.4, 81.6, 81.7]
    assert cloud.logins == 1, "the sign-in is kept"


def test_failures_lose_and_double_nothing(cloud: FitdaysCloud, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Whatever fails, a running poller hands over each weigh-in once, and none is lost."""
    cloud.faults += ["other region", "500", "not json"]
    cloud.weigh(1)
    log = tmp_path / "log"
    with function(garmin, tmp_path) as address:
        settings = environment(cloud, tmp_path, WEIGHBRIDGE_URL=address)
        with polling(settings, log) as p:
            wait_until("the first has arrived", lambda: weights(garmin) == [81.4], 60)
            p.kill()
        cloud.faults += ["token expired"]
        cloud.weigh(2, weight_g=81_600)
        with polling(settings, log) as p:
            wait_until("the second has arrived", lambda: weights(garmin) == [81.4, 81.6], 60)
            p.terminate()
            assert p.wait(20) == 0
    assert len(garmin.weights.entries) == 2
    said = log.read_text()
    for planted in (EMAIL, PASSWORD, cloud.token, "81.4", "81400"):
        assert planted not in said
    state = tmp_path / "state" / "state.json"
    assert state.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in state.read_text()
    assert EMAIL not in state.read_text()


def test_function_down_is_retried_rejection_is_final(
    cloud: FitdaysCloud, garmin: GarminStandIn, tmp_path: Path
) -> None:
    """If the function is down, the next poll sends it again; a rejected weigh-in is logged and sent once."""
    cloud.weigh(1)
    cloud.weigh(2, weight_g=900_000)
    away = poll(environment(cloud, tmp_path, WEIGHBRIDGE_URL="http://127.0.0.1:9"))
    assert away[0] == 1
    assert "Not handed over: the function did not answer" in away[1]
    with function(garmin, tmp_path) as address:
        settings = environment(cloud, tmp_path, WEIGHBRIDGE_URL=address)
        code, said = poll(settings)
        assert (code, weights(garmin)) == (0, [81.4])
        assert "refused reading-rejected" in said
        assert poll(settings)[1].endswith("0 new.\n")


def test_accepted_is_sent_until_garmin_shows_it(cloud: FitdaysCloud, garmin: GarminStandIn, tmp_path: Path) -> None:
    """A weigh-in that Garmin does not show yet is handed over again until Garmin shows it."""
    cloud.weigh(1)
    cloud.weigh(2, weight_g=81_600)
    garmin.weights.show_delay_s = 3600
    with function(garmin, tmp_path, WEIGHBRIDGE_CONFIRM_SECONDS=0) as address:
        settings = environment(cloud, tmp_path, WEIGHBRIDGE_URL=address)
        code, said = poll(settings)
        assert (code, said.count("accepted"), "0 new." in said) == (0, 2, True)
        garmin.weights.entries = [replace(entry, visible_at_s=0) for entry in garmin.weights.entries]
        assert "2 new." in poll(settings)[1]
    assert len(garmin.weights.entries) == 2


def test_rejected_sign_in_is_not_repeated(cloud: FitdaysCloud, tmp_path: Path) -> None:
    """A rejected sign-in is not tried again for hours."""
    settings = environment(cloud, tmp_path, FITDAYS_PASSWORD="wrong-password")
    log = tmp_path / "log"
    with polling(settings, log) as p:
        wait_until("it is rejected", lambda: "rejects the sign-in" in log.read_text(), 30)
        with pytest.raises(subprocess.TimeoutExpired):
            p.wait(3)  # long enough for three polls without the pause
        p.terminate()
        assert p.wait(20) == 0
    assert cloud.refused_logins == 1
    assert "wrong-password" not in log.read_text()


def test_broker_gets_a_topic_and_sensors_per_person(cloud: FitdaysCloud, tmp_path: Path) -> None:
    """With a broker, each person has a topic and nine sensors that show the app's values."""
    cloud.weigh(1)
    cloud.weigh(2, suid=8, weight_g=60_000)
    with mosquitto() as broker:
        settings = environment(cloud, tmp_path, MQTT_URL=broker.url, FITDAYS_PEOPLE="8=Ben B.")
        assert poll(settings)[0] == 0
        found = retained(broker.port, 20)
    assert {topic for topic in found if topic.startswith("fitdays/")} == {"fitdays/ann", "fitdays/ben_b"}
    values = json.loads(found["fitdays/ann"])
    assert (values["weight_g"], values["person"]) == (81_400, "Ann")
    assert datetime.fromisoformat(values["received_at"]).tzinfo
    shown = {}
    for key in SENSORS:
        config = json.loads(found[f"homeassistant/sensor/fitdays_7/{key}/config"])
        assert config["state_topic"] == "fitdays/ann"
        shown[config["name"]] = float(jinja2.Template(config["value_template"]).render(value_json=values))
    assert shown == {
        "Weight": 81.4,
        "Body fat": 18.2,
        "Fat mass": 14.81,
        "Fat free body weight": 66.59,
        "Muscle mass": 63.17,
        "Bone mass": 3.4,
        "Water weight": 45.91,
        "Subcutaneous fat": 16.1,
        "Visceral fat": 7,
    }


def retained(port: int, count: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    enough = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def take(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        found[message.topic] = message.payload
        if len(found) >= count:
            enough.set()

    client.on_message = take
    client.connect("127.0.0.1", port)
    client.subscribe("#", qos=1)
    client.loop_start()
    assert enough.wait(20), sorted(found)
    client.disconnect()
    client.loop_stop()
    return found


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "FITDAYS_EMAIL is not set"),
        ({"FITDAYS_EMAIL": "a"}, "FITDAYS_PASSWORD is not set"),
        (ACCOUNT | {"FITDAYS_PEOPLE": "Ann"}, "FITDAYS_PEOPLE must be suid=name pairs"),
        (ACCOUNT | {"FITDAYS_EVERY_SECONDS": "soon"}, "FITDAYS_EVERY_SECONDS must be a number"),
        (ACCOUNT | {"MQTT_URL": "http://x"}, "MQTT_URL must be an mqtt:// or mqtts:// address"),
        (ACCOUNT | {"WEIGHBRIDGE_URL": "127.0.0.1:8080"}, "WEIGHBRIDGE_URL must be an http:// or https:// address"),
        (
            {"FITDAYS_EMAIL": EMAIL, "FITDAYS_PASSWORD_FILE": "/nowhere"},
            "The file named by FITDAYS_PASSWORD_FILE cannot be read",
        ),
    ],
)
def test_invalid_setting_is_named(settings: dict[str, str], words: str) -> None:
    """The error for a missing or invalid setting names it, and says what is expected."""
    with pytest.raises(SettingsInvalid, match=words):
        read_settings(settings)


def test_page_lists_every_setting() -> None:
    """The page lists every setting with its default and its meaning."""
    page = (ROOT / "integrations" / "fitdays" / "README.md").read_text(encoding="utf-8")
    for variable in VARIABLES:
        default = f"`{variable.default}`" if variable.default else ""
        assert f"| `{variable.name}` | {default} | {variable.meaning} |" in page
