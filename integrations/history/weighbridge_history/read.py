"""Reads a file of any supported type into readings, row by row.

Rule: the function judges values; this module does not. Rows go to it in the words of the file. This module
finds out which value each cell holds and when it was measured. A row that cannot become a reading is kept, with the
reason. What the file does not say is asked once, and never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import IO, Any, NamedTuple
from zoneinfo import ZoneInfo

from weighbridge.reading.dialects import BARE_WEIGHT, Role, is_missing, normal
from weighbridge.reading.interpret import has_time
from weighbridge.reading.keys import meaning_of
from weighbridge.reasons import Reason

from . import times
from .apple_health import chunks_of, is_archive, read_apple_health
from .columns import GARMIN, Column, is_header, is_values, recognize
from .errors import (
    FileFault,
    FileUnusable,
    MappingInvalid,
    OrderUnclear,
    RowFault,
    SeveralPeople,
    TimeOfDayMissing,
    UnitUnclear,
)
from .limits import CHUNK_BYTES
from .process import ask
from .table import LONGEST_CELL, Table, TableRow, read_table

#: How many rows are looked at to recognize the columns.
SAMPLE = 500
#: The function would use the time at which the row arrives, and a row that is sent again would be another weigh-in.
_RECEIVED = normal("received_at")
_BARE = re.compile(r"[\d.,]+", re.ASCII)
#: The header of Garmin's export, which has a row for each day above the rows with times.
_GARMIN = ("time", "weight", "change")
#: The first line of a file of Samsung Health, whose times are in UTC.
_SAMSUNG = "com.samsung."
#: The key of a weigh-in in the files of Fitbit, whose weights are in the unit of the account.
_FITBIT = "logId"


class Choices(NamedTuple):
    """What the user says about the whole file."""

    #: header -> word, see `columns.KIND_OF`.
    mapping: Mapping[str, str] = {}
    #: `times.DAY_FIRST`, `times.MONTH_FIRST` or `times.YEAR_FIRST`, if the file does not show it.
    order: str = ""
    #: For times without an offset; by default the function uses its own.
    timezone: ZoneInfo | None = None
    #: For weigh-ins that name no person; those of others are left out.
    person: str = ""
    #: For dates without a time.
    time_of_day: str = ""
    #: header or word -> the unit of its bare numbers.
    units: Mapping[str, str] = {}


class WeighInLine(NamedTuple):
    """One weigh-in of the file: the JSON for the function, or the reason why there is none."""

    number: int
    line: bytes
    #: Of a row that makes none: its code, parameters and English sentence.
    reason: Mapping[str, Any] = {}
    #: Whom it names.
    person: str = ""

    @property
    def fault(self) -> str:
        """Why there is none, in English."""
        return str(self.reason.get("message", ""))


def _left_out(number: int, reason: Reason) -> WeighInLine:
    return WeighInLine(number, b"", reason.shown())


@dataclass(frozen=True, slots=True)
class History:
    """The weigh-ins of a file."""

    kind: str
    rows: list[WeighInLine]
    #: Empty unless the file is a table.
    columns: tuple[Column, ...] = ()
    #: The people whom the rows name.
    people: tuple[str, ...] = ()
    #: How many rows have a date and no time, so that they are at the user's time of day.
    at_time_of_day: int = 0
    #: Whether a weight in a list of JSON has no unit, so that it counts as kg, as in any JSON.
    weight_without_unit: bool = False

    @property
    def readings(self) -> list[WeighInLine]:
        return [row for row in self.rows if not row.reason]


def read(
    data: bytes,
    *,
    mapping: Mapping[str, str] | None = None,
    order: str = "",
    timezone: ZoneInfo | None = None,
    person: str = "",
    time_of_day: str = "",
    units: Mapping[str, str] | None = None,
) -> History:
    """The weigh-ins of a history file, read in a process of its own. The arguments are those of `Choices`.

    Raises `FileUnusable`, `MappingInvalid`, or one of its `Question`s.
    """
    choices = Choices(dict(mapping or {}), order, None, person, time_of_day, dict(units or {}))._asdict()
    choices["timezone"] = timezone.key if timezone else None
    answers = ask({"columns": False, "choices": choices}, data)
    fields: dict[str, Any] = next(answers)
    fields["rows"] = [
        WeighInLine(number, line.encode("latin-1"), reason, whom)
        for rows in answers
        for number, line, reason, whom in rows
    ]
    fields["columns"] = tuple(Column(*column) for column in fields["columns"])
    fields["people"] = tuple(fields["people"])
    return History(**fields)


def reader_of(data: bytes) -> Callable[[Choices], History]:
    """Choices -> the history in a file, as `read` finds it."""
    return lambda choices: read(data, **choices._asdict())


def read_here(data: bytes, more: IO[bytes] | None = None, **answers: Any) -> History:
    """The weigh-ins, read in this process. `more`: the rest of an XML file that starts with `data`."""
    choices = Choices(**answers)
    history = _read(data, choices, more)
    people = dict.fromkeys(row.person for row in history.rows if row.person)
    history = replace(history, people=tuple(people))
    if choices.person:
        return replace(history, rows=[_of_person(row, choices.person) for row in history.rows])
    return history


def check_people(history: History, *, served: bool) -> None:
    """Raises `SeveralPeople` if rows of several people would go to one account. `served`: the function knows people."""
    left = dict.fromkeys(row.person for row in history.readings if row.person)
    if len(left) > 1 and not served:
        raise SeveralPeople(
            FileFault.SEVERAL_PEOPLE(people=list(left)),
            "Pass --name NAME to send those of one person.",
            list(left),
        )


def _person_in(values: Mapping[str, object]) -> str:
    """Whom a row names, or nothing."""
    names = (str(v).strip() for key, v in values.items() if meaning_of(key) is Role.PERSON and not is_missing(v))
    return next(names, "")


def _of_person(row: WeighInLine, person: str) -> WeighInLine:
    if not row.line:
        return row
    if row.person:
        same = row.person.casefold() == person.strip().casefold()
        return row if same else _left_out(row.number, RowFault.OF_SOMEONE_ELSE(person=row.person))
    return row._replace(line=_with(row.line, "person", person), person=person)


def _with(line: bytes, key: str, value: str) -> bytes:
    """A line of JSON with one more key. Its text stays: written again, it would lose a duplicate key, which the
    function refuses.
    """
    comma = b", " if json.loads(line) else b""
    return b"".join((line[:-1], comma, json.dumps(key).encode(), b": ", json.dumps(value).encode(), b"}"))


def _read(data: bytes, choices: Choices, more: IO[bytes] | None) -> History:
    if not data.strip():
        raise FileUnusable(FileFault.FILE_EMPTY())
    start = _start(data)
    if start.startswith(b"{"):
        _check_no_columns("JSON lines", choices)
        rows = [_json_line(number, line) for number, line in _lines(data)]
        return History("JSON lines", [_in_zone(row, choices.timezone) for row in rows])
    if start.startswith(b"["):
        return _json_list(data, choices)
    if start.startswith(b"<"):
        _check_no_columns("Apple Health", choices)
        return _apple_health(chain([data], iter(lambda: more.read(CHUNK_BYTES) if more else b"", b"")))
    if data.startswith(b"PK") and is_archive(data):
        _check_no_columns("Apple Health", choices)
        return _apple_health(chunks_of(data))
    table = _table_of(data, choices.mapping)
    if _is_garmin(table):
        return _garmin(table, choices)
    return _table(table, choices)


def _check_no_columns(kind: str, choices: Choices) -> None:
    """Raises `MappingInvalid` if the choices name columns: this kind of file has none."""
    if named := [*choices.mapping, *choices.units]:
        raise MappingInvalid(FileFault.COLUMN_OF_NO_TABLE(header=named[0], kind=kind))


def _apple_health(chunks: Iterable[bytes]) -> History:
    found = read_apple_health(chunks)
    rows = [WeighInLine(i, _line(values)) for i, values in enumerate(found.weigh_ins.values(), 1)]
    faults = [_left_out(i, why) for i, why in enumerate(found.faults, len(rows) + 1)]
    return History("Apple Health", rows + faults)


def _in_zone(row: WeighInLine, timezone: ZoneInfo | None) -> WeighInLine:
    """The row with the zone of its times, unless it names one."""
    if timezone is None or not row.line or any(meaning_of(key) is Role.ZONE for key in json.loads(row.line)):
        return row
    return row._replace(line=_with(row.line, "timezone", timezone.key))


# -- JSON lines --------------------------------------------------------------------------------------------


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if stripped := line.strip():
            yield number, stripped


def _json_line(number: int, line: bytes) -> WeighInLine:
    try:
        value = json.loads(line)
    except UnicodeDecodeError as e:
        return _left_out(number, RowFault.NOT_UTF_8(byte=e.start + 1))
    except json.JSONDecodeError as e:
        return _left_out(number, RowFault.JSON_INVALID(place=e.colno, problem=e.msg))
    except (ValueError, RecursionError):
        return _left_out(number, RowFault.JSON_UNREADABLE())
    if not isinstance(value, dict):
        return _left_out(number, RowFault.JSON_OBJECT_EXPECTED())
    if has_time(value) or any(normal(key) == _RECEIVED and not is_missing(at) for key, at in value.items()):
        return WeighInLine(number, line, person=_person_in(value))
    return _left_out(number, RowFault.TIME_MISSING())


# -- a list of JSON objects --------------------------------------------------------------------------------


def _json_list(data: bytes, choices: Choices) -> History:
    """A list of objects, such as Fitbit writes: a date and a time of day in two keys, in one of several orders."""
    values = _values_of(data)
    objects, keys = _objects_in(values)
    units = dict(choices.units)
    if _FITBIT in keys and not any(normal(name) == "weight" for name in units):
        raise UnitUnclear(
            FileFault.UNIT_OF_FITBIT_MISSING(),
            "Pass --unit weight=kg or --unit weight=lb.",
        )
    columns = recognize(keys, [], choices.mapping, units=units)
    when = _When(columns, choices)
    when.learn([[_text(value.get(key)) for key in keys] for value in objects])
    cells_of = _Cells(columns)
    rows = []
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            rows.append(_left_out(number, RowFault.JSON_OBJECT_EXPECTED()))
            continue
        if any(isinstance(part, dict | list) for part in value.values()):
            rows.append(_in_zone(_json_line(number, _line(value)), choices.timezone))
            continue
        cells = [_text(value.get(key)) for key in keys]
        rows.append(cells_of.row(TableRow(number, cells), when.of(cells)))
    return History(
        "a JSON list", rows, tuple(columns), at_time_of_day=when.used, weight_without_unit=cells_of.weight_without_unit
    )


def _values_of(data: bytes) -> list[object]:
    try:
        values: list[object] = json.loads(data.decode("utf-8-sig"), parse_float=str, parse_int=str)
    except UnicodeDecodeError as e:
        raise FileUnusable(FileFault.FILE_NOT_UTF_8(byte=e.start + 1)) from None
    except json.JSONDecodeError as e:
        raise FileUnusable(FileFault.FILE_NOT_JSON(row=e.lineno, column=e.colno, problem=e.msg)) from None
    except (ValueError, RecursionError):
        raise FileUnusable(FileFault.FILE_JSON_UNREADABLE()) from None
    return values


def _objects_in(values: Sequence[object]) -> tuple[list[dict[str, object]], list[str]]:
    """The objects of a list, and their keys."""
    objects = [value for value in values if isinstance(value, dict)]
    return objects, list(dict.fromkeys(key for value in objects for key in value))


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


# -- tables ------------------------------------------------------------------------------------------------


def columns_of(data: bytes, mapping: Mapping[str, str]) -> list[Column]:
    """The columns of a table, even if they do not make a reading. Raises `FileUnusable` or `MappingInvalid`."""
    return [Column(*column) for column in ask({"columns": True, "mapping": dict(mapping)}, data)]


def columns_here(data: bytes, mapping: Mapping[str, str]) -> list[Column]:
    """The columns of a table, read in this process."""
    if _start(data).startswith(b"["):
        return recognize(_objects_in(_values_of(data))[1], [], mapping)
    table = _table_of(data, mapping)
    own = GARMIN if _is_garmin(table) else {}
    return recognize(table.headers, [row.cells for row in islice(table.rows(), SAMPLE)], mapping, own=own)


def _start(data: bytes) -> bytes:
    return data[:200].lstrip(b"\xef\xbb\xbf \t\r\n")


def _is_garmin(table: Table) -> bool:
    """Whether this is Garmin Connect's export, in any language: times below a row with their day."""
    if tuple(map(normal, table.headers[:3])) == _GARMIN:
        return True
    if [column.word for column in recognize(table.headers[:2], [], {})] != ["time", "weight"]:
        return False
    rows = [row.cells for row in islice(table.rows(), 2)]
    return len(rows) == 2 and _is_day(rows[0]) and times.is_clock(rows[1][0])


def _is_day(cells: Sequence[str]) -> bool:
    return times.parse_day(cells[0]) is not None and not any(cells[1:])


def _table_of(data: bytes, mapping: Mapping[str, str]) -> Table:
    wanted = set(mapping)
    table = read_table(data, lambda cells: (bool(wanted) and wanted <= set(cells)) or is_header(cells))
    if is_values(table.headers):
        raise FileUnusable(FileFault.HEADER_MISSING())
    return table


#: Whether there are a time and a weight -> what is wrong.
_MISSING = {
    (False, True): FileFault.TIME_COLUMN_MISSING,
    (True, False): FileFault.WEIGHT_COLUMN_MISSING,
    (False, False): FileFault.BOTH_COLUMNS_MISSING,
}


def _table(table: Table, choices: Choices) -> History:
    sample = [row.cells for row in islice(table.rows(), SAMPLE)]
    columns = recognize(table.headers, sample, choices.mapping, units=choices.units)
    words = {column.word for column in columns if column.key}
    if fault := _MISSING.get(("time" in words, "weight" in words)):
        word = "weight" if "time" in words else "time"
        raise MappingInvalid(
            fault(headers=", ".join(table.headers)), f'Name it in a mapping file: "the header" = "{word}".'
        )
    when = _When(columns, choices, utc=any(line.startswith(_SAMSUNG) for line in table.above))
    when.learn(row.cells for row in table.rows())
    last = max(i for i, column in enumerate(columns) if column.key)
    cells_of = _Cells(columns)

    def reading(row: TableRow) -> WeighInLine:
        if len(row.cells) != len(columns):
            longer = len(row.cells) > len(columns) and any(row.cells[len(columns) :])
            if longer or len(row.cells) <= last:
                fault = RowFault.CELLS_EXPECTED(expected=len(columns), count=len(row.cells))
                return _left_out(row.number, fault)
        return cells_of.row(row, when.of(row.cells))

    rows = [reading(row) for row in table.rows()]
    if cells_of.weight_without_unit:
        header = next(column.header for column in columns if meaning_of(column.key) is BARE_WEIGHT)
        raise UnitUnclear(
            FileFault.UNIT_OF_COLUMN_MISSING(header=header),
            "Pass --unit weight=kg, --unit weight=lb or --unit weight=st.",
        )
    return History("a table", rows, tuple(columns), at_time_of_day=when.used)


class _When:
    """When a row was measured: the cells of its times, with their dates year first."""

    def __init__(self, columns: Sequence[Column], choices: Choices, *, utc: bool = False) -> None:
        timed = [(i, column) for i, column in enumerate(columns) if column.is_time]
        best = min((column.rank for _, column in timed), default=0)
        self._places = [(i, column.key) for i, column in timed if column.rank == best]
        self._order, self._time_of_day = choices.order, choices.time_of_day
        zone = "UTC" if utc else choices.timezone.key if choices.timezone else ""
        self._zone = {"timezone": zone} if zone and not any(c.role is Role.ZONE for c in columns) else {}
        #: How many rows got the user's time of day.
        self.used = 0

    def learn(self, rows: Iterable[Sequence[str]]) -> None:
        """Find the order of dates in all rows. Raises `OrderUnclear` or `TimeOfDayMissing`."""
        texts = list(dict.fromkeys(text for cells in rows for _, text in self._texts(cells)))
        if not self._order:
            found = times.order_of(texts)
            if isinstance(found, times.Unclear):
                raise OrderUnclear(_which_order(found), "Pass --date-order dmy, mdy or ymd.")
            self._order = found
        kinds = {times.kind_of(text) for text in texts}
        if times.Kind.DAY in kinds and not kinds & {times.Kind.CLOCK, times.Kind.INSTANT} and not self._time_of_day:
            raise TimeOfDayMissing(
                FileFault.TIMES_OF_DAY_MISSING(),
                "Pass --time-of-day 07:00 to use one time for all of them.",
            )

    def of(self, cells: Sequence[str]) -> dict[str, str] | Reason:
        """The keys for the function, or why there are none."""
        texts = self._texts(cells)
        if not texts:
            return RowFault.TIME_MISSING()
        if len(texts) == 1 and times.kind_of(texts[0][1]) is times.Kind.INSTANT:  # nearly always
            return {texts[0][0]: times.as_iso(texts[0][1], self._order), **self._zone}
        kinds = [times.kind_of(text) for _, text in texts]
        days = [text for (_, text), kind in zip(texts, kinds, strict=True) if kind is times.Kind.DAY]
        clocks = [text for (_, text), kind in zip(texts, kinds, strict=True) if kind is times.Kind.CLOCK]
        if len(texts) == 2 and days and clocks:
            return {"time": times.on_date(days[0], clocks[0], self._order), **self._zone}
        if len(days) == len(texts):
            if not self._time_of_day:
                return RowFault.TIME_OF_DAY_OF_ROW_MISSING()
            self.used += 1
            return {"time": times.on_date(days[0], self._time_of_day, self._order), **self._zone}
        found = {key: times.as_iso(text, self._order) for key, text in texts}
        if len(found) < len(dict.fromkeys(texts)):
            return RowFault.TWO_TIMES(times=[text for _, text in texts])
        return found | self._zone

    def _texts(self, cells: Sequence[str]) -> list[tuple[str, str]]:
        return [(key, times.plain(cells[i])) for i, key in self._places if i < len(cells) and not is_missing(cells[i])]


def _which_order(unclear: times.Unclear) -> Reason:
    if not unclear.orders:
        return FileFault.DATES_CONTRADICT(time=unclear.example)
    is_month_possible = times.MONTH_FIRST in unclear.orders
    which = FileFault.DAY_OR_MONTH_FIRST if is_month_possible else FileFault.YEAR_OR_DAY_FIRST
    return which(time=unclear.example)


def _garmin(table: Table, choices: Choices) -> History:
    """Garmin Connect's export: a row with a day, then rows with times of that day."""
    columns = recognize(table.headers, [], choices.mapping, units=choices.units, own=GARMIN)
    zone = {"timezone": choices.timezone.key} if choices.timezone else {}
    cells_of = _Cells(columns)
    rows: list[WeighInLine] = []
    day: tuple[int, int, int] | None = None
    for row in table.rows():
        first = row.cells[0]
        if not any(row.cells[1:]):
            day = times.parse_day(first)
            if day is None:
                rows.append(_left_out(row.number, RowFault.DAY_OF_GARMIN_EXPECTED(cell=first[:LONGEST_CELL])))
        elif not times.is_clock(first):
            fault = RowFault.CLOCK_EXPECTED(column=columns[0].header, cell=first[:LONGEST_CELL])
            rows.append(_left_out(row.number, fault))
        elif day is None:
            rows.append(_left_out(row.number, RowFault.DAY_ABOVE_MISSING()))
        else:
            rows.append(cells_of.row(row, {"time": times.on_day(day, first), **zone}))
    return History("Garmin Connect's CSV", rows, tuple(columns))


class _Cells:
    """The rows of a table for the function: each cell that is a value, under the key of its column."""

    def __init__(self, columns: Sequence[Column]) -> None:
        # Looked up once: a history has a million cells.
        self._places = [(i, c.key, c.unit, c.header) for i, c in enumerate(columns) if c.key and not c.is_time]
        self._people = [column.key for column in columns if column.role is Role.PERSON]
        has_unit = any(column.role is Role.WEIGHT_UNIT for column in columns)
        weights = (c.key for c in columns if not c.unit and meaning_of(c.key) is BARE_WEIGHT)
        self._without_unit = frozenset(() if has_unit else weights)
        #: Whether a weight has no unit.
        self.weight_without_unit = False

    def row(self, row: TableRow, when: dict[str, str] | Reason) -> WeighInLine:
        """A row measured at `when`, or the reason why there is none."""
        if isinstance(when, Reason):
            return _left_out(row.number, when)
        cells, values = row.cells, dict(when)
        for i, key, unit, header in self._places:
            cell = cells[i] if i < len(cells) else ""
            if len(cell) > LONGEST_CELL:
                fault = RowFault.CELL_TOO_LONG(column=header, maximum=LONGEST_CELL, count=len(cell))
                return _left_out(row.number, fault)
            # What starts with a digit is a value; this is the quick answer for nearly all cells.
            if not cell[:1].isdecimal() and is_missing(cell):
                continue
            if unit and _BARE.fullmatch(cell):
                cell = f"{cell} {unit}"
            elif key in self._without_unit and not self.weight_without_unit:
                self.weight_without_unit = _BARE.fullmatch(cell) is not None
            values[key] = cell
        return WeighInLine(row.number, _line(values), person=_person_in(values) if self._people else "")


#: Made once: `json.dumps` makes a new one for each call with options.
_encode = json.JSONEncoder(ensure_ascii=False).encode


def _line(values: Mapping[str, object]) -> bytes:
    # Half of a surrogate pair stays an escape, which the function refuses.
    return _encode(values).encode("utf-8", "backslashreplace")
