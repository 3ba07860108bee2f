"""Several readings in one request: what is cut off for long arrives as a few files, whatever is killed or refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest

from tests.e2e.parts import wait_until
from tests.e2e.parts.outbox import Function, Outbox
from tests.garmin.server import GarminStandIn
from weighbridge_outbox.commands import COUNTS, STATES

MOST_UPLOADS = 15


@pytest.fixture
def function(box: Outbox, garmin: GarminStandIn, tmp_path: Path) -> Function:
    """Not started."""
    garmin.write_token(tmp_path / "tokens")
    return box.function(
        {
            "WEIGHBRIDGE_DELIVERY": "garth",
            "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
            "WEIGHBRIDGE_CONFIRM_SECONDS": 0.5,
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        }
    )


def insert(box: Outbox, number: int, **values: object) -> None:
    """Readings an hour apart, of one scale and one transaction."""
    box.query(
        "INSERT INTO readings (source, payload) SELECT 'scale', %s::jsonb || jsonb_build_object("
        "'weight', 80 + n %% 10, 'measured_at', 1.79e9 + 3600 * n) FROM generate_series(1, %s) AS n",
        json.dumps(values),
        number,
    )


def test_outage_ends_in_a_few_uploads(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """500 readings of an outage are at most 15 uploads, and 500 weigh-ins."""
    box.run("worker")
    insert(box, 500)
    wait_until("the worker noticed", lambda: box.query("SELECT id FROM readings WHERE next_attempt_at IS NULL") == [])
    function.start()
    wait_until("all have arrived", lambda: box.delivered() == 500, within_s=120)
    assert garmin.uploads_received <= MOST_UPLOADS
    assert len({entry.instant_s for entry in garmin.weights.entries}) == len(garmin.weights.entries) == 500
    wait_until("all jobs have ended", lambda: box.query("SELECT id FROM procrastinate_jobs WHERE lock <> ''") == [])


def test_killed_before_the_results_are_written(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """A worker that is killed after the answer, and before the results are written, leaves each weigh-in once."""
    function.start()
    garmin.faults.add("upload", "slow")  # 3 s, and carried out
    worker = box.run("worker")
    insert(box, 60)
    wait_until("an upload has started", lambda: garmin.uploads_received >= 1)
    with psycopg.connect(box.database) as connection:
        connection.execute("SELECT FROM readings FOR UPDATE")
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE readings%'"
        wait_until("the results are about to be written", lambda: box.query(waiting) != [])
        assert garmin.weigh_ins() != []
        worker.kill()
    wait_until("its transactions are gone", lambda: box.query(waiting) == [])
    assert box.delivered() == 0
    worker.start()
    wait_until("all have arrived", lambda: box.delivered() == 60, within_s=60)
    assert box.states()["present"] >= 1
    assert len(garmin.weights.entries) == len({entry.instant_s for entry in garmin.weights.entries}) == 60


def test_rejected_reading_stops_no_other(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """Of the readings of one request, only the one to blame is parked."""
    insert(box, 5)
    box.insert(json.dumps({"weight": 814, "measured_at": 1_790_000_000}), '"81,4 kg"')
    function.start()
    box.run("worker", OUTBOX_CONCURRENCY="1")
    wait_until("all were tried", lambda: box.query("SELECT min(attempts) FROM readings") == [(1,)])
    assert box.states() == {"confirmed": 5, "parked": 2}
    assert garmin.uploads_received == 1
    assert {row[0] for row in box.query("SELECT id FROM readings WHERE state = 'parked'")} == {6, 7}


def test_replacement_has_its_own_request(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """A retry with --replace replaces only its own entry, though others of the same instants are due."""
    insert(box, 3)
    function.start()
    worker = box.run("worker")
    wait_until("all have arrived", lambda: box.delivered() == 3)
    worker.stop()
    box.query("UPDATE readings SET payload = payload || '{\"weight\": 70}' WHERE id < 3")
    box.ask("retry", 1, "--replace")
    box.ask("retry", 2)
    worker.start()
    wait_until("it is replaced", lambda: box.state(1) == "confirmed" and box.state(2) == "parked")
    assert sorted(held["weight"] for held in garmin.weigh_ins()) == [70000.0, 82000.0, 83000.0]


Answer = Callable[[list[bytes]], tuple[int, object]]


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[list[bytes]]]]:
    """A server in place of the function: its address, and the lines of each request that came."""
    came: list[list[bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            lines = self.rfile.read(int(self.headers["content-length"])).split(b"\n")
            came.append(lines)
            status, document = answer(lines)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", came
        server.shutdown()
        thread.join()


def test_refused_request_is_split(box: Outbox) -> None:
    """If a proxy refuses a request for its contents, each reading is sent alone, and only one of them is left."""

    def answer(lines: list[bytes]) -> tuple[int, object]:
        if any(b"poison" in line for line in lines):
            return 413, {}
        return 200, {"results": [{"status": "confirmed", "final": True}] * len(lines)}

    box.insert(json.dumps({"weight": 81.4, "measured_at": 1_790_000_000, "note": "poison"}))
    insert(box, 9)
    with answering(answer) as (address, came):
        worker = box.run(
            "worker", WEIGHBRIDGE_URL=address, OUTBOX_LONGEST_PAUSE_SECONDS="86400", OUTBOX_CONCURRENCY="1"
        )
        wait_until("the others have arrived", lambda: box.delivered() == 9)
        assert (box.state(1), box.query("SELECT attempts FROM readings WHERE id = 1")) == ("waiting", [(1,)])
        assert [len(lines) for lines in came] == [10] + [1] * 10
        worker.stop()


def test_one_request_finds_out_that_the_pause_is_over(box: Outbox) -> None:
    """While the function asks to wait, it is not asked for each reading."""
    busy = {"type": "urn:weighbridge:busy", "title": "", "again": "later", "blame": "owner", "retry_after_s": 3600}
    with answering(lambda _: (503, busy)) as (address, came):
        worker = box.run(
            "worker", WEIGHBRIDGE_URL=address, OUTBOX_LONGEST_PAUSE_SECONDS="86400", OUTBOX_CONCURRENCY="1"
        )
        insert(box, 200)
        wait_until("all wait", lambda: box.query("SELECT id FROM readings WHERE next_attempt_at IS NULL") == [])
        assert len(came) == 1
        assert box.query("SELECT min(next_attempt_at) > now() + interval '3500 s' FROM readings") == [(True,)]
        worker.stop()


def test_flood_without_times_is_one_weigh_in(box: Outbox, function: Function, garmin: GarminStandIn) -> None:
    """Hundreds of messages without a time within the settle time are one weigh-in; each is looked at once before."""
    function.start()
    worker = box.run("worker", OUTBOX_SETTLE_SECONDS="5")
    for _ in range(3):
        box.query(
            "INSERT INTO readings (source, payload) SELECT 'scale', '{\"weight\": 81.4}' FROM generate_series(1, 100)"
        )
    wait_until("it has arrived", lambda: box.states() == {"confirmed": 1, "joined": 299}, within_s=60)
    assert len(garmin.weights.entries) == 1
    assert box.query("SELECT max(attempts) FROM readings") == [(1,)]
    assert worker.stop() == 0


def test_status_counts_with_an_index(box: Outbox) -> None:
    """`status` counts the rows in each state with the index on the state, not the table."""
    box.query("INSERT INTO readings (source, payload) SELECT 'old', '{}' FROM generate_series(1, 20000)")
    box.query("VACUUM ANALYZE readings")
    plan = json.dumps(box.query(f"EXPLAIN (FORMAT JSON) {COUNTS}", [*STATES]))
    assert "readings_by_state" in plan
    assert "Seq Scan" not in plan
