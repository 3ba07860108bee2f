"""One weigh-in of several messages, from a real broker to the stand-in, with the settings as they are shipped: the
settle time is 10 s, the window 60 s. Relay and worker are killed in between.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e.parts import wait_until
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.e2e.parts.outbox import FINAL, Function, Outbox, Program
from tests.garmin.server import GarminStandIn
from weighbridge_outbox.relay import Message, store

DONE = (*FINAL, "joined", "taken_back", "nothing")
FULL = {"weight": 81.4, "body_fat": 18.2, "water": 55.1, "bone_mass": 3.2, "muscle_mass": 61.2}
AT = "2026-11-22T06:31:00Z"


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as broker:
        yield broker


@pytest.fixture
def function(box: Outbox, garmin: GarminStandIn, tmp_path: Path) -> Function:
    garmin.write_token(tmp_path / "tokens")
    function = box.function(
        {
            "WEIGHBRIDGE_DELIVERY": "garth",
            "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
            "WEIGHBRIDGE_CONFIRM_SECONDS": 0.5,
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        }
    )
    function.start()
    return function


@pytest.fixture
def programs(box: Outbox, broker: Mosquitto, function: Function) -> tuple[Program, Program]:
    """A worker and a relay."""
    worker, relay = box.run("worker"), box.run("relay", MQTT_URL=broker.url, MQTT_TOPIC="scale/#,openScaleSync/#")
    wait_until("the relay is connected", lambda: "connected" in relay.log())
    return worker, relay


def stored(box: Outbox) -> int:
    return sum(box.states().values())


def is_done(box: Outbox, rows: int) -> bool:
    states = box.states()
    return sum(states.values()) == rows and set(states) <= {*DONE, "parked"}


def wait_until_done(box: Outbox, rows: int, within_s: float = 60) -> None:
    wait_until(f"{rows} rows are done", lambda: is_done(box, rows), within_s)


@pytest.mark.parametrize("kill", [False, True], ids=["", "killed"])
def test_repeated_messages_are_one(
    box: Outbox, broker: Mosquitto, programs: tuple[Program, Program], garmin: GarminStandIn, kill: bool
) -> None:
    """25 identical messages without a time in 5 s are one weigh-in, even if relay and worker are killed."""
    worker, relay = programs
    for number in range(25):
        if kill and number in (8, 16):
            relay.kill()
            worker.kill()
        broker.publish("scale/anna", '{"weight": 81.4}')
        time.sleep(0.15)
        if kill and number in (9, 17):
            relay.start()
            worker.start()
    wait_until_done(box, 25)
    # What comes after the others have been sent, as while the worker is away, is sent too, and answered as present.
    sent = dict(box.query("SELECT id, state FROM readings WHERE state <> 'joined' ORDER BY id"))
    assert list(sent.values()) == ["confirmed", *["present"] * (len(sent) - 1)]
    assert kill or len(sent) == 1
    assert {row for (row,) in box.query("SELECT joined_to FROM readings WHERE state = 'joined'")} <= set(sent)
    assert [held["weight"] for held in garmin.weigh_ins()] == [81400.0]
    assert garmin.uploads_received == 1


@pytest.mark.parametrize("kill", [False, True], ids=["", "killed"])
def test_weight_then_composition_is_one(
    box: Outbox, broker: Mosquitto, programs: tuple[Program, Program], garmin: GarminStandIn, kill: bool
) -> None:
    """A weight, and the composition 6 s later, are one weigh-in with all values."""
    worker, relay = programs
    broker.publish("scale/anna", '{"weight": 81.4}')
    wait_until("it is stored", lambda: stored(box) == 1)
    if kill:
        relay.kill()
        worker.kill()
    time.sleep(6)
    broker.publish("scale/anna", json.dumps(FULL))
    if kill:
        relay.start()
        wait_until("both are stored", lambda: stored(box) == 2)
        relay.kill()
        worker.start()
    wait_until_done(box, 2)
    assert box.states() == {"confirmed": 1, "joined": 1}
    (held,) = garmin.weigh_ins()
    assert (held["weight"], held["bodyFat"], held["boneMass"], held["muscleMass"]) == (81400.0, 18.2, 3200, 61200)
    ((carrier,),) = box.query("SELECT joined_to FROM readings WHERE id = 2")
    assert carrier == 1
    # What came stays visible.
    assert box.query("SELECT received FROM readings ORDER BY id") == [({"weight": 81.4},), (FULL,)]


def test_killed_after_joining_is_one(box: Outbox, programs: tuple[Program, Program], garmin: GarminStandIn) -> None:
    """A worker that is killed during the upload of a joined weigh-in leaves one weigh-in behind."""
    worker, _ = programs
    garmin.faults.add("upload", "slow")  # 3 s, and carried out
    box.insert('{"weight": 81.4}', json.dumps(FULL), '{"weight": 81.4}', source="scale")
    wait_until("the upload has started", lambda: garmin.uploads_received == 1)
    worker.kill()
    assert box.states() == {"waiting": 1, "joined": 2}
    worker.start()
    wait_until_done(box, 3)
    assert box.delivered() == 1
    assert [held["bodyFat"] for held in garmin.weigh_ins()] == [18.2]


def test_late_composition_completes_the_weigh_in(
    box: Outbox, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """A message within the window that comes after the first was sent completes the weigh-in, by the function."""
    box.insert('{"weight": 81.4}', source="scale")
    wait_until_done(box, 1)
    box.insert(json.dumps(FULL), '{"weight": 81.4}', source="scale")
    wait_until_done(box, 3)
    assert box.states() == {"confirmed": 2, "joined": 1}
    (held,) = garmin.weigh_ins()
    assert (held["weight"], held["bodyFat"], held["boneMass"]) == (81400.0, 18.2, 3200)


def test_same_values_on_two_days_are_two(box: Outbox, programs: tuple[Program, Program], garmin: GarminStandIn) -> None:
    """The same values on two days are two weigh-ins, with and without a time."""
    for day in (20, 21):
        box.insert(json.dumps({"weight": 81.4, "timestamp": f"2026-11-{day - 5}T06:31:00Z"}))
        box.query(
            "INSERT INTO readings (source, payload, received_at) VALUES ('test', '{\"weight\": 81.4}', %s)",
            f"2026-11-{day} 06:31+00",
        )
    wait_until_done(box, 4)
    assert box.states() == {"confirmed": 4}
    # None was held back for another: each was sent once, at its first attempt.
    assert box.query("SELECT DISTINCT attempts FROM readings") == [(1,)]
    assert "earlier" not in programs[0].log() + programs[1].log()


def test_two_people_are_two(box: Outbox, programs: tuple[Program, Program], garmin: GarminStandIn) -> None:
    """Two weights that differ, within seconds on one scale, are two weigh-ins, and neither waits for the other."""
    for payload in ('{"weight": 81.4}', '{"weight": 60.2}'):
        box.insert(payload, source="scale")
        time.sleep(1.1)  # Garmin's instants are seconds
    wait_until_done(box, 2)
    assert box.states() == {"confirmed": 2}
    assert sorted(held["weight"] for held in garmin.weigh_ins()) == [60200.0, 81400.0]


def test_timed_readings_of_one_weigh_in_go_in_turn(
    box: Outbox, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """Readings with a time do not wait to settle. Of those that may be one weigh-in, one is sent at a time."""
    started = time.monotonic()
    with psycopg.connect(box.database) as connection:
        for second, values in ((0, {"weight": 81.4}), (6, FULL), (9, {"weight": 81.4})):
            payload = json.dumps({**values, "timestamp": AT.replace(":00Z", f":{second:02}Z")})
            connection.execute("INSERT INTO readings (source, payload) VALUES ('scale', %s)", [payload])
    wait_until("one has arrived", lambda: box.delivered() > 0)
    assert time.monotonic() - started < 9
    wait_until_done(box, 3)
    (held,) = garmin.weigh_ins()
    assert (held["weight"], held["bodyFat"]) == (81400.0, 18.2)


def test_readings_of_other_times_go_together(
    box: Outbox, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """Readings of one scale with the same weight do not wait for each other if their times are far apart."""
    with psycopg.connect(box.database) as connection:
        for day in (18, 19, 20, 21):
            payload = json.dumps({"weight": 81.4, "timestamp": f"2026-11-{day}T06:31:00Z"})
            connection.execute("INSERT INTO readings (source, payload) VALUES ('scale', %s)", [payload])
    wait_until_done(box, 4)
    assert box.states() == {"confirmed": 4}
    # None was held back for another: each was sent once, at its first attempt.
    assert box.query("SELECT DISTINCT attempts FROM readings") == [(1,)]
    assert "earlier" not in programs[0].log() + programs[1].log()


def test_added_values_replace_by_themselves(
    box: Outbox, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """A reading that only adds values at the same instant replaces by itself; one that changes a value is parked."""
    timed = {"weight": 81.4, "timestamp": AT}
    box.insert(json.dumps(timed))
    wait_until_done(box, 1)
    box.insert(json.dumps(timed | FULL))
    wait_until_done(box, 2)
    assert box.state(2) == "confirmed"
    (held,) = garmin.weigh_ins()
    assert (held["weight"], held["boneMass"]) == (81400.0, 3200)
    box.insert(json.dumps(timed | FULL | {"body_fat": 18.1}))
    wait_until_done(box, 3)
    assert box.state(3) == "parked"
    ((changed,),) = box.query("SELECT fault->'changed' FROM readings WHERE id = 3")
    assert "body_fat_percent" in changed  # type: ignore[operator]
    box.ask("retry", 3, "--replace")
    wait_until_done(box, 3)
    assert [held["bodyFat"] for held in garmin.weigh_ins()] == [18.1]


# --- one topic for each value ---


def test_bare_numbers_become_one_weigh_in(
    box: Outbox, broker: Mosquitto, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """Values on topics of their own, as ESPHome sends them, are one weigh-in, even if relay and worker are killed."""
    worker, relay = programs
    broker.publish("scale/sensor/body_fat/state", "18.20", retain=True)
    broker.publish("scale/sensor/impedance/state", "503", retain=True)
    wait_until("two are stored", lambda: stored(box) == 2)
    relay.kill()
    worker.kill()
    broker.publish("scale/sensor/weight/state", "81.40 kg", retain=True)
    broker.publish("scale/sensor/bone_mass/state", "nan", retain=True)
    relay.start()
    worker.start()
    wait_until_done(box, 4)
    assert box.states() == {"confirmed": 1, "joined": 3}
    (held,) = garmin.weigh_ins()
    assert (held["weight"], held["bodyFat"], held["boneMass"]) == (81400.0, 18.2, None)
    rows = box.query("SELECT source, received::text, scale FROM readings ORDER BY id")
    assert rows[0] == ("mqtt:scale/sensor/body_fat/state", "18.20", "mqtt:scale/sensor/state")
    # The retained values of a new subscription are not a second weigh-in.
    other = box.run("relay", MQTT_URL=broker.url, MQTT_TOPIC="scale/sensor/#")
    wait_until("all four were recognized", lambda: other.log().count("already stored") == 4)
    assert stored(box) == 4


def test_late_value_completes_the_weigh_in(
    box: Outbox, broker: Mosquitto, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """A value that comes after its weight was sent completes the weigh-in."""
    broker.publish("scale/weight", "81.4")
    wait_until_done(box, 1)
    broker.publish("scale/body_fat", "18.2")
    wait_until_done(box, 2)
    assert box.states() == {"confirmed": 2}
    (held,) = garmin.weigh_ins()
    assert (held["weight"], held["bodyFat"]) == (81400.0, 18.2)


def test_value_without_a_weight_is_parked(box: Outbox, broker: Mosquitto, function: Function) -> None:
    """A value without a weight is parked after the window, with a reason; so is a number that nothing names."""
    box.run("worker", WEIGHBRIDGE_JOIN_SECONDS="3", OUTBOX_SETTLE_SECONDS="1")
    relay = box.run("relay", MQTT_URL=broker.url, MQTT_TOPIC="scale/#")
    wait_until("the relay is connected", lambda: "connected" in relay.log())
    broker.publish("scale/body_fat", "18.2")
    broker.publish("scale/uptime", "5123")
    wait_until_done(box, 2)
    assert box.states() == {"parked": 2}
    said = box.ask("status")
    assert "No weight came with this value" in said
    assert "The message is not a reading" in said
    assert "18.2" not in said
    assert "a topic that names it" in box.ask("show", 2)


def test_status_says_that_more_may_follow(box: Outbox, programs: tuple[Program, Program]) -> None:
    """While a reading settles, `status` says why it waits."""
    box.insert('{"weight": 81.4}')
    wait_until("it waits", lambda: "waits for more values of the same weigh-in" in box.ask("status"))


# --- whole bodies of other programs ---

MEASUREMENT = {"id": 7, "date": "2026-11-22T06:31:00+00:00", "weight": 81.4, "fat": 18.2}


def event(name: str, **values: object) -> str:
    return json.dumps({"event": name, **values})


def test_batch_becomes_rows(
    box: Outbox, broker: Mosquitto, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """A batch of openScale-sync becomes one row a measurement, in one transaction; what came stays visible."""
    _, relay = programs
    batch = event(
        "insert", measurements=[MEASUREMENT | {"id": n, "date": f"2026-11-{n:02}T06:31:00+00:00"} for n in (20, 21, 22)]
    )
    broker.publish("scale/phone", batch)
    wait_until_done(box, 3)
    assert len(garmin.weigh_ins()) == 3
    (first, second, third) = box.query("SELECT part, received FROM readings ORDER BY id")
    assert first == (0, json.loads(batch))
    assert [(part, received["id"]) for part, received in (second, third)] == [(1, 21), (2, 22)]
    broker.publish("scale/phone", batch)
    wait_until("it was recognized", lambda: "already stored" in relay.log())
    assert stored(box) == 3


def test_redelivered_batch_is_stored_once(box: Outbox) -> None:
    """A batch without times that is redelivered is recognized by its packet identifier."""
    batch = event("insert", measurements=[{"weight": 81.4}, {"weight": 60.2}])
    message = Message("scale/phone", batch.encode(), 5, redelivered=False, retained=False)
    with psycopg.connect(box.database, autocommit=True) as connection:
        assert store(connection, message)
        assert not store(connection, message._replace(redelivered=True))
        assert store(connection, message._replace(packet=6, redelivered=True))
    assert stored(box) == 4


def test_update_and_delete_are_carried_out(
    box: Outbox, broker: Mosquitto, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """An update replaces, a deletion deletes, a test does nothing, in their order; and the same may come again."""
    worker, _ = programs
    worker.kill()
    broker.publish("scale/phone", event("test"), event("insert", **MEASUREMENT))
    broker.publish("scale/phone", event("update", **MEASUREMENT | {"weight": 80.9}))
    wait_until("they are stored", lambda: stored(box) == 3)
    worker.start()
    wait_until_done(box, 3)
    assert [box.state(n) for n in (1, 2, 3)] == ["nothing", "confirmed", "confirmed"]
    assert [held["weight"] for held in garmin.weigh_ins()] == [80900.0]
    broker.publish("scale/phone", event("delete", **MEASUREMENT))
    wait_until_done(box, 4)
    assert box.state(4) == "taken_back"
    assert garmin.weigh_ins() == []
    broker.publish("scale/phone", event("insert", **MEASUREMENT))
    wait_until_done(box, 5)
    assert box.state(5) == "confirmed"
    assert [held["weight"] for held in garmin.weigh_ins()] == [81400.0]
    broker.publish("scale/phone", event("delete", date="2026-10-01T06:31:00+00:00"))
    wait_until_done(box, 6)
    assert box.state(6) == "parked"
    assert "not" in box.ask("status")


def test_killed_during_a_deletion_is_done(
    box: Outbox, broker: Mosquitto, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """A worker that is killed while the function deletes finds the deletion done."""
    worker, _ = programs
    broker.publish("scale/phone", event("insert", **MEASUREMENT))
    wait_until_done(box, 1)
    garmin.faults.add("weight/delete", "slow")
    broker.publish("scale/phone", event("delete", **MEASUREMENT))
    wait_until("it is being deleted", lambda: any(request.method == "DELETE" for request in garmin.requests))
    worker.kill()
    wait_until("it is deleted", lambda: garmin.weigh_ins() == [])
    worker.start()
    wait_until_done(box, 2)
    assert box.state(2) == "taken_back"


def test_event_in_the_topic_counts(box: Outbox, broker: Mosquitto, programs: tuple[Program, Program]) -> None:
    """openScale-sync over MQTT says in the topic what is to be done."""
    broker.publish("openScaleSync/measurements/insert", json.dumps(MEASUREMENT))
    broker.publish("openScaleSync/measurements/delete", json.dumps(MEASUREMENT))
    wait_until_done(box, 2)
    assert box.states() == {"confirmed": 1, "taken_back": 1}


def test_inserted_batch_is_done_as_one_row(
    box: Outbox, programs: tuple[Program, Program], garmin: GarminStandIn
) -> None:
    """A batch that plain SQL inserts is one row, done once each of its weigh-ins is."""
    box.insert(event("insert", measurements=[MEASUREMENT, MEASUREMENT | {"date": "2026-11-21T06:31:00+00:00"}]))
    wait_until_done(box, 1)
    assert box.states() == {"confirmed": 1}
    assert len(garmin.weigh_ins()) == 2
