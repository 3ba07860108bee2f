"""How much many people cost: several functions behind nginx, one Postgres, and a stand-in for Garmin.

    python -m scripts.scale                                   one run: 3 functions, 200 people, 10,000 readings
    python -m scripts.scale --way direct --per-hour 10000     at that rate, for latencies

Strategy: processor time is read from /proc, so a busy machine changes it little. Each person has a token that has
expired, so the first reading of each renews it. Afterwards every account is counted: each reading must be there once.

Facts (proc(5)): the times of a process that has ended and was waited for are in its parent's. So the times of Postgres
are those of its first process, with those of all that it started.

Weakness: the stand-in is on the same machine and answers within a millisecond or two. The real Garmin takes longer,
which costs no processor time, but holds a thread of the function.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import psycopg

from tests.e2e.parts import family, find_program
from tests.e2e.parts.postgres import Postgres, postgres
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge.client import Client, Target
from weighbridge.garmin.postgres_tokens import PostgresTokenStore
from weighbridge.garmin.tokens import parse_token
from weighbridge.operate.serving import is_answering, server_command
from weighbridge.secret import SecretStr

ROOT = Path(__file__).parent.parent
KEY = "a-key-of-sixteen-letters"
#: Callers at a time, at full speed.
CALLERS = 24
#: The readings of one person are a day apart, and end before today.
FIRST_DAY = timedelta(days=90)
#: A whole weigh-in of a scale with body composition.
VALUES = {"body_fat_percent": 18.2, "body_water_percent": 56.4, "bone_mass_kg": 3.4, "muscle_mass_kg": 63.2}

NGINX = """
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream weighbridge {{
{servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://weighbridge;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 300s;
            # A POST is never sent to a second function: the caller repeats it, and knows that it did.
            proxy_next_upstream off;
        }}
    }}
}}
"""


class Wanted(NamedTuple):
    functions: int = 3
    people: int = 200
    readings: int = 10_000
    way: str = "outbox"
    #: Readings an hour; 0 = as fast as possible.
    per_hour: float = 0.0


class Found(NamedTuple):
    """What one run measured."""

    wanted: Wanted
    #: Weigh-ins that the accounts hold, of those sent; and how many have some reading more or less than once.
    stored: int
    wrong_accounts: int
    renewals: int
    refused_renewals: int
    seconds: float
    #: Program -> processor seconds.
    cpu_s: dict[str, float]
    #: Of each function, at the end, in bytes.
    resident: list[int]
    #: The most at a time.
    connections: int
    #: Route of Garmin -> requests.
    garmin: dict[str, int]
    #: Table with its indexes -> bytes.
    table_bytes: dict[str, int]
    #: What Postgres wrote to its log of changes.
    wal_bytes: int
    #: Of each reading, in seconds: until its answer, or until the outbox knew that it arrived.
    latencies: list[float]


def measure(wanted: Wanted) -> Found:
    """Run the programs, send the readings, and count."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
        folder.chmod(0o755)
        server = stack.enter_context(postgres())
        garmin = stack.enter_context(GarminStandIn())
        database = server.new_database()
        names = [f"p{number:04}" for number in range(wanted.people)]
        for name in names:
            token = parse_token(json.dumps(garmin.issue_token(name)))
            PostgresTokenStore(SecretStr(database), name).save(token)
        garmin.expire_access_tokens()
        functions = [stack.enter_context(_function(folder, database, garmin, names)) for _ in range(wanted.functions)]
        balancer, address = stack.enter_context(_balancer(folder, [port for _, port in functions]))
        programs: dict[str, Callable[[], float]] = {
            "functions": lambda: sum(_cpu_s(process.pid) for process, _ in functions),
            "nginx": lambda: _cpu_s(balancer.pid),
            "Postgres": lambda: _cpu_s(_first_process(server)),
        }
        if wanted.way == "outbox":
            worker = stack.enter_context(_worker(folder, database, address))
            programs["worker"] = lambda: _cpu_s(worker.pid)
        connections = stack.enter_context(_most_connections(database))
        lines = [_reading(number, names) for number in range(wanted.readings)]
        before = {name: cpu_s() for name, cpu_s in programs.items()}
        wal_before = _wal_bytes(database)
        started = time.perf_counter()
        send = _through_outbox if wanted.way == "outbox" else _direct
        latencies = send(lines, address, database, wanted)
        seconds = time.perf_counter() - started
        counts = [len(garmin.weights_of[name].entries) for name in names]
        expected = Counter(number % len(names) for number in range(wanted.readings))
        return Found(
            wanted=wanted,
            stored=sum(counts),
            wrong_accounts=sum(count != expected[number] for number, count in enumerate(counts)),
            renewals=garmin.sign_in.refreshes,
            refused_renewals=garmin.sign_in.refused_refreshes,
            seconds=seconds,
            cpu_s={name: cpu_s() - before[name] for name, cpu_s in programs.items()},
            resident=[_resident(process.pid) for process, _ in functions],
            connections=max(connections),
            garmin=dict(Counter(str(each.route) for each in garmin.requests)),
            table_bytes=_table_bytes(database),
            wal_bytes=_wal_bytes(database) - wal_before,
            latencies=latencies,
        )


def _reading(number: int, names: Sequence[str]) -> str:
    """The reading of one person on one morning."""
    day, person = divmod(number, len(names))
    at = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0) - FIRST_DAY + timedelta(days=day)
    at += timedelta(seconds=person)
    weight = 70 + person % 20 + day % 10 / 10
    return json.dumps({"measured_at": at.isoformat(), "person": names[person], "weight_kg": weight, **VALUES})


# -- the programs ------------------------------------------------------------------------------------------


@contextmanager
def _function(
    folder: Path, database: str, garmin: GarminStandIn, names: Sequence[str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    people = folder / "people.toml"
    people.write_text("".join(f'[[person]]\nname = "{name}"\ntoken = "{name}"\n' for name in names))
    port = free_port()
    environment = _clean() | {
        "WEIGHBRIDGE_DELIVERY": "garth",
        "WEIGHBRIDGE_TOKEN_DATABASE": database,
        "WEIGHBRIDGE_PEOPLE": str(people),
        "WEIGHBRIDGE_API_KEYS": f"home={KEY}",
        "WEIGHBRIDGE_TIMEZONE": "UTC",
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
    }
    with _running(server_command("127.0.0.1", port), environment, folder / f"function-{port}.log") as process:
        _wait_until(lambda: is_answering(f"http://127.0.0.1:{port}"), "a function answers")
        yield process, port


@contextmanager
def _balancer(folder: Path, ports: Sequence[int]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    program = find_program("nginx", Path("/usr/sbin"), package="nginx")
    servers = "\n".join(f"        server 127.0.0.1:{each};" for each in ports)
    user = "user root;" if os.getuid() == 0 else ""  # else its worker may not enter the folder
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, user=user, port=port, servers=servers))
    words = [str(program), "-p", str(folder), "-e", "stderr", "-c", str(config)]
    with _running(words, _clean(), folder / "nginx.log") as process:
        _wait_until(lambda: is_answering(f"http://127.0.0.1:{port}"), "nginx answers")
        yield process, f"http://127.0.0.1:{port}"


@contextmanager
def _worker(folder: Path, database: str, address: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = _clean() | {"DATABASE_URL": database, "WEIGHBRIDGE_URL": address, "WEIGHBRIDGE_KEY": KEY}
    outbox = [sys.executable, "-m", "weighbridge", "outbox"]
    subprocess.run([*outbox, "migrate"], env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    with _running([*outbox, "worker"], environment, folder / "worker.log") as process:
        _wait_until(lambda: _count(database, "SELECT count(*) FROM procrastinate_workers") > 0, "the worker works")
        yield process


@contextmanager
def _running(words: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as said:
        process = subprocess.Popen(words, env=environment, cwd=ROOT, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _clean() -> dict[str, str]:
    ours = ("WEIGHBRIDGE_", "GARMIN_", "OUTBOX_", "MQTT_", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _wait_until(condition: Callable[[], bool], what: str, within_s: float = 60, every_s: float = 0.05) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Not within {within_s:g} s: {what}.")
        time.sleep(every_s)


# -- the readings ------------------------------------------------------------------------------------------


def _direct(lines: Sequence[str], address: str, _database: str, wanted: Wanted) -> list[float]:
    """Post each reading; the seconds until each answer."""
    pause_s = 3600 / wanted.per_hour if wanted.per_hour else 0.0
    started = time.monotonic()
    with Client(Target(address, SecretStr(KEY))) as client:

        def post(number: int) -> float:
            due = started + number * pause_s
            time.sleep(max(0.0, due - time.monotonic()))
            asked = time.monotonic()
            status = client.post(lines[number]).status
            if status != "confirmed":
                raise RuntimeError(f"Expected the reading to be confirmed, got {status!r}.")
            return time.monotonic() - asked

        with ThreadPoolExecutor(CALLERS) as pool:
            return [*pool.map(post, range(len(lines)))]


def _through_outbox(lines: Sequence[str], _address: str, database: str, wanted: Wanted) -> list[float]:
    """Store each reading; the seconds until its state was written."""
    insert = "INSERT INTO readings (source, payload) VALUES ('scale:' || (%s::jsonb->>'person'), %s)"
    started = time.monotonic()
    with psycopg.connect(database, autocommit=True) as connection:
        if wanted.per_hour:
            for number, line in enumerate(lines):
                time.sleep(max(0.0, started + number * 3600 / wanted.per_hour - time.monotonic()))
                connection.execute(insert, [line, line])
        else:
            with connection.transaction():
                connection.cursor().executemany(insert, [[line, line] for line in lines])
    left = "SELECT FROM readings WHERE state NOT IN ('confirmed', 'present') LIMIT 1"
    with psycopg.connect(database, autocommit=True) as connection:
        # Not too often: this is Postgres' processor time, too.
        _wait_until(lambda: connection.execute(left).rowcount == 0, "all readings have arrived", 3600, every_s=0.5)
        taken = "SELECT extract(epoch FROM attempted_at - received_at)::float8 FROM readings"
        return [float(row[0]) for row in connection.execute(taken)]


# -- what is measured --------------------------------------------------------------------------------------


def _cpu_s(pid: int) -> float:
    """The processor time of a process, of those it started, and of those that have ended since."""
    ticks = 0
    for each in family(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        # utime, stime, and those of its children that have ended
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _first_process(server: Postgres) -> int:
    # Its parent is whoever started it, and each connection's process is its child.
    with psycopg.connect(server.url()) as connection:
        row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
    return int(str(row[0] if row else "").split()[0])


def _resident(pid: int) -> int:
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _most_connections(database: str) -> Iterator[list[int]]:
    """How many clients the database has, looked at five times a second, without the one that looks."""
    seen, ended = [0], threading.Event()
    others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"

    def look() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            while not ended.wait(0.2):
                row = connection.execute(others).fetchone()
                seen.append(int(row[0]) if row else 0)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _count(database: str, sql: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(sql.encode()).fetchone()
    return int(row[0]) if row else 0


def _wal_bytes(database: str) -> int:
    return _count(database, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")


def _table_bytes(database: str) -> dict[str, int]:
    sql = "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("VACUUM")  # as autovacuum does
        return {str(name): int(size) for name, size in connection.execute(sql)}


# -- the report --------------------------------------------------------------------------------------------


def report(found: Found) -> str:
    """The figures as a table of Markdown."""
    wanted, readings = found.wanted, found.wanted.readings
    ordered = sorted(found.latencies)
    rows = [
        ("weigh-ins in the accounts", f"{found.stored:,} of {readings:,}, {found.wrong_accounts} accounts wrong"),
        ("renewals of tokens", f"{found.renewals} for {wanted.people} people, {found.refused_renewals} refused"),
        *(
            (f"CPU of a reading: {name}", f"{1000 * cpu_s / readings:.1f} ms")
            for name, cpu_s in sorted(found.cpu_s.items(), key=lambda item: -item[1])
        ),
        ("CPU of a reading: all", f"{1000 * sum(found.cpu_s.values()) / readings:.1f} ms"),
        ("requests to Garmin a reading", f"{sum(found.garmin.values()) / readings:.2f}"),
        *((f"  of which {route}", f"{count / readings:.2f}") for route, count in sorted(found.garmin.items())),
        ("resident memory of a function", " · ".join(f"{each / 1e6:.0f} MB" for each in found.resident)),
        ("connections to Postgres at most", str(found.connections)),
        *(
            (f"bytes in Postgres: {name}", f"{size:,}")
            for name, size in sorted(found.table_bytes.items(), key=lambda item: -item[1])
            if name in ("readings", "weighbridge_tokens", "procrastinate_jobs", "procrastinate_events")
        ),
        ("bytes of WAL a reading", f"{found.wal_bytes / readings:,.0f}"),
        ("latency p50 / p99", f"{1000 * _at(ordered, 0.5):.0f} ms / {1000 * _at(ordered, 0.99):.0f} ms"),
        ("clock", f"{found.seconds:.0f} s"),
    ]
    rate = f"{wanted.per_hour:,.0f} an hour" if wanted.per_hour else "full speed"
    head = f"{wanted.functions} functions, {wanted.people} people, {readings:,} readings, {wanted.way}, {rate}"
    return "\n".join([f"| {head} | |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)])


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.scale", description=__doc__.splitlines()[0])
    default = Wanted()
    parser.add_argument("--functions", type=int, default=default.functions)
    parser.add_argument("--people", type=int, default=default.people)
    parser.add_argument("--readings", type=int, default=default.readings)
    parser.add_argument("--way", choices=("outbox", "direct"), default=default.way)
    parser.add_argument("--per-hour", type=float, default=default.per_hour, help="0: as fast as possible")
    wanted = Wanted(**vars(parser.parse_args()))
    found = measure(wanted)
    print(report(found))
    return 0 if found.stored == wanted.readings and not found.wrong_accounts else 1


if __name__ == "__main__":
    sys.exit(main())
