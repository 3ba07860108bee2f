"""The shipped compose.yaml with its Home Assistant, run by a real Docker engine (make test-home-assistant).

Strategy: without a registry no image can be pulled. So the image is made from the Debian root with a current Home
Assistant, and has the name and the start program of the official image.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.parts import wait_until
from tests.e2e.parts.docker import ROOT, Engine, engine
from tests.e2e.parts.home_assistant import HOME_ASSISTANT_ROOT, Frontend
from tests.e2e.test_containers import GARMIN_PORT, SECRETS, copy_with_secrets, garmin_for, gateway, name_server
from tests.garmin.server import GarminStandIn
from tests.skips import NOT_HERE

TOPIC = "weight/bathroom"
INIT = '#!/bin/sh\nexec /ha/bin/hass --skip-pip -c /config "$@"\n'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, GarminStandIn]]:
    if not HOME_ASSISTANT_ROOT:
        pytest.skip(f"{NOT_HERE}its image is made from the root that make test-home-assistant builds")
    garmin = GarminStandIn(port=GARMIN_PORT, host_name="garmin.test", address="0.0.0.0")
    context = tmp_path_factory.mktemp("context") / "weighbridge"
    copy_with_secrets(context)
    with engine(context, targets=("weighbridge",)) as docker, garmin, name_server():
        import_image(docker, tmp_path_factory.mktemp("image"))
        services = ("function", "home-assistant")
        garmin_for(docker, garmin, *services, COMPOSE_PROFILES="home-assistant")
        docker.compose("up", "--wait", "--no-build", "--pull", "never", "home-assistant", "function", "broker")
        yield docker, garmin


def import_image(docker: Engine, folder: Path) -> None:
    found = re.search(r"image: (homeassistant/\S+)", (ROOT / "compose.yaml").read_text())
    assert found
    (folder / "init").write_text(INIT)
    (folder / "init").chmod(0o755)
    unneeded = ("config", "proc", "phacc", "weighbridge", "root/.cache", "var/cache", "var/lib/apt", "usr/share/doc")
    without = (f"--exclude=./{name}" for name in unneeded)
    root = ("--create", "--numeric-owner", "--directory", HOME_ASSISTANT_ROOT, *without, ".")
    archive = docker.folder / "home-assistant.tar"
    subprocess.run(["tar", "--file", archive, *root, "--directory", folder, "init"], check=True)
    docker.docker("import", "--change", 'ENTRYPOINT ["/init"]', archive, found[1])
    archive.unlink()


def shown(home: Frontend) -> set[str]:
    """The states of all entities."""
    return {state["state"] for state in home.get("/api/states")}


def test_home_assistant_delivers_from_its_topic(
    house: tuple[Engine, GarminStandIn],
) -> None:
    """Home Assistant comes with the integration. Its topic leads to Garmin, and a new container keeps its data."""
    docker, garmin = house
    home = Frontend("http://127.0.0.1:8123")
    wait_until("Home Assistant answers", home.is_answering, 120)
    home.sign_in()
    wait_until("Home Assistant has started", home.has_started, 240)
    typed = {"broker": "broker", "port": 1883, "username": "weighbridge", "password": SECRETS["MQTT_PASSWORD"]}
    # As they are when the dialog opens.
    others = {"set_client_cert": False, "set_ca_cert": "off", "transport": "tcp"}
    home.add("mqtt", {**typed, "other_settings": others})
    at = {"url": "http://function:8080", "api_key": SECRETS["WEIGHBRIDGE_KEY"]}
    entry = home.add("weighbridge", {"next_step_id": "address"}, at)
    home.take_readings_from(TOPIC, entry)
    loaded = lambda: home.ask(type="config_entries/get_single", entry_id=entry)["config_entry"]["state"] == "loaded"  # noqa: E731
    wait_until("the integration is loaded", loaded, 60)

    reading = {"measured_at": "2026-11-22T06:31:00Z", "weight": "81.4 kg", "body fat": "18.2 %"}
    with gateway() as publish:
        # Retained, so that it does not matter whether the broker knows already who listens.
        publish(TOPIC, reading, retain=True)
        wait_until("it is confirmed and shown", lambda: {"confirmed", "81.4"} <= shown(home), 60)
    assert [entry.raw["weight"] for entry in garmin.weights.visible()] == [8140]

    # Files, accounts and states survive when the container is created again.
    docker.compose("up", "--wait", "--no-build", "--pull", "never", "--force-recreate", "--no-deps", "home-assistant")
    wait_until("Home Assistant answers again", home.is_answering, 120)
    wait_until("Home Assistant has started again", home.has_started, 240)
    wait_until("it is shown again", lambda: "81.4" in shown(home), 60)
    assert len(garmin.weights.entries) == 1
