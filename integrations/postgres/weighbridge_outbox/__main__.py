"""python -m integrations.postgres: the outbox at a terminal, and its two programs."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

import psycopg

from . import desk
from .settings import Settings, SettingsInvalid


def main() -> int:
    options = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("weighbridge").setLevel(logging.INFO)
    # It writes whole tracebacks, whose last line may hold a row. What matters is in our own log.
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    settings = Settings(os.environ)
    try:
        match options.command:
            case "relay":
                from .relay import Relay  # who runs a worker need not have a broker

                Relay(settings).run()
            case "worker":
                from .worker import run

                asyncio.run(run(settings))
            case _:
                with psycopg.connect(settings.database_url, autocommit=True, connect_timeout=10) as connection:
                    print(ask(connection, options))
    except (SettingsInvalid, desk.Refused) as e:
        print(e, file=sys.stderr)
        return 1
    except psycopg.errors.UndefinedTable:
        print("The tables are missing: python -m integrations.postgres migrate", file=sys.stderr)
        return 1
    except psycopg.OperationalError as e:
        # Its text would name host, user and database.
        reason = e.sqlstate or type(e).__name__
        print(f"Postgres cannot be reached, or does not admit the user of DATABASE_URL ({reason}).", file=sys.stderr)
        return 1
    return 0


def ask(connection: psycopg.Connection[tuple[object, ...]], options: argparse.Namespace) -> str:
    match options.command:
        case "migrate":
            return desk.migrate(connection, options.home_assistant)
        case "show":
            return desk.show(connection, options.id)
        case "retry":
            return desk.retry(connection, options.id, replace=options.replace)
        case "correct":
            return desk.correct(connection, options.id, options.file, replace=options.replace)
        case _:
            return desk.status(connection)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m integrations.postgres", description="An outbox for readings.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    migrate = commands.add_parser("migrate", help="make the tables, or bring them up to date")
    migrate.add_argument(
        "--home-assistant",
        metavar="ENTITY",
        nargs="+",
        default=[],
        help="take over what recorder writes of these entities, such as sensor.scale",
    )
    commands.add_parser("relay", help="run: messages of the broker become readings")
    commands.add_parser("worker", help="run: readings go to the function; start as many as you like")
    commands.add_parser("status", help="how the queue stands")
    show = commands.add_parser("show", help="everything about one reading, as JSON")
    retry = commands.add_parser("retry", help="send one reading now")
    correct = commands.add_parser("correct", help="send the values of a file in place of those that came")
    for command in (show, retry, correct):
        command.add_argument("id", type=int)
    correct.add_argument("file", type=Path)
    for command in (retry, correct):
        command.add_argument("--replace", action="store_true", help="in place of what Garmin holds for this instant")
    return parser


if __name__ == "__main__":
    sys.exit(main())
