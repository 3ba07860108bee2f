"""The outbox and the token on a Postgres that somebody else runs: TLS, a role without special rights, a pooler."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.commands import clean, with_sources
from tests.e2e.parts import wait_until
from tests.e2e.parts.outbox import COMMAND, ROOT, Function, Program
from tests.e2e.parts.pgbouncer import pgbouncer
from tests.e2e.parts.postgres import Postgres, query
from tests.garmin.server import GarminStandIn
from weighbridge.garmin.postgres_tokens import PostgresTokenStore
from weighbridge.garmin.tokens import parse_token
from weighbridge.secret import SecretStr

KEY = "a-key-of-sixteen-letters"
PASSWORD = "planted-password"
READINGS = 20


def migrate(database: str, *, fails: bool = False) -> str:
    environment = with_sources(clean({"DATABASE_URL": database}))
    done = subprocess.run([*COMMAND, "migrate"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == int(fails), done.stderr
    return done.stderr


@contextmanager
def delivering(worker: str, tokens: str, garmin: GarminStandIn, folder: Path) -> Iterator[Program]:
    """Two workers with one log, and a function, with these databases. The token has to be renewed."""
    PostgresTokenStore(SecretStr(tokens)).save(parse_token(json.dumps(garmin.issue_token())))
    garmin.expire_access_tokens()
    function = Function(
        {
            "WEIGHBRIDGE_DELIVERY": "garth",
            "WEIGHBRIDGE_TOKEN_DATABASE": tokens,
            "WEIGHBRIDGE_API_KEYS": f"home={KEY}",
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        },
        folder,
    )
    function.start()
    settings = {"DATABASE_URL": worker, "WEIGHBRIDGE_URL": function.address, "WEIGHBRIDGE_KEY": KEY}
    workers = [Program("worker", with_sources(clean(settings)), folder / "worker.log") for _ in range(2)]
    try:
        yield workers[0]
    finally:
        for each in workers:
            each.kill()
        function.kill()


def insert(database: str, first: int = 0) -> None:
    for number in range(first, first + READINGS):
        at = datetime(2026, 11, 1, 7, tzinfo=UTC) + timedelta(hours=number)
        payload = json.dumps({"weight_kg": 80.0, "measured_at": at.isoformat()})
        query(database, "INSERT INTO readings (source, payload) VALUES ('test', %s)", payload)


def arrived(database: str) -> int:
    ((number,),) = query(database, "SELECT count(*) FROM readings WHERE state IN ('confirmed', 'present')")
    return int(number)


@pytest.fixture
def managed(database_server: Postgres) -> tuple[str, Path]:
    """A database as such a service gives it: its owner may do nothing else, and must use TLS. Its address without
    options, and the certificate to trust."""
    trusted = database_server.use_tls()
    query(database_server.url(), "DROP DATABASE IF EXISTS managed WITH (FORCE)")
    query(database_server.url(), "DROP ROLE IF EXISTS managed")
    role = f"CREATE ROLE managed LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{PASSWORD}'"
    query(database_server.url(), role)
    query(database_server.url(), "CREATE DATABASE managed OWNER managed")
    database_server.require_tls("managed")
    return f"postgresql://managed:{PASSWORD}@localhost:{database_server.port}/managed", trusted


def test_tls(managed: tuple[str, Path], garmin: GarminStandIn, tmp_path: Path) -> None:
    """With `sslmode=verify-full`, an owner without special rights has outbox and token in one database."""
    address, trusted = managed
    database = f"{address}?sslmode=verify-full&sslrootcert={trusted}"
    migrate(database)
    with delivering(database, database, garmin, tmp_path) as worker:
        insert(database)
        wait_until("all have arrived", lambda: arrived(database) == READINGS, 60)
        ((encrypted,),) = query(database, "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                                          "WHERE datname = 'managed'")  # fmt: skip
        assert encrypted
    assert len(garmin.weigh_ins()) == READINGS
    assert PASSWORD not in worker.log()


def test_wrong_server(managed: tuple[str, Path], tmp_path: Path) -> None:
    """A server with another certificate, or with that of another host, is not used; neither is one without TLS."""
    address, trusted = managed
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    by_number = address.replace("@localhost", "@127.0.0.1")
    for database in (
        f"{address}?sslmode=verify-full&sslrootcert={other}",
        f"{by_number}?sslmode=verify-full&sslrootcert={trusted}",
        f"{address}?sslmode=disable",
    ):
        assert PASSWORD not in migrate(database, fails=True)


def test_pooler(database_server: Postgres, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Behind a pooler that hands out connections by transaction, workers are not woken, but look by themselves: every
    reading arrives, and each once."""
    database = database_server.new_database()
    migrate(database)
    with pgbouncer(database, tmp_path / "pooler") as pooled, delivering(pooled, pooled, garmin, tmp_path) as worker:
        for first in (0, READINGS):
            insert(pooled, first)
            wait_until("all have arrived", lambda first=first: arrived(database) == first + READINGS, 60)
    assert len(garmin.weigh_ins()) == 2 * READINGS
    assert "attempt failed" not in worker.log()
    assert "Postgres is down" not in worker.log()
