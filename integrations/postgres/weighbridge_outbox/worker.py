"""The worker: sends the readings of the queue to the function, until Garmin Connect shows them.

Rule: the states of the readings are written before their jobs end. If a worker is killed in between, another takes over
the jobs; the readings are sent again, byte for byte, and the function finds them in Garmin Connect.

Rule: a job that runs takes further due jobs with it, and their readings are one request, settled in one transaction.
So an outbox that was cut off for a month is a few files at Garmin, not hundreds. A reading that may replace what Garmin
holds goes alone. If a whole request is refused for its contents, each reading is sent alone.

Strategy: procrastinate is the queue. It locks, wakes, schedules and detects dead workers. This module takes jobs by
procrastinate's own rule and ends them; `taking.py` says which readings are sent, `verdict.py` what an answer means, and
`pauses.py` when to try again.

Facts (procrastinate 3.10): a job is taken if no other job with its lock runs, or waits with a higher priority or a
lower number. Nothing wakes a worker when a pause ends; a notification of any job does.

Weakness: after Garmin or the function failed with a request, its readings are sent in random company, not one by one.
A file that Garmin never takes holds up others for some attempts, until they are in a request without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import random
import select
import signal
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import psycopg
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Job
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool as Pool

from weighbridge.client import AsyncClient, Reply, Result
from weighbridge.notify.send import Notifier

from .notices import watch
from .pauses import Pauses
from .settings import WorkerSettings
from .taking import Reading, take
from .verdict import NextStep, Pause, is_about_contents, is_shared, judge, judge_each

log = logging.getLogger("weighbridge.worker")

#: The trigger `weighbridge_to_queue` in schema.sql has the same names.
QUEUE = "weighbridge"
TASK = f"{QUEUE}:deliver"

#: Readings in one request.
MOST_READINGS = 50
#: The function accepts 1 MiB; a proxy in front of it may accept less.
MOST_BYTES = 512 * 1024

#: Docker kills a container 10 s after SIGTERM.
STOP_WITHIN_S = 4.0
PAUSE_S = 2.0
#: After a shorter pause, the worker is woken; after a longer one, it looks by itself.
SHORT_PAUSE_S = 120.0
LOOK_EVERY_S = 5.0
HICCUP = Pause(2, 60)

# Readings that go alone are left for a job of their own. If Garmin or the function failed with a reading, it has random
# company the next time: one that always fails must not take the same others with it forever.
CLAIM = """
WITH company AS (
    SELECT job.id FROM procrastinate_jobs AS job
    WHERE job.status = 'todo' AND job.queue_name = 'weighbridge' AND job.task_name = 'weighbridge:deliver'
        AND (job.scheduled_at IS NULL OR job.scheduled_at <= now())
        AND NOT coalesce((SELECT replace OR jsonb_typeof(payload) = 'array' FROM readings
            WHERE readings.id = (job.args->>'reading_id')::bigint), true)
        AND NOT EXISTS (SELECT FROM procrastinate_jobs AS other WHERE other.lock = job.lock AND (
            other.status = 'doing' OR (other.status = 'todo' AND (other.priority > job.priority
                OR (other.priority = job.priority AND other.id < job.id)))))
    ORDER BY job.priority DESC, job.id
    LIMIT coalesce((SELECT CASE
        WHEN replace OR jsonb_typeof(payload) = 'array' THEN 0
        WHEN admitted AND fault->>'blame' IN ('garmin', 'weighbridge') THEN floor(random() * %(most)s)
        ELSE %(most)s - 1 END FROM readings WHERE readings.id = %(reading)s), 0)
    FOR UPDATE OF job SKIP LOCKED
)
UPDATE procrastinate_jobs AS job SET status = 'doing', worker_id = %(worker)s FROM company WHERE job.id = company.id
RETURNING job.id, (job.args->>'reading_id')::bigint AS reading_id, job.attempts
"""

# Only those that this worker still has: another may have taken them for dead.
END = """
DELETE FROM procrastinate_jobs WHERE id = ANY(%(ids)s) AND status = 'doing' AND worker_id = %(worker)s
"""
AGAIN = """
UPDATE procrastinate_jobs AS job SET status = 'todo', attempts = job.attempts + 1,
    scheduled_at = now() + again.pause_s * interval '1 second'
FROM unnest(%(ids)s::bigint[], %(pauses)s::float8[]) AS again (id, pause_s)
WHERE job.id = again.id AND job.status = 'doing' AND job.worker_id = %(worker)s
"""

# Not if a retry or a correction came in the meantime: it has its own job.
RECORD = """
UPDATE readings SET state = step.state, attempts = readings.attempts + 1, attempted_at = now(),
    next_attempt_at = now() + step.pause_s * interval '1 second', replace = readings.replace OR step.replace,
    admitted = readings.admitted AND step.state IN ('waiting', 'accepted'),
    receipt = coalesce(step.receipt, readings.receipt), fault = step.fault
FROM unnest(%(ids)s::bigint[], %(revisions)s::integer[], %(states)s::text[], %(pauses)s::float8[],
    %(replaces)s::boolean[], %(receipts)s::jsonb[], %(faults)s::jsonb[])
    AS step (id, revision, state, pause_s, replace, receipt, fault)
WHERE readings.id = step.id AND readings.revision = step.revision RETURNING readings.id
"""

LATER = """
UPDATE readings SET next_attempt_at = now() + %(pause_s)s * interval '1 second'
WHERE id = ANY(%(ids)s) AND state IN ('waiting', 'accepted', 'kept')
"""

# Any notification of the queue makes its workers look.
WAKE = """SELECT pg_notify('procrastinate_queue_v1#weighbridge', '{"type": "job_inserted", "job_id": 0}')"""


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


class Connection(psycopg.AsyncConnection[Any]):
    """A connection that sleeps until something comes. psycopg looks ten times a second, which a cancelled task does not
    need; so a worker that only listens would wake up 600 times a minute."""

    async def wait(self, gen: Any, interval: float = 60.0, timeout: float | None = None) -> Any:
        return await super().wait(gen, interval, timeout)


class Alarm:
    """Wakes the workers when a short pause ends."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._changed = asyncio.Event()

    def ring_in(self, pause_s: float) -> None:
        # A moment later, so that the job is due; in steps, so that many pauses are a few alarms.
        moment = asyncio.get_running_loop().time() + pause_s + 0.02
        moment = -(-moment * 10 // 1) / 10
        if pause_s <= SHORT_PAUSE_S and moment not in self._moments:
            heapq.heappush(self._moments, moment)
            self._changed.set()

    async def run(self, pool: Pool) -> None:
        """Run until it is cancelled."""
        while True:
            left_s = self._moments[0] - asyncio.get_running_loop().time() if self._moments else None
            if left_s is None or left_s > 0:
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), left_s)
                continue
            heapq.heappop(self._moments)
            with contextlib.suppress(psycopg.Error):  # then the worker finds it when it looks by itself
                async with pool.connection() as connection:
                    await connection.execute(WAKE)


class Claim(NamedTuple):
    """A job that this worker runs."""

    job_id: int
    reading_id: int
    #: Of the job, before this one.
    attempts: int


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends readings to the function, and decides how long to wait in between."""

    client: AsyncClient
    pauses: Pauses
    stalled_s: float
    settle_s: float
    join_s: float
    alarm: Alarm = field(default_factory=Alarm)
    #: Set when jobs could not be given back, so that the worker must be restarted.
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, readings: Sequence[Reading]) -> list[tuple[Reading, NextStep]]:
        """Make one attempt with each, in as few requests as possible."""
        return await self._send(requests(readings))

    async def _send(self, groups: Sequence[Sequence[Reading]]) -> list[tuple[Reading, NextStep]]:
        steps: list[tuple[Reading, NextStep]] = []
        refused: Reply | None = None
        for together in groups:
            if refused is None:
                reply = await self._post(together)
                if len(together) > 1 and is_about_contents(reply):
                    steps += await self._send([[reading] for reading in together])
                    continue
                results = [reply] if goes_alone(together[0]) else judge_each(reply, len(together))
            else:
                # What the last request was refused for, this one would be refused for, too.
                reply, results = refused, [refused] * len(together)
            made = [_judge(reading, result) for reading, result in zip(together, results, strict=True)]
            steps += zip(together, made, strict=True)
            if refused is None:
                shared = is_shared(reply, made)
                self.pauses.hear(made, shared=shared)
                refused = reply if shared and not reply.ok else None
        return steps

    async def _post(self, together: Sequence[Reading]) -> Reply:
        if goes_alone(together[0]):
            (reading,) = together
            return await self.client.post(reading["text"], replace=reading["replace"], person=reading["person"])
        return await self.client.post_lines([reading["text"].encode() for reading in together])


def requests(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Readings -> those of each request, in their order."""
    groups: list[list[Reading]] = []
    size = 0
    for reading in readings:
        length = len(reading["text"].encode()) + 1
        alone = goes_alone(reading) or not groups or goes_alone(groups[-1][0])
        if alone or size + length > MOST_BYTES or len(groups[-1]) == MOST_READINGS:
            groups.append([])
            size = 0
        groups[-1].append(reading)
        size += length
    return groups


def goes_alone(reading: Reading) -> bool:
    """Whether a reading has a request of its own: it may replace what Garmin holds, somebody said whose it is, or it is
    a list."""
    return bool(reading["replace"] or reading["person"] or reading["kind"] == "array")


def _judge(reading: Reading, result: Result) -> NextStep:
    deleted_before = reading["action"] == "take_back" and reading["admitted"]
    return judge(result, replaced=reading["replace"], deleted_before=deleted_before)


async def deliver(context: JobContext, *, reading_id: int) -> None:
    """The job: one attempt with one reading, and with others that are due."""
    sender: Sender = context.additional_context["sender"]
    pool = cast(PsycopgConnector, context.app.connector).pool
    batch = Batch(pool, context.job.worker_id, [Claim(context.job.id or 0, reading_id, context.job.attempts)])
    # What was sent again by hand waits for nothing.
    closed_s = 0.0 if context.job.priority > 0 else sender.pauses.left_s
    try:
        await batch.take_company()
        pause_s = await (batch.put_off(closed_s) if closed_s else batch.attempt(sender))
    except BaseException:
        # An attempt may have been made, as if the worker had been killed.
        try:
            await batch.give_back()
        except psycopg.Error:
            sender.lost.set()
        raise
    for each_s in {each_s for each_s in batch.pauses.values() if each_s is not None}:
        sender.alarm.ring_in(each_s)
    if pause_s is not None:
        raise NotYet(pause_s)


@dataclass
class Batch:
    """The jobs of one request. procrastinate ends the first one, this class the others."""

    pool: Pool
    worker_id: int | None
    claims: list[Claim]
    #: Reading -> the seconds until its next attempt; None if its job ends.
    pauses: dict[int, float | None] = field(default_factory=dict)

    async def take_company(self) -> None:
        """Claim further jobs that are due."""
        values = {"most": MOST_READINGS, "reading": self.claims[0].reading_id, "worker": self.worker_id}
        with contextlib.suppress(psycopg.errors.UniqueViolation):  # another worker was faster
            async with self.pool.connection() as connection:
                rows = await (await connection.execute(CLAIM, values)).fetchall()
                self.claims += sorted(map(Claim._make, rows), key=lambda claim: claim.reading_id)

    async def attempt(self, sender: Sender) -> float | None:
        """Send what is to be sent, record what became of it, and return the pause of the first reading."""
        ids = [claim.reading_id for claim in self.claims]
        async with self.pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            taken = await take(cursor, ids, settle_s=sender.settle_s, join_s=sender.join_s)
        for reading_id, step in taken.parked:
            log.error("reading %d: %s", reading_id, step.name)
        for reading_id, carrier in taken.joined:
            log.info("reading %d: joined to %d", reading_id, carrier)
        steps = taken.held_back + await sender.send(taken.to_send)
        # A job that waited for more messages has been run before its first attempt.
        attempts = {claim.reading_id: claim.attempts for claim in self.claims}
        pauses = sender.pauses.of([(step, min(attempts[r["id"]], r["attempts"])) for r, step in steps])
        self.pauses = {**dict.fromkeys(ids), **taken.settling}
        async with self.pool.connection() as connection:
            recorded = await _record(connection, steps, pauses)
            self.pauses.update(
                {
                    reading["id"]: pause_s
                    for (reading, _), pause_s in zip(steps, pauses, strict=True)
                    if reading["id"] in recorded
                }
            )
            await self._end_others(connection)
        for (reading, step), pause_s in zip(steps, pauses, strict=True):
            when = "" if pause_s is None else f", again in {pause_s:.0f} s"
            log.log(logging.ERROR if step.loud else logging.INFO, "reading %d: %s%s", reading["id"], step.name, when)
        return self.pauses[ids[0]]

    async def put_off(self, pause_s: float) -> float:
        """Put all off, without an attempt."""
        self.pauses = {claim.reading_id: pause_s for claim in self.claims}
        async with self.pool.connection() as connection:
            await connection.execute(LATER, {"ids": [*self.pauses], "pause_s": pause_s})
            await self._end_others(connection)
        return pause_s

    async def give_back(self) -> None:
        """Queue the others again after an attempt that failed."""
        self.pauses = {claim.reading_id: HICCUP.after(claim.attempts) for claim in self.claims}
        async with self.pool.connection() as connection:
            await self._end_others(connection)

    async def _end_others(self, connection: psycopg.AsyncConnection[Any]) -> None:
        others = [(claim.job_id, self.pauses[claim.reading_id]) for claim in self.claims[1:]]
        again = [(job_id, pause_s) for job_id, pause_s in others if pause_s is not None]
        if done := [job_id for job_id, pause_s in others if pause_s is None]:
            await connection.execute(END, {"ids": done, "worker": self.worker_id})
        if again:
            ids, pauses = zip(*again, strict=True)
            await connection.execute(AGAIN, {"ids": [*ids], "pauses": [*pauses], "worker": self.worker_id})


async def _record(
    connection: psycopg.AsyncConnection[Any],
    steps: Sequence[tuple[Reading, NextStep]],
    pauses: Sequence[float | None],
) -> set[int]:
    """Write the results, and return the readings whose result was written."""
    if not steps:
        return set()
    values = {
        "ids": [reading["id"] for reading, _ in steps],
        "revisions": [reading["revision"] for reading, _ in steps],
        "states": [step.state for _, step in steps],
        "pauses": [*pauses],
        "replaces": [step.replace for _, step in steps],
        "receipts": [Jsonb(step.result.body) if step.result.ok else None for _, step in steps],
        "faults": [None if step.result.ok else Jsonb(step.result.body) for _, step in steps],
    }
    rows = await (await connection.execute(RECORD, values)).fetchall()
    return {reading_id for (reading_id,) in rows}


async def take_up_stalled(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Queue the jobs of workers that no longer give a sign of life."""
    sender: Sender = context.additional_context["sender"]
    for job in await context.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=sender.stalled_s):
        if job.id != context.job.id:
            with contextlib.suppress(ProcrastinateException):  # another worker was faster
                await context.app.job_manager.retry_job(job)
                log.warning("job %s of a dead worker is taken over", job.id)


async def check(connection: psycopg.AsyncConnection[Any]) -> None:
    """Whether a connection of the pool is still there, asked of Postgres only if its socket has something to say: the
    end, if Postgres ended it. procrastinate asks each time: of six answers for which a reading waits, this is one."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await Pool.check_connection(connection)


def make_pool(**arguments: Any) -> Pool:
    return Pool(**(arguments | {"check": check}))  # procrastinate passes its own


def make_app(database_url: str, *, connections: int, stalled_s: float) -> App:
    connector = PsycopgConnector(
        pool_factory=make_pool,
        conninfo=database_url,
        connection_class=Connection,
        min_size=1,
        max_size=connections,
    )
    app = App(connector=connector)
    app.task(name=TASK, queue=QUEUE, pass_context=True, retry=RetryAsDecided())(deliver)
    stalled = app.task(name=f"{QUEUE}:stalled", queue=QUEUE, queueing_lock="stalled", pass_context=True)
    every_s = min(max(round(stalled_s / 2), 1), 30)
    app.periodic(cron=f"* * * * * */{every_s}")(stalled(take_up_stalled))  # the sixth field is seconds
    return app


async def run(settings: WorkerSettings) -> None:
    """Run until a signal stops it. If Postgres is down, wait for it."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    pauses = Pauses(settings.longest_pause_s, random.Random())  # noqa: S311 - jitter
    notifier = Notifier(settings.notify, with_values=settings.notify_values) if settings.notify else None
    if notifier:
        notifier.check()
    async with AsyncClient(settings.function) as client:
        while not stopping.is_set():
            sender = Sender(client, pauses, settings.stalled_s, settings.settle_s, settings.join_s)
            try:
                app = make_app(
                    settings.database_url, connections=settings.concurrency + 3, stalled_s=settings.stalled_s
                )
                await _work(app, sender, settings, notifier, stopping)
            except (psycopg.Error, ProcrastinateException) as e:
                log.error("Postgres is down, or its tables are missing: %s", type(e).__name__)  # noqa: TRY400 - its text may hold a row
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PAUSE_S)


async def _work(
    app: App, sender: Sender, settings: WorkerSettings, notifier: Notifier | None, stopping: asyncio.Event
) -> None:
    async with app.open_async():
        pool = cast(PsycopgConnector, app.connector).pool
        working = asyncio.create_task(
            app.run_worker_async(
                queues=[QUEUE],
                concurrency=settings.concurrency,
                fetch_job_polling_interval=LOOK_EVERY_S,
                shutdown_graceful_timeout=STOP_WITHIN_S,
                delete_jobs="always",  # `readings` keeps the history
                install_signal_handlers=False,
                update_heartbeat_interval=sender.stalled_s / 4,
                stalled_worker_timeout=sender.stalled_s,
                additional_context={"sender": sender},
            )
        )
        aside = [asyncio.create_task(sender.alarm.run(pool))]
        if notifier:
            every_s, silent_days = settings.notify_every_s, settings.silent_days
            aside += [asyncio.create_task(watch(pool, notifier, every_s=every_s, silent_days=silent_days))]
        ends = [asyncio.create_task(event.wait()) for event in (stopping, sender.lost)]
        await asyncio.wait((working, *ends), return_when=asyncio.FIRST_COMPLETED)
        for task in (*aside, *ends):
            task.cancel()
        if notifier:
            notifier.stop()
        if stopping.is_set() or sender.lost.is_set():
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
