"""The commands of the outbox: create its tables, show the queue, show one reading, send one again.

Rule: `status` shows no measurement, so that it can be shown to others; `show` shows everything.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import procrastinate
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from weighbridge.errors import WeighbridgeError
from weighbridge.reading.dialects import NOT_MEASURED, VOCABULARY, Quantity

from .message import read
from .verdict import DONE
from .verdict import OPEN as OPEN_STATES

STATES = (*OPEN_STATES, *DONE)
SHOWN = 50

#: One state after the other, so that each is counted in the index: twice as fast as to group a million rows.
COUNTS = """
SELECT state, (SELECT count(*) FROM readings WHERE readings.state = states.state)
FROM unnest(%s::text[]) AS states (state)
"""

#: The fields to blame, or the first message if it is the whole message.
BLAMED = """
SELECT ': ' || coalesce(string_agg(nullif(error->>'field', ''), ', '), min(error->>'message'))
FROM jsonb_array_elements(fault->'errors') AS error
"""

#: Whom a reading may belong to.
CANDIDATES = "SELECT ' ' || string_agg(name, ' or ') FROM jsonb_array_elements_text(fault->'candidates') AS name"

OPEN = f"""
SELECT id, source, state, attempts, received_at,
    ceil(extract(epoch FROM next_attempt_at - now()))::bigint AS again_s,
    coalesce(fault->>'title' || CASE 'array'
        WHEN jsonb_typeof(fault->'candidates') THEN ({CANDIDATES}) WHEN jsonb_typeof(fault->'errors') THEN ({BLAMED})
        ELSE '' END, receipt->'warnings'->0->>'text', CASE
        WHEN state = 'waiting' AND next_attempt_at IS NOT NULL AND NOT settled
            THEN 'waits for more values of the same weigh-in'
        ELSE '' END || CASE state
        WHEN 'kept' THEN 'a file for manual import'
        WHEN 'accepted' THEN 'Garmin Connect does not show it yet'
        ELSE '' END) AS reason
FROM readings WHERE state IN ('waiting', 'accepted', 'kept', 'parked') ORDER BY id LIMIT {SHOWN + 1}
"""  # noqa: S608 - SHOWN is a constant

AGAIN = """
UPDATE readings SET state = 'waiting', revision = revision + 1, next_attempt_at = NULL, replace = replace OR %s,
    settled = true, joined_to = NULL
WHERE id = %s
"""

ANSWER = "UPDATE readings SET person = %s WHERE id = %s"

CORRECT = """
UPDATE readings SET payload = weighbridge_with_receipt(%s::text::jsonb, received_at), instant = NULL,
    action = CASE action WHEN 'take_back' THEN 'weigh_in' ELSE action END
WHERE id = %s
"""


#: Never one that is still to be sent, or whose values another one still carries. The last of a source stays: a state or
#: a message that is received again is recognized by it.
OLD = """
SELECT id FROM readings AS reading WHERE received_at < now() - %(older_than)s AND state = ANY(%(done)s)
    AND NOT EXISTS (SELECT FROM readings AS carrier
        WHERE carrier.id = reading.joined_to AND carrier.state <> ALL(%(done)s))
    AND EXISTS (SELECT FROM readings AS later WHERE later.source = reading.source AND later.id > reading.id
        AND later.part = 0)
"""

#: A column that an earlier release did not have gets its default.
LOAD = """
INSERT INTO readings ({0}) OVERRIDING SYSTEM VALUE
SELECT {0} FROM jsonb_populate_record(NULL::readings, %s::text::jsonb)
"""

#: The next reading gets the next number.
COUNT_ON = "SELECT setval(pg_get_serial_sequence('readings', 'id'), max(id)) FROM readings HAVING max(id) IS NOT NULL"


#: The files that make the tables, in this order. The last one only if Home Assistant's recorder is in the database.
SCHEMA = ("schema.sql", "bounds.sql", "roles.sql")
RECORDER = "home_assistant.sql"

#: Goes up with a change after which the previous version can no longer use the tables. Then only a backup leads back.
#: After any other change, the older version puts its own functions and triggers back.
GENERATION = 2

#: The stamp in the database: a function, because every role may call it.
TABLES = "CREATE OR REPLACE FUNCTION weighbridge_tables() RETURNS text LANGUAGE sql IMMUTABLE AS {}"


class Refused(WeighbridgeError):
    """The command cannot be carried out; the message says why."""


class Tables(NamedTuple):
    """What `migrate` made."""

    generation: int
    #: Of the files that were applied.
    digest: str


def tables() -> Tables:
    """Those of this version."""
    content = b"".join(_sql(name) for name in (*SCHEMA, RECORDER))
    return Tables(GENERATION, hashlib.sha256(content).hexdigest()[:16])


def tables_of(connection: psycopg.Connection[Any]) -> Tables | None:
    """Those of this database; None if there are none. Those without a stamp are older than it, so of generation 0."""
    if not _exists(connection, "readings"):
        return None
    if connection.execute("SELECT to_regproc('weighbridge_tables') IS NOT NULL").fetchone() != (True,):
        return Tables(0, "")
    (said,) = connection.execute("SELECT weighbridge_tables()").fetchone() or ("0 ",)
    generation, _, digest = str(said).partition(" ")
    return Tables(int(generation), digest)


def check_tables(connection: psycopg.Connection[Any]) -> None:
    """Raises `Refused` if the tables are missing, or not those of this version."""
    found = tables_of(connection)
    if found is None:
        raise Refused("The tables are missing. Run: weighbridge outbox migrate")
    _refuse_newer(found)
    if found != tables():
        raise Refused("The tables are those of another version. Run: weighbridge outbox migrate")


def _refuse_newer(found: Tables | None) -> None:
    if found and found.generation > GENERATION:
        raise Refused(
            f"A newer version has changed the tables (generation {found.generation}; this one knows {GENERATION}), and "
            "nothing was changed. Run the newer version, or restore the backup from before the update into an empty "
            "database."
        )


def migrate(
    connection: psycopg.Connection[Any],
    home_assistant: Sequence[str],
    passwords: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Create or update the tables and triggers, and add entities of Home Assistant. Repeating it changes nothing.

    `passwords`: of roles that are created if they do not exist.
    """
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise Refused(f"Expected a database with the encoding UTF8, got {encoding}. Create another one for the outbox.")
    with connection.transaction():
        # If two run at once, as the containers of one stack may, the second waits and finds it done.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('weighbridge'))")
        _refuse_newer(tables_of(connection))
        if not _exists(connection, "procrastinate_jobs"):
            connection.execute(procrastinate.schema.SchemaManager.get_schema())
        for role, password in passwords.items():
            _sign_in(connection, role, password)
        for file in SCHEMA:
            connection.execute(_sql(file))
        ours = tables()
        connection.execute(sql.SQL(TABLES).format(f"SELECT '{ours.generation} {ours.digest}'"))
        if not home_assistant and not _exists(connection, "weighbridge_entities"):
            return "The outbox is ready."
        if not _exists(connection, "states_meta"):
            raise Refused(
                "Home Assistant's recorder has no tables in this database. Point recorder's db_url at it, start Home "
                "Assistant once, then run this again."
            )
        connection.execute(_sql(RECORDER))
        connection.execute("DELETE FROM weighbridge_words")
        connection.cursor().executemany("INSERT INTO weighbridge_words VALUES (%s, %s)", sorted(words()))
        for entity in home_assistant:
            connection.execute("INSERT INTO weighbridge_entities VALUES (%s) ON CONFLICT DO NOTHING", [entity])
        chosen = connection.execute("SELECT entity_id FROM weighbridge_entities ORDER BY entity_id").fetchall()
    return f"The outbox is ready, and stores each new state of {', '.join(entity for (entity,) in chosen)}."


def _sign_in(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    """Let this role sign in with this password. A hash is sent, since Postgres may write a statement into its log."""
    hashed = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount
    verb = sql.SQL("ALTER" if known else "CREATE")
    try:
        connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, sql.Identifier(role), hashed))
    except psycopg.errors.InsufficientPrivilege:
        raise Refused(
            f"The role of DATABASE_URL may not create the role {role} or set its password. Let a superuser do it in "
            "psql, and leave out the passwords of the other roles here."
        ) from None


def words() -> set[tuple[str, str]]:
    """The part of the function's vocabulary that recorder's trigger needs: kind and word."""
    weight = {
        key for key, meaning in VOCABULARY.items() if isinstance(meaning, Quantity) and meaning.name == "weight_kg"
    }
    return {("nothing", word) for word in NOT_MEASURED} | {("weight", key) for key in weight}


def status(connection: psycopg.Connection[Any]) -> str:
    """The number of readings in each state, and each reading that has not arrived."""
    counts, rows = _status(connection)
    heading = " · ".join(f"{counts[state]} {state}" for state in STATES if state in counts) or "no readings yet"
    if not rows:
        return heading
    table = [("id", "received (UTC)", "source", "state", "tries", "again in", "why")]
    for row in rows[:SHOWN]:
        again = "–" if row["state"] == "parked" else span(row["again_s"])
        received = f"{row['received_at'].astimezone(UTC):%Y-%m-%d %H:%M}"
        first, *others = textwrap.wrap(row["reason"], 72) or [""]
        table.append((str(row["id"]), received, row["source"], row["state"], str(row["attempts"]), again, first))
        table += [("", "", "", "", "", "", line) for line in others]
    more = [f"… and more; the first {SHOWN} are shown"] if len(rows) > SHOWN else []
    return "\n".join([heading, "", *_lines(table), *more])


def status_json(connection: psycopg.Connection[Any]) -> str:
    """The same as JSON, with the first `SHOWN` readings that have not arrived."""
    counts, rows = _status(connection)
    document = {"counts": {state: counts.get(state, 0) for state in STATES}, "open": rows[:SHOWN]}
    return json.dumps(document, indent=2, ensure_ascii=False, default=_as_text)


def _status(connection: psycopg.Connection[Any]) -> tuple[dict[str, int], list[dict[str, Any]]]:
    counts = {state: count for state, count in connection.execute(COUNTS, [[*STATES]]).fetchall() if count}
    return counts, connection.cursor(row_factory=dict_row).execute(OPEN).fetchall()


def show(connection: psycopg.Connection[Any], reading_id: int) -> str:
    """Everything about one reading, as JSON."""
    cursor = connection.cursor(row_factory=dict_row)
    row = cursor.execute("SELECT * FROM readings WHERE id = %s", [reading_id]).fetchone()
    if row is None:
        raise Refused(f"There is no reading {reading_id}.")
    return json.dumps(row, indent=2, ensure_ascii=False, default=_as_text)


def retry(connection: psycopg.Connection[Any], reading_id: int, *, replace: bool) -> str:
    """Send a reading now, whatever its state. With `replace`, it may replace what Garmin holds for its instant."""
    if connection.execute(AGAIN, [replace, reading_id]).rowcount == 0:
        raise Refused(f"There is no reading {reading_id}.")
    return f"Reading {reading_id} is sent again."


def answer(connection: psycopg.Connection[Any], reading_id: int, person: str) -> str:
    """Send a reading as this person's. The function says if it knows nobody by that name."""
    with connection.transaction():
        connection.execute(ANSWER, [person, reading_id])
        return retry(connection, reading_id, replace=False)


def correct(connection: psycopg.Connection[Any], reading_id: int, path: Path, *, replace: bool) -> str:
    """Send other values instead of those received, which stay in the column `received`."""
    try:
        contents = read(path.read_bytes())
    except OSError as e:
        raise Refused(f"{path} cannot be read: {e.strerror}.") from None
    if contents.fault:
        raise Refused(f"{path} does not hold a reading. {contents.fault['detail']}")
    with connection.transaction():
        connection.execute(CORRECT, [contents.json, reading_id])
        return retry(connection, reading_id, replace=replace)


def prune(connection: psycopg.Connection[Any], older_than: timedelta, *, delete: bool) -> str:
    """Delete readings that need nothing more and were received that long ago; without `delete`, count them."""
    statement = f"DELETE FROM readings WHERE id IN ({OLD})" if delete else f"SELECT FROM ({OLD}) AS old"  # noqa: S608
    count = connection.execute(statement.encode(), {"older_than": older_than, "done": list(DONE)}).rowcount
    return (
        f"{count} reading(s) deleted." if delete else f"{count} reading(s) would be deleted. Pass --yes to delete them."
    )


def dump(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Each reading as one line of JSON, from one moment."""
    with connection.transaction(), connection.cursor("dump") as cursor:
        for (line,) in cursor.execute("SELECT row_to_json(readings)::text FROM readings ORDER BY id"):
            yield line


def load(connection: psycopg.Connection[Any], lines: Iterable[str]) -> str:
    """Store what `dump` wrote, and queue what has not arrived. All of it, or nothing; only into an empty outbox."""
    count = 0
    with connection.transaction():
        connection.execute("LOCK TABLE readings")
        if connection.execute("SELECT FROM readings LIMIT 1").rowcount:
            raise Refused("The outbox is not empty. Restore into an empty one.")
        # A row comes back as it was: without another key, and without a job until all are there.
        connection.execute("ALTER TABLE readings DISABLE TRIGGER USER")
        for count, line in enumerate(lines, 1):
            try:
                columns = sql.SQL(", ").join(map(sql.Identifier, json.loads(line)))
                connection.execute(sql.SQL(LOAD).format(columns), [line])
            except (ValueError, TypeError, psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError):
                raise Refused(f"Line {count} is not a reading that `weighbridge outbox dump` wrote.") from None
        connection.execute("ALTER TABLE readings ENABLE TRIGGER USER")
        connection.execute(COUNT_ON)
        # Their jobs are not in the backup. The trigger makes others.
        connection.execute(
            "UPDATE readings SET state = 'waiting', next_attempt_at = NULL, revision = revision "
            "WHERE state = ANY(%s) AND state <> 'parked'",
            [list(OPEN_STATES)],
        )
    return f"{count} reading(s) restored."


def _as_text(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _exists(connection: psycopg.Connection[Any], table: str) -> bool:
    return connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone() == (True,)


def _sql(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()


def span(seconds: int | None) -> str:
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
