"""The outbox from a row of `readings` to Garmin: a real Postgres, real workers, the real function, the stand-in.

Claims: a reading changes its state only as the README says; nothing is delivered twice; no measurement and no secret is
in a log.
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
from tests.e2e.parts.outbox import ROOT, Function, Outbox, Program
from tests.e2e.parts.postgres import Postgres
from tests.garmin.server import GarminStandIn
from weighbridge.delivery.kept import kept_files
from weighbridge.reading.dialects import DIALECTS, NOT_MEASURED, TIMES
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


def test_waiting_then_confirmed_with_receipt(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """A waiting reading becomes confirmed, with the receipt and without a problem, and its job ends."""
    box.run("worker")
    box.insert(READING)
    wait_for(box, "confirmed")
    ((receipt, problem, attempts),) = box.query("SELECT receipt, fault, attempts FROM readings")
    assert isinstance(receipt, dict)
    assert receipt["garmin"]["weight_kg"] == 81.4
    assert (problem, attempts) == (None, 1)
    assert [held["weight"] for held in garmin.weigh_ins()] == [81400.0]
    wait_until("its job is deleted", lambda: deliveries(box) == 0)


def deliveries(box: Outbox) -> int:
    return int(str(box.query("SELECT count(*) FROM procrastinate_jobs WHERE lock IS NOT NULL")[0][0]))


def test_row_wakes_a_worker_at_once(box: Outbox, function: Function) -> None:
    """A new row wakes a worker; by polling alone, once a second, each of these twelve would take a second."""
    box.run("worker")
    box.insert(READING)
    wait_for(box, "confirmed")  # the worker works
    started = time.monotonic()
    for day in range(1, 13):
        box.insert(json.dumps({"weight": 81.4, "measured_at": f"2026-11-{day:02}T06:31:00Z"}))
        wait_for(box, "confirmed", 1 + day)
    assert time.monotonic() - started < 9


def test_known_to_garmin_is_present(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """A reading that Garmin already has becomes present, without another upload."""
    box.run("worker")
    box.insert(READING)
    wait_for(box, "confirmed")
    box.insert(json.dumps(json.loads(READING) | {"name of the scale": "bathroom"}))
    wait_for(box, "present", 2)
    assert garmin.uploads_received == 1


def test_accepted_is_sent_until_garmin_shows_it(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """An accepted reading is sent again until Garmin shows it, and is one weigh-in."""
    garmin.weights.show_delay_s = 3600
    box.run("worker")
    box.insert(READING)
    wait_for(box, "accepted")
    assert "Garmin Connect accepted the file, but did not show" in box.ask("status")
    garmin.weights.entries = [replace(entry, visible_at_s=0) for entry in garmin.weights.entries]
    wait_until("Garmin shows it", lambda: box.delivered() == 1)
    assert len(garmin.weigh_ins()) == 1


def test_kept_arrives_after_sign_in(
    box: Outbox, environment: Environment, garmin: GarminStandIn, tmp_path: Path
) -> None:
    """A kept reading is sent again and arrives after the sign-in."""
    garmin.revoke()
    garmin.expire_access_tokens()
    chain = {"WEIGHBRIDGE_DELIVERY": "garth,folder", "WEIGHBRIDGE_FOLDER": tmp_path / "kept"}
    function = box.function(environment | chain)
    function.start()
    box.run("worker")
    box.insert(READING)
    wait_for(box, "kept")
    assert "weighbridge login" in box.ask("status")
    assert len(kept_files(tmp_path / "kept")) == 1
    garmin.write_token(tmp_path / "tokens")
    wait_for(box, "confirmed")
    assert len(garmin.weigh_ins()) == 1


def test_rejected_is_parked_until_corrected(
    box: Outbox, function: Function, garmin: GarminStandIn, tmp_path: Path
) -> None:
    """A rejected reading is parked with its reason, even after a retry, and arrives once it is corrected."""
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


def test_text_can_be_corrected(box: Outbox, function: Function, tmp_path: Path) -> None:
    """A message that is not JSON can be corrected, and keeps the time of its receipt."""
    box.run("worker")
    box.insert(json.dumps("81,4 kg"))
    wait_for(box, "parked")
    (tmp_path / "right.json").write_text('{"weight": "81,4 kg"}')
    box.ask("correct", 1, tmp_path / "right.json")
    wait_for(box, "confirmed")
    # Its time is that of its receipt, not that of its correction.
    ((same,),) = box.query(
        "SELECT (payload->>'received_at')::timestamptz = date_trunc('second', received_at) FROM readings"
    )
    assert same is True


def test_conflict_is_parked_until_replace(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """A conflict is parked until someone retries it with --replace."""
    box.run("worker")
    box.insert(READING)
    wait_for(box, "confirmed")
    box.insert(json.dumps({"weight": 80.9, "measured_at": AT}))
    wait_for(box, "parked", 2)
    assert fault(box, 2) == "conflict"
    box.ask("retry", 2, "--replace")
    wait_for(box, "confirmed", 2)
    assert [held["weight"] for held in garmin.weigh_ins()] == [80900.0]


def test_function_down_is_awaited(box: Outbox, environment: Environment, garmin: GarminStandIn) -> None:
    """While the function is down the reading waits, and arrives once it is up."""
    function = box.function(environment)
    box.run("worker")
    box.insert(READING)
    wait_until("it was tried twice", lambda: int(str(box.query("SELECT attempts FROM readings")[0][0])) >= 2)
    assert (box.state(), fault(box)) == ("waiting", "no-answer")
    function.start()
    wait_for(box, "confirmed")
    assert len(garmin.weigh_ins()) == 1


def test_wrong_key_is_an_error_with_long_pauses(box: Outbox, environment: Environment) -> None:
    """A wrong key is logged as an error and retried rarely; with the right key the reading arrives."""
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
    box.ask("retry", 1)  # otherwise it would wait for minutes; a retry goes first
    wait_for(box, "confirmed", within_s=10)


def test_retry_after_is_respected(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """Garmin is not asked again before Retry-After has passed."""
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


def test_pause_is_for_all(box: Outbox, environment: Environment) -> None:
    """After a fault that all readings share, others wait for the same moment without an attempt; a retry does not."""
    box.function(environment | {"WEIGHBRIDGE_API_KEYS": f"outbox={KEY}"}).start()
    box.run("worker", WEIGHBRIDGE_KEY="not-the-right-key", OUTBOX_LONGEST_PAUSE_SECONDS="86400")
    box.insert(READING)
    wait_until("it was tried", lambda: box.query("SELECT attempts FROM readings") == [(1,)])
    box.insert(*(json.dumps({"weight": 81.4, "measured_at": f"2026-11-{day:02}T06:31:00Z"}) for day in range(1, 13)))
    wait_until("all wait", lambda: box.query("SELECT id FROM readings WHERE next_attempt_at IS NULL") == [])
    assert box.query("SELECT sum(attempts) FROM readings") == [(1,)]
    ((latest_s, apart_s),) = box.query(
        "SELECT extract(epoch FROM max(next_attempt_at) - now()), extract(epoch FROM max(next_attempt_at) - min("
        "next_attempt_at)) FROM readings WHERE id > 1"
    )
    assert float(str(latest_s)) <= 900
    assert float(str(apart_s)) < 5
    box.ask("retry", 2)
    wait_until("it was tried", lambda: box.query("SELECT attempts FROM readings WHERE id = 2") == [(1,)])


class WelcomePage(BaseHTTPRequestHandler):
    """A proxy that answers every request with its own page."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, *_: object) -> None: ...


@contextmanager
def not_our_answer() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), WelcomePage) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_other_servers_200_delivers_nothing(box: Outbox, function: Function) -> None:
    """HTTP 200 from a server that is not the function leaves the reading waiting."""
    with not_our_answer() as address:
        worker = box.run("worker", WEIGHBRIDGE_URL=address)
        box.insert(READING)
        wait_until("it was tried", lambda: "not-the-function" in worker.log())
        assert (box.state(), fault(box)) == ("waiting", "not-the-function")
        worker.stop()
    box.run("worker")
    wait_for(box, "confirmed")


# --- workers that die, stop, and run in parallel ---


def test_killed_workers_job_is_taken_over(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """Another worker takes over the job of a killed one, and it becomes one weigh-in."""
    garmin.faults.add("upload", "slow")  # 3 s, and carried out
    first = box.run("worker")
    box.insert(READING)
    wait_until("the upload has started", lambda: garmin.uploads_received == 1)
    first.kill()
    second = box.run("worker")
    wait_until("it is in Garmin Connect", lambda: box.delivered() == 1)
    assert "is taken over" in second.log()
    assert len(garmin.weights.entries) == 1


def test_busy_worker_stops_in_time(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """A busy worker stops within the 10 s that a container gets, and the next one finishes its job."""
    garmin.faults.add("weight", "slow", delay_s=20)
    worker = box.run("worker")
    box.insert(READING)
    wait_until("the delivery has started", lambda: len(garmin.requests) > 0)
    started = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - started < 10
    box.run("worker")
    # The function finishes what the first worker began, and the second one finds it.
    wait_for(box, "present")
    assert len(garmin.weights.entries) == 1


def test_idle_worker_and_relay_stop_at_once(box: Outbox, function: Function) -> None:
    """An idle worker and an idle relay stop without the 4 s that a busy one may use."""
    with mosquitto() as broker:
        worker, relay = box.run("worker"), box.run("relay", MQTT_URL=broker.url, MQTT_TOPIC="scale")
        wait_until("both work", lambda: "connected" in relay.log() and workers(box) == 1)
        for program in (worker, relay):
            started = time.monotonic()
            assert program.stop() == 0
            assert time.monotonic() - started < 4


def workers(box: Outbox) -> int:
    return int(str(box.query("SELECT count(*) FROM procrastinate_workers")[0][0]))


def test_four_workers_send_each_reading_once(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """Four workers that take readings at the same time send each of them once."""
    for _ in range(4):
        box.run("worker", OUTBOX_CONCURRENCY="2")
    wait_until("all four are there", lambda: workers(box) == 4)
    box.insert(*(json.dumps({"weight": 80.5, "measured_at": 1_790_000_000 + 86_400 * n}) for n in range(40)))
    wait_until("all have arrived", lambda: box.delivered() == 40)
    assert box.query("SELECT DISTINCT attempts FROM readings") == [(1,)]
    assert len(garmin.weights.entries) == 40


def test_correction_during_delivery_is_not_lost(
    box: Outbox, function: Function, garmin: GarminStandIn, tmp_path: Path
) -> None:
    """A correction that comes while the reading is being sent is sent, too."""
    garmin.faults.add("weight", "slow", delay_s=1.5)
    box.run("worker")
    box.insert(READING)
    wait_until("the delivery has started", lambda: len(garmin.requests) > 0)
    (tmp_path / "right.json").write_text(json.dumps({"weight": 80.9, "measured_at": AT}))
    box.ask("correct", 1, tmp_path / "right.json", "--replace")
    wait_until("the correction has arrived", lambda: [held["weight"] for held in garmin.weigh_ins()] == [80900.0])
    wait_for(box, "confirmed")
    assert len(garmin.weights.entries) == 1


def test_postgres_down_is_awaited(
    box: Outbox, function: Function, garmin: GarminStandIn, database_server: Postgres
) -> None:
    """A worker waits for a Postgres that restarts, and goes on."""
    worker = box.run("worker")
    wait_until("the worker works", lambda: workers(box) == 1)
    database_server.restart()
    box.insert(READING)
    wait_for(box, "confirmed")
    assert worker.stop() == 0


def test_worker_waits_for_the_tables(box: Outbox, function: Function) -> None:
    """A worker that starts before the tables exist says so, and waits for them."""
    box.query("DROP SCHEMA public CASCADE")
    box.query("CREATE SCHEMA public")
    worker = box.run("worker")
    wait_until("it says what is missing", lambda: "its tables are missing" in worker.log())
    box.ask("migrate")
    box.insert(READING)
    wait_for(box, "confirmed")


def test_untimed_reading_sent_again_is_one_weigh_in(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """A reading without a time that is sent several times is one weigh-in."""
    garmin.faults.add("upload", "504-carried-out")
    garmin.faults.add("weight", "500", times=None, probability=0.5)
    box.run("worker")
    box.insert('{"weight": 81.4}')
    wait_until("it has arrived", lambda: box.delivered() == 1)
    assert len(garmin.weights.entries) == 1


# --- repeated readings ---


def stored(connection: psycopg.Connection[tuple[object, ...]], payload: object) -> bool:
    """Whether this message of a broker became a row."""
    message = Message("scale", json.dumps(payload).encode(), 1, redelivered=False, retained=False)
    return store(connection, message)


def test_every_time_key_identifies_a_reading(box: Outbox) -> None:
    """A repeated reading is recognized if it has any key that the function reads as a time, in any spelling."""
    keys = {key: meaning for words in DIALECTS.values() for key, meaning in words.items()}
    times = {role for rank in TIMES for role in rank}
    weights = itertools.count(80_000)  # a different one each time, so that it is another reading
    with psycopg.connect(box.database) as connection, connection.transaction():
        for key, meaning in keys.items():
            for spelling in (key, key.upper(), key.replace("_", " "), f" {key}: "):
                payload = {spelling: AT, "weight": next(weights) / 1000}
                if key in ("event", "samplePk", "timestampGMT", "weightInGrams"):
                    continue  # a mark of another program's body, whose keys mean something else
                assert stored(connection, payload)
                assert stored(connection, payload) == (meaning not in times), spelling


def test_time_without_a_value_is_no_time(box: Outbox) -> None:
    """A time with a word that the function reads as "no value" does not identify a reading."""
    words = [f"{pad}{word.upper()}{pad}" for word, pad in itertools.product(sorted(NOT_MEASURED), ("", " "))]
    with psycopg.connect(box.database, autocommit=True) as connection:
        for value in (*words, None):
            assert stored(connection, {"timestamp": value, "weight": 81.4})
            assert stored(connection, {"timestamp": value, "weight": 81.4})


def test_received_at_of_the_sender_counts(box: Outbox) -> None:
    """A `received_at` from the sender is kept; without a value, the time of the insert replaces it."""
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


def test_timed_reading_inserted_twice_is_sent_once(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """A reading with a time that plain SQL inserts twice is sent once; the worker makes the second present."""
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


def test_repeated_reading_waits_for_the_first(box: Outbox, environment: Environment, garmin: GarminStandIn) -> None:
    """A repeated reading waits while the first one is still being sent."""
    function = box.function(environment)
    box.run("worker")
    box.insert(READING, READING)
    wait_until("both were tried", lambda: box.query("SELECT min(attempts) > 0 FROM readings") == [(True,)])
    assert (fault(box, 1), fault(box, 2)) == ("no-answer", "received-before")
    assert "has not arrived yet" in box.ask("status")
    function.start()
    wait_for(box, "confirmed")
    wait_for(box, "present", 2)
    assert garmin.uploads_received == 1


def test_repeated_reading_ignores_a_parked_first(box: Outbox, function: Function) -> None:
    """A repeated reading does not wait for a first one that is parked."""
    wrong = json.dumps({"weight": 814, "measured_at": AT})
    box.run("worker")
    box.insert(wrong)
    wait_for(box, "parked")
    box.insert(wrong)
    wait_for(box, "parked", 2)
    assert fault(box, 2) == "reading-rejected"


def test_retry_sends_a_repeated_reading(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """A retry sends a reading even if the same one was received before."""
    box.run("worker")
    box.insert(READING, READING)
    wait_for(box, "present", 2)
    garmin.weights.entries.clear()
    box.ask("retry", 2)
    wait_for(box, "confirmed", 2)
    assert len(garmin.weigh_ins()) == 1


def test_answer_says_whose_it_is(box: Outbox, environment: Environment, garmin: GarminStandIn) -> None:
    """A reading that may be two people's waits parked, and `status` names them; `answer` sends it to one of them."""
    for token in ("anna", "ben"):
        garmin.write_token(Path(str(environment["WEIGHBRIDGE_TOKENS"])), token)
    box.function(environment | {"WEIGHBRIDGE_PEOPLE": ROOT / "examples" / "people.toml"}).start()
    box.run("worker")
    box.insert(json.dumps({"weight": 68, "measured_at": AT}))
    wait_for(box, "parked")
    assert fault(box) == "person-unclear"
    assert "Whose weigh-in is this? Anna or Ben" in box.ask("status")
    box.ask("answer", 1, "Carl")
    wait_until("nobody has that name", lambda: fault(box) == "not-found")
    box.ask("answer", 1, "anna")
    wait_for(box, "confirmed")
    assert [len(garmin.weights_of[owner].visible()) for owner in ("anna", "ben")] == [1, 0]


def test_same_values_without_time_are_two(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """The same values without a time, received at two times, are two weigh-ins."""
    box.run("worker")
    for moment in ("2026-11-20 06:31+00", "2026-11-21 06:31+00"):
        box.query(
            "INSERT INTO readings (source, payload, received_at) VALUES ('test', '{\"weight\": 81.4}', %s)", moment
        )
    wait_until("both have arrived", lambda: box.delivered() == 2)
    assert box.states() == {"confirmed": 2}
    assert len(garmin.weigh_ins()) == 2


def test_release_0_1_database_is_migrated(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """`migrate` updates a database of release 0.1, can be repeated, and loses nothing."""
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
    # The same reading with a time is recognized; the same values without a time are another reading.
    box.insert(READING, '{"weight": 80.9}')
    # The trigger on recorder's table is also updated.
    box.query("INSERT INTO states_meta (entity_id) VALUES ('sensor.scale')")
    box.query("INSERT INTO states (state, last_updated_ts, metadata_id) VALUES ('81.2', 1795329060 - 3600, 1)")
    box.run("worker")
    wait_until("all have arrived", lambda: box.delivered() == 5)
    assert box.state(3) == "present"
    assert 81200.0 in [held["weight"] for held in garmin.weigh_ins()]


def test_rolled_back_row_wakes_nobody(box: Outbox) -> None:
    """A row of a transaction that is rolled back makes no job."""
    with psycopg.connect(box.database) as connection:
        connection.execute("INSERT INTO readings (source, payload) VALUES ('test', '{}')")
        connection.rollback()
    assert box.states() == {}
    assert deliveries(box) == 0


# --- commands ---


def test_commands_say_what_is_missing(box: Outbox, tmp_path: Path) -> None:
    """A command that cannot work says what is missing or wrong, in one sentence and without a secret."""
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
    assert "DATABASE_URL must be a Postgres URL" in (said := box.ask("status", fails=True))
    assert KEY not in said
    box.environment["DATABASE_URL"] = url
    box.query("DROP TABLE readings CASCADE")
    assert "weighbridge outbox migrate" in box.ask("status", fails=True)
    box.environment["DATABASE_URL"] = f"postgresql://me:{KEY}@127.0.0.1:1/none"
    unreachable = box.ask("status", fails=True)
    assert unreachable == "Postgres cannot be reached (OperationalError). Check DATABASE_URL.\n"


def test_database_of_another_encoding_is_refused(box: Outbox, database_server: Postgres) -> None:
    """`migrate` refuses a database that cannot hold every character, in one sentence."""
    latin = database_server.new_database("TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    box.environment["DATABASE_URL"] = latin
    assert box.ask("migrate", fails=True) == (
        "Expected a database with the encoding UTF8, got LATIN1. Create another one for the outbox.\n"
    )


def test_logs_do_not_repeat_what_postgres_says(box: Outbox) -> None:
    """When Postgres refuses the connection, its sentence is shown by commands, and is not in the logs."""
    box.environment["DATABASE_URL"] = box.database.replace("postgres@", f"missing_role:{KEY}@")
    assert box.ask("status", fails=True) == (
        'Postgres refused the connection: role "missing_role" does not exist. Check DATABASE_URL.\n'
    )
    with mosquitto() as broker:
        worker, relay = box.run("worker"), box.run("relay", MQTT_URL=broker.url, MQTT_TOPIC="scale")
        wait_until("the relay is connected", lambda: "connected" in relay.log())
        broker.publish("scale", READING)
        wait_until("both failed", lambda: "Postgres is down" in worker.log() and "did not store" in relay.log(), 60)
    for planted in ("missing_role", KEY, "does not exist"):
        assert planted not in box.logs()


def test_every_setting_can_come_from_a_file(box: Outbox, function: Function, tmp_path: Path) -> None:
    """Every setting can come from the file that NAME_FILE names."""
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


def test_migrate_twice_and_at_once(box: Outbox) -> None:
    """`migrate` can be repeated, and run twice at the same time."""
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


def test_logs_hold_no_secret_and_no_measurement(
    box: Outbox, environment: Environment, garmin: GarminStandIn, database_server: Postgres
) -> None:
    """No secret and no measurement is in a log, on a command line or in `status`."""
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
        wait_until("the worker noticed that the function is down", lambda: "no-answer" in programs[0].log())
        command_lines = [Path(f"/proc/{program.pid}/cmdline").read_text() for program in programs]
        said = box.logs() + broker.log() + database_server.log() + "".join(command_lines)
        said += box.ask("status")
    for planted in ("planted", KEY, "77.77", "7777"):
        assert planted not in said
