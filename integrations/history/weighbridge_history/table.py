"""Reads the headers and cells of a CSV file or a spreadsheet.

Rule: the first bytes of a file decide its type, not its name. The Fitdays app exports a BIFF8 spreadsheet called .csv.
A cell is the text that a person sees. Nothing is rounded, and only empty rows are dropped.

Weakness: only the first sheet of a spreadsheet is read. Text that is neither UTF-8 nor UTF-16 is read as Windows-1252,
so headers in another old encoding come out wrong.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import NamedTuple

import python_calamine as calamine

from .errors import FileUnusable

#: An OLE 2 compound file (.xls), and a ZIP archive (.xlsx).
SPREADSHEETS = (b"\xd0\xcf\x11\xe0", b"PK\x03\x04")
DELIMITERS = ",;\t"
LONGEST_CELL = 200


class TableRow(NamedTuple):
    #: As a spreadsheet program counts: the header is row 1.
    number: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and the rows below them. Each call of `rows` reads them again."""

    headers: list[str]
    _data: bytes | Sequence[Sequence[object]]
    _delimiter: str = ""
    _encoding: str = ""

    def rows(self) -> Iterator[TableRow]:
        """The rows that are not empty. Raises `FileUnusable`, with row and column, if the file is damaged there."""
        if not isinstance(self._data, bytes):
            for number, values in enumerate(self._data[1:], 2):
                if cells := _filled([_text(value) for value in values]):
                    yield TableRow(number, cells)
            return
        lines = csv.reader(
            io.TextIOWrapper(io.BytesIO(self._data), self._encoding, newline=""), delimiter=self._delimiter
        )
        try:
            next(lines)
            for cells in lines:
                if cells := _filled(cells):
                    yield TableRow(lines.line_num, cells)
        except UnicodeDecodeError as e:
            raise _not_text(self._data, e) from None
        except csv.Error as e:
            raise FileUnusable(f"Row {lines.line_num + 1}: {e}. Is the file damaged there?") from None


def read_table(data: bytes) -> Table:
    """The table in a CSV file or spreadsheet. Raises `FileUnusable`."""
    if data.startswith(SPREADSHEETS):
        return _spreadsheet(data)
    encoding = _encoding(data)
    try:
        first = data.decode(encoding).split("\n", 1)[0]
    except UnicodeDecodeError as e:
        raise _not_text(data, e) from None
    if not first.strip():
        raise FileUnusable("Expected the names of the columns in the first line, but it is empty.")
    delimiter = max(DELIMITERS, key=first.count)
    headers = [header.strip() for header in next(csv.reader([first.rstrip("\r")], delimiter=delimiter))]
    return Table(headers, data, delimiter, encoding)


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
    return FileUnusable(f"Row {row}, byte {column}: this is not text. Is the file damaged or of another type?")


def _spreadsheet(data: bytes) -> Table:
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        values = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (calamine.CalamineError, ValueError, IndexError, OSError) as e:
        raise FileUnusable("The spreadsheet cannot be read. Is it complete? Export it again, or save it as CSV.") from e
    if not values:
        raise FileUnusable("The first sheet of the spreadsheet is empty.")
    return Table([_text(value).strip() for value in values[0]], values)


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
