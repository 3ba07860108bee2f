"""The outbox from a row of `readings` to Garmin: a real Postgres, real workers, the real function, the stand-in.

Claims: each state is left only in the way that the README tells; nothing is delivered twice; nothing measured and
nothing secret is in a log.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest
from procrastinate.schema import SchemaManager

from tests.e2e.parts import wait_until
from tests.e2e.parts.mosquitto import mosquitto
from tests.e2e.parts.outbox import Function, Outbox, Program
from tests.e2e.parts.postgres import Postgres
from tests.garmin.server import GarminStandIn
from weighbridge.reading.dialects import DIALECTS, NOT_MEASURED, Role
from weighbridge_outbox.relay import Message, store

AT = "2026-11-22T06:31:00Z"
READING = json.dumps({"weight": 81.4, "body fat": 18.2, "measured_at": AT})
KEY = "a-planted-key-of-letters"
EARLIER = Path(__file__).with_name("outbox_0_1")
RECORDER = Path(__file__).with_name("recorder.sql")

Environment = dict[str, object]


@pytest.fixture
def environment(garmin: GarminStandIn, tmp_path: Path) -> Environment:
    garmin.write_token(tmp_path / "tokens")
    return {
        "WEIGHBRIDGE_DELIVERY": "garth",
        "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
        "WEIGHBRIDGE_CONFIRM_SECONDS": 0.5,
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        "THREADS": 8,
    }


@pytest.fixture
def function(box: Outbox, environment: Environment) -> Function:
    function = box.function(environment)
    function.start()
    return function


def wait_for(box: Outbox, state: str, reading_id: int = 1, within_s: float = 30) -> None:
    wait_until(f"reading {reading_id} is {state}", lambda: box.state(reading_id) == state, within_s)


def fault(box: Outbox, reading_id: int = 1) -> str:
    ((slug,),) = box.query("SELECT fault->>'type' FROM readings WHERE id = %s", reading_id)
    return str(slug).removeprefix("urn:weighbridge:")


# --- the states ---


def test_waiting_then_confirmed_with_the_receipt(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    box.run("worker")
    box.insert(READING)
    wait_for(box, "confirmed")
    ((receipt, problem, attempts),) = box.query("SELECT receipt, fault, attempts FROM readings")
    assert isinstance(receipt, dict)
    assert receipt["garmin"]["weight_kg"] == 81.4
    assert (problem, attempts) == (None, 1)
    assert [held["weight"] for held in garmin.weigh_ins()] == [81400.0]
    wait_until("the queue has forgotten its job", lambda: deliveries(box) == 0)


def deliveries(box: Outbox) -> int:
    return int(str(box.query("SELECT count(*) FROM procrastinate_jobs WHERE lock IS NOT NULL")[0][0]))


def test_a_row_wakes_a_worker_at_once(box: Outbox, function: Function) -> None:
    """By looking alone, which it does once a second, each of these would take a second."""
    box.run("worker")
    box.insert(READING)
    wait_for(box, "confirmed")  # the worker works
    started = time.monotonic()
    for day in range(1, 7):
        box.insert(json.dumps({"weight": 81.4, "measured_at": f"2026-11-0{day}T06:31:00Z"}))
        wait_for(box, "confirmed", 1 + day)
    assert time.monotonic() - started < 3


def test_what_garmin_has_already_is_present(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    box.run("worker")
    box.insert(READING)
    wait_for(box, "confirmed")
    box.insert(json.dumps(json.loads(READING) | {"name of the scale": "bathroom"}))
    wait_for(box, "present", 2)
    assert garmin.uploads_received == 1


def test_accepted_is_asked_again_until_garmin_shows_it(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    garmin.weights.show_delay_s = 3600
    box.run("worker")
    box.insert(READING)
    wait_for(box, "accepted")
    assert "Garmin Connect took the file, but did not show" in box.ask("status")
    garmin.weights.entries = [replace(entry, visible_at_s=0) for entry in garmin.weights.entries]
    wait_until("Garmin shows it", lambda: box.delivered() == 1)
    assert len(garmin.weigh_ins()) == 1


def test_kept_is_tried_again_and_arrives_after_the_sign_in(
    box: Outbox, environment: Environment, garmin: GarminStandIn, tmp_path: Path
) -> None:
    garmin.revoke()
    garmin.expire_access_tokens()
    chain = {"WEIGHBRIDGE_DELIVERY": "garth,folder", "WEIGHBRIDGE_FOLDER": tmp_path / "kept"}
    function = box.function(environment | chain)
    function.start()
    box.run("worker")
    box.insert(READING)
    wait_for(box, "kept")
    assert "weighbridge login" in box.ask("status")
    assert len(list((tmp_path / "kept").iterdir())) == 1
    garmin.write_token(tmp_path / "tokens")
    wait_for(box, "confirmed")
    assert len(garmin.weigh_ins()) == 1


def test_a_rejected_reading_is_parked_with_its_reason_and_goes_on_once_it_is_corrected(
    box: Outbox, function: Function, garmin: GarminStandIn, tmp_path: Path
) -> None:
    box.run("worker")
    box.insert(json.dumps({"weight": 814, "body fat": 18.2, "measured_at": AT}))
    wait_for(box, "parked")
    shown = json.loads(box.ask("show", 1))
    assert shown["fault"]["errors"][0]["field"] == "weight"
    assert "The reading cannot be right" in box.ask("status")

    box.ask("retry", 1)
    wait_until("it was tried again", lambda: box.query("SELECT attempts FROM readings") == [(2,)])
    wait_for(box, "parked")

    (tmp_path / "right.json").write_text(READING)
    assert box.ask("correct", 1, tmp_path / "right.json") == "Reading 1 is sent again.\n"
    wait_for(box, "confirmed")
    ((received, payload, problem),) = box.query("SELECT received->'weight', payload->'weight', fault FROM readings")
    assert (received, payload, problem) == (814, 81.4, None)
    assert [held["weight"] for held in garmin.weigh_ins()] == [81400.0]


def test_what_came_as_no_json_at_all_can_be_corrected_too(box: Outbox, function: Function, tmp_path: Path) -> None:
    box.run("worker")
    box.insert(json.dumps("81,4 kg"))
    wait_for(box, "parked")
    (tmp_path / "right.json").write_text('{"weight": "81,4 kg"}')
    box.ask("correct", 1, tmp_path / "right.json")
    wait_for(box, "confirmed")
    # Its time is that of its arrival, not that of its correction.
    ((same,),) = box.query(
        "SELECT (payload->>'received_at')::timestamptz = date_trunc('second', received_at) FROM readings"
    )
    assert same is True


def test_a_conflict_is_parked_until_somebody_says_that_it_may_replace(
    box: Outbox, function: Function, garmin: GarminStandIn
) -> None:
    box.run("worker")
    box.insert(READING)
    wait_for(box, "confirmed")
    box.insert(json.dumps({"weight": 80.9, "measured_at": AT}))
    wait_for(box, "parked", 2)
    assert fault(box, 2) == "conflict"
    box.ask("retry", 2, "--replace")
    wait_for(box, "confirmed", 2)
    assert [held["weight"] for held in garmin.weigh_ins()] == [80900.0]


def test_a_function_that_is_away_is_awaited(box: Outbox, environment: Environment, garmin: GarminStandIn) -> None:
    function = box.function(environment)
    box.run("worker")
    box.insert(READING)
    wait_until("it was tried twice", lambda: int(str(box.query("SELECT attempts FROM readings")[0][0])) >= 2)
    assert (box.state(), fault(box)) == ("waiting", "no-answer")
    function.start()
    wait_for(box, "confirmed")
    assert len(garmin.weigh_ins()) == 1


def test_a_wrong_key_is_loud_and_slow_and_the_right_one_mends_it(box: Outbox, environment: Environment) -> None:
    box.function(environment | {"WEIGHBRIDGE_API_KEYS": f"outbox={KEY}"}).start()
    patient = {"OUTBOX_LONGEST_PAUSE_SECONDS": "86400"}
    worker = box.run("worker", WEIGHBRIDGE_KEY="not-the-right-key", **patient)
    box.insert(READING)
    wait_until("it was tried", lambda: "ERROR weighbridge.worker: reading 1: unauthorized, again in" in worker.log())
    ((pause_s,),) = box.query("SELECT extract(epoch FROM next_attempt_at - attempted_at) FROM readings")
    assert 450 <= float(str(pause_s)) <= 900
    assert box.state() == "waiting"
    worker.stop()
    box.run("worker", WEIGHBRIDGE_KEY=KEY, **patient)
    box.ask("retry", 1)  # it would be hours of patience else: what somebody asks for goes first
    wait_for(box, "confirmed", within_s=10)


def test_retry_after_is_not_undercut(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    garmin.faults.add("weight", "429", retry_after=3)
    box.run("worker", OUTBOX_LONGEST_PAUSE_SECONDS="86400")
    box.insert(READING)
    wait_until("it was tried", lambda: box.query("SELECT attempts FROM readings") == [(1,)])
    failed_at = time.monotonic()
    asked = len(garmin.requests)
    ((pause_s,),) = box.query("SELECT extract(epoch FROM next_attempt_at - attempted_at) FROM readings")
    assert 3 <= float(str(pause_s)) < 5
    wait_until("Garmin is asked again", lambda: len(garmin.requests) > asked)
    assert time.monotonic() - failed_at >= 2.8
    wait_for(box, "confirmed")


def test_pauses_grow_and_are_spread(box: Outbox, environment: Environment) -> None:
    box.function(environment)  # never started
    box.run("worker", OUTBOX_LONGEST_PAUSE_SECONDS="86400")
    box.insert(*(json.dumps({"weight": 80 + n / 10, "measured_at": AT}) for n in range(12)))
    wait_until("each was tried", lambda: box.query("SELECT min(attempts) FROM readings") == [(1,)])
    pauses = [
        float(str(s)) for (s,) in box.query("SELECT extract(epoch FROM next_attempt_at - attempted_at) FROM readings")
    ]
    assert all(2.4 <= pause <= 5.1 for pause in pauses)
    assert len({round(pause, 1) for pause in pauses}) > 3


class Stranger(BaseHTTPRequestHandler):
    """A proxy that is glad to see anybody, and shows its own page."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, *_: object) -> None: ...


@contextmanager
def not_our_answer() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_stranger_s_200_delivers_nothing(box: Outbox, function: Function) -> None:
    with not_our_answer() as address:
        worker = box.run("worker", WEIGHBRIDGE_URL=address)
        box.insert(READING)
        wait_until("it was tried", lambda: "not-the-function" in worker.log())
        assert (box.state(), fault(box)) == ("waiting", "not-the-function")
        worker.stop()
    box.run("worker")
    wait_for(box, "confirmed")


# --- workers that die, stop, and stand side by side ---


def test_what_a_killed_worker_had_in_hand_is_taken_up_by_another(
    box: Outbox, function: Function, garmin: GarminStandIn
) -> None:
    garmin.faults.add("upload", "slow")  # 3 s, and carried out
    first = box.run("worker")
    box.insert(READING)
    wait_until("the upload is under way", lambda: garmin.uploads_received == 1)
    first.kill()
    second = box.run("worker")
    wait_until("it is in Garmin Connect", lambda: box.delivered() == 1)
    assert "taken up again" in second.log()
    assert len(garmin.weights.entries) == 1


def test_a_worker_stops_within_5_s_and_what_it_left_is_done_by_the_next(
    box: Outbox, function: Function, garmin: GarminStandIn
) -> None:
    garmin.faults.add("weight", "slow", delay_s=20)
    worker = box.run("worker")
    box.insert(READING)
    wait_until("the delivery is under way", lambda: len(garmin.requests) > 0)
    started = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - started < 5
    box.run("worker")
    wait_for(box, "confirmed")
    assert len(garmin.weights.entries) == 1


def test_an_idle_worker_and_relay_stop_at_once(box: Outbox, function: Function) -> None:
    with mosquitto() as broker:
        worker, relay = box.run("worker"), box.run("relay", MQTT_URL=broker.url, MQTT_TOPIC="scale")
        wait_until("both work", lambda: "connected" in relay.log() and workers(box) == 1)
        for program in (worker, relay):
            started = time.monotonic()
            assert program.stop() == 0
            assert time.monotonic() - started < 2


def workers(box: Outbox) -> int:
    return int(str(box.query("SELECT count(*) FROM procrastinate_workers")[0][0]))


def test_four_workers_share_the_work_and_none_does_another_s(
    box: Outbox, function: Function, garmin: GarminStandIn
) -> None:
    programs = [box.run("worker", OUTBOX_CONCURRENCY="2") for _ in range(4)]
    wait_until("all four are there", lambda: workers(box) == 4)
    box.insert(*(json.dumps({"weight": 80.5, "measured_at": 1_790_000_000 + 86_400 * n}) for n in range(40)))
    wait_until("all have arrived", lambda: box.delivered() == 40)
    assert box.query("SELECT DISTINCT attempts FROM readings") == [(1,)]
    assert (garmin.uploads_received, len(garmin.weights.entries)) == (40, 40)
    assert sum("confirmed" in program.log() for program in programs) >= 2


def test_a_correction_that_comes_while_the_reading_is_under_way_is_not_lost(
    box: Outbox, function: Function, garmin: GarminStandIn, tmp_path: Path
) -> None:
    garmin.faults.add("weight", "slow", delay_s=1.5)
    box.run("worker")
    box.insert(READING)
    wait_until("the delivery is under way", lambda: len(garmin.requests) > 0)
    (tmp_path / "right.json").write_text(json.dumps({"weight": 80.9, "measured_at": AT}))
    box.ask("correct", 1, tmp_path / "right.json", "--replace")
    wait_until("the correction has arrived", lambda: [held["weight"] for held in garmin.weigh_ins()] == [80900.0])
    wait_for(box, "confirmed")
    assert len(garmin.weights.entries) == 1


def test_postgres_that_goes_away_is_awaited(
    box: Outbox, function: Function, garmin: GarminStandIn, database_server: Postgres
) -> None:
    worker = box.run("worker")
    wait_until("the worker works", lambda: workers(box) == 1)
    database_server.restart()
    box.insert(READING)
    wait_for(box, "confirmed")
    assert worker.stop() == 0


def test_a_worker_that_is_started_before_the_tables_are_made_awaits_them(box: Outbox, function: Function) -> None:
    box.query("DROP SCHEMA public CASCADE")
    box.query("CREATE SCHEMA public")
    worker = box.run("worker")
    wait_until("it says what is missing", lambda: "was not migrated" in worker.log())
    box.ask("migrate")
    box.insert(READING)
    wait_for(box, "confirmed")


def test_an_untimed_reading_sent_again_is_the_same_weigh_in(
    box: Outbox, function: Function, garmin: GarminStandIn
) -> None:
    garmin.faults.add("upload", "504-carried-out")
    garmin.faults.add("weight", "500", times=None, probability=0.5)
    box.run("worker")
    box.insert('{"weight": 81.4}')
    wait_until("it has arrived", lambda: box.delivered() == 1)
    assert len(garmin.weights.entries) == 1


# --- what the database knows of a reading ---


def stored(connection: psycopg.Connection[tuple[object, ...]], payload: object) -> bool:
    """Whether this message, come in through a broker, became a row."""
    message = Message("scale", json.dumps(payload).encode(), 1, redelivered=False, retained=False)
    return store(connection, message)


def test_a_reading_is_known_again_by_every_key_that_the_function_takes_for_a_time(box: Outbox) -> None:
    keys = {key: meaning for words in DIALECTS.values() for key, meaning in words.items()}
    with psycopg.connect(box.database, autocommit=True) as connection:
        for key, meaning in keys.items():
            for spelling in (key, key.upper(), key.replace("_", " "), f" {key}: "):
                # Another weight for each, so that it is a reading of its own.
                payload = {spelling: AT, "weight": 80 + len(box.query("SELECT id FROM readings")) / 1000}
                assert stored(connection, payload)
                assert stored(connection, payload) == (meaning is not Role.TIME), spelling


def test_a_time_that_the_function_takes_for_none_is_none(box: Outbox) -> None:
    words = [f"{pad}{word.upper()}{pad}" for word, pad in itertools.product(sorted(NOT_MEASURED), ("", " "))]
    with psycopg.connect(box.database, autocommit=True) as connection:
        for value in (*words, None):
            assert stored(connection, {"timestamp": value, "weight": 81.4})
            assert stored(connection, {"timestamp": value, "weight": 81.4})


def test_a_moment_of_receipt_that_the_sender_wrote_down_counts(box: Outbox) -> None:
    for key in ("received_at", "receivedAt", "Received At"):
        box.insert(json.dumps({"weight": 81.4, key: AT}))
    for value in (None, "", "unknown"):
        box.insert(json.dumps({"weight": 81.4, "received_at": value}))
    rows = box.query("SELECT received, payload, received_at FROM readings ORDER BY id")
    assert all(payload == received for received, payload, _ in rows[:3])
    for received, payload, moment in rows[3:]:
        assert isinstance(received, dict)
        assert isinstance(moment, datetime)
        assert payload == received | {"received_at": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    assert len(set(box.query("SELECT key FROM readings"))) == 1


def test_a_reading_with_a_time_that_comes_in_twice_is_sent_once(
    box: Outbox, function: Function, garmin: GarminStandIn
) -> None:
    """By plain SQL, which knows nothing of times: the worker settles it."""
    box.insert(READING, READING)
    box.run("worker")
    wait_for(box, "present", 2)
    assert box.state() == "confirmed"
    assert garmin.uploads_received == 1
    asked = len(garmin.requests)
    box.insert(json.dumps(json.loads(READING) | {"received_at": "2026-11-22T09:00:00Z"}))
    wait_for(box, "present", 3)
    assert len(garmin.requests) == asked
    ((first, receipt),) = box.query(
        "SELECT (SELECT receipt FROM readings WHERE id = 1), receipt FROM readings WHERE id = 3"
    )
    assert receipt == first


def test_a_reading_waits_for_the_same_one_that_is_on_its_way(
    box: Outbox, environment: Environment, garmin: GarminStandIn
) -> None:
    function = box.function(environment)
    box.run("worker")
    box.insert(READING, READING)
    wait_until("both were tried", lambda: box.query("SELECT min(attempts) > 0 FROM readings") == [(True,)])
    assert (fault(box, 1), fault(box, 2)) == ("no-answer", "received-before")
    assert "is still on its way" in box.ask("status")
    function.start()
    wait_for(box, "confirmed")
    wait_for(box, "present", 2)
    assert garmin.uploads_received == 1


def test_a_reading_does_not_wait_for_the_same_one_that_is_parked(box: Outbox, function: Function) -> None:
    wrong = json.dumps({"weight": 814, "measured_at": AT})
    box.run("worker")
    box.insert(wrong)
    wait_for(box, "parked")
    box.insert(wrong)
    wait_for(box, "parked", 2)
    assert fault(box, 2) == "reading-rejected"


def test_what_somebody_asks_for_is_sent_also_if_the_same_was_received_before(
    box: Outbox, function: Function, garmin: GarminStandIn
) -> None:
    box.run("worker")
    box.insert(READING, READING)
    wait_for(box, "present", 2)
    garmin.weights.entries.clear()
    box.ask("retry", 2)
    wait_for(box, "confirmed", 2)
    assert len(garmin.weigh_ins()) == 1


def test_the_same_values_without_a_time_are_two_weigh_ins(
    box: Outbox, function: Function, garmin: GarminStandIn
) -> None:
    box.run("worker")
    for moment in ("2026-11-20 06:31+00", "2026-11-21 06:31+00"):
        box.query(
            "INSERT INTO readings (source, payload, received_at) VALUES ('test', '{\"weight\": 81.4}', %s)", moment
        )
    wait_until("both have arrived", lambda: box.delivered() == 2)
    assert box.states() == {"confirmed": 2}
    assert len(garmin.weigh_ins()) == 2


def test_a_database_of_release_0_1_is_brought_up_to_date_and_loses_nothing(
    box: Outbox, function: Function, garmin: GarminStandIn
) -> None:
    box.query("DROP SCHEMA public CASCADE")
    box.query("CREATE SCHEMA public")
    with psycopg.connect(box.database) as connection:
        connection.execute(SchemaManager.get_schema().encode())
        for file in (RECORDER, EARLIER / "schema.sql", EARLIER / "home_assistant.sql"):
            connection.execute(file.read_bytes())
        connection.execute("INSERT INTO weighbridge_entities VALUES ('sensor.scale')")
    box.insert(READING, '{"weight": 80.9}')
    before = box.query("SELECT id, received, payload, state FROM readings ORDER BY id")
    box.ask("migrate")
    box.ask("migrate")
    assert box.query("SELECT id, received, payload, state FROM readings ORDER BY id") == before
    assert box.query("SELECT count(*) FROM readings WHERE key <> weighbridge_key(received)") == [(0,)]
    # What came before is known again, and nothing is in the way of the same values without a time.
    box.insert(READING, '{"weight": 80.9}')
    # The trigger on recorder is of this release, too.
    box.query("INSERT INTO states_meta (entity_id) VALUES ('sensor.scale')")
    box.query("INSERT INTO states (state, last_updated_ts, metadata_id) VALUES ('81.2', 1795329060 - 3600, 1)")
    box.run("worker")
    wait_until("all have arrived", lambda: box.delivered() == 5)
    assert box.state(3) == "present"
    assert 81200.0 in [held["weight"] for held in garmin.weigh_ins()]


def test_a_row_in_a_transaction_that_fails_wakes_nobody(box: Outbox) -> None:
    with psycopg.connect(box.database) as connection:
        connection.execute("INSERT INTO readings (source, payload) VALUES ('test', '{}')")
        connection.rollback()
    assert box.states() == {}
    assert deliveries(box) == 0


# --- people ---


def test_commands_name_what_is_missing_in_one_sentence(box: Outbox, tmp_path: Path) -> None:
    assert box.ask("show", 7, fails=True) == "There is no reading 7.\n"
    assert box.ask("retry", 7, fails=True) == "There is no reading 7.\n"
    (tmp_path / "list.json").write_text("[]")
    assert "JSON, but not an object" in box.ask("correct", 1, tmp_path / "list.json", fails=True)
    assert "cannot be read: No such file" in box.ask("correct", 1, tmp_path / "none.json", fails=True)
    assert "MQTT_URL is not set." in (said := box.ask("relay", fails=True))
    assert "MQTT_TOPIC is not set." in said
    box.environment["WEIGHBRIDGE_URL"] = "ftp://function"
    assert "WEIGHBRIDGE_URL must be an http:// or https:// address" in box.ask("worker", fails=True)
    box.environment["DATABASE_URL"], url = f"planted {KEY}", box.environment["DATABASE_URL"]
    assert "DATABASE_URL must be an address of Postgres" in (said := box.ask("status", fails=True))
    assert KEY not in said
    box.environment["DATABASE_URL"] = url
    box.query("DROP TABLE readings CASCADE")
    assert "weighbridge outbox migrate" in box.ask("status", fails=True)
    box.environment["DATABASE_URL"] = f"postgresql://me:{KEY}@127.0.0.1:1/none"
    unreachable = box.ask("status", fails=True)
    assert "Postgres cannot be reached" in unreachable
    assert KEY not in unreachable


def test_every_setting_can_come_from_a_file(box: Outbox, function: Function, tmp_path: Path) -> None:
    with mosquitto(user="relay", password="a pass/word@home") as broker:
        values = {
            "DATABASE_URL": box.environment.pop("DATABASE_URL"),
            "MQTT_URL": broker.url.replace("a pass/word@home", "a%20pass%2Fword%40home"),
            "MQTT_TOPIC": "scale/+, other/#",
            "WEIGHBRIDGE_URL": box.environment.pop("WEIGHBRIDGE_URL"),
        }
        for name, value in values.items():
            (tmp_path / name).write_text(value + "\n")
            box.environment[f"{name}_FILE"] = str(tmp_path / name)
        box.run("worker")
        relay = box.run("relay")
        wait_until("the relay is connected", lambda: "connected" in relay.log())
        broker.publish("other/scale", READING)
        wait_for(box, "confirmed")


def test_migrate_can_be_done_again_and_by_two_at_once(box: Outbox) -> None:
    box.insert(READING)
    box.query("DROP SCHEMA public CASCADE")
    box.query("CREATE SCHEMA public")
    said: list[str] = []
    both = [threading.Thread(target=lambda: said.append(box.ask("migrate"))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert said == ["The outbox is ready.\n"] * 2
    box.insert(READING)
    box.ask("migrate")
    assert box.states() == {"waiting": 1}


def test_no_secret_and_no_measurement_is_in_a_log_or_on_a_command_line(
    box: Outbox, environment: Environment, garmin: GarminStandIn, database_server: Postgres
) -> None:
    box.query("ALTER ROLE postgres PASSWORD 'planted-database-password'")
    box.environment["DATABASE_URL"] = box.database.replace("postgres@", "postgres:planted-database-password@")
    function = box.function(environment | {"WEIGHBRIDGE_API_KEYS": f"outbox={KEY}"})
    function.start()
    with mosquitto(user="relay", password="planted-broker-password") as broker:
        box.environment |= {"MQTT_URL": broker.url, "MQTT_TOPIC": "scale", "WEIGHBRIDGE_KEY": KEY}
        programs: list[Program] = [box.run("worker"), box.run("relay")]
        wait_until("the relay is connected", lambda: "connected" in programs[1].log())
        for name in ("500", "drop-within", "409", "403-cloudflare"):
            garmin.faults.add("upload", name)
        garmin.faults.add("weight", "drop-before")
        broker.publish(
            "scale",
            '{"weight": 77.77, "time": "2026-11-20T06:31:00Z"}',
            '{"weight": 77.77, "fat mass": 70, "time": "2026-11-21T06:31:00Z"}',
            '{"weight": 77.77, "time": "2026-11-20T06:31:00Z", "bmi": 18}',
            b'{"weight": 77.77, "note": "\\u0000"}',
            b'{"weight": 77.77, "note": "\\ud83d"}',
            b'{"weight": 77.77, "bmi": 1e999999}',
            b"77.77 kg",
            b"\xff 77.77",
        )
        wait_until("each was handled", lambda: box.states().get("parked", 0) >= 6 and box.delivered() >= 1)
        database_server.restart()
        function.kill()
        broker.publish("scale", '{"weight": 77.77, "time": "2026-11-19T06:31:00Z"}')
        wait_until("the function was missed", lambda: "no-answer" in programs[0].log())
        command_lines = [Path(f"/proc/{program.pid}/cmdline").read_text() for program in programs]
        said = box.logs() + broker.log() + database_server.log() + "".join(command_lines)
        said += box.ask("status")
    for planted in ("planted", KEY, "77.77", "7777"):
        assert planted not in said
