"""A real Home Assistant with the shipped files: what a weigh-in becomes, and what must never become one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.parts import free_port, wait_until
from tests.e2e.parts.home_assistant import HomeAssistant, home_assistant
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.function_client import Running, process
from tests.garmin.server import GarminStandIn

TOPIC = "scale/anna"
KEY = "the-secret-key-of-the-house"
NINE = {
    "weight": "81.4 kg",
    "body fat": "18.2 %",
    "fat mass": "14.8 kg",
    "fat free body weight": "66.6 kg",
    "muscle mass": "63.2 kg",
    "Bone mass": "3.4 kg",
    "water weight": "45.9 kg",
    "subcutaneous fat": "16.1 %",
    "visceral fat": "7",
}
AT = "2026-11-22T06:31:00+00:00"


class House:
    """Broker, function, stand-in and Home Assistant, wired as the READMEs say."""

    def __init__(self, folder: Path, garmin: GarminStandIn, stack: ExitStack) -> None:
        self.garmin, self._stack = garmin, stack
        self.broker: Mosquitto = stack.enter_context(mosquitto())
        self.port = free_port()
        self.tokens = folder / "tokens"
        garmin.write_token(self.tokens)
        self.environment = {
            "WEIGHBRIDGE_DELIVERY": "garth",
            "WEIGHBRIDGE_TOKENS": self.tokens,
            "WEIGHBRIDGE_API_KEYS": f"house={KEY}",
            "WEIGHBRIDGE_CONFIRM_SECONDS": "8",
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        }
        self._home_folder = folder / "home"
        self._home_folder.mkdir()

    def start_function(self) -> Running:
        return self._stack.enter_context(process(self.environment, port=self.port))[1]

    def start_home(self, *, automations: str = "[]", **secrets: str) -> HomeAssistant:
        address = f"http://127.0.0.1:{self.port}"
        given = {
            "weighbridge_readings_url": f"{address}/readings",
            "weighbridge_health_url": f"{address}/health",
            "weighbridge_key": KEY,
            "weighbridge_topic": "scale/#",
        }
        return self._stack.enter_context(
            home_assistant(self._home_folder, mqtt_port=self.broker.port, automations=automations, **given | secrets)
        )

    def weigh_ins(self) -> int:
        return len(self.garmin.weights.entries())


@pytest.fixture
def house(tmp_path: Path, garmin: GarminStandIn) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(tmp_path, garmin, stack)


def test_try(house: House) -> None:
    house.start_function()
    home = house.start_home()
    import time; time.sleep(3)
    print(house.broker.log())
    house.broker.publish(TOPIC, json.dumps(NINE | {"time": AT}))
    try:
        wait_until("it is told", lambda: bool(home.notifications()), 20)
        print(home.notifications())
        print(home.get("/api/states"))
    finally:
        print(home.log())
    raise AssertionError
