"""Reads the headers and cells of a CSV file or a spreadsheet.

Rule: the first bytes of a file decide its type, not its name. The Fitdays app exports a BIFF8 spreadsheet called .csv.
A cell is the text that a person sees. Nothing is rounded, and only empty rows are dropped.

Strategy: the header is the first of the first lines that looks like one to the caller, because Samsung Health writes a
line above it. If none does, it is the first line. Tabs separate before semicolons, and semicolons before commas, which
may be in the numbers.

Weakness: only the first sheet of a spreadsheet is read. Text that is neither UTF-8 nor UTF-16 is read as Windows-1252,
so headers in another old encoding come out wrong.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from typing import NamedTuple

import python_calamine as calamine

from .errors import FileFault, FileUnusable
from .extents import check_extents

#: An OLE 2 compound file (.xls), and a ZIP archive (.xlsx).
SPREADSHEETS = (b"\xd0\xcf\x11\xe0", b"PK\x03\x04")
DELIMITERS = "\t;,"
#: The header is looked for in so many lines.
FIRST_LINES = 20
LONGEST_CELL = 200


class TableRow(NamedTuple):
    #: As a spreadsheet program counts: the header is row 1.
    number: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and the rows below them. Each call of `rows` reads them again."""

    headers: list[str]
    _data: bytes | calamine.CalamineSheet
    _delimiter: str = ""
    _encoding: str = ""
    #: The lines above the header, each as it is in the file.
    above: tuple[str, ...] = ()

    def rows(self) -> Iterator[TableRow]:
        """The rows that are not empty. Raises `FileUnusable`, with row and column, if the file is damaged there."""
        if not isinstance(self._data, bytes):
            for number, values in enumerate(self._data.iter_rows(), 1):
                if number > len(self.above) + 1 and (cells := _filled([_text(value) for value in values])):
                    yield TableRow(number, cells)
            return
        text = io.TextIOWrapper(io.BytesIO(self._data), self._encoding, newline="")
        lines = csv.reader(text, delimiter=self._delimiter)
        above = len(self.above)
        try:
            for _ in self.above:
                text.readline()
            next(lines)
            for cells in lines:
                if cells := _filled(cells):
                    yield TableRow(above + lines.line_num, cells)
        except UnicodeDecodeError as e:
            raise _not_text(self._data, e) from None
        except csv.Error as e:
            row = above + lines.line_num + 1
            raise FileUnusable(FileFault.ROW_UNREADABLE(row=row, problem=str(e))) from None


def read_table(data: bytes, is_header: Callable[[Sequence[str]], bool]) -> Table:
    """The table in a CSV file or spreadsheet. `is_header`: whether cells look like a header. Raises `FileUnusable`."""
    if data.startswith(SPREADSHEETS):
        return _spreadsheet(data, is_header)
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as e:
        raise _not_text(data, e) from None
    lines = text.split("\n", FIRST_LINES)[:FIRST_LINES]
    split = [_split(line) for line in lines]
    place = next((i for i, (cells, _) in enumerate(split) if is_header(cells)), 0)
    if not lines[place].strip():
        raise FileUnusable(FileFault.HEADER_EMPTY())
    headers, delimiter = split[place]
    return Table(headers, data, delimiter, encoding, tuple(lines[:place]))


def _split(line: str) -> tuple[list[str], str]:
    """The cells of one line, and what separates them."""
    delimiter = next((mark for mark in DELIMITERS if mark in line), ",")
    if delimiter == ";" and line.count(",") > line.count(";"):
        delimiter = ","
    try:
        return [cell.strip() for cell in next(csv.reader([line.rstrip("\r")], delimiter=delimiter), [])], delimiter
    except csv.Error as e:
        raise FileUnusable(FileFault.ROW_UNREADABLE(row=1, problem=str(e))) from None


def _encoding(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What Windows programs in Western Europe write. A NUL byte means that the file is not text.
        return "utf-8-sig" if b"\0" in data else "cp1252"
    return "utf-8-sig"


def _not_text(data: bytes, e: UnicodeDecodeError) -> FileUnusable:
    before = data[: e.start]
    row, column = before.count(b"\n") + 1, e.start - before.rfind(b"\n")
    return FileUnusable(FileFault.FILE_NOT_TEXT(row=row, byte=column))


def _spreadsheet(data: bytes, is_header: Callable[[Sequence[str]], bool]) -> Table:
    check_extents(data)
    try:
        sheet = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0)
    except (calamine.CalamineError, ValueError, IndexError, OSError) as e:
        raise FileUnusable(FileFault.SPREADSHEET_UNREADABLE()) from e
    first = [[_text(value).strip() for value in row] for row in islice(sheet.iter_rows(), FIRST_LINES)]
    if not first:
        raise FileUnusable(FileFault.SPREADSHEET_EMPTY())
    place = next((i for i, cells in enumerate(first) if is_header(cells)), 0)
    return Table(first[place], sheet, above=tuple(" ".join(cells) for cells in first[:place]))


def _text(value: object) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat(*([" "] if isinstance(value, datetime) else []))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _filled(cells: list[str]) -> list[str]:
    """The cells without surrounding spaces. Nothing if all are empty."""
    cells = [cell.strip() for cell in cells]
    return cells if any(cells) else []
