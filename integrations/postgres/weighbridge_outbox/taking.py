"""Which readings of a batch are sent now.

Rule: what is sent is decided in one transaction before the first attempt (`settling.py`), and only a correction changes
it later. Of the readings of one scale that are at most the window apart, only one at a time is on its way to Garmin:
two at once would both look there, find nothing, and become two weigh-ins. `admitted` marks the one. It stays marked
while the result is unknown, so it is the one that is sent again after a worker was killed.

Strategy: each question is asked once for the whole batch. A reading is compared with those before it, so the answers
are the same as if the batch had been taken one by one, in the order of the table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, LiteralString

from psycopg import AsyncCursor
from psycopg.types.json import Jsonb

from weighbridge.client import Result
from weighbridge.reading.interpret import has_time

from .settling import Row, could_be_one, instant_of, not_before, settle, understand
from .verdict import DONE, NextStep, judge_again, park_without_weight, wait_for_earlier

#: A row of `readings`, by column.
Reading = Mapping[str, Any]
_Cursor = AsyncCursor[dict[str, Any]]

READ = """
SELECT id, received_at, state, revision, replace, person, settled, admitted, action, attempts, payload,
    payload::text AS text,
    jsonb_typeof(payload) AS kind, coalesce(scale, source) AS scale, now() AS now
FROM readings WHERE id = ANY(%(ids)s) ORDER BY id
"""

# Held until the transaction ends, so that the readings of one scale are decided on one after the other. In one order,
# so that two batches never wait for each other.
LOCK = """
SELECT pg_advisory_xact_lock(hashtext('weighbridge scale'), hash)
FROM (SELECT DISTINCT hashtext(scale) AS hash FROM unnest(%(scales)s::text[]) AS scale ORDER BY hash) AS locks
"""

# A correction or a retry has its own values. FOR UPDATE: it may come at this moment.
TO_SETTLE = """
SELECT id, received_at, payload, action, now() AS now FROM readings
WHERE coalesce(scale, source) = %(scale)s AND state = 'waiting' AND NOT settled AND revision = 0
ORDER BY received_at, id LIMIT 10000 FOR UPDATE
"""

SETTLED = """
SELECT id, received_at, payload FROM readings
WHERE coalesce(scale, source) = %(scale)s AND settled AND state NOT IN ('joined', 'parked') AND action = 'weigh_in'
    AND instant BETWEEN %(first)s AND %(last)s ORDER BY id
"""

SETTLE = """
UPDATE readings SET settled = true, instant = decision.instant, payload = coalesce(decision.payload, readings.payload),
    state = decision.state, joined_to = decision.joined_to, fault = decision.fault, next_attempt_at = NULL
FROM unnest(%(ids)s::bigint[], %(instants)s::timestamptz[], %(payloads)s::jsonb[], %(states)s::text[],
    %(joined)s::bigint[], %(faults)s::jsonb[]) AS decision (id, instant, payload, state, joined_to, fault)
WHERE readings.id = decision.id
"""

WAIT = """
UPDATE readings SET next_attempt_at = wait.until
FROM unnest(%(ids)s::bigint[], %(untils)s::timestamptz[]) AS wait (id, until) WHERE readings.id = wait.id
"""

# An earlier reading with the same values: one that has arrived is preferred, then one that is not parked. What was
# replaced or deleted in between may be sent again.
RECEIVED_BEFORE = """
SELECT reading.id, earlier.state, earlier.receipt
FROM unnest(%(ids)s::bigint[]) AS wanted JOIN readings AS reading ON reading.id = wanted CROSS JOIN LATERAL (
    SELECT other.state, other.receipt FROM readings AS other
    WHERE other.key = reading.key AND other.id < reading.id AND reading.action = 'weigh_in' AND NOT EXISTS (
        SELECT FROM readings AS change
        WHERE coalesce(change.scale, change.source) = coalesce(reading.scale, reading.source)
            AND change.action <> 'weigh_in' AND change.id > other.id AND change.id < reading.id)
    ORDER BY other.state IN ('confirmed', 'present') DESC, other.state <> 'parked' DESC, other.id LIMIT 1
) AS earlier
"""

# Other readings of the scale that may go first: on their way, or older. A deletion waits for all older readings, and
# younger ones wait for it. Three parts, so that each has an index, however many readings wait.
MAY_GO_FIRST = """
SELECT reading.id, first.payload, first.certainly
FROM unnest(%(ids)s::bigint[]) AS wanted JOIN readings AS reading ON reading.id = wanted CROSS JOIN LATERAL (
    SELECT other.payload,
        other.instant = reading.instant OR 'take_back' IN (reading.action, other.action) AS certainly
    FROM readings AS other
    WHERE coalesce(other.scale, other.source) = coalesce(reading.scale, reading.source)
        AND other.instant BETWEEN reading.instant - %(join_s)s * interval '1 second'
            AND reading.instant + %(join_s)s * interval '1 second'
        AND other.id <> reading.id
        AND (other.admitted OR (other.id < reading.id AND other.state IN ('waiting', 'accepted')))
    UNION ALL
    SELECT NULL, true FROM readings AS other
    WHERE coalesce(other.scale, other.source) = coalesce(reading.scale, reading.source) AND other.id < reading.id
        AND other.action <> 'weigh_in' AND other.action = 'take_back' AND other.state IN ('waiting', 'accepted')
    UNION ALL
    SELECT NULL, true FROM readings AS other
    WHERE reading.action = 'take_back' AND coalesce(other.scale, other.source) = coalesce(reading.scale, reading.source)
        AND other.id < reading.id AND other.state IN ('waiting', 'accepted')
) AS first
"""

ADMIT = """
UPDATE readings SET admitted = true, instant = coalesce(readings.instant, admission.instant)
FROM unnest(%(ids)s::bigint[], %(instants)s::timestamptz[]) AS admission (id, instant)
WHERE readings.id = admission.id
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What is to be done with the readings of a batch. Those that are in none of these need nothing more."""

    #: To be sent now, in the order of the table.
    to_send: list[Reading] = field(default_factory=list)
    #: Not sent now, and why.
    held_back: list[tuple[Reading, NextStep]] = field(default_factory=list)
    #: Identifier -> the seconds until it settles.
    settling: dict[int, float] = field(default_factory=dict)
    #: For the log: what was settled without being sent.
    parked: list[tuple[int, NextStep]] = field(default_factory=list)
    joined: list[tuple[int, int]] = field(default_factory=list)


async def take(cursor: _Cursor, ids: Collection[int], *, settle_s: float, join_s: float) -> Taken:
    """Decide on the readings with these identifiers, and mark those to be sent. Call it in a transaction."""
    taken = Taken()
    undecided: list[Reading] = []
    waits: list[tuple[int, datetime]] = []
    for reading in await _read(cursor, ids):
        if reading["admitted"]:
            taken.to_send.append(reading)  # an earlier attempt with it may have succeeded
        elif (until := _settles_at(reading, settle_s, join_s)) and until > reading["now"]:
            taken.settling[reading["id"]] = (until - reading["now"]).total_seconds()
            waits.append((reading["id"], until))
        else:
            undecided.append(reading)
    await _wait(cursor, waits)
    if undecided:
        await cursor.execute(LOCK, {"scales": [reading["scale"] for reading in undecided]})
        for scale in sorted({reading["scale"] for reading in undecided if _is_unsettled(reading)}):
            await _settle(cursor, scale, taken, settle_s=settle_s, join_s=join_s)
        # Again, as it may have waited for the lock.
        left = [reading["id"] for reading in undecided if reading["id"] not in taken.settling]
        await _admit(cursor, await _read(cursor, left), taken, join_s)
        taken.to_send.sort(key=lambda reading: int(reading["id"]))
    for reading_id in taken.settling.keys() - set(ids):
        del taken.settling[reading_id]
    return taken


async def _admit(cursor: _Cursor, readings: Sequence[Reading], taken: Taken, join_s: float) -> None:
    # A retry or a correction is always sent.
    by_hand = [reading for reading in readings if reading["revision"] > 0]
    await _mark(cursor, by_hand, (_instant(reading) for reading in by_hand))
    others = [reading for reading in readings if reading["revision"] == 0]
    # Without a time, the same values may be another weigh-in.
    timed = [r["id"] for r in others if not isinstance(r["payload"], dict) or has_time(r["payload"])]
    before = {
        row["id"]: step
        for row in await _all(cursor, RECEIVED_BEFORE, ids=timed)
        if (step := judge_again(row["state"], Result(row["receipt"] or {})))
    }
    rest = {reading["id"]: reading for reading in others if reading["id"] not in before}
    behind: set[int] = set()
    for row in await _all(cursor, MAY_GO_FIRST, ids=[*rest], join_s=join_s):
        reading_id = row["id"]
        if reading_id not in behind and (
            row["certainly"] or could_be_one(rest[reading_id]["payload"], row["payload"], join_s)
        ):
            behind.add(reading_id)
    first = [reading for reading_id, reading in rest.items() if reading_id not in behind]
    await _mark(cursor, first, (None for _ in first))
    taken.to_send.extend(by_hand + first)
    for reading in others:
        if step := before.get(reading["id"]):
            taken.held_back.append((reading, step))
        elif reading["id"] in behind:
            taken.held_back.append((reading, wait_for_earlier(reading["state"])))


async def _mark(cursor: _Cursor, readings: Sequence[Reading], instants: Iterable[datetime | None]) -> None:
    await _all(cursor, ADMIT, ids=[reading["id"] for reading in readings], instants=[*instants])


async def _settle(cursor: _Cursor, scale: str, taken: Taken, *, settle_s: float, join_s: float) -> None:
    """Decide on all rows of a scale that have not settled, and write what was decided."""
    rows = await _all(cursor, TO_SETTLE, scale=scale)
    if not rows:
        return
    now, window = rows[0]["now"], timedelta(seconds=join_s)
    first, last = rows[0]["received_at"] - window, rows[-1]["received_at"] + window
    sent = await _all(cursor, SETTLED, scale=scale, first=first, last=last)
    decisions = settle(
        [Row(row["id"], row["received_at"], row["payload"], row["action"]) for row in rows],
        [Row(row["id"], row["received_at"], row["payload"]) for row in sent],
        now=now,
        settle_s=settle_s,
        join_s=join_s,
    )
    waits = [(decision.row_id, decision.wait_until) for decision in decisions if decision.wait_until is not None]
    taken.settling.update((row_id, max(0.0, (until - now).total_seconds())) for row_id, until in waits)
    await _wait(cursor, waits)
    made = [decision for decision in decisions if decision.wait_until is None]
    parked = park_without_weight(join_s)
    await _all(
        cursor,
        SETTLE,
        ids=[d.row_id for d in made],
        instants=[d.instant for d in made],
        payloads=[None if d.payload is None else Jsonb(dict(d.payload)) for d in made],
        states=["parked" if d.without_weight else "joined" if d.joined_to else "waiting" for d in made],
        joined=[d.joined_to for d in made],
        faults=[Jsonb(dict(parked.result.body)) if d.without_weight else None for d in made],
    )
    taken.parked.extend((d.row_id, parked) for d in made if d.without_weight)
    taken.joined.extend((d.row_id, d.joined_to) for d in made if d.joined_to)


async def _wait(cursor: _Cursor, waits: Sequence[tuple[int, datetime]]) -> None:
    await _all(cursor, WAIT, ids=[row_id for row_id, _ in waits], untils=[until for _, until in waits])


async def _read(cursor: _Cursor, ids: Collection[int]) -> list[Reading]:
    """The readings that are not done. What is missing was deleted, or done by a job that was killed before it ended."""
    rows = await _all(cursor, READ, ids=[*ids])
    return [row for row in rows if row["state"] not in (*DONE, "parked")]


async def _all(cursor: _Cursor, query: LiteralString, **values: object) -> list[dict[str, Any]]:
    """The rows of a query, which has nothing to do if its first list is empty."""
    if next(iter(values.values())) == []:
        return []
    await cursor.execute(query, values)
    return await cursor.fetchall() if cursor.description else []


def _is_unsettled(reading: Reading) -> bool:
    return not reading["settled"] and reading["revision"] == 0


def _settles_at(reading: Reading, settle_s: float, join_s: float) -> datetime | None:
    if not _is_unsettled(reading):
        return None
    row = Row(reading["id"], reading["received_at"], reading["payload"], reading["action"])
    return not_before(row, now=reading["now"], settle_s=settle_s, join_s=join_s)


def _instant(reading: Reading) -> datetime | None:
    understood = understand(reading["payload"], reading["now"])
    return instant_of(understood) if understood else None
