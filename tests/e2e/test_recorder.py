"""Home Assistant's recorder as the way in: its states become readings, and what we do wrong is never its fault."""

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
def house(database_server: Postgres, tmp_path: Path) -> Iterator[Outbox]:
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
    """One state, in the order in which recorder's unit of work writes."""
    row = connection.execute(STATE, {"entity": entity, "attributes": json.dumps(attributes)}).fetchone()
    assert row
    connection.execute(
        "INSERT INTO states (state, last_updated_ts, metadata_id, attributes_id) VALUES (%s, %s, %s, %s)",
        [state, at_s, row[0], None if attributes is None else row[1]],
    )


def record(house: Outbox, state: str, attributes: dict[str, object] | None, **options: object) -> None:
    with psycopg.connect(house.database) as connection:
        write(connection, state, attributes, **options)  # type: ignore[arg-type]


def payloads(house: Outbox) -> list[object]:
    return [payload for (payload,) in house.query("SELECT payload FROM readings ORDER BY id")]


def test_a_new_state_of_the_chosen_entity_becomes_a_reading_with_all_its_values(house: Outbox) -> None:
    record(house, "ok", ATTRIBUTES)
    record(house, "21.5", {"unit_of_measurement": "°C"}, entity="sensor.bathroom_temperature")
    shown = {k: v for k, v in ATTRIBUTES.items() if k not in ("friendly_name", "icon")}
    assert house.query("SELECT source, payload - 'received_at' FROM readings") == [(f"home_assistant:{SCALE}", shown)]
    assert house.query("SELECT task_name, args FROM procrastinate_jobs") == [("weighbridge:deliver", {"reading_id": 1})]


def test_a_sensor_without_a_value_is_no_reading(house: Outbox) -> None:
    """However the function takes it that nothing was measured."""
    for word, pad in itertools.product(sorted(NOT_MEASURED), ("", " ")):
        record(house, f"{pad}{word.title()}{pad}", ATTRIBUTES)
    assert payloads(house) == []


def test_a_state_is_no_weight_beside_an_attribute_that_the_function_takes_for_the_weight(house: Outbox) -> None:
    keys = [k for k, meaning in VOCABULARY.items() if isinstance(meaning, Quantity) and meaning.name == "weight_kg"]
    assert "weight" in keys
    for key in (*keys, "Weight (kg)", "body_fat"):
        record(house, "77", {key: 81.4})
    *beside, alone = house.query("SELECT received FROM readings ORDER BY id")
    assert all(len(received) == 1 for (received,) in beside if isinstance(received, dict))
    assert alone == ({"body_fat": 81.4, "weight": "77"},)


def test_the_database_holds_the_words_of_the_function_and_sql_none(house: Outbox) -> None:
    assert set(house.query("SELECT kind, word FROM weighbridge_words")) == words()
    house.query("DELETE FROM weighbridge_words")
    house.query("INSERT INTO weighbridge_words VALUES ('nothing', 'a word of an earlier release')")
    assert house.ask("migrate") == f"The outbox is ready, and takes what recorder writes of {SCALE}.\n"
    assert set(house.query("SELECT kind, word FROM weighbridge_words")) == words()
    for file in Path(commands.__file__).parent.glob("*.sql"):
        literals = set(re.findall(r"'([^'\n]*)'", re.sub(r"--.*", "", file.read_text())))
        assert not literals & (NOT_MEASURED - {""}), file.name
        assert not {normal(literal) for literal in literals} & {
            key for key, meaning in VOCABULARY.items() if meaning is Role.TIME
        }, file.name


def test_a_sensor_of_the_weight_alone_says_it_with_its_unit_and_the_time_of_its_change(house: Outbox) -> None:
    record(house, "179.5", {"unit_of_measurement": "lb", "device_class": "weight"})
    record(house, "81.2", None, at_s=AT_S + 60)
    assert payloads(house) == [
        {"weight": "179.5 lb", "received_at": "2026-11-22T06:31:00Z"},
        {"weight": "81.2", "received_at": "2026-11-22T06:32:00Z"},
    ]


def test_a_state_restored_after_a_restart_is_no_second_weigh_in(house: Outbox) -> None:
    untimed: dict[str, object] = {"weight": 81.4}
    for attributes in (ATTRIBUTES, untimed):
        record(house, "ok", attributes)
        record(house, "unavailable", {}, at_s=AT_S + 10)
        record(house, "ok", attributes, at_s=AT_S + 20)
    assert len(payloads(house)) == 2


def test_the_same_weight_on_another_day_is_a_weigh_in_of_its_own(house: Outbox) -> None:
    for day, weight in enumerate(("81.4", "81.2", "81.4")):
        record(house, weight, None, at_s=AT_S - 86_400 * (3 - day))
    assert [payload["weight"] for payload in payloads(house) if isinstance(payload, dict)] == ["81.4", "81.2", "81.4"]


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
def test_whatever_is_broken_on_our_side_recorder_transaction_is_committed(house: Outbox, breakage: str) -> None:
    with psycopg.connect(house.database) as connection:
        row = connection.execute(STATE, {"entity": SCALE, "attributes": json.dumps(ATTRIBUTES)}).fetchone()
        assert row
        connection.execute("CREATE TABLE history (of_the_house text)")
        connection.execute(breakage.encode())
        warnings: list[str] = []
        connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))
        connection.execute(
            "INSERT INTO states (state, last_updated_ts, metadata_id, attributes_id) VALUES ('ok', %s, %s, %s)",
            [AT_S, *row],
        )
        connection.execute("INSERT INTO history VALUES ('goes on')")
    assert house.query("SELECT state FROM states") == [("ok",)]
    assert house.query("SELECT * FROM history") == [("goes on",)]
    assert len(warnings) == 1
    assert "81.4" not in warnings[0]


def test_attributes_that_are_no_json_do_not_disturb_recorder(house: Outbox) -> None:
    with psycopg.connect(house.database) as connection:
        write(connection, "ok", ATTRIBUTES)
        connection.execute("UPDATE state_attributes SET shared_attrs = '{broken'")
        connection.execute(
            "INSERT INTO states (state, metadata_id, attributes_id) SELECT 'ok', metadata_id, attributes_id "
            "FROM states LIMIT 1"
        )
    assert house.query("SELECT count(*) FROM states") == [(2,)]
    assert len(payloads(house)) == 1


def test_what_recorder_takes_back_was_never_a_reading(house: Outbox) -> None:
    with psycopg.connect(house.database) as connection:
        write(connection, "ok", ATTRIBUTES)
        connection.rollback()
    assert payloads(house) == []
    assert house.query("SELECT * FROM procrastinate_jobs") == []


def test_without_a_recorder_the_mend_is_named(box: Outbox) -> None:
    assert "point recorder's db_url at it" in box.ask("migrate", "--home-assistant", SCALE, fails=True)
