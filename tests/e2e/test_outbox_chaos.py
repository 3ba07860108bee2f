"""1,000 readings from the broker to Garmin, while everything on the way is killed and a third of Garmin's answers
are lost: none is lost, and none is there twice.
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
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.parts import wait_until
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.e2e.parts.outbox import outbox
from tests.e2e.parts.postgres import postgres
from tests.garmin.server import GarminStandIn

READINGS = 1_000
SEED = 20_261_123
FIRST = datetime(2024, 1, 1, 6, 30, tzinfo=UTC)

#: What happens, how often, within the first part of the run.
BLOWS = {"worker": 8, "function": 6, "relay": 4, "postgres": 2, "broker": 2}


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


def third_of_answers_lost(garmin: GarminStandIn, *, waiting: str = "429-retry-after") -> None:
    # One ninth each: the later ones only meet what the earlier ones left.
    for route, faults in {
        "upload": ("drop-within", "503", "504-carried-out"),
        "weight": ("drop-before", "500", waiting),
    }.items():
        for name, probability in zip(faults, (1 / 9, 1 / 8, 1 / 7), strict=True):
            garmin.faults.add(route, name, times=None, probability=probability)


def publish_slowly(broker: Mosquitto, topic: str, payloads: list[dict[str, object]], seconds: float) -> None:
    """As a gateway does: over a connection that comes back, and each message until the broker has taken it."""
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


def test_1000_readings_survive_everything_and_none_is_doubled(
    garmin: GarminStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(SEED)
    expected = readings()
    garmin.write_token(tmp_path / "tokens")
    third_of_answers_lost(garmin)
    with postgres() as server, mosquitto() as broker, outbox(server, tmp_path) as box:
        function = box.function(
            {
                "WEIGHBRIDGE_DELIVERY": "garth",
                "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
                "WEIGHBRIDGE_CONFIRM_SECONDS": 1,
                "GARMIN_DOMAIN": garmin.domain,
                "GARMIN_CA_BUNDLE": garmin.ca_bundle,
                "THREADS": 8,
            }
        )
        function.start()
        box.environment |= {"MQTT_URL": broker.url, "MQTT_TOPIC": "scale/+"}
        workers = [box.run("worker") for _ in range(2)]
        relay = box.run("relay")
        # The broker keeps messages for a session that it knows; from then on nothing may get lost.
        wait_until("the relay is connected", lambda: "connected" in relay.log())

        def strike_worker() -> None:
            worker = dice.choice(workers)
            worker.kill()
            worker.start()

        def strike_relay() -> None:
            relay.kill()
            relay.start()

        def strike_function() -> None:
            function.kill()
            time.sleep(dice.uniform(0, 0.5))
            function.start(wait=False)

        strike: dict[str, Callable[[], None]] = {
            "worker": strike_worker,
            "function": strike_function,
            "relay": strike_relay,
            "postgres": server.restart,
            "broker": broker.restart,
        }
        blows = [name for name, times in BLOWS.items() for _ in range(times)]
        dice.shuffle(blows)
        started = time.monotonic()
        gateway = threading.Thread(target=publish_slowly, args=(broker, "scale/anna", expected, 25.0))
        gateway.start()
        for name in blows:
            time.sleep(dice.uniform(0.3, 1.8))
            strike[name]()
        gateway.join()
        wait_until("every reading has arrived", lambda: box.delivered() == READINGS, within_s=150)
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
    spoilt = sum(request.fault is not None for request in garmin.requests)
    with capsys.disabled():
        print(
            f"\n{READINGS} readings in {took_s:.0f} s: {len(held)} weigh-ins at Garmin, 0 lost, 0 double "
            f"({states.get('confirmed', 0)} confirmed, {states.get('present', 0)} present; {attempts} attempts, "
            f"{spoilt} of {len(garmin.requests)} of Garmin's answers spoilt; "
            f"{', '.join(f'{times} × {name}' for name, times in BLOWS.items())} struck)"
        )
