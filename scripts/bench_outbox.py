"""How much the outbox costs beyond its queue: its readings per second compared with procrastinate and an empty task.

Strategy: both get the same number of workers with the same concurrency. The function answers at once, so that only the
outbox is measured. All jobs are inserted in one transaction, after all workers have started.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from procrastinate import App, PsycopgConnector

ROOT = Path(__file__).parent.parent
RECEIPT = '{"status": "confirmed", "final": true}'
CONFIRMING_FUNCTION = f"def handle(request):\n    request.get_data()\n    return {RECEIPT!r}, 201\n"
READINGS = 1_000
ROUNDS = 3
CONCURRENCY = 4
WORKERS = (1, 2, 4)

FILL_BARE = """
SELECT procrastinate_defer_jobs_v1(array_agg(ROW('bare', 'empty', 0, NULL, NULL, jsonb_build_object('n', n), NULL)
    ::procrastinate_job_to_defer_v1)) FROM generate_series(1, %s) AS n
"""
FILL_OUTBOX = """
INSERT INTO readings (source, payload)
SELECT 'bench', jsonb_build_object('weight', 81.4, 'measured_at', to_timestamp(1.7e9 + 60 * n)::text)
FROM generate_series(1, %s) AS n
"""
LEFT = "SELECT count(*) FROM procrastinate_jobs WHERE task_name IN ('empty', 'weighbridge:deliver')"


def measure(database: str, function: str) -> dict[int, tuple[float, float]]:
    """Number of workers -> jobs per second of the bare queue, and readings per second of the outbox."""
    environment = os.environ | {
        "DATABASE_URL": database,
        "WEIGHBRIDGE_URL": function,
        "OUTBOX_CONCURRENCY": str(CONCURRENCY),
    }
    migrate = [sys.executable, "-m", "weighbridge", "outbox", "migrate"]
    subprocess.run(migrate, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    contestants = (
        (("-m", "scripts.bench_outbox"), FILL_BARE),
        (("-m", "weighbridge", "outbox", "worker"), FILL_OUTBOX),
    )
    rates: dict[int, tuple[float, float]] = {}
    for number in WORKERS:
        rounds = [
            [rate(database, program, fill, number, environment) for program, fill in contestants] for _ in range(ROUNDS)
        ]
        bare, ours = (statistics.median(round_[i] for round_ in rounds) for i in range(2))
        rates[number] = (bare, ours)
    return rates


def rate(database: str, program: tuple[str, ...], fill: str, number: int, environment: Mapping[str, str]) -> float:
    with psycopg.connect(database, autocommit=True) as connection, running(program, number, environment):
        wait_until_count(connection, "SELECT count(*) FROM procrastinate_workers", number)
        started = time.perf_counter()
        connection.execute(fill.encode(), [READINGS])
        wait_until_count(connection, LEFT, 0)
        taken_s = time.perf_counter() - started
        connection.execute("TRUNCATE readings")
    return READINGS / taken_s


@contextmanager
def running(program: tuple[str, ...], number: int, environment: Mapping[str, str]) -> Iterator[None]:
    processes = [
        subprocess.Popen([sys.executable, *program], env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
        for _ in range(number)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def wait_until_count(connection: psycopg.Connection[tuple[object, ...]], query: str, count: int) -> None:
    deadline = time.perf_counter() + 120
    while connection.execute(query.encode()).fetchone() != (count,):
        if time.perf_counter() > deadline:
            raise RuntimeError("the workers did not finish within 120 s")
        time.sleep(0.01)


def bare_worker(database: str) -> None:
    """Run the queue as its documentation sets it up, with a task that does nothing."""
    app = App(connector=PsycopgConnector(conninfo=database, min_size=1, max_size=CONCURRENCY + 2))

    @app.task(name="empty", queue="bare")
    async def empty(n: int) -> None:
        pass

    async def run() -> None:
        async with app.open_async():
            await app.run_worker_async(concurrency=CONCURRENCY, delete_jobs="always", fetch_job_polling_interval=1.0)

    asyncio.run(run())


if __name__ == "__main__":
    bare_worker(os.environ["DATABASE_URL"])
