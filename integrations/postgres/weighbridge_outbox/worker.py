"""The worker: sends each reading of the queue to the function, until Garmin Connect shows it.

Rule: the reading's state is written before the job ends. If a worker is killed in between, another takes over the job;
the reading is sent again, byte for byte, and the function finds it in Garmin Connect.

Rule: what is sent is decided in one transaction before the first attempt (`settling.py`), and only a correction changes
it later. Of the readings of one scale that are at most the window apart, only one at a time is on its way to Garmin:
two at once would both look there, find nothing, and become two weigh-ins. `admitted` marks the one. It stays marked
while the result is unknown, so it is the one that is sent again after a worker was killed.

Strategy: procrastinate is the queue. It locks, wakes, schedules and detects dead workers. This module only handles one
reading, and `verdict.py` says when to try again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Job
from psycopg import AsyncCursor
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from weighbridge.client import AsyncClient, Result
from weighbridge.reading.interpret import has_time

from .connection import SleepingConnection
from .settings import WorkerSettings
from .settling import Decision, Row, could_be_one, instant_of, settle, understand
from .verdict import DONE, NextStep, Pause, judge, judge_again, park_without_weight, wait_for_earlier

log = logging.getLogger("weighbridge.worker")

#: The trigger `weighbridge_to_queue` in schema.sql has the same names.
QUEUE = "weighbridge"

#: Docker kills a container 10 s after SIGTERM.
STOP_WITHIN_S = 4.0
PAUSE_S = 2.0
HICCUP = Pause(2, 60)

TAKE = """
SELECT id, state, revision, replace, settled, admitted, action, attempts, payload, payload::text AS text,
    coalesce(scale, source) AS scale, now() AS now FROM readings WHERE id = %(id)s
"""

# Held until the transaction ends, so that the readings of one scale are decided on one after the other.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('weighbridge scale'), hashtext(%(scale)s))"

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
UPDATE readings SET settled = true, instant = %(instant)s, payload = coalesce(%(payload)s, payload),
    state = %(state)s, joined_to = %(joined_to)s, fault = %(fault)s, next_attempt_at = NULL
WHERE id = %(id)s
"""

WAIT = "UPDATE readings SET next_attempt_at = %(until)s WHERE id = %(id)s"

# An earlier reading with the same values: one that has arrived is preferred, then one that is not parked. What was
# replaced or deleted in between may be sent again.
RECEIVED_BEFORE = """
SELECT other.state, other.receipt FROM readings AS reading JOIN readings AS other USING (key)
WHERE reading.id = %(id)s AND other.id < reading.id AND reading.action = 'weigh_in' AND NOT EXISTS (
    SELECT FROM readings AS change WHERE coalesce(change.scale, change.source) = %(scale)s
        AND change.action <> 'weigh_in' AND change.id > other.id AND change.id < reading.id)
ORDER BY other.state IN ('confirmed', 'present') DESC, other.state <> 'parked' DESC, other.id LIMIT 1
"""

# Other readings of the scale that may go first: on their way, or older. A deletion waits for all older readings, and
# younger ones wait for it. Three parts, so that each has an index, however many readings wait.
MAY_GO_FIRST = """
SELECT other.payload, other.instant = reading.instant OR 'take_back' IN (reading.action, other.action) AS certainly
FROM readings AS reading JOIN readings AS other ON coalesce(other.scale, other.source) = %(scale)s
    AND other.instant BETWEEN reading.instant - %(join_s)s * interval '1 second'
        AND reading.instant + %(join_s)s * interval '1 second'
WHERE reading.id = %(id)s AND other.id <> reading.id
    AND (other.admitted OR (other.id < reading.id AND other.state IN ('waiting', 'accepted')))
UNION ALL
SELECT NULL, true FROM readings AS other
WHERE coalesce(other.scale, other.source) = %(scale)s AND other.id < %(id)s AND other.action <> 'weigh_in'
    AND other.action = 'take_back' AND other.state IN ('waiting', 'accepted')
UNION ALL
SELECT NULL, true FROM readings AS reading JOIN readings AS other
    ON coalesce(other.scale, other.source) = %(scale)s AND other.id < reading.id
WHERE reading.id = %(id)s AND reading.action = 'take_back' AND other.state IN ('waiting', 'accepted')
"""

ADMIT = "UPDATE readings SET admitted = true, instant = coalesce(instant, %(instant)s) WHERE id = %(id)s"

# Not if a retry or a correction came in the meantime: it has its own job.
RECORD = """
UPDATE readings SET state = %(state)s, attempts = attempts + 1, attempted_at = now(),
    next_attempt_at = now() + %(pause_s)s * interval '1 second', replace = replace OR %(replace)s,
    admitted = admitted AND %(state)s IN ('waiting', 'accepted'),
    receipt = coalesce(%(receipt)s, receipt), fault = %(fault)s
WHERE id = %(id)s AND revision = %(revision)s RETURNING id
"""


class NotYet(Exception):
    """The reading has not arrived; run the job again after the pause."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(f"again in {pause_s:.0f} s")
        self.pause_s = pause_s


class RetryAsDecided(BaseRetryStrategy):
    """Retry when `NotYet` says so, and soon after any other exception, such as a lost database or a shutdown."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, NotYet):
            return RetryDecision(retry_in={"milliseconds": round(1000 * exception.pause_s)})
        # The place, but not the text, which may hold a row.
        where = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(exception.__traceback__)]
        log.error("an attempt failed with %s (%s) and is repeated", type(exception).__name__, " ".join(where[-3:]))
        return RetryDecision(retry_in={"milliseconds": round(1000 * HICCUP.after(job.attempts))})


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends readings to the function, and decides how long to wait in between."""

    client: AsyncClient
    longest_pause_s: float
    stalled_s: float
    settle_s: float
    join_s: float
    dice: random.Random

    async def send(self, reading: Mapping[str, Any]) -> NextStep:
        """Make one attempt."""
        result = await self.client.post(reading["text"], replace=reading["replace"])
        deleted_before = reading["action"] == "take_back" and reading["admitted"]
        return judge(result, replaced=reading["replace"], deleted_before=deleted_before)

    def pause_s(self, verdict: NextStep, attempts: int) -> float | None:
        """The pause: at least Retry-After, and random, since many readings wait for the same moment."""
        if verdict.pause is None:
            return None
        if (asked_s := verdict.result.retry_after_s) is not None:
            pause_s = asked_s + self.dice.uniform(0, 1 + asked_s / 10)
        else:
            pause_s = verdict.pause.after(attempts) * self.dice.uniform(0.5, 1)
        return min(pause_s, self.longest_pause_s)


async def deliver(context: JobContext, *, reading_id: int) -> None:
    """The job: one attempt with one reading."""
    sender: Sender = context.additional_context["sender"]
    database = cast(PsycopgConnector, context.app.connector)
    async with database.pool.connection() as connection, connection.transaction():
        reading = await _take(connection.cursor(row_factory=dict_row), reading_id, sender)
    if reading is None:
        return
    if isinstance(reading, float):
        raise NotYet(reading)
    verdict = reading.get("verdict") or await sender.send(reading)
    # A job that waited for more messages has been run before its first attempt.
    pause_s = sender.pause_s(verdict, min(context.job.attempts, reading["attempts"]))
    recorded = await database.execute_query_all_async(
        RECORD,
        id=reading_id,
        revision=reading["revision"],
        state=verdict.state,
        pause_s=pause_s,
        replace=verdict.replace,
        receipt=verdict.result.body if verdict.result.ok else None,
        fault=None if verdict.result.ok else verdict.result.body,
    )
    when = "" if pause_s is None else f", again in {pause_s:.0f} s"
    log.log(logging.ERROR if verdict.loud else logging.INFO, "reading %d: %s%s", reading_id, verdict.name, when)
    if recorded and pause_s is not None:
        raise NotYet(pause_s)


async def _take(cursor: AsyncCursor[dict[str, Any]], reading_id: int, sender: Sender) -> dict[str, Any] | float | None:
    """The reading to send; None if there is nothing to do; the seconds until it settles; or, under "verdict", why it
    is not sent now."""
    reading = await _one(cursor, TAKE, id=reading_id)
    if reading is None or reading["state"] in (*DONE, "parked"):
        return None  # deleted, or done by a job that was killed before it ended
    if reading["admitted"]:
        return reading  # an earlier attempt with it may have succeeded
    await cursor.execute(LOCK, {"scale": reading["scale"]})
    if not reading["settled"] and reading["revision"] == 0:
        decisions = await _settle(cursor, reading["scale"], sender)
        if (decision := decisions.get(reading_id)) and decision.wait_until:
            await cursor.execute(WAIT, {"id": reading_id, "until": decision.wait_until})
            wait_s: float = (decision.wait_until - reading["now"]).total_seconds()
            return max(0.0, wait_s)
    # Again, as it may have waited for the lock.
    reading = await _one(cursor, TAKE, id=reading_id)
    if reading is None or reading["state"] in (*DONE, "parked"):
        return None
    values = {"id": reading_id, "scale": reading["scale"], "join_s": sender.join_s}
    instant = None
    # A retry or a correction is always sent.
    if reading["revision"] == 0:
        if verdict := await _received_before(cursor, reading, values):
            return reading | {"verdict": verdict}
        others = await (await cursor.execute(MAY_GO_FIRST, values)).fetchall()
        if any(
            other["certainly"] or could_be_one(reading["payload"], other["payload"], sender.join_s) for other in others
        ):
            return reading | {"verdict": wait_for_earlier(reading["state"])}
    elif understood := understand(reading["payload"], reading["now"]):
        instant = instant_of(understood)
    await cursor.execute(ADMIT, {"id": reading_id, "instant": instant})
    return reading


async def _settle(cursor: AsyncCursor[dict[str, Any]], scale: str, sender: Sender) -> dict[int, Decision]:
    """Decide on all rows of a scale that have not settled, and write what was decided."""
    rows = await (await cursor.execute(TO_SETTLE, {"scale": scale})).fetchall()
    if not rows:
        return {}
    window = timedelta(seconds=sender.join_s)
    around = {"first": rows[0]["received_at"] - window, "last": rows[-1]["received_at"] + window}
    sent = await (await cursor.execute(SETTLED, {"scale": scale, **around})).fetchall()
    decisions = settle(
        [Row(row["id"], row["received_at"], row["payload"], row["action"]) for row in rows],
        [Row(row["id"], row["received_at"], row["payload"]) for row in sent],
        now=rows[0]["now"],
        settle_s=sender.settle_s,
        join_s=sender.join_s,
    )
    for decision in decisions:
        if decision.wait_until is not None:
            continue
        parked = park_without_weight(sender.join_s) if decision.without_weight else None
        await cursor.execute(
            SETTLE,
            {
                "id": decision.row_id,
                "instant": decision.instant,
                "payload": None if decision.payload is None else Jsonb(dict(decision.payload)),
                "state": "parked" if parked else "joined" if decision.joined_to else "waiting",
                "joined_to": decision.joined_to,
                "fault": Jsonb(dict(parked.result.body)) if parked else None,
            },
        )
        if parked:
            log.error("reading %d: %s", decision.row_id, parked.name)
        elif decision.joined_to:
            log.info("reading %d: joined to %d", decision.row_id, decision.joined_to)
    return {decision.row_id: decision for decision in decisions}


async def _received_before(
    cursor: AsyncCursor[dict[str, Any]], reading: Mapping[str, Any], values: Mapping[str, object]
) -> NextStep | None:
    # Without a time, the same values may be another weigh-in.
    payload = reading["payload"]
    if isinstance(payload, dict) and not has_time(payload):
        return None
    earlier = await _one(cursor, RECEIVED_BEFORE, **values)
    return judge_again(earlier["state"], Result(earlier["receipt"] or {})) if earlier else None


async def _one(cursor: AsyncCursor[dict[str, Any]], query: LiteralString, **values: object) -> dict[str, Any] | None:
    return await (await cursor.execute(query, values)).fetchone()


async def take_up_stalled(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Queue the jobs of workers that no longer give a sign of life."""
    sender: Sender = context.additional_context["sender"]
    for job in await context.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=sender.stalled_s):
        if job.id != context.job.id:
            with contextlib.suppress(ProcrastinateException):  # another worker was faster
                await context.app.job_manager.retry_job(job)
                log.warning("job %s of a dead worker is taken over", job.id)


def make_app(database_url: str, *, connections: int) -> App:
    app = App(
        connector=PsycopgConnector(
            conninfo=database_url, min_size=1, max_size=connections, connection_class=SleepingConnection
        )
    )
    app.task(name=f"{QUEUE}:deliver", queue=QUEUE, pass_context=True, retry=RetryAsDecided())(deliver)
    stalled = app.task(name=f"{QUEUE}:stalled", queue=QUEUE, queueing_lock="stalled", pass_context=True)
    app.periodic(cron="* * * * * */10")(stalled(take_up_stalled))  # the sixth field is seconds
    return app


async def run(settings: WorkerSettings) -> None:
    """Run until a signal stops it. If Postgres is down, wait for it."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with AsyncClient(settings.function) as client:
        sender = Sender(
            client,
            settings.longest_pause_s,
            settings.stalled_s,
            settings.settle_s,
            settings.join_s,
            random.Random(),  # noqa: S311 - jitter
        )
        while not stopping.is_set():
            try:
                app = make_app(settings.database_url, connections=settings.concurrency + 2)
                await _work(app, sender, settings.concurrency, stopping)
            except (psycopg.Error, ProcrastinateException) as e:
                log.error("Postgres is down, or its tables are missing: %s", type(e).__name__)  # noqa: TRY400 - its text may hold a row
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PAUSE_S)


async def _work(app: App, sender: Sender, concurrency: int, stopping: asyncio.Event) -> None:
    async with app.open_async():
        working = asyncio.create_task(
            app.run_worker_async(
                queues=[QUEUE],
                concurrency=concurrency,
                fetch_job_polling_interval=1.0,  # nothing wakes a worker when a pause ends
                shutdown_graceful_timeout=STOP_WITHIN_S,
                delete_jobs="always",  # `readings` keeps the history
                install_signal_handlers=False,
                update_heartbeat_interval=sender.stalled_s / 4,
                stalled_worker_timeout=sender.stalled_s,
                additional_context={"sender": sender},
            )
        )
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if stopping.is_set():
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
