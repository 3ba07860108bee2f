"""The doctor's links to Postgres, the broker and the function: each state, with the real ones. What is configured in a
container decides which of them are checked there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.commands import ROOT, WEIGHBRIDGE
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.e2e.parts.outbox import Function, Outbox
from tests.e2e.parts.postgres import Postgres, query
from tests.e2e.test_outbox_roles import PASSWORDS, as_role, with_roles
from tests.garmin.server import GarminStandIn

KEY = "planted-key-0a1b2c3d4e"
PASSWORD = "planted-mqtt-0a1b2c"

Findings = dict[str, tuple[str, str]]


class Stack(NamedTuple):
    """What the environment of the service `doctor` names."""

    box: Outbox
    broker: Mosquitto
    function: Function
    server: Postgres

    def doctor(self, **changed: str) -> Findings:
        """Link -> its outcome and its sentence. No secret and no measurement is printed."""
        done = subprocess.run(
            [*WEIGHBRIDGE, "doctor", "--json"],
            env=self.box.environment | changed,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        for planted in (KEY, KEY[::-1], PASSWORD, *PASSWORDS.values(), "81.4"):
            assert planted not in done.stdout
        said = json.loads(done.stdout)
        found = {link["link"]: (link["outcome"], link["detail"]) for link in said["links"]}
        failed = any(outcome == "fails" for outcome, _ in found.values())
        assert (done.returncode, said["ok"]) == (int(failed), not failed)
        return found


@pytest.fixture
def stack(box: Outbox, database_server: Postgres, garmin: GarminStandIn, tmp_path: Path) -> Iterator[Stack]:
    garmin.write_token(tmp_path / "tokens")
    delivers = {
        "WEIGHBRIDGE_DELIVERY": "garth,folder",
        "WEIGHBRIDGE_TOKENS": str(tmp_path / "tokens"),
        "WEIGHBRIDGE_FOLDER": str(tmp_path / "weigh-ins"),
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
    }
    function = box.function(delivers | {"WEIGHBRIDGE_API_KEYS": f"home={KEY}"})
    function.start()
    with_roles(box)
    with mosquitto(user="weighbridge", password=PASSWORD) as broker:
        box.environment |= delivers | {"WEIGHBRIDGE_KEY": KEY, "MQTT_URL": broker.url, "MQTT_TOPIC": "scale/+"}
        yield Stack(box, broker, function, database_server)


def test_all_of_it(stack: Stack) -> None:
    """With all of it in one environment, every link is ok; a reading that is parked is a warning that counts it."""
    found = stack.doctor()
    assert {link for link, (outcome, _) in found.items() if outcome == "ok"} >= {
        *("settings", "token", "renewal", "reading", "outbox", "broker", "function")
    }
    assert "0 waiting, 0 kept, 0 parked" in found["outbox"][1]
    stack.box.insert('{"weight": 81.4}', '{"weight": 81.4}')
    stack.box.query("UPDATE readings SET state = 'parked' WHERE id = 1")
    stack.box.query("UPDATE readings SET received_at = now() - interval '3 hours' WHERE id = 2")
    outcome, detail = stack.doctor()["outbox"]
    assert outcome == "warns"
    assert "1 waiting (the oldest for 3 h), 0 kept, 1 parked. To see why: weighbridge outbox status." in detail


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {
                "DATABASE_URL": "postgresql://weighbridge@127.0.0.1:9/x",
                "MQTT_URL": "mqtt://weighbridge:x@127.0.0.1:9",
                "WEIGHBRIDGE_URL": "http://127.0.0.1:9",
            },
            ("Postgres cannot be reached", "The broker cannot be reached (Connection", "Is it running"),
        ),
        (
            {"DATABASE_URL": "mysql://x", "MQTT_URL": "http://127.0.0.1", "WEIGHBRIDGE_URL": "ftp://x"},
            ("DATABASE_URL must be", "MQTT_URL must be", "WEIGHBRIDGE_URL must be"),
        ),
        (
            {"DATABASE_URL": "", "MQTT_TOPIC": "", "WEIGHBRIDGE_KEY": "", "WEIGHBRIDGE_LOCAL_KEY": "/nonexistent"},
            ("", "MQTT_TOPIC is not set.", "WEIGHBRIDGE_KEY is not set"),
        ),
    ],
    ids=["away", "invalid", "missing"],
)
def test_each_fails_alone(stack: Stack, changed: dict[str, str], words: tuple[str, str, str]) -> None:
    """What is away, set wrongly or half set fails at its own link, with its fix; the other links are as before."""
    found = stack.doctor(**changed)
    expected = {link: word for link, word in zip(("outbox", "broker", "function"), words, strict=True) if word}
    assert {name for name, (outcome, _) in found.items() if outcome == "fails"} == expected.keys()
    for link, word in expected.items():
        assert word in found[link][1]


def test_wrong_passwords(stack: Stack) -> None:
    """A wrong password of Postgres or the broker, and a wrong key, fail at their links, and name the setting."""
    stack.server.require_password("weighbridge_worker")
    right = as_role(stack.box, "weighbridge_worker")
    assert stack.doctor(DATABASE_URL=right)["outbox"][0] == "ok"
    wrong = stack.doctor(
        DATABASE_URL=right.replace(PASSWORDS["weighbridge_worker"], "another"),
        MQTT_URL=stack.broker.url.replace(PASSWORD, "another"),
        WEIGHBRIDGE_KEY=KEY[::-1],
    )
    assert wrong["outbox"] == (
        "fails",
        'Postgres refused the connection: password authentication failed for user "weighbridge_worker". Check '
        "DATABASE_URL.",
    )
    assert wrong["broker"][0] == "fails"
    assert "refused the sign-in: Not authorized. Check the user and the password in MQTT_URL." in wrong["broker"][1]
    assert wrong["function"][0] == "fails"
    assert "WEIGHBRIDGE_KEY is not one of its WEIGHBRIDGE_API_KEYS." in wrong["function"][1]


def test_tables_of_another_version(stack: Stack) -> None:
    """Tables that are missing, or of another version, are named with what to do. The relay's role sees them, too."""
    empty = stack.server.new_database()
    assert stack.doctor(DATABASE_URL=empty)["outbox"] == (
        "fails",
        "The tables are missing. Run: weighbridge outbox migrate",
    )
    as_relay = as_role(stack.box, "weighbridge_relay")
    for stamp in ("", "SELECT '2 of-another-one'"):
        stack.box.query("DROP FUNCTION weighbridge_tables")
        if stamp:
            stack.box.query(f"CREATE FUNCTION weighbridge_tables() RETURNS text LANGUAGE sql AS $${stamp}$$")
        assert stack.doctor(DATABASE_URL=as_relay)["outbox"] == (
            "fails",
            "The tables are those of another version. Run: weighbridge outbox migrate",
        )
        stack.box.ask("migrate")
    assert stack.doctor(DATABASE_URL=as_relay)["outbox"][0] == "ok"


def test_no_way_back_is_one_sentence(stack: Stack) -> None:
    """Tables that a newer version changed for good are refused: nothing of them is touched."""
    newer = "CREATE OR REPLACE FUNCTION weighbridge_tables() RETURNS text LANGUAGE sql AS $$SELECT '3 newer'$$"
    stack.box.query(newer)
    said = stack.box.ask("migrate", fails=True)
    assert "A newer version has changed the tables (generation 3; this one knows 2)" in said
    assert stack.doctor()["outbox"] == ("fails", said.strip())
    assert query(stack.box.database, "SELECT weighbridge_tables()") == [("3 newer",)]


def test_function_that_cannot_deliver(stack: Stack, tmp_path: Path, garmin: GarminStandIn) -> None:
    """A function that has no sign-in answers, and the reason is the one of its /health."""
    (tmp_path / "tokens" / "default.json").unlink()
    found = stack.doctor(WEIGHBRIDGE_DELIVERY="")
    assert found["token"] == (
        "skipped",
        "WEIGHBRIDGE_DELIVERY is not set here: the function delivers, and has the token.",
    )
    assert [name for name, (outcome, _) in found.items() if outcome == "fails"] == ["function"]
    assert "The function answers and knows the key, but cannot deliver now." in found["function"][1]
    assert "login" in found["function"][1]


def test_what_is_not_configured_is_no_fault(stack: Stack) -> None:
    """In the container of the relay, which has neither a token nor an address of the function, nothing fails."""
    found = stack.doctor(WEIGHBRIDGE_DELIVERY="", WEIGHBRIDGE_URL="", WEIGHBRIDGE_TOKENS="/nonexistent")
    assert {link for link, (outcome, _) in found.items() if outcome == "ok"} == {
        *("settings", "template", "outbox", "broker")
    }
    assert {outcome for outcome, _ in found.values()} == {"ok", "skipped"}
