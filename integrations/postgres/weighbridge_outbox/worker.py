"""The worker: sends each reading of the queue to the function, until Garmin Connect shows it.

Rule: the reading's state is written before the job ends. If a worker is killed in between, another takes over the job;
the reading is sent again, byte for byte, and the function finds it in Garmin Connect.

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
from pathlib import Path
from typing import Any

import psycopg
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Job

from weighbridge.client import AsyncClient, Result
from weighbridge.reading.interpret import has_time

from .settings import WorkerSettings
from .verdict import ARRIVED, NextStep, Pause, judge, judge_again

log = logging.getLogger("weighbridge.worker")

#: The trigger `weighbridge_to_queue` in schema.sql has the same names.
QUEUE = "weighbridge"

#: Docker kills a container 10 s after SIGTERM.
STOP_WITHIN_S = 4.0
PAUSE_S = 2.0
HICCUP = Pause(2, 60)

# With the earlier reading of the same values, if any: one that has arrived is preferred, then one that is not parked.
TAKE = """
SELECT reading.state, revision, replace, payload::text AS payload, received,
    earlier.state AS earlier_state, earlier.receipt AS earlier_receipt
FROM readings AS reading LEFT JOIN LATERAL (
    SELECT state, receipt FROM readings AS other WHERE other.key = reading.key AND other.id < reading.id
    ORDER BY state IN ('confirmed', 'present') DESC, state <> 'parked' DESC, id LIMIT 1
) AS earlier ON true
WHERE reading.id = %(id)s
"""

# Not if a retry or a correction came in the meantime: it has its own job.
SETTLE = """
UPDATE readings SET state = %(state)s, attempts = attempts + 1, attempted_at = now(),
    next_attempt_at = now() + %(pause_s)s * interval '1 second',
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
    dice: random.Random

    async def send(self, reading: Mapping[str, Any]) -> NextStep:
        """Make one attempt, unless an earlier reading with the same values has arrived or is still being sent."""
        if (verdict := _received_before(reading)) is not None:
            return verdict
        return judge(await self.client.post(reading["payload"], replace=reading["replace"]))

    def pause_s(self, verdict: NextStep, attempts: int) -> float | None:
        """The pause: at least Retry-After, and random, since many readings wait for the same moment."""
        if verdict.pause is None:
            return None
        if (asked_s := verdict.result.retry_after_s) is not None:
            pause_s = asked_s + self.dice.uniform(0, 1 + asked_s / 10)
        else:
            pause_s = verdict.pause.after(attempts) * self.dice.uniform(0.5, 1)
        return min(pause_s, self.longest_pause_s)


def _received_before(reading: Mapping[str, Any]) -> NextStep | None:
    # A retry or a correction is always sent.
    if reading["earlier_state"] is None or reading["revision"] > 0:
        return None
    # Without a time, the same values may be another weigh-in.
    received = reading["received"]
    if isinstance(received, dict) and not has_time(received):
        return None
    return judge_again(reading["earlier_state"], Result(reading["earlier_receipt"] or {}))


async def deliver(context: JobContext, *, reading_id: int) -> None:
    """The job: one attempt with one reading."""
    sender: Sender = context.additional_context["sender"]
    database = context.app.connector
    rows = await database.execute_query_all_async(TAKE, id=reading_id)
    if not rows or rows[0]["state"] in (*ARRIVED, "parked"):
        return  # deleted, or done by a job that was killed before it ended
    (reading,) = rows
    verdict = await sender.send(reading)
    pause_s = sender.pause_s(verdict, context.job.attempts)
    settled = await database.execute_query_all_async(
        SETTLE,
        id=reading_id,
        revision=reading["revision"],
        state=verdict.state,
        pause_s=pause_s,
        receipt=verdict.result.body if verdict.result.ok else None,
        fault=None if verdict.result.ok else verdict.result.body,
    )
    when = "" if pause_s is None else f", again in {pause_s:.0f} s"
    log.log(logging.ERROR if verdict.loud else logging.INFO, "reading %d: %s%s", reading_id, verdict.name, when)
    if settled and pause_s is not None:
        raise NotYet(pause_s)


async def take_up_stalled(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Queue the jobs of workers that no longer give a sign of life."""
    sender: Sender = context.additional_context["sender"]
    for job in await context.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=sender.stalled_s):
        if job.id != context.job.id:
            with contextlib.suppress(ProcrastinateException):  # another worker was faster
                await context.app.job_manager.retry_job(job)
                log.warning("job %s of a dead worker is taken over", job.id)


def make_app(database_url: str, *, connections: int) -> App:
    app = App(connector=PsycopgConnector(conninfo=database_url, min_size=1, max_size=connections))
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
        sender = Sender(client, settings.longest_pause_s, settings.stalled_s, random.Random())  # noqa: S311 - jitter
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
