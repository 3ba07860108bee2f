"""The whole way: MQTT -> Home Assistant -> its recorder on Postgres -> trigger -> worker -> function -> Garmin.

Strategy: every program except Garmin is the real one, and Home Assistant is set up with the text of the outbox's page.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tests.e2e.parts import wait_until
from tests.e2e.parts.home_assistant import home_assistant
from tests.e2e.parts.mosquitto import mosquitto
from tests.e2e.parts.outbox import Outbox
from tests.garmin.server import GarminStandIn

PAGE = Path(__file__).parents[3] / "integrations" / "postgres" / "README.md"
SCALE = "sensor.bathroom_scale"
TOPIC = "scale/bathroom"


def configuration(database: str) -> str:
    """The lines that the page adds to configuration.yaml, with the address of this database."""
    page = PAGE.read_text()
    found = re.search(r"<!-- configuration: recorder -->\n```yaml\n(.*?)```", page, re.DOTALL)
    assert found
    assert f"migrate --home-assistant {SCALE}\n" in page
    text = found[1].replace("postgresql://homeassistant:password@localhost/homeassistant", database)
    assert database in text
    assert TOPIC in text
    return text


def reading(instant: str, weight_kg: float) -> str:
    return json.dumps({"weight": f"{weight_kg} kg", "body fat": "18.2 %", "impedance": 512, "time": instant})


def weigh_ins_at(garmin: GarminStandIn, instant: str) -> int:
    seconds = datetime.fromisoformat(instant).timestamp()
    return sum(entry.instant_s == seconds for entry in garmin.weights.visible())


def test_message_reaches_garmin_through_recorder(
    box: Outbox, garmin: GarminStandIn, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Each message reaches Garmin once through Home Assistant's recorder, whichever program is away meanwhile."""
    garmin.write_token(tmp_path / "tokens")
    function = box.function(
        {
            "WEIGHBRIDGE_DELIVERY": "garth",
            "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        }
    )
    function.start()
    folder = tmp_path / "home"
    folder.mkdir()
    with (
        mosquitto() as broker,
        home_assistant(folder, mqtt_port=broker.port, configuration=configuration(box.database)) as home,
    ):
        wait_until("Home Assistant listens to the scale", lambda: f"\t{TOPIC} (QoS" in broker.log())
        wait_until("recorder has made its tables", lambda: box.query("SELECT to_regclass('states')") != [(None,)])
        box.ask("migrate", "--home-assistant", SCALE)
        worker = box.run("worker")

        first = "2026-11-22T06:31:00+00:00"
        since = time.monotonic()
        broker.publish(TOPIC, reading(first, 81.4))
        wait_until("it is in Garmin Connect", lambda: box.state(1) == "confirmed")
        took_s = time.monotonic() - since
        assert weigh_ins_at(garmin, first) == 1
        # Values that Garmin has no field for are kept, too, and nothing is added to the message.
        ((received,),) = box.query("SELECT received FROM readings")
        assert received == json.loads(reading(first, 81.4))

        # Function and worker are away. The readings wait in Postgres, not in Home Assistant.
        second, third = "2026-11-22T06:41:00+00:00", "2026-11-22T06:51:00+00:00"
        function.kill()
        worker.kill()
        broker.publish(TOPIC, reading(second, 81.3))
        broker.publish(TOPIC, reading(third, 81.2), retain=True)
        wait_until("they wait", lambda: [box.state(n) for n in (2, 3)] == ["waiting", "waiting"])
        home.stop()
        function.start()
        worker.start()
        wait_until("they are in Garmin Connect", lambda: [box.state(n) for n in (2, 3)] == ["confirmed", "confirmed"])

        # A retained message comes again after each restart, and a sensor can lose its value.
        home.start()
        wait_until("Home Assistant listens again", lambda: broker.log().count(f"\t{TOPIC} (QoS") == 2)
        wait_until("the sensor shows it again", lambda: home.attribute(SCALE, "weight") == "81.2 kg")
        home.set_state(SCALE, "unknown")
        home.set_state(SCALE, "unavailable")
        fourth = "2026-11-22T06:58:00+00:00"
        broker.publish(TOPIC, reading(fourth, 81.1))
        wait_until("it is in Garmin Connect", lambda: box.state(4) == "confirmed")
        log, complaints = home.log(), home.complaints()

    assert box.states() == {"confirmed": 4}
    assert [weigh_ins_at(garmin, instant) for instant in (first, second, third, fourth)] == [1, 1, 1, 1]
    assert len(list(garmin.weights.visible())) == 4
    assert garmin.unexpected == []
    assert complaints == []
    assert "81.4" not in log
    figure(f"MQTT -> Home Assistant -> recorder -> trigger -> worker -> Garmin: {took_s:.2f} s")
