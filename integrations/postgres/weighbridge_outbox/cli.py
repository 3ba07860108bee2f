"""weighbridge outbox: what people ask of it, and its two programs.

Rule: what stops a command is a `WeighbridgeError` of one sentence, without a secret; `weighbridge.cli` prints it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import psycopg

from . import commands
from .settings import read_database_url, read_relay_settings, read_worker_settings

_ID = click.argument("reading_id", metavar="ID", type=int)
_REPLACE = click.option("--replace", is_flag=True, help="Replace what Garmin holds for this instant.")


@click.group()
def command() -> None:
    """Keep readings in Postgres, and send them until Garmin Connect shows them."""


@command.command()
@click.option(
    "--home-assistant",
    metavar="ENTITY",
    multiple=True,
    help="Take what recorder writes of this entity, such as sensor.scale. May be given more than once.",
)
def migrate(home_assistant: tuple[str, ...]) -> None:
    """Make the tables, or bring them up to date."""
    with _postgres() as connection:
        click.echo(commands.migrate(connection, home_assistant))


@command.command()
def relay() -> None:
    """Run: messages of an MQTT broker become readings."""
    from .relay import Relay  # whoever runs a worker need not have a broker

    _log()
    with _one_sentence():
        Relay(read_relay_settings(os.environ)).run()


@command.command()
def worker() -> None:
    """Run: readings go to the function. Start as many as you like."""
    from .worker import run

    _log()
    with _one_sentence():
        asyncio.run(run(read_worker_settings(os.environ)))


@command.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(*, as_json: bool) -> None:
    """Show how the queue stands."""
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
@click.argument("file", type=click.Path(path_type=Path))
@_REPLACE
def correct(reading_id: int, file: Path, *, replace: bool) -> None:
    """Send the values in FILE instead of those that came."""
    with _postgres() as connection:
        click.echo(commands.correct(connection, reading_id, file, replace=replace))


@contextlib.contextmanager
def _postgres() -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with (
        _one_sentence(),
        psycopg.connect(read_database_url(os.environ), autocommit=True, connect_timeout=10) as connection,
    ):
        yield connection


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UndefinedTable:
        raise commands.Refused("The tables are missing. Run: weighbridge outbox migrate") from None
    except psycopg.OperationalError as e:
        # Its text would name host, user and database.
        reason = e.sqlstate or type(e).__name__
        raise commands.Refused(f"Postgres cannot be reached, or rejects the user of DATABASE_URL ({reason}).") from None


def _log() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("weighbridge").setLevel(logging.INFO)
    # It writes whole tracebacks, whose last line may hold a row. What matters is in our own log.
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
