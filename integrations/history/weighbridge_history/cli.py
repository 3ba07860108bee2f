"""weighbridge import FILE: show the file and what would be sent, then send it.

Exit code: 0 if every row that could become a reading has arrived, 1 if something could not be read or was not sent, 130
if the import was interrupted. What has arrived is not sent again: the same command continues where the last one ended.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from weighbridge.client import Client
from weighbridge.notes import Code
from weighbridge.operate import options
from weighbridge.operate.serving import function_or_own
from weighbridge.operate.surroundings import Surroundings, Terminal

from . import answers
from .answers import ORDERS
from .errors import AnswersInvalid, FileFault, FileUnusable, MappingInvalid
from .left_out import unsendable
from .outliers import Outlier, find_outliers
from .preview import SHOWN, Preview
from .questions import Ask, ask_units, read_or_ask
from .read import Choices, History, WeighInLine, reader_of
from .send import STATUS_TEXTS, ImportReport, Pause, Stopped, check, send
from .times import DAY_FIRST, MONTH_FIRST


def _mapping(_context: click.Context, _option: click.Parameter, path: Path | None) -> Choices:
    if path is None:
        return Choices()
    try:
        return answers.parse(path.read_bytes())
    except OSError as e:
        raise click.BadParameter(f"{path} cannot be read: {e.strerror}.") from None
    except AnswersInvalid as e:
        raise click.BadParameter(f"{path}: {e}") from None


def _zone(_context: click.Context, _option: click.Parameter, name: str) -> ZoneInfo | None:
    try:
        return answers.zone_named(name) if name else None
    except ValueError:
        raise click.BadParameter(f"expected a name such as Europe/Berlin, got {name!r}.") from None


def _time_of_day(_context: click.Context, _option: click.Parameter, text: str) -> str:
    try:
        return answers.clock_named(text) if text else ""
    except ValueError:
        raise click.BadParameter(f"expected a time of day such as 07:00, got {text!r}.") from None


def _units(_context: click.Context, _option: click.Parameter, pairs: Sequence[str]) -> Mapping[str, str]:
    units = {}
    for pair in pairs:
        column, _, unit = pair.rpartition("=")
        try:
            if not column.strip():
                raise ValueError
            units[column.strip()] = answers.unit_named(unit)
        except ValueError:
            raise click.BadParameter(f"expected COLUMN=UNIT such as muscle=kg or weight=lb, got {pair!r}.") from None
    return units


class Wishes(NamedTuple):
    """What the options say about what is shown and sent, not about the file."""

    preview: bool
    yes: bool
    in_full: bool
    #: Whether outliers are sent; None: a person is asked.
    with_outliers: bool | None
    save_mapping: Path | None


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--mapping",
    type=click.Path(path_type=Path),
    callback=_mapping,
    help="A TOML file with your answers from an earlier import. Options of this command override it.",
)
@click.option(
    "--save-mapping",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all answers to this file, for --mapping.",
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
@click.option(
    "--with-outliers/--without-outliers",
    "with_outliers",
    default=None,
    help="Send weigh-ins that are out of line with the others too, or leave them out. Without either, you are asked.",
)
@click.option("--all", "in_full", is_flag=True, help="Show everything that is left out, however long the list is.")
@click.option("--preview", is_flag=True, help="Show what would be sent, then stop.")
@options.yes
@click.pass_obj
def command(
    around: Surroundings,
    file: Path,
    mapping: Choices,
    save_mapping: Path | None,
    timezone: ZoneInfo | None,
    name: str,
    date_order: str | None,
    time_of_day: str,
    units: Mapping[str, str],
    *,
    day_first: bool,
    month_first: bool,
    with_outliers: bool | None,
    in_full: bool,
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
    choices = answers.override(mapping, Choices({}, order, timezone, name, time_of_day, units))
    wishes = Wishes(preview, yes, in_full, with_outliers, save_mapping)
    if not sys.stdout.encoding.lower().startswith("utf") and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a header in another script does not end the import
    # What a row leaves behind stays to the end, and what its receipt takes is gone at once: little is worth a look.
    gc.set_threshold(50_000, 20, 20)
    try:
        reader = reader_of(_content(file))
        with ThreadPoolExecutor(1) as pool:
            # The file is read while the function starts.
            first = pool.submit(reader, choices)
            with function_or_own(around.environment) as target, Client(target) as client:
                return _Import(file, reader, first, choices, wishes, client, around.terminal).run()
    except (FileUnusable, MappingInvalid, Stopped) as e:
        key_needed = isinstance(e, Stopped) and e.kind == "unauthorized"
        key = " Set WEIGHBRIDGE_KEY to one of the function's WEIGHBRIDGE_API_KEYS." if key_needed else ""
        click.echo(f"{e}{key}", err=True)
        return 1


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as e:
        raise FileUnusable(FileFault.FILE_UNREADABLE(file=str(file), problem=str(e.strerror))) from None


class _Import:
    def __init__(
        self,
        file: Path,
        reader: Callable[[Choices], History],
        first: Future[History],
        choices: Choices,
        wishes: Wishes,
        client: Client,
        terminal: Terminal,
    ) -> None:
        """`first`: what `reader` finds with these choices."""
        self._file, self._given, self._wishes = file, choices, wishes
        self._reader, self._first = reader, [first]
        self._client, self._ask = client, terminal.ask if terminal.is_there() else None
        self._console = Console(highlight=False)
        self._preview = Preview(self._console, in_full=wishes.in_full)

    def run(self) -> int:
        health = self._client.health()
        if not health.ok:
            raise Stopped(health.text, health.kind)
        delivery = health.body.get("delivery", {})
        served = "people" in delivery
        history, choices = self._read(self._given, served=served)
        checked = self._check(history)
        if Code.LEFT_OUT_IN_DOUBT.code in checked.codes and self._ask:
            answered = ask_units(history, choices, self._ask)
            if answered != choices:
                history, choices = self._read(answered, served=served)
                checked = self._check(history)
        outliers = find_outliers(checked.weights)
        self._show(history, choices, checked, outliers)
        self._save(choices)
        refused = {row.number for row, _ in checked.refused}
        good = [row for row in history.readings if row.number not in refused]
        if not good:
            raise Stopped("No row in the file can be sent.")
        if not delivery.get("ready", True):
            raise Stopped(f"Nothing was sent: {delivery.get('detail', 'the function is not ready.')}")
        chosen = self._chosen(good, outliers, delivery.get("name", ""))
        if not chosen:
            return 1 if self._wishes.yes else 0
        return _send(self._client, chosen, self._preview, len(history.rows) - len(chosen))

    def _read(self, choices: Choices, *, served: bool) -> tuple[History, Choices]:
        return read_or_ask(self._history, choices, self._ask, served=served)

    def _history(self, choices: Choices) -> History:
        return self._first.pop().result() if self._first else self._reader(choices)

    def _check(self, history: History) -> ImportReport:
        rows = history.readings
        shown = frozenset(row.number for row in (*rows[:SHOWN], *rows[-SHOWN:]))
        with _progress(self._console) as bar:
            task = bar.add_task("checked", total=len(rows))
            return check(self._client, rows, shown=shown, progress=lambda done: bar.update(task, completed=done))

    def _show(self, history: History, choices: Choices, checked: ImportReport, outliers: Sequence[Outlier]) -> None:
        preview = self._preview
        preview.show_columns(history, choices)
        preview.show_rows(checked, len(history.readings))
        preview.show_picture(checked, outliers)
        preview.show_refused("cannot be sent", unsendable(history, checked))
        preview.show_warnings("what is left out or doubtful", checked.warnings)
        preview.show_outliers("out of line with the others", outliers)

    def _save(self, choices: Choices) -> None:
        """Write the answers to --save-mapping, or offer to keep those that were given at the terminal."""
        path = self._wishes.save_mapping
        if path is None:
            asked = choices != self._given and not self._wishes.yes
            path = self._file.with_suffix(".answers.toml")
            if not asked or not _agreed(self._ask, f"\nSave these answers to {path}? [y/N] "):
                return
        try:
            path.write_bytes(answers.write(choices))
        except OSError as e:
            raise Stopped(f"{path} cannot be written: {e.strerror}. Nothing was sent.") from None
        self._console.print(f"The answers are in {path}. Use them again: --mapping {path}", markup=False)

    def _chosen(self, good: Sequence[WeighInLine], outliers: Sequence[Outlier], delivery: str) -> Sequence[WeighInLine]:
        """The rows that the person wants to send."""
        wishes, wrong = self._wishes, {outlier.weight.row for outlier in outliers}
        usual = [row for row in good if row.number not in wrong]
        rows = usual if wishes.with_outliers is False else good
        undecided = bool(wrong) and wishes.with_outliers is None
        if wishes.preview or not (wishes.yes or self._ask) or (wishes.yes and undecided):
            pass_yes = "" if wishes.yes else f" Pass --yes to send {len(rows):,} readings."
            self._console.print(f"\nNothing was sent.{pass_yes}")
            if undecided:
                self._console.print(
                    f"{len(wrong):,} of them are out of line with the others: add --without-outliers to leave these "
                    "out, or --with-outliers to send them too."
                )
            return []
        if wishes.yes:
            return rows
        where = f" ({delivery})" * bool(delivery)
        if not undecided:
            return rows if _agreed(self._ask, f"\nSend {len(rows):,} readings{where}? [y/N] ") else []
        answer = _answer(
            self._ask,
            f"\nSend{where}? [y] all {len(good):,} readings, [o] the {len(usual):,} that are in line, [N] none: ",
        )
        return good if answer in ("y", "yes") else usual if answer == "o" else []


def _send(client: Client, rows: Sequence[WeighInLine], preview: Preview, left_out: int) -> int:
    console, outcome = preview.console, ImportReport()
    why, code = "", 0
    with _progress(console) as bar:
        task = bar.add_task("sent", total=len(rows))

        def show(done: int, pause: Pause | None) -> None:
            bar.update(task, completed=done)
            if pause:
                words = f"{pause.problem.text} Trying again in {pause.seconds:g} s."
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
    preview.show_refused("refused", outcome.refused)
    preview.show_warnings("arrived with a warning", outcome.warnings)
    if why:
        console.print(f"{why} {len(rows) - outcome.done:,} readings were not sent.", style="red", markup=False)
        console.print("Run the same command again to continue. What has arrived is not sent twice.")
    return code or int(bool(outcome.refused))


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _agreed(ask: Ask | None, question: str) -> bool:
    return _answer(ask, question) in ("y", "yes")


def _answer(ask: Ask | None, question: str) -> str:
    if ask is None:
        return ""
    try:
        return ask(question).strip().casefold()
    except EOFError:
        return ""
