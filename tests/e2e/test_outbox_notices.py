"""Notices of the outbox: a real Postgres, real workers, the real function, and a service that takes notices."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e.parts import wait_until
from tests.e2e.parts.outbox import Outbox
from tests.e2e.parts.postgres import Postgres
from tests.e2e.test_outbox_roles import as_role, with_roles
from tests.services import TOKEN, Services, services

AT = "2026-11-22T06:31:00Z"
READING = json.dumps({"weight": 81.4, "measured_at": AT})
#: Refused: nobody weighs so much.
HEAVY = json.dumps({"weight": 8143.9, "measured_at": AT})


@pytest.fixture
def there() -> Iterator[Services]:
    with services() as running:
        yield running
    assert running.unexpected == []


@pytest.fixture
def watched(box: Outbox, there: Services, tmp_path: Path) -> Outbox:
    """An outbox whose function keeps files, and whose workers look each second for what is to be sent."""
    box.function({"WEIGHBRIDGE_FOLDER": tmp_path / "kept", "WEIGHBRIDGE_NOTIFY": there.notify}).start()
    box.environment |= {"WEIGHBRIDGE_NOTIFY": there.notify, "OUTBOX_NOTIFY_SECONDS": "1"}
    return box


def let_look(box: Outbox, workers: int = 1) -> None:
    """Until this many workers begin a look, and then let them go on at the same moment."""
    blocked = (
        "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND query LIKE '%%weighbridge_notices%%' AND datname = current_database()"
    )
    with psycopg.connect(box.database) as connection:
        connection.execute("LOCK TABLE weighbridge_notices")
        wait_until("they look", lambda: box.query(blocked) == [(workers,)])


def let_all_be_sent(box: Outbox, workers: int = 1) -> None:
    """Until every worker has looked, sent what it found, noted it, and looked once more."""
    for _ in range(3):
        let_look(box, workers)


def park(box: Outbox, number: int = 1) -> None:
    """Store parked readings, as the relay does."""
    fault = json.dumps({"type": "urn:weighbridge:not-json", "title": "This message is not a reading"})
    for _ in range(number):
        box.query("INSERT INTO readings (source, payload, state, fault) VALUES ('mqtt:x', '1', 'parked', %s)", fault)


def make_older(box: Outbox, days: int) -> None:
    box.query("UPDATE readings SET received_at = received_at - %s * interval '1 day'", days)


def test_parked_is_one_notice(watched: Outbox, there: Services) -> None:
    """Of two workers, one sends the notice of a parked reading, without its measurement; the function sends none."""
    watched.run("worker")
    watched.run("worker")
    watched.insert(HEAVY)
    wait_until("it is parked", lambda: watched.state() == "parked")
    let_all_be_sent(watched, 2)
    ((title, text),) = there.notices
    assert title == "Reading 1 is parked"
    assert text.startswith("The reading cannot be right: weight. It is not sent again by itself.")
    assert "weighbridge outbox correct 1 FILE" in text
    assert not any(secret in title + text + watched.logs() for secret in (TOKEN, "8143"))


def test_two_find_it_at_once(watched: Outbox, there: Services) -> None:
    """Two workers that find an event at the same moment send one notice."""
    watched.run("worker")
    watched.run("worker")
    let_look(watched, 2)
    park(watched)
    let_all_be_sent(watched, 2)
    assert there.titles == ["Reading 1 is parked"]


def test_values_for_those_who_want_them(watched: Outbox, there: Services) -> None:
    """With WEIGHBRIDGE_NOTIFY_VALUES, the notice has the measurement; the log still does not."""
    watched.run("worker", WEIGHBRIDGE_NOTIFY_VALUES="true")
    watched.insert(HEAVY)
    wait_until("it is sent", lambda: bool(there.notices))
    assert there.notices[0][1].endswith("Got 8143.9.")
    assert "8143" not in watched.logs()


def test_many_are_one_notice(watched: Outbox, there: Services) -> None:
    """Readings that are parked together are one notice, which names ten of them."""
    park(watched, 30)
    watched.run("worker")
    let_all_be_sent(watched)
    ((title, text),) = there.notices
    assert title == "30 readings are parked"
    assert text.count("This message is not a reading.") == 10


def test_next_ones_are_collected(watched: Outbox, there: Services) -> None:
    """What is parked within ten minutes of a notice is sent after them, in one notice."""
    park(watched)
    watched.run("worker")
    let_all_be_sent(watched)
    park(watched, 2)
    let_all_be_sent(watched)
    assert there.titles == ["Reading 1 is parked"]
    watched.query("UPDATE weighbridge_notices SET sent_at = now() - interval '10 minutes'")
    let_all_be_sent(watched)
    assert there.titles == ["Reading 1 is parked", "2 readings are parked"]


def test_history_is_left_out(watched: Outbox, there: Services) -> None:
    """What was parked more than two days ago is left out when notices are turned on."""
    park(watched)
    make_older(watched, 3)
    watched.run("worker", OUTBOX_SILENT_DAYS="0")
    let_all_be_sent(watched)
    assert there.notices == []


@pytest.mark.parametrize("status", [500, 302])
def test_service_that_fails_is_asked_later(watched: Outbox, there: Services, status: int) -> None:
    """While the service fails, readings arrive, and the notice is tried again later, until it is taken once."""
    there.status = status
    worker = watched.run("worker")
    park(watched)
    wait_until("it failed", lambda: f"service 1 (json): HTTP {status}" in worker.log())
    watched.insert(READING)
    wait_until("a reading arrives", lambda: watched.state(2) == "kept")
    let_all_be_sent(watched)
    assert len(there.notices) == 1
    there.status = 200
    watched.query("UPDATE weighbridge_notices SET claimed_at = now() - interval '1 hour'")
    let_all_be_sent(watched)
    assert len(there.notices) == 2
    assert TOKEN not in watched.logs()


def test_silent_service_holds_up_nothing(watched: Outbox, there: Services) -> None:
    """While the service takes a notice and says nothing, readings arrive, and the worker stops when it is asked to."""
    there.slow = True
    worker = watched.run("worker", WEIGHBRIDGE_NOTIFY=f"{there.notify}?rto=25")
    park(watched)
    wait_until("the service is asked", lambda: bool(there.notices))
    watched.insert(json.dumps({"weight": 81.4, "measured_at": AT}))
    wait_until("a reading arrives", lambda: watched.state(2) == "kept")
    started = time.monotonic()
    worker.stop()
    assert time.monotonic() - started < 8
    assert watched.query("SELECT count(*) FROM weighbridge_notices WHERE sent_at IS NULL") == [(1,)]


def test_nothing_arrives(watched: Outbox, there: Services) -> None:
    """A source from which nothing has arrived for 14 days is one notice, and another after it had come back."""
    watched.run("worker")
    watched.insert(READING, source="mqtt:scale/anna")
    wait_until("it has arrived", lambda: watched.state() == "kept")
    make_older(watched, 13)
    let_all_be_sent(watched)
    assert there.notices == []
    make_older(watched, 2)
    let_all_be_sent(watched)
    ((title, text),) = there.notices
    assert title == "No weigh-in has arrived for 14 days"
    assert text.startswith("From: mqtt:scale/anna. Nothing was received that waits.")
    watched.insert(json.dumps({"weight": 81.2, "measured_at": "2026-11-23T06:31:00Z"}), source="mqtt:scale/anna")
    wait_until("another has arrived", lambda: watched.state(2) == "kept")
    make_older(watched, 20)
    let_all_be_sent(watched)
    assert len(there.notices) == 2


def test_received_and_not_delivered(watched: Outbox, there: Services) -> None:
    """If readings of a silent source wait, the notice says how many, and where to see why."""
    watched.run("worker", WEIGHBRIDGE_KEY="a-wrong-key-of-letters")
    watched.insert(READING)
    make_older(watched, 15)
    wait_until("it is sent", lambda: bool(there.notices))
    assert "1 reading was received and not delivered. See why: weighbridge outbox status." in there.notices[0][1]


def test_kept_in_place_of_an_upload(watched: Outbox, there: Services) -> None:
    """A file that is kept only because Garmin did not get it has not arrived."""
    watched.run("worker")
    watched.insert(READING)
    wait_until("it is kept", lambda: watched.state() == "kept")
    make_older(watched, 15)
    warnings = json.dumps([{"code": "fell-back", "text": "garth did not deliver"}])
    watched.query("UPDATE readings SET receipt = jsonb_set(receipt, '{warnings}', %s::jsonb)", warnings)
    wait_until("it is sent", lambda: bool(there.notices))
    assert "1 reading was received and not delivered" in there.notices[0][1]


def test_old_source_is_left_out(watched: Outbox, there: Services) -> None:
    """A scale that was given away two months ago is left out."""
    watched.run("worker")
    watched.insert(READING)
    wait_until("it has arrived", lambda: watched.state() == "kept")
    make_older(watched, 60)
    let_all_be_sent(watched)
    assert there.notices == []


def test_least_rights_are_enough(watched: Outbox, there: Services, database_server: Postgres) -> None:
    """The role of the worker may send a notice and note it."""
    with_roles(watched)
    database_server.require_password("weighbridge_worker")
    worker = watched.run("worker", DATABASE_URL=as_role(watched, "weighbridge_worker"))
    park(watched)
    noted = "SELECT count(sent_at) FROM weighbridge_notices"
    wait_until("it is noted", lambda: watched.query(noted) == [(1,)])
    assert "Privilege" not in worker.log()


def test_tables_of_an_earlier_release(watched: Outbox, there: Services) -> None:
    """With the tables of an earlier release readings arrive, and the log says that there are no notices."""
    watched.query("DROP TABLE weighbridge_notices")
    worker = watched.run("worker")
    watched.insert(READING)
    wait_until("it has arrived", lambda: watched.state() == "kept")
    wait_until("the log says so", lambda: "looked at for notices: UndefinedTable" in worker.log())


def test_unknown_service(watched: Outbox) -> None:
    """A worker with an address that Apprise does not know stops with the name of the setting, without the address."""
    watched.environment["WEIGHBRIDGE_NOTIFY"] = f"nosuch://{TOKEN}"
    said = watched.ask("worker", fails=True)
    assert said.startswith("WEIGHBRIDGE_NOTIFY must be addresses that Apprise knows")
    assert TOKEN not in said
