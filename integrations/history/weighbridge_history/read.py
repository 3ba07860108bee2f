"""Reads a file of any supported type into readings, row by row.

Rule: the function judges values; this module does not. It finds out which value each cell holds and when it was
measured. A row that cannot become a reading is kept, with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from weighbridge.reading.dialects import is_missing, normal
from weighbridge.reading.interpret import has_time

from . import times
from .apple_health import is_archive, read_apple_health
from .columns import Column, recognize
from .errors import FileUnusable, MappingInvalid, OrderUnclear
from .table import LONGEST_CELL, Table, TableRow, read_table

#: How many rows are looked at to recognize the columns.
SAMPLE = 500
#: The function would use the time at which the row arrives, and a row that is sent again would be another weigh-in.
NO_TIME = "the time is missing"
_RECEIVED = normal("received_at")
_BARE = re.compile(r"[\d.,]+", re.ASCII)
#: The header of Garmin's export, which has a row for each day above the rows with times.
_GARMIN = ("time", "weight", "change")


class WeighInLine(NamedTuple):
    """One weigh-in of the file: the JSON for the function, or the reason why there is none."""

    number: int
    line: bytes
    fault: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """The weigh-ins of a file."""

    kind: str
    rows: list[WeighInLine]
    #: Empty unless the file is a table.
    columns: tuple[Column, ...] = ()

    @property
    def readings(self) -> list[WeighInLine]:
        return [row for row in self.rows if not row.fault]


def read(
    data: bytes,
    *,
    mapping: Mapping[str, str] | None = None,
    order: str = "",
    timezone: ZoneInfo | None = None,
    person: str = "",
) -> History:
    """The weigh-ins of a history file.

    `mapping`: header -> word, see `columns.KIND_OF`. `order`: `times.DAY_FIRST` or `times.MONTH_FIRST`, if the file
    does not show it. `timezone`: for times without an offset; by default the function uses its own. `person`: for
    weigh-ins that name no person.
    Raises `FileUnusable` or `MappingInvalid`.
    """
    history = _read(data, mapping or {}, order, timezone)
    if person:
        history = replace(history, rows=[_of_person(row, person) for row in history.rows])
    return history


def _of_person(row: WeighInLine, person: str) -> WeighInLine:
    values = json.loads(row.line) if row.line else {"person": person}
    if "person" in values:
        return row
    # Into the text as it is: written again, it would lose a duplicate key, which the function refuses.
    comma = b", " if values else b""
    return row._replace(line=b"".join((row.line[:-1], comma, b'"person": ', json.dumps(person).encode(), b"}")))


def _read(data: bytes, mapping: Mapping[str, str], order: str, timezone: ZoneInfo | None) -> History:
    if not data.strip():
        raise FileUnusable("The file is empty.")
    start = data[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"{"):
        return History("JSON lines", [_json_line(number, line) for number, line in _lines(data)])
    if start.startswith(b"["):
        raise FileUnusable("Expected JSON lines, got a JSON list. Write one reading per line, without the brackets.")
    if start.startswith(b"<") or (data.startswith(b"PK") and is_archive(data)):
        found = read_apple_health(data)
        return History("Apple Health", [WeighInLine(i, _line(values)) for i, values in enumerate(found.values(), 1)])
    table = read_table(data)
    if tuple(map(normal, table.headers[:3])) == _GARMIN:
        return _garmin(table, mapping, timezone)
    return _table(table, mapping, order, timezone)


# -- JSON lines --------------------------------------------------------------------------------------------


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if stripped := line.strip():
            yield number, stripped


def _json_line(number: int, line: bytes) -> WeighInLine:
    try:
        value = json.loads(line)
    except UnicodeDecodeError as e:
        return WeighInLine(number, b"", f"byte {e.start + 1}: not valid UTF-8")
    except json.JSONDecodeError as e:
        return WeighInLine(number, b"", f"column {e.colno}: {e.msg}")
    except (ValueError, RecursionError):
        return WeighInLine(number, b"", "this JSON cannot be read")
    if not isinstance(value, dict):
        return WeighInLine(number, b"", "expected a JSON object")
    received = any(normal(key) == _RECEIVED and not is_missing(at) for key, at in value.items())
    return WeighInLine(number, line) if received or has_time(value) else WeighInLine(number, b"", NO_TIME)


def columns_of(data: bytes, mapping: Mapping[str, str]) -> list[Column]:
    """The columns of a table, even if they do not make a reading. Raises `FileUnusable` or `MappingInvalid`."""
    table = read_table(data)
    return recognize(table.headers, [row.cells for row in islice(table.rows(), SAMPLE)], mapping)


# -- tables ------------------------------------------------------------------------------------------------


def _table(table: Table, mapping: Mapping[str, str], order: str, timezone: ZoneInfo | None) -> History:
    columns = recognize(table.headers, [row.cells for row in islice(table.rows(), SAMPLE)], mapping)
    place = {column.word: i for i, column in enumerate(columns)}
    missing = [word for word in ("time", "weight") if word not in place]
    if missing:
        raise MappingInvalid(
            f"No column is recognized as the {' or the '.join(missing)}. The columns are: {', '.join(table.headers)}.",
            f'Name it in a mapping file: "the header" = "{missing[0]}".',
        )
    at = place["time"]
    if not order:
        found = times.order_of(row.cells[at] for row in table.rows() if at < len(row.cells))
        if isinstance(found, times.Unclear):
            raise OrderUnclear(
                f"Is the day or the month first in {found.example!r}? No row in the file shows it.",
                "Pass --day-first or --month-first.",
            )
        order = found
    used = [(i, column) for i, column in enumerate(columns) if column.word and i != at]

    def reading(row: TableRow) -> WeighInLine:
        if len(row.cells) != len(columns):
            longer = len(row.cells) > len(columns) and any(row.cells[len(columns) :])
            if longer or len(row.cells) <= max(i for i, _ in used):
                return WeighInLine(
                    row.number, b"", f"expected {len(columns)} cells as in the header, got {len(row.cells)}"
                )
        values = {"time": _in_zone(times.as_iso(row.cells[at], order), timezone)}
        return _row(row, values, used)

    return History("a table", [reading(row) for row in table.rows()], tuple(columns))


def _garmin(table: Table, mapping: Mapping[str, str], timezone: ZoneInfo | None) -> History:
    """Garmin Connect's export: a row with a day, then rows with times of that day."""
    columns = recognize(table.headers, [], mapping)
    used = [(i, column) for i, column in enumerate(columns) if column.word and i != 0]
    rows: list[WeighInLine] = []
    day: tuple[int, int, int] | None = None
    for row in table.rows():
        first = row.cells[0]
        if not any(row.cells[1:]):
            day = times.parse_day(first)
            if day is None:
                rows.append(
                    WeighInLine(row.number, b"", f"expected a day such as 'Jul 18, 2026', got {first[:LONGEST_CELL]!r}")
                )
        elif not times.is_clock(first):
            rows.append(
                WeighInLine(
                    row.number, b"", f"column {columns[0].header}: expected a time of day, got {first[:LONGEST_CELL]!r}"
                )
            )
        elif day is None:
            rows.append(WeighInLine(row.number, b"", "no row above gives the day"))
        else:
            rows.append(_row(row, {"time": _in_zone(times.on_day(day, first), timezone)}, used))
    return History("Garmin Connect's CSV", rows, tuple(columns))


def _row(row: TableRow, values: dict[str, str], used: list[tuple[int, Column]]) -> WeighInLine:
    if is_missing(values["time"]):
        return WeighInLine(row.number, b"", NO_TIME)
    for i, column in used:
        cell = row.cells[i] if i < len(row.cells) else ""
        if len(cell) > LONGEST_CELL:
            fault = f"column {column.header}: expected at most {LONGEST_CELL} characters, got {len(cell)}"
            return WeighInLine(row.number, b"", fault)
        if not is_missing(cell):
            values[column.word] = f"{cell} {column.unit}".rstrip() if _BARE.fullmatch(cell) else cell
    return WeighInLine(row.number, _line(values))


def _line(values: Mapping[str, str]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode()


def _in_zone(text: str, timezone: ZoneInfo | None) -> str:
    """The time, with the offset of the zone if it has no offset."""
    if timezone is None:
        return text
    moment = times.moment_of(text)
    return text if moment is None or moment.tzinfo else moment.replace(tzinfo=timezone).isoformat()
