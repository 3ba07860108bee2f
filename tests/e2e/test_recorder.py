"""Home Assistant's recorder as the way in: its states become readings, and our errors never make it fail."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e.parts.outbox import Outbox, outbox
from tests.e2e.parts.postgres import Postgres
from weighbridge.reading.dialects import NOT_MEASURED, VOCABULARY, Quantity, Role, normal
from weighbridge_outbox import commands
from weighbridge_outbox.commands import words

TABLES = Path(__file__).with_name("recorder.sql").read_text()
SCALE = "sensor.bathroom_scale"
ATTRIBUTES = {
    "weight": 81.4,
    "body_fat": 18.2,
    "last_measurement_time": "2026-11-22T06:31:00+00:00",
    "friendly_name": "Bathroom scale",
    "icon": "mdi:scale-bathroom",
}
AT_S = 1_795_329_060.25  # 2026-11-22T06:31:00.25Z

STATE = """
WITH entity AS (
    INSERT INTO states_meta (entity_id) VALUES (%(entity)s)
    ON CONFLICT (entity_id) DO UPDATE SET entity_id = excluded.entity_id RETURNING metadata_id
), attributes AS (INSERT INTO state_attributes (hash, shared_attrs) VALUES (1, %(attributes)s) RETURNING attributes_id)
SELECT metadata_id, attributes_id FROM entity, attributes
"""


@pytest.fixture
def recorder(database_server: Postgres, tmp_path: Path) -> Iterator[Outbox]:
    with outbox(database_server, tmp_path) as box:
        for statement in TABLES.split(";\n"):
            box.query(statement)
        box.ask("migrate", "--home-assistant", SCALE)
        yield box


def write(
    connection: psycopg.Connection[tuple[object, ...]],
    state: str,
    attributes: dict[str, object] | None,
    *,
    entity: str = SCALE,
    at_s: float = AT_S,
) -> None:
    """Write one state, in the same order as recorder."""
    row = connection.execute(STATE, {"entity": entity, "attributes": json.dumps(attributes)}).fetchone()
    assert row
    connection.execute(
        "INSERT INTO states (state, last_updated_ts, metadata_id, attributes_id) VALUES (%s, %s, %s, %s)",
        [state, at_s, row[0], None if attributes is None else row[1]],
    )


def record(recorder: Outbox, state: str, attributes: dict[str, object] | None, **options: object) -> None:
    with psycopg.connect(recorder.database) as connection:
        write(connection, state, attributes, **options)  # type: ignore[arg-type]


def payloads(recorder: Outbox) -> list[object]:
    return [payload for (payload,) in recorder.query("SELECT payload FROM readings ORDER BY id")]


def test_new_state_becomes_a_reading(recorder: Outbox) -> None:
    """A new state of the chosen entity becomes a reading with all its values; other entities are ignored."""
    record(recorder, "ok", ATTRIBUTES)
    record(recorder, "21.5", {"unit_of_measurement": "°C"}, entity="sensor.bathroom_temperature")
    shown = {k: v for k, v in ATTRIBUTES.items() if k not in ("friendly_name", "icon")}
    assert recorder.query("SELECT source, payload - 'received_at' FROM readings") == [
        (f"home_assistant:{SCALE}", shown)
    ]
    assert recorder.query("SELECT task_name, args FROM procrastinate_jobs") == [
        ("weighbridge:deliver", {"reading_id": 1})
    ]


def test_state_without_value_is_ignored(recorder: Outbox) -> None:
    """A state that the function reads as "no value" is not a reading."""
    for word, pad in itertools.product(sorted(NOT_MEASURED), ("", " ")):
        record(recorder, f"{pad}{word.title()}{pad}", ATTRIBUTES)
    assert payloads(recorder) == []


def test_weight_attribute_wins_over_the_state(recorder: Outbox) -> None:
    """The state is not the weight if an attribute is one for the function."""
    keys = [k for k, meaning in VOCABULARY.items() if isinstance(meaning, Quantity) and meaning.name == "weight_kg"]
    assert "weight" in keys
    for key in (*keys, "Weight (kg)", "body_fat"):
        record(recorder, "77", {key: 81.4})
    *beside, alone = recorder.query("SELECT received FROM readings ORDER BY id")
    assert all(len(received) == 1 for (received,) in beside if isinstance(received, dict))
    assert alone == ({"body_fat": 81.4, "weight": "77"},)


def test_sql_has_no_words_of_its_own(recorder: Outbox) -> None:
    """The database has exactly the words of the function, and the SQL files have none."""
    assert set(recorder.query("SELECT kind, word FROM weighbridge_words")) == words()
    recorder.query("DELETE FROM weighbridge_words")
    recorder.query("INSERT INTO weighbridge_words VALUES ('nothing', 'a word of an earlier release')")
    assert recorder.ask("migrate") == f"The outbox is ready, and stores each new state of {SCALE}.\n"
    assert set(recorder.query("SELECT kind, word FROM weighbridge_words")) == words()
    for file in Path(commands.__file__).parent.glob("*.sql"):
        literals = set(re.findall(r"'([^'\n]*)'", re.sub(r"--.*", "", file.read_text())))
        assert not literals & (NOT_MEASURED - {""}), file.name
        assert not {normal(literal) for literal in literals} & {
            key for key, meaning in VOCABULARY.items() if meaning is Role.TIME
        }, file.name


def test_weight_sensor_has_unit_and_time(recorder: Outbox) -> None:
    """A sensor with only a weight becomes a reading with its unit and the time of its change."""
    record(recorder, "179.5", {"unit_of_measurement": "lb", "device_class": "weight"})
    record(recorder, "81.2", None, at_s=AT_S + 60)
    assert payloads(recorder) == [
        {"weight": "179.5 lb", "received_at": "2026-11-22T06:31:00Z"},
        {"weight": "81.2", "received_at": "2026-11-22T06:32:00Z"},
    ]


def test_restored_state_is_ignored(recorder: Outbox) -> None:
    """A state restored after a restart is not a second weigh-in."""
    untimed: dict[str, object] = {"weight": 81.4}
    for attributes in (ATTRIBUTES, untimed):
        record(recorder, "ok", attributes)
        record(recorder, "unavailable", {}, at_s=AT_S + 10)
        record(recorder, "ok", attributes, at_s=AT_S + 20)
    assert len(payloads(recorder)) == 2


def test_same_weight_on_another_day_is_another(recorder: Outbox) -> None:
    """The same weight after another one is a separate weigh-in."""
    for day, weight in enumerate(("81.4", "81.2", "81.4")):
        record(recorder, weight, None, at_s=AT_S - 86_400 * (3 - day))
    assert [payload["weight"] for payload in payloads(recorder) if isinstance(payload, dict)] == [
        "81.4",
        "81.2",
        "81.4",
    ]


@pytest.mark.parametrize(
    "breakage",
    [
        "ALTER TABLE readings RENAME TO lost",
        "DROP TABLE readings CASCADE",
        "ALTER TABLE readings ADD CHECK (false)",
        "DROP FUNCTION procrastinate_defer_jobs_v1 CASCADE",
        "ALTER TABLE state_attributes RENAME shared_attrs TO elsewhere",
    ],
)
def test_failing_trigger_never_fails_recorder(recorder: Outbox, breakage: str) -> None:
    """Whatever fails in the trigger, recorder's transaction is committed, and the warning has no value."""
    with psycopg.connect(recorder.database) as connection:
        row = connection.execute(STATE, {"entity": SCALE, "attributes": json.dumps(ATTRIBUTES)}).fetchone()
        assert row
        connection.execute("CREATE TABLE history (line text)")
        connection.execute(breakage.encode())
        warnings: list[str] = []
        connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))
        connection.execute(
            "INSERT INTO states (state, last_updated_ts, metadata_id, attributes_id) VALUES ('ok', %s, %s, %s)",
            [AT_S, *row],
        )
        connection.execute("INSERT INTO history VALUES ('goes on')")
    assert recorder.query("SELECT state FROM states") == [("ok",)]
    assert recorder.query("SELECT * FROM history") == [("goes on",)]
    assert len(warnings) == 1
    assert "81.4" not in warnings[0]


@pytest.mark.parametrize(
    "text", ["{broken", r'{"weight": 81.4, "name": "\u0000"}', '{"a":' * 50_000, '{"weight": 1e999999}']
)
def test_invalid_attributes_are_parked(recorder: Outbox, text: str) -> None:
    """Attributes that jsonb cannot hold are parked as text, once, and recorder's transaction is committed."""
    with psycopg.connect(recorder.database) as connection:
        write(connection, "ok", ATTRIBUTES)
        connection.execute("UPDATE state_attributes SET shared_attrs = %s", [text])
        for _ in range(2):
            connection.execute(
                "INSERT INTO states (state, metadata_id, attributes_id) SELECT 'ok', metadata_id, attributes_id "
                "FROM states LIMIT 1"
            )
    assert recorder.query("SELECT count(*) FROM states") == [(3,)]
    first, second = recorder.query("SELECT state, payload, fault->>'detail' FROM readings ORDER BY id")
    assert first[0] == "waiting"
    assert second[:2] == ("parked", text)
    assert "Expected attributes that can be stored as a reading" in str(second[2])


def test_rolled_back_state_is_not_a_reading(recorder: Outbox) -> None:
    """A state that recorder rolls back leaves no reading and no job."""
    with psycopg.connect(recorder.database) as connection:
        write(connection, "ok", ATTRIBUTES)
        connection.rollback()
    assert payloads(recorder) == []
    assert recorder.query("SELECT * FROM procrastinate_jobs") == []


def test_missing_recorder_error_says_what_to_do(box: Outbox) -> None:
    """Without recorder's tables, the error says what to do."""
    assert "Point recorder's db_url at it" in box.ask("migrate", "--home-assistant", SCALE, fails=True)
