"""The relay and the worker with roles that may only what they need."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.e2e.parts import wait_until
from tests.e2e.parts.mosquitto import mosquitto
from tests.e2e.parts.outbox import Outbox
from tests.e2e.parts.postgres import Postgres, query
from tests.garmin.server import GarminStandIn

PASSWORDS = {"weighbridge_relay": "planted-relay-0a1b2c", "weighbridge_worker": "planted-worker-0a1b2c"}
READING = json.dumps({"weight": 81.4, "measured_at": "2026-11-22T06:31:00Z"})
RECORDER = Path(__file__).with_name("recorder.sql")


def with_roles(box: Outbox) -> None:
    settings = {f"POSTGRES_{role.removeprefix('weighbridge_').upper()}_PASSWORD": PASSWORDS[role] for role in PASSWORDS}
    box.environment |= settings
    box.ask("migrate")
    for name in settings:
        del box.environment[name]


def as_role(box: Outbox, role: str) -> str:
    return box.database.replace("postgres@", f"{role}:{PASSWORDS[role]}@")


def test_reading_passes_with_the_least_rights(
    box: Outbox, database_server: Postgres, garmin: GarminStandIn, tmp_path: Path
) -> None:
    """A message arrives in Garmin with the roles of the relay and the worker, and the worker's commands work."""
    with_roles(box)
    for role in PASSWORDS:
        database_server.require_password(role)
    garmin.write_token(tmp_path / "tokens")
    box.function(
        {
            "WEIGHBRIDGE_DELIVERY": "garth",
            "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        }
    ).start()
    with mosquitto() as broker:
        relay = box.run(
            "relay", DATABASE_URL=as_role(box, "weighbridge_relay"), MQTT_URL=broker.url, MQTT_TOPIC="scale/+"
        )
        worker = box.run("worker", DATABASE_URL=as_role(box, "weighbridge_worker"))
        wait_until("the relay is connected", lambda: "connected" in relay.log())
        broker.publish("scale/anna", READING)
        wait_until("it has arrived", lambda: box.delivered() == 1)
        broker.publish("scale/anna", '{"weight": "heavy"}')
        wait_until("the next is parked", lambda: box.states().get("parked") == 1)
        box.environment["DATABASE_URL"] = as_role(box, "weighbridge_worker")
        ((parked,),) = box.query("SELECT id FROM readings WHERE state = 'parked'")
        (tmp_path / "right.json").write_text('{"weight": 81.6, "measured_at": "2026-11-23T06:31:00Z"}')
        assert '"state": "parked"' in box.ask("show", parked)
        box.ask("correct", parked, tmp_path / "right.json")
        wait_until("the corrected one has arrived", lambda: box.delivered() == 2)
        assert box.ask("status") == "2 confirmed\n"
    assert len(garmin.weigh_ins()) == 2
    assert "Privilege" not in relay.log() + worker.log()
    # What may be written into Postgres' log is a hash.
    assert not [secret for secret in PASSWORDS.values() if secret in database_server.log()]


FORBIDDEN = {
    "weighbridge_relay": (
        "UPDATE readings SET state = 'confirmed'",
        "SELECT FROM procrastinate_jobs",
        "INSERT INTO procrastinate_jobs (task_name) VALUES ('x')",
    ),
    "weighbridge_worker": ("INSERT INTO readings (source, payload) VALUES ('x', '{}')",),
}
FORBIDDEN_TO_BOTH = (
    "DELETE FROM readings",
    "TRUNCATE readings",
    "ALTER TABLE readings ADD COLUMN x text",
    "DROP TABLE readings",
    "CREATE TABLE public.mine (x text)",
    "SELECT FROM states",
    "SELECT FROM weighbridge_entities",
    "CREATE TRIGGER t AFTER INSERT ON pg_temp.mine FOR EACH ROW EXECUTE FUNCTION weighbridge_to_queue()",
    "CREATE ROLE other",
    "COPY readings TO PROGRAM 'true'",
)


@pytest.mark.parametrize("role", PASSWORDS)
def test_roles_may_nothing_else(box: Outbox, role: str) -> None:
    """Neither role may do what the other one does, change a table, or see Home Assistant's."""
    for part in RECORDER.read_text().split(";\n"):
        box.query(part)
    with_roles(box)
    box.ask("migrate", "--home-assistant", "sensor.scale")
    with psycopg.connect(as_role(box, role), autocommit=True) as connection:
        assert connection.execute("SELECT FROM readings").rowcount == 0
        connection.execute("CREATE TEMP TABLE mine (x text)")
        for statement in (*FORBIDDEN[role], *FORBIDDEN_TO_BOTH):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_owner_without_the_right_to_create_roles_is_named(box: Outbox, database_server: Postgres) -> None:
    """If the owner may not create roles, `migrate` says so, and changes nothing."""
    query(database_server.url(), "DROP ROLE IF EXISTS plain_owner")
    query(database_server.url(), "CREATE ROLE plain_owner LOGIN")
    database = database_server.new_database("OWNER plain_owner")
    box.environment["DATABASE_URL"] = database.replace("postgres@", "plain_owner@")
    box.environment["POSTGRES_RELAY_PASSWORD"] = "planted"
    assert "may not create the role weighbridge_relay" in box.ask("migrate", fails=True)
    assert query(database, "SELECT to_regclass('readings')") == [(None,)]
    del box.environment["POSTGRES_RELAY_PASSWORD"]
    assert box.ask("migrate") == "The outbox is ready.\n"
