"""weighbridge outbox: its commands and its two programs.

Rule: a command fails with a `WeighbridgeError` of a sentence or two, without a secret; `weighbridge.cli` prints it.

Facts (psycopg 3.3): an error of `connect` has neither SQLSTATE nor diagnostics, only a text. Its first part names the
host; after "FATAL:" comes the server's own sentence, which may name a role, a database or the client's address, and
never holds the password.
Weakness: a server that translates the word FATAL is not recognized; its sentence is then not shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import psycopg

from weighbridge.operate import options

from . import commands
from .settings import read_database_url, read_relay_settings, read_role_passwords, read_worker_settings

_ID = click.argument("reading_id", metavar="ID", type=int)
_REPLACE = click.option("--replace", is_flag=True, help="Replace what Garmin holds for this instant.")


@click.group()
def command() -> None:
    """Store readings in Postgres, and send them until Garmin Connect shows them."""


@command.command()
@click.option(
    "--home-assistant",
    metavar="ENTITY",
    multiple=True,
    help="Store each new state of this entity, such as sensor.scale. Can be given more than once.",
)
def migrate(home_assistant: tuple[str, ...]) -> None:
    """Create or update the tables."""
    with _postgres() as connection:
        click.echo(commands.migrate(connection, home_assistant, read_role_passwords(os.environ)))


@command.command()
def relay() -> None:
    """Store messages of an MQTT broker as readings. Runs until it is stopped."""
    from .relay import Relay  # the other commands start without paho

    _log()
    with _one_sentence():
        Relay(read_relay_settings(os.environ)).run()


@command.command()
def worker() -> None:
    """Send readings to the function. Runs until it is stopped; start as many as you like."""
    from .worker import run

    _log()
    with _one_sentence():
        asyncio.run(run(read_worker_settings(os.environ)))


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(*, as_json: bool) -> None:
    """Show the queue: counts, and each reading that has not arrived."""
    with _postgres() as connection:
        click.echo(commands.status_json(connection) if as_json else commands.status(connection))


@command.command()
@_ID
def show(reading_id: int) -> None:
    """Show everything about one reading, as JSON."""
    with _postgres() as connection:
        click.echo(commands.show(connection, reading_id))


@command.command()
@_ID
@_REPLACE
def retry(reading_id: int, *, replace: bool) -> None:
    """Send one reading now."""
    with _postgres() as connection:
        click.echo(commands.retry(connection, reading_id, replace=replace))


@command.command()
@_ID
@click.argument("person")
def answer(reading_id: int, person: str) -> None:
    """Say whose reading it is, and send it. `status` shows which readings ask, and whom they may belong to."""
    with _postgres() as connection:
        click.echo(commands.answer(connection, reading_id, person))


@command.command()
@_ID
@click.argument("file", type=click.Path(path_type=Path))
@_REPLACE
def correct(reading_id: int, file: Path, *, replace: bool) -> None:
    """Send the values in FILE instead of those received."""
    with _postgres() as connection:
        click.echo(commands.correct(connection, reading_id, file, replace=replace))


@command.command()
@options.older_than
@options.delete
def prune(older_than: timedelta, *, yes: bool) -> None:
    """Delete old readings that need nothing more. Their age counts from when they were received. Run it as the owner of
    the tables."""
    with _postgres() as connection:
        click.echo(commands.prune(connection, older_than, delete=yes))


@command.command()
@options.as_json
def check(*, as_json: bool) -> int:
    """Check Postgres, its tables, and the broker, as far as they are configured. `weighbridge doctor` uses it."""
    from .check import check as findings_of  # the other commands start without paho

    findings = list(findings_of(os.environ, _connected))
    if as_json:
        click.echo(options.to_json([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{finding.link} {finding.outcome}: {finding.detail}")
        if not findings:
            click.echo("Neither DATABASE_URL nor MQTT_URL is set.")
    return int(any(finding.outcome == "fails" for finding in findings))


@command.command()
def dump() -> None:
    """Write every reading to standard output, one JSON object a line. `weighbridge backup` uses it."""
    with _postgres() as connection:
        for line in commands.dump(connection):
            sys.stdout.write(line + "\n")


@command.command()
def load() -> None:
    """Read what `dump` wrote into an empty outbox, and queue what has not arrived. `weighbridge restore` uses it."""
    with _postgres() as connection:
        click.echo(commands.load(connection, sys.stdin))


@contextlib.contextmanager
def _postgres() -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with _connected(read_database_url(os.environ)) as connection:
        yield connection


@contextlib.contextmanager
def _connected(database_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with _one_sentence(), psycopg.connect(database_url, autocommit=True, connect_timeout=10) as connection:
        yield connection


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UndefinedTable:
        raise commands.Refused("The tables are missing. Run: weighbridge outbox migrate") from None
    except psycopg.errors.InsufficientPrivilege:
        raise commands.Refused("The role of DATABASE_URL may not do this. Use the owner of the tables.") from None
    except psycopg.OperationalError as e:
        if said := _server_sentence(e):
            raise commands.Refused(f"Postgres refused the connection: {said}. Check DATABASE_URL.") from None
        # The rest of its text would name the host.
        reason = e.sqlstate or type(e).__name__
        raise commands.Refused(f"Postgres cannot be reached ({reason}). Check DATABASE_URL.") from None


def _server_sentence(error: psycopg.OperationalError) -> str:
    """What the server said when it refused the connection; empty if it said nothing."""
    found = re.search(r"FATAL: +(.+)", str(error))
    return found[1].strip().rstrip(".") if found else ""


def _log() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("weighbridge").setLevel(logging.INFO)
    # Its tracebacks may hold a row. What matters is in our own log.
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    logging.getLogger("psycopg.pool").addFilter(_only_types)


def _only_types(record: logging.LogRecord) -> bool:
    """Replace errors and connections in a log record by their type: their text names host, role and database."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg if isinstance(arg, str | int | float) else type(arg).__name__ for arg in record.args)
    return True
