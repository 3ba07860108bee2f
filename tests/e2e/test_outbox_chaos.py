"""1,000 readings from the broker to Garmin, while every process is killed or restarted and a third of Garmin's answers
are lost: no reading is lost, and none is doubled.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.parts import wait_until
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.e2e.parts.outbox import outbox
from tests.e2e.parts.postgres import postgres
from tests.garmin.server import GarminStandIn

READINGS = 1_000
SEED = 20_261_123
FIRST = datetime(2024, 1, 1, 6, 30, tzinfo=UTC)

#: How often each is killed or restarted.
KILLS = {"worker": 8, "function": 6, "relay": 4, "postgres": 2, "broker": 2}


def readings() -> list[dict[str, object]]:
    dice = random.Random(SEED)
    return [
        {
            "measured_at": (FIRST + timedelta(days=n, seconds=dice.randrange(3600))).isoformat(),
            "weight_kg": dice.randrange(7000, 9000) / 100,
            "body_fat_percent": dice.randrange(150, 250) / 10,
        }
        for n in range(READINGS)
    ]


def third_of_answers_lost(garmin: GarminStandIn) -> None:
    # One ninth each: a later fault only applies if no earlier one did.
    for route, faults in {
        "upload": ("drop-within", "503", "504-carried-out"),
        "weight": ("drop-before", "500", "502"),
    }.items():
        for name, probability in zip(faults, (1 / 9, 1 / 8, 1 / 7), strict=True):
            garmin.faults.add(route, name, times=None, probability=probability)


def publish_slowly(broker: Mosquitto, topic: str, payloads: list[dict[str, object]], seconds: float) -> None:
    """Publish as a gateway does: reconnect, and repeat each message until the broker has taken it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="gateway", clean_session=False)
    taken: list[int] = []
    client.on_publish = lambda _client, _data, mid, _reason, _properties: taken.append(mid)
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for payload in payloads:
        client.publish(topic, json.dumps(payload), qos=1)
        time.sleep(seconds / len(payloads))
    wait_until("the broker has taken every message", lambda: len(taken) == len(payloads))
    client.disconnect()
    client.loop_stop()


def test_1000_readings_arrive_once_each(garmin: GarminStandIn, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """1,000 readings become 1,000 weigh-ins while every process is killed or restarted and answers are lost."""
    dice = random.Random(SEED)
    expected = readings()
    garmin.write_token(tmp_path / "tokens")
    # Garmin's own "later" is 14 s each time: a few are enough.
    garmin.faults.add("weight", "429-retry-after", times=4, probability=1 / 9)
    third_of_answers_lost(garmin)
    with postgres() as server, mosquitto() as broker, outbox(server, tmp_path) as box:
        function = box.function(
            {
                "WEIGHBRIDGE_DELIVERY": "garth",
                "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
                "WEIGHBRIDGE_CONFIRM_SECONDS": 1,
                "GARMIN_DOMAIN": garmin.domain,
                "GARMIN_CA_BUNDLE": garmin.ca_bundle,
            }
        )
        function.start()
        box.environment |= {"MQTT_URL": broker.url, "MQTT_TOPIC": "scale/+"}
        workers = [box.run("worker") for _ in range(2)]
        relay = box.run("relay")
        # From here on, the broker keeps messages for the relay's session, so none may be lost.
        wait_until("the relay is connected", lambda: "connected" in relay.log())

        def kill_worker() -> None:
            worker = dice.choice(workers)
            worker.kill()
            worker.start()

        def kill_relay() -> None:
            relay.kill()
            relay.start()

        def kill_function() -> None:
            function.kill()
            time.sleep(dice.uniform(0, 0.5))
            function.start(wait=False)

        kill: dict[str, Callable[[], None]] = {
            "worker": kill_worker,
            "function": kill_function,
            "relay": kill_relay,
            "postgres": server.restart,
            "broker": broker.restart,
        }
        kills = [name for name, times in KILLS.items() for _ in range(times)]
        dice.shuffle(kills)
        started = time.monotonic()
        gateway = threading.Thread(target=publish_slowly, args=(broker, "scale/anna", expected, 25.0))
        gateway.start()
        for name in kills:
            time.sleep(dice.uniform(0.3, 1.8))
            kill[name]()
        gateway.join()
        wait_until("every reading has arrived", lambda: box.delivered() == READINGS, within_s=400)
        took_s = time.monotonic() - started
        attempts = int(str(box.query("SELECT sum(attempts) FROM readings")[0][0]))
        states = box.states()

    held = sorted((entry.instant_s, entry.raw["weight"]) for entry in garmin.weights.entries)
    sent = sorted(
        (round(datetime.fromisoformat(str(r["measured_at"])).timestamp()), round(float(str(r["weight_kg"])) * 100))
        for r in expected
    )
    assert held == sent
    assert states.keys() <= {"confirmed", "present"}
    failed = sum(request.fault is not None for request in garmin.requests)
    figure(
        f"{READINGS} readings in {took_s:.0f} s: {len(held)} weigh-ins at Garmin, 0 lost, 0 doubled "
        f"({states.get('confirmed', 0)} confirmed, {states.get('present', 0)} present; {attempts} attempts, "
        f"{failed} of {len(garmin.requests)} of Garmin's answers failed; "
        f"{', '.join(f'{times} × {name}' for name, times in KILLS.items())} killed or restarted)"
    )
