"""The shipped compose.yaml with its Home Assistant, run by a real Docker engine (make test-home-assistant).

Strategy: without a registry no image can be pulled. So the image is made from the Debian root with a current Home
Assistant, and has the name and the start program of the official image.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.parts import wait_until
from tests.e2e.parts.docker import ROOT, Engine, engine
from tests.e2e.parts.home_assistant import HOME_ASSISTANT_ROOT, Frontend
from tests.e2e.test_containers import GARMIN_PORT, SECRETS, garmin_for, gateway, name_server
from tests.garmin.server import GarminStandIn
from tests.skips import NOT_HERE

TOPIC = "weight/bathroom"
INIT = '#!/bin/sh\nexec /ha/bin/hass --skip-pip -c /config "$@"\n'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, GarminStandIn]]:
    if not HOME_ASSISTANT_ROOT:
        pytest.skip(f"{NOT_HERE}its image is made from the root that make test-home-assistant builds")
    garmin = GarminStandIn(port=GARMIN_PORT, host_name="garmin.test", address="0.0.0.0")
    with engine(targets=("weighbridge",)) as docker, garmin, name_server():
        import_image(docker, tmp_path_factory.mktemp("image"))
        services = ("function", "home-assistant")
        garmin_for(docker, garmin, *services, COMPOSE_PROFILES="home-assistant", HOME_ASSISTANT_TOPIC=TOPIC)
        docker.compose("up", "--wait", "--no-build", "--pull", "never", "home-assistant", "function", "broker")
        yield docker, garmin


def import_image(docker: Engine, folder: Path) -> None:
    found = re.search(r"image: (homeassistant/\S+)", (ROOT / "compose.yaml").read_text())
    assert found
    (folder / "init").write_text(INIT)
    (folder / "init").chmod(0o755)
    without = (f"--exclude=./{name}" for name in ("config", "proc", "phacc", "weighbridge"))
    root = ("--create", "--numeric-owner", "--directory", HOME_ASSISTANT_ROOT, *without, ".")
    archive = docker.folder / "home-assistant.tar"
    subprocess.run(["tar", "--file", archive, *root, "--directory", folder, "init"], check=True)
    docker.docker("import", "--change", 'ENTRYPOINT ["/init"]', archive, found[1])
    archive.unlink()


def connect_the_broker(home: Frontend) -> None:
    """Settings, Devices & services, Add integration, MQTT: enter what the page says."""
    flow = home.request("POST", "/api/config/config_entries/flow", json.dumps({"handler": "mqtt"}).encode())
    typed = {"broker": "broker", "port": 1883, "username": "weighbridge", "password": SECRETS["MQTT_PASSWORD"]}
    done = home.request("POST", f"/api/config/config_entries/flow/{flow['flow_id']}", json.dumps(typed).encode())
    assert done["type"] == "create_entry", done


def test_home_assistant_delivers_from_its_topic(
    house: tuple[Engine, GarminStandIn],
) -> None:
    """Home Assistant comes with the package. Its topic leads to Garmin, and a new container keeps its data."""
    docker, garmin = house
    home = Frontend("http://127.0.0.1:8123")
    wait_until("Home Assistant answers", home.is_answering, 120)
    home.sign_in()
    wait_until("Home Assistant has started", home.has_started, 240)
    connect_the_broker(home)
    docker.compose("restart", "home-assistant")  # its automations subscribe at startup
    wait_until("Home Assistant answers", home.is_answering, 120)
    wait_until("Home Assistant has started", home.has_started, 240)
    wait_until("the package listens", lambda: home.state("event.weighbridge_scale") == "unknown", 60)
    assert home.state("sensor.weighbridge_health") == "ok"

    with gateway() as publish:
        publish(TOPIC, {"measured_at": "2026-11-22T06:31:00Z", "weight": "81.4 kg", "body fat": "18.2 %"})
    wait_until(
        "the notification shows it",
        lambda: "81.4 kg, 18.2 % fat: confirmed in Garmin Connect." in "".join(home.notifications().values()),
        60,
    )
    assert [entry.raw["weight"] for entry in garmin.weights.visible()] == [8140]

    # Files, accounts and states survive when the container is created again.
    docker.compose("up", "--wait", "--no-build", "--pull", "never", "--force-recreate", "--no-deps", "home-assistant")
    wait_until("Home Assistant answers again", home.is_answering, 120)
    wait_until("Home Assistant has started again", home.has_started, 240)
    assert home.state("sensor.weighbridge_last_weigh_in") == "2026-11-22T06:31:00+00:00"
    assert len(garmin.weights.entries) == 1
