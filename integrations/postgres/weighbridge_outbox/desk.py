"""What people ask of the outbox: how it stands, what became of a reading, and to try one again.

Rule: `status` shows no measurement, so that it can be shown to others; `show` shows all there is.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import procrastinate
import psycopg
from psycopg.rows import dict_row

from .message import read

STATES = ("waiting", "accepted", "kept", "parked", "confirmed", "present")
SHOWN = 50

OPEN = f"""
SELECT id, source, state, attempts, to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS received,
    ceil(extract(epoch FROM next_attempt_at - now()))::bigint AS again_s,
    coalesce(fault->>'title' || CASE jsonb_typeof(fault->'errors') WHEN 'array' THEN
            (SELECT ': ' || string_agg(error->>'field', ', ') FROM jsonb_array_elements(fault->'errors') AS error)
            ELSE '' END, receipt->'warnings'->>0, CASE state
        WHEN 'kept' THEN 'a file for import by hand'
        WHEN 'accepted' THEN 'Garmin Connect does not show it yet'
        ELSE '' END) AS reason
FROM readings WHERE state NOT IN ('confirmed', 'present') ORDER BY id LIMIT {SHOWN + 1}
"""  # noqa: S608 - a number of ours

AGAIN = """
UPDATE readings SET state = 'waiting', revision = revision + 1, next_attempt_at = NULL, replace = replace OR %s
WHERE id = %s
"""

CORRECT = """
UPDATE readings SET payload = weighbridge_timed(%s::text::jsonb, received_at) WHERE id = %s
"""


class Refused(Exception):
    """It cannot be done; the message says why."""


def migrate(connection: psycopg.Connection[Any], home_assistant: Sequence[str]) -> str:
    """Make or renew the tables and triggers, and choose entities of Home Assistant. Doing it again changes nothing."""
    with connection.transaction():
        # Two that start at once, as a relay and a worker of one stack may: the second waits, and finds it done.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('weighbridge'))")
        exists = connection.execute("SELECT to_regclass('procrastinate_jobs') IS NOT NULL").fetchone()
        if not (exists and exists[0]):
            connection.execute(procrastinate.schema.SchemaManager.get_schema())
        connection.execute(_sql("schema.sql"))
        if not home_assistant:
            return "The outbox is ready."
        recorder = connection.execute("SELECT to_regclass('states_meta') IS NOT NULL").fetchone()
        if not (recorder and recorder[0]):
            raise Refused(
                "There is no recorder of Home Assistant in this database: point recorder's db_url at it, start Home "
                "Assistant once, then do this again."
            )
        connection.execute(_sql("home_assistant.sql"))
        for entity in home_assistant:
            connection.execute("INSERT INTO weighbridge_entities VALUES (%s) ON CONFLICT DO NOTHING", [entity])
    return f"The outbox is ready, and takes what recorder writes of {', '.join(home_assistant)}."


def status(connection: psycopg.Connection[Any]) -> str:
    """How many readings are in each state, and each that has not arrived."""
    counts = dict(connection.execute("SELECT state, count(*) FROM readings GROUP BY state").fetchall())
    heading = " · ".join(f"{counts[state]} {state}" for state in STATES if state in counts) or "no readings yet"
    rows = connection.cursor(row_factory=dict_row).execute(OPEN).fetchall()
    if not rows:
        return heading
    table = [("id", "received (UTC)", "source", "state", "tries", "again in", "why")]
    for row in rows[:SHOWN]:
        again = "–" if row["state"] == "parked" else _span(row["again_s"])
        first, *others = textwrap.wrap(row["reason"], 72) or [""]
        table.append((str(row["id"]), row["received"], row["source"], row["state"], str(row["attempts"]), again, first))
        table += [("", "", "", "", "", "", line) for line in others]
    more = [f"… and more; the first {SHOWN} are shown"] if len(rows) > SHOWN else []
    return "\n".join([heading, "", *_lines(table), *more])


def show(connection: psycopg.Connection[Any], reading_id: int) -> str:
    """Everything that is known of one reading, as JSON."""
    cursor = connection.cursor(row_factory=dict_row)
    row = cursor.execute("SELECT * FROM readings WHERE id = %s", [reading_id]).fetchone()
    if row is None:
        raise Refused(f"There is no reading {reading_id}.")
    return json.dumps(row, indent=2, ensure_ascii=False, default=str)


def retry(connection: psycopg.Connection[Any], reading_id: int, *, replace: bool) -> str:
    """Send a reading now, whatever its state; with `replace` it may take the place of what Garmin holds."""
    if connection.execute(AGAIN, [replace, reading_id]).rowcount == 0:
        raise Refused(f"There is no reading {reading_id}.")
    return f"Reading {reading_id} is sent again."


def correct(connection: psycopg.Connection[Any], reading_id: int, path: Path, *, replace: bool) -> str:
    """Send other values in place of those that came, which stay in the column `received`."""
    try:
        contents = read(path.read_bytes())
    except OSError as e:
        raise Refused(f"{path} cannot be read: {e.strerror}.") from None
    if contents.fault:
        raise Refused(f"{path} does not hold a reading. {contents.fault['detail']}")
    with connection.transaction():
        connection.execute(CORRECT, [contents.json, reading_id])
        return retry(connection, reading_id, replace=replace)


def _sql(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()


def _span(seconds: int | None) -> str:
    if seconds is None or seconds <= 0:
        return "now"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{seconds} s"


def _lines(table: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
