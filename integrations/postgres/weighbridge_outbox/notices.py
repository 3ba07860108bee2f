"""Notifies a person of readings that are parked, and of sources from which nothing has arrived for days.

Rule: of each event there is one notice. A worker claims the event in the table `weighbridge_notices` first, so of two
workers one sends it. A notice that could not be sent is tried again after a pause. No reading waits for it, and none
is changed.

Strategy: one look each minute finds everything, whoever parked it: a worker, the relay or a trigger. What was parked
more than two days ago is history, and is left out.

Weakness: a worker that is killed between sending and noting it sends it again, and so does one whose service answers
too late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool as Pool

from weighbridge.notify import events
from weighbridge.notify.events import Notice
from weighbridge.notify.send import Notifier, failures, was_taken

log = logging.getLogger("weighbridge.notices")

#: Between two notices of parked readings. A scale that sends nonsense each second is one notice in this time.
PARKED_PAUSE = "10 minutes"

#: Longer than sending takes. It doubles with each attempt.
FIRST_PAUSE = "2 minutes"

CLAIM = f"""
INSERT INTO weighbridge_notices AS notice (event, about)
SELECT %(event)s, about FROM unnest(%(abouts)s::text[]) AS about ORDER BY about
ON CONFLICT (event, about) DO UPDATE SET claimed_at = now(), attempts = notice.attempts + 1
    WHERE notice.sent_at IS NULL
        AND notice.claimed_at < now() - interval '{FIRST_PAUSE}' * 2 ^ least(notice.attempts, 5)
RETURNING about
"""  # noqa: S608 - a constant

SENT = "UPDATE weighbridge_notices SET sent_at = now() WHERE event = %(event)s AND about = ANY(%(abouts)s)"

PARKED = f"""
SELECT id || '.' || revision AS about, id, fault FROM readings
WHERE state = 'parked' AND coalesce(attempted_at, received_at) > now() - interval '2 days'
    AND NOT EXISTS (SELECT FROM weighbridge_notices AS notice WHERE event = 'readings-parked'
        AND (sent_at > now() - interval '{PARKED_PAUSE}'
            OR (sent_at IS NOT NULL AND notice.about = readings.id || '.' || readings.revision)))
ORDER BY id LIMIT 1000
"""  # noqa: S608 - a constant

#: A reading that went where it was meant to go. A file that was kept because Garmin did not get it has not.
ARRIVED = """(state IN ('confirmed', 'present', 'accepted', 'joined', 'taken_back') OR (state = 'kept'
    AND NOT coalesce(receipt->'warnings' @> '[{"code": "fell-back"}]', false)))"""

# Of each source the latest reading that has arrived, else the first one; both in the index `readings_by_source`, from
# which the sources are read one after the other. One that has been silent for a month more is no longer in use.
# A source is "between" itself and itself, because with `=` Postgres reads the other index, which has all sources.
SILENT = f"""
WITH RECURSIVE sources AS (
    (SELECT source FROM readings ORDER BY source LIMIT 1)
    UNION ALL
    SELECT (SELECT source FROM readings WHERE source > sources.source ORDER BY source LIMIT 1)
    FROM sources WHERE sources.source IS NOT NULL
)
SELECT source || ' ' || last.id AS about, source, (SELECT count(*) FROM readings
    WHERE readings.source = sources.source AND id >= last.id AND state <> 'nothing' AND NOT {ARRIVED}) AS open
FROM sources CROSS JOIN LATERAL (
    (SELECT id, received_at, true AS arrived FROM readings
        WHERE readings.source BETWEEN sources.source AND sources.source AND {ARRIVED}
        ORDER BY readings.source DESC, id DESC LIMIT 1)
    UNION ALL
    (SELECT id, received_at, false FROM readings
        WHERE readings.source BETWEEN sources.source AND sources.source ORDER BY readings.source, id LIMIT 1)
    ORDER BY arrived DESC LIMIT 1
) AS last
WHERE last.received_at BETWEEN now() - (%(days)s + 30) * interval '1 day' AND now() - %(days)s * interval '1 day'
"""  # noqa: S608 - a constant


async def watch(pool: Pool, notifier: Notifier, *, every_s: float, silent_days: int) -> None:
    """Look now and then, until it is cancelled."""
    while True:
        try:
            await _notify_of_parked(pool, notifier)
            if silent_days:
                await _notify_of_silent(pool, notifier, silent_days)
        except psycopg.Error as e:
            log.error("the outbox could not be looked at for notices: %s", type(e).__name__)  # noqa: TRY400 - its text may hold a row
        await asyncio.sleep(every_s)


async def _notify_of_parked(pool: Pool, notifier: Notifier) -> None:
    rows = await _all(pool, PARKED)
    claimed = await _claim(pool, "readings-parked", [row["about"] for row in rows])
    parked = [(row["id"], row["fault"] or {}) for row in rows if row["about"] in claimed]
    if parked:
        await _send(pool, notifier, events.readings_parked(parked), claimed)


async def _notify_of_silent(pool: Pool, notifier: Notifier, days: int) -> None:
    rows = await _all(pool, SILENT, days=days)
    claimed = await _claim(pool, "nothing-arrived", [row["about"] for row in rows])
    silent = [row for row in rows if row["about"] in claimed]
    if silent:
        waiting = sum(row["open"] for row in silent)
        await _send(pool, notifier, events.nothing_arrived(days, [row["source"] for row in silent], waiting), claimed)


async def _send(pool: Pool, notifier: Notifier, notice: Notice, abouts: Sequence[str]) -> None:
    sent = await asyncio.to_thread(notifier.send, notice)
    if why := failures(sent):
        log.warning("the notice %s was not sent: %s", notice.code, why)
    if was_taken(sent):
        await _all(pool, SENT, event=notice.code, abouts=[*abouts])


async def _claim(pool: Pool, event: str, abouts: Sequence[str]) -> list[str]:
    """Those of these that this worker is to send."""
    if not abouts:
        return []
    return [row["about"] for row in await _all(pool, CLAIM, event=event, abouts=[*abouts])]


async def _all(pool: Pool, query: str, **values: object) -> list[dict[str, Any]]:
    async with pool.connection() as connection:
        await connection.execute("SET LOCAL jit = off")  # compiling takes longer than any of these
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(query.encode(), values)
        return await cursor.fetchall() if cursor.description else []
