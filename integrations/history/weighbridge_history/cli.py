"""weighbridge import FILE: show the file and what would be sent, then send it.

Exit code: 0 if every row that could become a reading has arrived, 1 if something could not be read or was not sent, 130
if the import was interrupted. What has arrived is not sent again: the same command continues where the last one ended.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from weighbridge.client import Client
from weighbridge.operate import options
from weighbridge.operate.serving import function_or_own
from weighbridge.operate.surroundings import Surroundings, Terminal
from weighbridge.reading.quantities import unit_of

from .columns import NOT_STORED, UNKNOWN
from .errors import FileUnusable, MappingInvalid, OrderUnclear, Question, TimeOfDayMissing, UnitUnclear
from .read import Choices, History, WeighInLine, check_people, read
from .send import STATUS_TEXTS, ImportReport, Stopped, check, send
from .times import DAY_FIRST, MONTH_FIRST, YEAR_FIRST, time_of_day

ORDERS = {"dmy": DAY_FIRST, "mdy": MONTH_FIRST, "ymd": YEAR_FIRST}
SHOWN = 5
_NUMBERS = re.compile(r"\d[\d.,]*", re.ASCII)
MOST_REFUSED_SHOWN = 20
VALUES = (
    "weight_kg",
    "body_fat_percent",
    "muscle_mass_kg",
    "bone_mass_kg",
    "body_water_percent",
    "visceral_fat_rating",
)


def _mapping(_context: click.Context, _option: click.Parameter, path: Path | None) -> Mapping[str, str]:
    if path is None:
        return {}
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise click.BadParameter(f"{path} cannot be read: {e.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise click.BadParameter(
            f'{path} is not valid TOML: {e}. Expected lines such as "the header" = "body fat".'
        ) from None
    for header, word in mapping.items():
        if not isinstance(word, str):
            raise click.BadParameter(f"{path}: expected a word in quotation marks for {header}, got {word!r}.")
    return mapping


def _zone(_context: click.Context, _option: click.Parameter, name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter(f"expected a name such as Europe/Berlin, got {name!r}.") from None


def _time_of_day(_context: click.Context, _option: click.Parameter, text: str) -> str:
    if text and not (found := time_of_day(text)):
        raise click.BadParameter(f"expected a time of day such as 07:00, got {text!r}.")
    return found if text else ""


def _units(_context: click.Context, _option: click.Parameter, pairs: Sequence[str]) -> Mapping[str, str]:
    units = {}
    for pair in pairs:
        column, _, unit = pair.rpartition("=")
        known = unit_of(unit)
        if not column.strip() or known is None:
            raise click.BadParameter(f"expected COLUMN=UNIT such as muscle=kg or weight=lb, got {pair!r}.")
        units[column.strip()] = known
    return units


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--mapping",
    type=click.Path(path_type=Path),
    callback=_mapping,
    help='A TOML file with the meaning of columns: "the header" = "body fat".',
)
@click.option("--date-order", type=click.Choice([*ORDERS]), help="03/04/22 is April 3 (dmy), March 4 or 2003-04-22.")
@click.option("--day-first", is_flag=True, help="The same as --date-order dmy.")
@click.option("--month-first", is_flag=True, help="The same as --date-order mdy.")
@click.option(
    "--time-of-day", default="", callback=_time_of_day, help="The time of dates without one, for the file: 07:00."
)
@click.option(
    "--unit",
    "units",
    multiple=True,
    callback=_units,
    metavar="COLUMN=UNIT",
    help="The unit of a column's bare numbers: muscle=kg. May be repeated.",
)
@click.option(
    "--timezone", default="", callback=_zone, help="The zone of times without an offset, such as Europe/Berlin."
)
@click.option(
    "--name", "--person", "name", default="", help="Whose weigh-ins to send; rows that name someone else are left out."
)
@click.option("--preview", is_flag=True, help="Show what would be sent, then stop.")
@options.yes
@click.pass_obj
def command(
    around: Surroundings,
    file: Path,
    mapping: Mapping[str, str],
    timezone: ZoneInfo | None,
    name: str,
    date_order: str | None,
    time_of_day: str,
    units: Mapping[str, str],
    *,
    day_first: bool,
    month_first: bool,
    preview: bool,
    yes: bool,
) -> int:
    """Import years of weigh-ins: an export of Fitdays, Garmin, openScale, Withings or Apple Health, any table with a
    header, or JSON lines.

    The file is shown first and sent when you agree. You can stop an import and start it again: what has arrived is not
    sent twice.
    """
    if day_first and month_first:
        raise click.UsageError("Pass --day-first or --month-first, not both.")
    order = DAY_FIRST if day_first else MONTH_FIRST if month_first else ORDERS[date_order] if date_order else ""
    choices = Choices(mapping, order, timezone, name, time_of_day, units)
    console = Console(highlight=False)
    try:
        history = read_or_ask(_content(file), choices, around.terminal, file.name)
        with function_or_own(around.environment) as target, Client(target) as client:
            return _import(client, history, console, around.terminal, preview=preview, yes=yes)
    except (FileUnusable, MappingInvalid, Stopped) as e:
        key_needed = isinstance(e, Stopped) and e.kind == "unauthorized"
        key = " Set WEIGHBRIDGE_KEY to one of the function's WEIGHBRIDGE_API_KEYS." if key_needed else ""
        click.echo(f"{e}{key}", err=True)
        return 1


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as e:
        raise FileUnusable(f"{file} cannot be read: {e.strerror}.") from None


def read_or_ask(data: bytes, choices: Choices, terminal: Terminal, name: str = "") -> History:
    """The history. What the file does not say is asked at the terminal, each question once."""
    while True:
        try:
            return read(data, **choices._asdict(), name=name)
        except Question as e:
            if not terminal.is_there():
                raise
            choices = _answered(e, choices, terminal)


def _answered(question: Question, choices: Choices, terminal: Terminal) -> Choices:
    """The choices with the person's answer. Raises the question again if there is none that can be used."""
    try:
        match question:
            case OrderUnclear():
                answer = terminal.ask(f"{question.what} [dmy/mdy/ymd] ").strip().casefold()
                if answer in ORDERS:
                    return choices._replace(order=ORDERS[answer])
            case TimeOfDayMissing():
                answer = terminal.ask(f"{question.what} One time for all of them, such as 07:00: ")
                if at := time_of_day(answer):
                    return choices._replace(time_of_day=at)
            case UnitUnclear():
                answer = terminal.ask(f"{question.what} [kg/lb/st] ").strip().casefold()
                if answer in ("kg", "lb", "st"):
                    return choices._replace(units={**choices.units, "weight": answer})
    except EOFError:
        pass
    raise question


def _import(client: Client, history: History, console: Console, terminal: Terminal, *, preview: bool, yes: bool) -> int:
    health = client.health()
    if not health.ok:
        raise Stopped(health.text, health.kind)
    delivery = health.body.get("delivery", {})
    check_people(history, served="people" in delivery)
    _show_columns(console, history)
    rows = history.readings
    shown = frozenset(row.number for row in (*rows[:SHOWN], *rows[-SHOWN:]))
    with _progress(console) as bar:
        task = bar.add_task("checked", total=len(rows))
        checked = check(client, rows, shown=shown, progress=lambda done: bar.update(task, completed=done))
    _show_rows(console, checked, len(rows))
    unreadable = [(row, row.fault) for row in history.rows if row.fault]
    _show_refused(console, "rows cannot be sent", sorted([*unreadable, *checked.refused], key=lambda r: r[0].number))
    _show_warnings(console, "what is left out or doubtful", checked.warnings)
    refused = {row.number for row, _ in checked.refused}
    good = [row for row in rows if row.number not in refused]
    if not good:
        raise Stopped("No row in the file can be sent.")
    if not delivery.get("ready", True):
        raise Stopped(f"Nothing was sent: {delivery.get('detail', 'the function is not ready.')}")
    if preview or not (yes or terminal.is_there()):
        console.print(f"\nNothing was sent. Pass --yes to send {len(good):,} readings.")
        return 0
    if not yes and not _agreed(terminal, f"\nSend {len(good):,} readings ({delivery.get('name', '')})? [y/N] "):
        return 0
    return _send(client, good, console, len(history.rows) - len(good))


def _send(client: Client, rows: Sequence[WeighInLine], console: Console, left_out: int) -> int:
    outcome = ImportReport()
    why, code = "", 0
    with _progress(console) as bar:
        task = bar.add_task("sent", total=len(rows))

        def show(done: int, words: str) -> None:
            bar.update(task, completed=done)
            if words:
                bar.console.print(words, style="yellow", markup=False)

        try:
            send(client, rows, outcome, progress=show)
        except Stopped as e:
            why, code = str(e), 1
        except KeyboardInterrupt:
            why, code = "Stopped.", 130
        elapsed_s = bar.tasks[0].elapsed or 0.001
    parts = [f"{outcome.counts[status]:,} {words}" for status, words in STATUS_TEXTS.items() if outcome.counts[status]]
    parts += [f"{left_out:,} left out"] * bool(left_out) + [f"{len(outcome.refused):,} refused"] * bool(outcome.refused)
    outcomes = ", ".join(parts) or "nothing arrived"
    console.print(f"{outcome.done:,} of {len(rows):,}: {outcomes}; {outcome.done / elapsed_s:,.0f} per second.")
    _show_refused(console, "rows were refused", outcome.refused)
    _show_warnings(console, "arrived with a warning", outcome.warnings)
    if why:
        console.print(f"{why} {len(rows) - outcome.done:,} readings were not sent.", style="red", markup=False)
        console.print("Run the same command again to continue. What has arrived is not sent twice.")
    return code or int(bool(outcome.refused))


# -- what is shown -----------------------------------------------------------------------------------------


def _show_columns(console: Console, history: History) -> None:
    console.print(f"{history.kind}: {len(history.rows):,} weigh-ins.")
    if history.at_time_of_day:
        console.print(f"{history.at_time_of_day:,} of them have a date and no time: they are sent with --time-of-day.")
    if not history.columns:
        return
    table = Table("column", "means", "recognized by", box=None, header_style="dim")
    for column in history.columns:
        if column.word and column.key:
            table.add_row(column.header, f"{column.word}, {column.unit}".rstrip(", "), column.recognized_by)
    console.print(table)
    unknown: list[str] = []
    judged: list[str] = []
    unused: list[str] = []
    for column in history.columns:
        if column.word and column.key:
            continue
        if column.recognized_by == UNKNOWN:
            (judged if column.key else unknown).append(column.header or "(no name)")
        else:
            unused.append(f"{column.header} ({column.recognized_by or NOT_STORED})")
    for what, names in (
        ("Not recognized, so left out", unknown),
        ("Not recognized, and sent, because it could change the meaning", judged),
        ("Left out", unused),
    ):
        if names:
            console.print(f"{what}: {', '.join(names)}.", markup=False)
    if history.weight_without_unit:
        console.print("The file names no unit of the weight, so it is read in kg. If it is another: --unit weight=lb.")
    console.print(
        'Is one wrong? Write lines such as "the header" = "body fat" to a file and pass it with --mapping FILE.\n'
    )


def _show_rows(console: Console, checked: ImportReport, total: int) -> None:
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
    for note in dict.fromkeys(note["text"] for _, receipt in checked.receipts for note in receipt["notes"]):
        console.print(f"- {note}", style="dim", markup=False)


def _cell(value: float | str | None, decimals: int) -> str:
    return "" if value is None else f"{float(value):.{decimals}f}"


def _show_refused(console: Console, what: str, rows: Sequence[tuple[WeighInLine, str]]) -> None:
    if not rows:
        return
    console.print(f"\n{len(rows):,} {what}:", style="yellow")
    for row, why in rows[:MOST_REFUSED_SHOWN]:
        console.print(f"  row {row.number}: {why}", markup=False)
    if len(rows) > MOST_REFUSED_SHOWN:
        console.print(f"  … and {len(rows) - MOST_REFUSED_SHOWN:,} more")


def _show_warnings(console: Console, what: str, warnings: Sequence[tuple[WeighInLine, str]]) -> None:
    """Each kind of warning once, with its rows. Warnings that differ in their numbers alone are of one kind."""
    kinds: dict[str, list[tuple[WeighInLine, str]]] = {}
    for row, text in warnings:
        kinds.setdefault(_NUMBERS.sub("0", text), []).append((row, text))
    if not kinds:
        return
    console.print(f"\n{len({row.number for row, _ in warnings}):,} rows: {what}:", style="yellow")
    for rows in kinds.values():
        numbers = ", ".join(str(row.number) for row, _ in rows[:SHOWN])
        more = f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else ""
        console.print(f"  row{'s' * (len(rows) > 1)} {numbers}{more}: {rows[0][1]}", markup=False)


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


def _agreed(terminal: Terminal, question: str) -> bool:
    try:
        return terminal.ask(question).strip().casefold() in ("y", "yes")
    except EOFError:
        return False
