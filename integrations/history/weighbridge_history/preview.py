"""Shows a history at the terminal: its columns, its first and last weigh-ins, a picture, and all that is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from weighbridge.client import Result

from .left_out import by_kind, count_of, left_out_columns, ranges
from .outliers import Outlier
from .picture import draw
from .read import Choices, History, WeighInLine
from .send import ImportReport, reason_of

#: How many weigh-ins of each end are shown, and how many of what is left out, unless all is.
SHOWN, MOST_SHOWN = 5, 20
VALUES = (
    "weight_kg",
    "body_fat_percent",
    "muscle_mass_kg",
    "bone_mass_kg",
    "body_water_percent",
    "visceral_fat_rating",
)


class Preview:
    """Prints to a console. With `in_full`, nothing is cut short."""

    def __init__(self, console: Console, *, in_full: bool) -> None:
        self.console = console
        self._most = None if in_full else MOST_SHOWN

    def show_columns(self, history: History, choices: Choices) -> None:
        out = self.console
        out.print(f"{history.kind}: {len(history.rows):,} weigh-ins.")
        if history.at_time_of_day:
            out.print(
                f"{history.at_time_of_day:,} of them have a date and no time: they are sent as measured at "
                f"{choices.time_of_day}."
            )
        if not history.columns:
            return
        table = Table("column", "means", "recognized by", box=None, header_style="dim")
        for column in history.columns:
            if column.word and column.key:
                table.add_row(column.header, f"{column.word}, {column.unit}".rstrip(", "), column.recognized_by)
        out.print(table)
        for what, names in left_out_columns(history).items():
            out.print(f"{what}: {', '.join(names)}.", markup=False)
        if history.weight_without_unit:
            out.print("The file names no unit for the weight, so it is read in kg. If it is pounds: --unit weight=lb.")
        out.print(
            'Is one wrong? Write [columns] and lines such as "the header" = "body fat" to a file and pass it with '
            "--mapping FILE.\n",
            markup=False,
        )

    def show_rows(self, checked: ImportReport, total: int) -> None:
        if not checked.receipts:
            return
        table = Table(box=None, header_style="dim")
        table.add_column("row", no_wrap=True)
        table.add_column("measured at (UTC)", no_wrap=True)
        for name in VALUES:
            stem, _, unit = name.rpartition("_")
            unit = {"kg": " kg", "percent": " %"}.get(unit, "")
            table.add_column(f"{stem.replace('_', ' ')}{unit}", justify="right")
        for position, (row, receipt) in enumerate(checked.receipts):
            if position == SHOWN and total > 2 * SHOWN:
                table.add_row("…")
            values = {field["name"]: field["value"] for field in receipt["fields"]}
            cells = (_cell(values.get(name), 0 if name.endswith("rating") else 1) for name in VALUES)
            at = receipt["measured_at"].replace("T", " ").rstrip("Z").removesuffix("+00:00")
            table.add_row(str(row.number), at, *cells)
        self.console.print(table)
        for note in dict.fromkeys(note["text"] for _, receipt in checked.receipts for note in receipt["notes"]):
            self.console.print(f"- {note}", style="dim", markup=False)

    def show_picture(self, checked: ImportReport, outliers: Sequence[Outlier]) -> None:
        if picture := draw(self.console, checked.weights, {outlier.weight.row for outlier in outliers}):
            self.console.print()
            self.console.print(picture, no_wrap=True, soft_wrap=True)

    def show_refused(self, what: str, rows: Sequence[tuple[WeighInLine, Result | None]]) -> None:
        lines = [f"row {row.number}: {reason_of(problem) if problem else row.fault}" for row, problem in rows]
        self._list(f"{count_of(len(rows), 'row')} {what}:", lines)

    def show_outliers(self, what: str, outliers: Sequence[Outlier]) -> None:
        self._list(
            f"{count_of(len(outliers), 'weigh-in')} {what}:",
            [f"row {outlier.weight.row}: {outlier.reason}" for outlier in outliers],
        )

    def show_warnings(self, what: str, warnings: Sequence[tuple[WeighInLine, Mapping[str, Any]]]) -> None:
        kinds = by_kind((row, warning["text"]) for row, warning in warnings)
        lines = [f"row{'s' * (len(rows) > 1)} {self._numbers(rows)}: {text}" for text, rows in kinds.items()]
        self._list(f"{count_of(len({row.number for row, _ in warnings}), 'row')}: {what}:", lines)

    def _list(self, title: str, lines: Sequence[str]) -> None:
        if not lines:
            return
        self.console.print(f"\n{title}", style="yellow", markup=False)
        for line in lines[: self._most]:
            self.console.print(f"  {line}", markup=False)
        if self._most and len(lines) > self._most:
            self.console.print(f"  … and {len(lines) - self._most:,} more. Pass --all to see them.")

    def _numbers(self, rows: Sequence[int]) -> str:
        parts = ranges(rows)
        if self._most and len(parts) > self._most:
            return f"{', '.join(parts[: self._most])} … (all of them: --all)"
        return ", ".join(parts)


def _cell(value: float | str | None, decimals: int) -> str:
    return "" if value is None else f"{float(value):.{decimals}f}"
