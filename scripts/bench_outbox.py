"""What the outbox costs: readings per second compared with procrastinate and an empty task, `status` over many rows,
and the wake-ups of a worker that has nothing to do.

Strategy: both queues get the same number of workers with the same concurrency. The function answers at once, so that
only the outbox is measured. All jobs are inserted in one transaction, after all workers have started.
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

from weighbridge_outbox import commands

ROOT = Path(__file__).parent.parent
RECEIPT = '{"status": "confirmed", "final": true}'
CONFIRMING_FUNCTION = f"""
def handle(request):
    lines = request.get_data().count(b"\\n") + 1
    return '{{"results": [' + ", ".join([{RECEIPT!r}] * lines) + "]}}", 200
"""
READINGS = 1_000
OLD_ROWS = 1_000_000
IDLE_S = 60
ROUNDS = 3
CONCURRENCY = 4
WORKERS = (1, 2, 4)

FILL_BARE = """
SELECT procrastinate_defer_jobs_v1(array_agg(ROW('bare', 'empty', 0, NULL, NULL, jsonb_build_object('n', n), NULL)
    ::procrastinate_job_to_defer_v1)) FROM generate_series(1, %s) AS n
"""
# An hour apart: those of one minute would go in turn.
FILL_OUTBOX = """
INSERT INTO readings (source, payload)
SELECT 'bench', jsonb_build_object('weight', 81.4, 'measured_at', to_timestamp(1.7e9 + 3600 * n)::text)
FROM generate_series(1, %s) AS n
"""
FILL_OLD = """
INSERT INTO readings (source, received_at, received, payload, key, state, settled, instant)
SELECT 'bench', to_timestamp(1.7e9 + 60 * n), '{}', '{}', md5(n::text),
    CASE WHEN n %% 20000 = 0 THEN 'parked' WHEN n %% 10 = 0 THEN 'present' WHEN n %% 3 = 0 THEN 'joined'
    ELSE 'confirmed' END, true, to_timestamp(1.7e9 + 60 * n)
FROM generate_series(1, %s) AS n
"""
LEFT = "SELECT count(*) FROM procrastinate_jobs WHERE task_name IN ('empty', 'weighbridge:deliver')"


WORKER = ("-m", "weighbridge", "outbox", "worker")


def measure(database: str, function: str) -> dict[int, tuple[float, float]]:
    """Number of workers -> jobs per second of the bare queue, and readings per second of the outbox."""
    environment = environment_of(database, function)
    contestants = ((("-m", "scripts.bench_outbox"), FILL_BARE), (WORKER, FILL_OUTBOX))
    rates: dict[int, tuple[float, float]] = {}
    for number in WORKERS:
        rounds = [
            [rate(database, program, fill, number, environment) for program, fill in contestants] for _ in range(ROUNDS)
        ]
        bare, ours = (statistics.median(round_[i] for round_ in rounds) for i in range(2))
        rates[number] = (bare, ours)
    return rates


def environment_of(database: str, function: str) -> dict[str, str]:
    """The environment of the outbox's programs. Its tables are there afterwards."""
    environment = os.environ | {
        "DATABASE_URL": database,
        "WEIGHBRIDGE_URL": function,
        "OUTBOX_CONCURRENCY": str(CONCURRENCY),
    }
    migrate = [sys.executable, "-m", "weighbridge", "outbox", "migrate"]
    subprocess.run(migrate, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return environment


def status_ms(database: str, function: str) -> float:
    """How long `status` takes with many old rows, without the start of the program; the best of several."""
    environment_of(database, function)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE readings DISABLE TRIGGER USER")
        connection.execute(FILL_OLD.encode(), [OLD_ROWS])
        connection.execute("ALTER TABLE readings ENABLE TRIGGER USER")
        connection.execute("VACUUM ANALYZE readings")  # as autovacuum does
        taken = []
        for _ in range(7):
            started = time.perf_counter()
            commands.status(connection)
            taken.append(time.perf_counter() - started)
        connection.execute("TRUNCATE readings")
    return 1000 * min(taken)


def wake_ups_per_minute(database: str, function: str) -> float:
    """How often a worker that has nothing to do wakes up: its voluntary context switches."""
    with running(WORKER, 1, environment_of(database, function)) as (process,):
        with psycopg.connect(database, autocommit=True) as connection:
            wait_until_count(connection, "SELECT count(*) FROM procrastinate_workers", 1)
        time.sleep(5)
        before = voluntary_switches(process.pid)
        time.sleep(IDLE_S)
        return (voluntary_switches(process.pid) - before) * 60 / IDLE_S


def voluntary_switches(pid: int) -> int:
    """Of all threads of a process."""
    lines = [line for path in Path(f"/proc/{pid}/task").glob("*/status") for line in path.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


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
def running(
    program: tuple[str, ...], number: int, environment: Mapping[str, str]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [
        subprocess.Popen([sys.executable, *program], env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
        for _ in range(number)
    ]
    try:
        yield processes
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
