"""python -m integrations.history FILE: look at the file, see what would be sent, send it.

Ends with 0 when every row that could become a reading has arrived, 1 when something could not be read or was not sent,
130 when it was stopped. What has arrived is not sent again: the same command goes on where it ended.
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .errors import FileUnusable, MappingInvalid
from .read import History, Row, read
from .send import BECAME, Function, Outcome, Stopped, check, send
from .times import DAY_FIRST, MONTH_FIRST

SHOWN = 5
MOST_REFUSED = 20
VALUES = (
    "weight_kg",
    "body_fat_percent",
    "muscle_mass_kg",
    "bone_mass_kg",
    "body_water_percent",
    "visceral_fat_rating",
)


def main(arguments: Sequence[str] | None = None, *, address: str = "") -> int:
    options = _parser().parse_args(arguments)
    console = Console(highlight=False)
    try:
        return _run(options, console, address)
    except (FileUnusable, MappingInvalid, Stopped) as e:
        console.print(f"{e}", style="red", markup=False)
        if isinstance(e, Stopped) and e.kind == "unauthorized":
            console.print("Set WEIGHBRIDGE_KEY to one of the function's WEIGHBRIDGE_API_KEYS.")
        return 1


def _run(options: argparse.Namespace, console: Console, address: str) -> int:
    try:
        data = Path(options.file).read_bytes()
    except OSError as e:
        raise FileUnusable(f"{options.file} cannot be read: {e.strerror}.") from None
    history = read(
        data,
        mapping=_mapping(options.mapping),
        order=options.order,
        timezone=_zone(options.timezone),
        person=options.person,
    )
    del data
    address = address or os.environ.get("WEIGHBRIDGE_URL") or "http://127.0.0.1:8080"
    with Function(address, os.environ.get("WEIGHBRIDGE_KEY", "")) as function:
        return _import(function, history, options, console)


def _import(function: Function, history: History, options: argparse.Namespace, console: Console) -> int:
    delivery = function.health().get("delivery", {})
    _show_columns(console, history)
    rows = history.readings
    shown = frozenset(row.number for row in (*rows[:SHOWN], *rows[-SHOWN:]))
    with _progress(console) as bar:
        task = bar.add_task("checked", total=len(rows))
        checked = check(function, rows, shown=shown, progress=lambda done: bar.update(task, completed=done))
    _show_rows(console, checked, len(rows))
    unreadable = [(row, row.fault) for row in history.rows if row.fault]
    _show_refused(console, "cannot become readings", sorted([*unreadable, *checked.refused], key=lambda r: r[0].number))
    refused = {row.number for row, _ in checked.refused}
    good = [row for row in rows if row.number not in refused]
    if not good:
        raise Stopped("Nothing of the file can be sent.")
    if not delivery.get("ready", True):
        raise Stopped(f"Nothing was sent: {delivery.get('detail', 'the function is not ready.')}")
    if not _agreed(options, console, len(good), str(delivery.get("name", ""))):
        return 0
    return _send(function, good, console, len(history.rows) - len(good))


def _send(function: Function, rows: Sequence[Row], console: Console, left_out: int) -> int:
    outcome = Outcome()
    why, code = "", 0
    with _progress(console) as bar:
        task = bar.add_task("sent", total=len(rows))

        def show(done: int, words: str) -> None:
            bar.update(task, completed=done)
            if words:
                bar.console.print(words, style="yellow", markup=False)

        try:
            send(function, rows, outcome, progress=show)
        except Stopped as e:
            why, code = str(e), 1
        except KeyboardInterrupt:
            why, code = "Stopped.", 130
        elapsed_s = bar.tasks[0].elapsed or 0.001
    told = [f"{outcome.counts[status]:,} {words}" for status, words in BECAME.items() if outcome.counts[status]]
    told += [f"{left_out:,} left out"] * bool(left_out) + [f"{len(outcome.refused):,} refused"] * bool(outcome.refused)
    became = ", ".join(told) or "nothing arrived"
    console.print(f"{outcome.done:,} of {len(rows):,}: {became}; {outcome.done / elapsed_s:,.0f} a second.")
    _show_refused(console, "were refused", outcome.refused)
    _show_refused(console, "arrived with a remark", outcome.warnings)
    if why:
        console.print(f"{why} {len(rows) - outcome.done:,} were not sent.", style="red", markup=False)
        console.print("The same command again goes on from there; what has arrived is not sent twice.")
    return code or int(bool(outcome.refused))


# -- what is shown -----------------------------------------------------------------------------------------


def _show_columns(console: Console, history: History) -> None:
    console.print(f"{history.kind}: {len(history.rows):,} weigh-ins.")
    if not history.columns:
        return
    table = Table("column", "is", "known by", box=None, header_style="dim")
    for column in history.columns:
        if column.word:
            table.add_row(column.header, column.word, column.known_by)
    console.print(table)
    if unknown := [column.header for column in history.columns if not column.word and column.known_by == "unknown"]:
        told = ", ".join(unknown[:SHOWN]) + (f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else "")
        console.print(f"Left out, because nothing tells what they are: {told}.", markup=False)
    console.print('Is one wrong? Write lines such as "the header" = "body fat" into a file, and say --mapping FILE.\n')


def _show_rows(console: Console, checked: Outcome, total: int) -> None:
    if not checked.receipts:
        return
    table = Table(box=None, header_style="dim")
    table.add_column("row", no_wrap=True)
    table.add_column("measured at (UTC)", no_wrap=True)
    for name in VALUES:
        stem, _, unit = name.rpartition("_")
        table.add_column(f"{stem.replace('_', ' ')}{ {'kg': ' kg', 'percent': ' %'}.get(unit, '') }", justify="right")
    for position, (row, receipt) in enumerate(checked.receipts):
        if position == SHOWN and total > 2 * SHOWN:
            table.add_row("…")
        values = {field["name"]: field["value"] for field in receipt["fields"]}
        cells = (_cell(values.get(name), 0 if name.endswith("rating") else 1) for name in VALUES)
        table.add_row(
            str(row.number), receipt["measured_at"].replace("T", " ").rstrip("Z").removesuffix("+00:00"), *cells
        )
    console.print(table)
    for note in dict.fromkeys(note for _, receipt in checked.receipts for note in receipt["notes"]):
        console.print(f"- {note}", style="dim", markup=False)


def _cell(value: float | str | None, decimals: int) -> str:
    return "" if value is None else f"{float(value):.{decimals}f}"


def _show_refused(console: Console, what: str, rows: Sequence[tuple[Row, str]]) -> None:
    if not rows:
        return
    console.print(f"\n{len(rows):,} {what}:", style="yellow")
    for row, why in rows[:MOST_REFUSED]:
        console.print(f"  row {row.number}: {why}", markup=False)
    if len(rows) > MOST_REFUSED:
        console.print(f"  … and {len(rows) - MOST_REFUSED:,} more")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


# -- what is asked -----------------------------------------------------------------------------------------


def _agreed(options: argparse.Namespace, console: Console, count: int, delivery: str) -> bool:
    if options.yes:
        return True
    if options.preview or not sys.stdin.isatty():
        console.print(f"\nNothing was sent. {count:,} readings would be; say --yes to send them.")
        return False
    return console.input(f"\nSend {count:,} readings ({delivery})? y or n: ").strip().casefold() in ("y", "yes")


def _mapping(path: str) -> Mapping[str, str]:
    if not path:
        return {}
    try:
        mapping = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise MappingInvalid(f"{path} cannot be read: {e.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise MappingInvalid(
            f'{path} is no TOML: {e}. Lines such as "the header" = "body fat" were expected.'
        ) from None
    for header, word in mapping.items():
        if not isinstance(word, str):
            raise MappingInvalid(f"{path}: {header} = {word!r}, where a word in quotation marks was expected.")
    return mapping


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        raise MappingInvalid(f"--timezone {name}: a name such as Europe/Berlin was expected.") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m integrations.history", description="Import a history of weigh-ins."
    )
    parser.add_argument("file", help="an export of Fitdays, Garmin, openScale, Withings, Apple Health; or JSON lines")
    parser.add_argument("--mapping", default="", help="a TOML file that says which column is what")
    parser.add_argument("--timezone", default="", help="of times without an offset, such as Europe/Berlin")
    parser.add_argument("--person", default="", help="whose they are, where the function serves several people")
    order = parser.add_mutually_exclusive_group()
    order.add_argument("--day-first", dest="order", action="store_const", const=DAY_FIRST, default="")
    order.add_argument("--month-first", dest="order", action="store_const", const=MONTH_FIRST)
    parser.add_argument("--preview", action="store_true", help="show what would be sent, and end")
    parser.add_argument("--yes", action="store_true", help="send without a question")
    return parser


if __name__ == "__main__":
    sys.exit(main())
