"""How far the cells of a spreadsheet reach, read before the cells are.

Rule: a spreadsheet reader makes a list of every cell from the first row and column to the last that hold something. A
file that needs a list that is too long is refused before that. What the file says of its size is not believed: the
place of each cell is looked at. What it says counts only if it is too much, because a reader may reserve memory for it.

Facts: an .xlsx and an .ods hold XML. A row or cell of an .ods may stand for a million (`number-rows-repeated`, ODF 1.3
part 3, 19.677). An .xlsb holds records with a type and a size of up to two and four bytes of seven bits ([MS-XLSB]
2.1.4). An .xls is a compound file whose stream `Workbook` holds records with a type and a size of two bytes ([MS-XLS]
2.1.4); a cell starts with its row and column.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from xml.parsers import expat

import olefile

from .errors import FileFault, FileUnusable
from .limits import (
    DAMAGED_ARCHIVE,
    LONGEST_TAG_BYTES,
    MOST_CELLS,
    MOST_COLUMNS,
    MOST_INFLATED_BYTES,
    MOST_PARTS,
    MOST_ROWS,
    inflate,
    xml_parser,
)


def check_extents(data: bytes) -> None:
    """Raises `FileUnusable` if a spreadsheet (.xlsx, .xlsb, .ods, .xls) holds too much."""
    try:
        if data.startswith(b"PK"):
            _check_archive(data)
        else:
            _check_xls(data)
    except (*DAMAGED_ARCHIVE, expat.ExpatError, struct.error, IndexError):
        raise FileUnusable(FileFault.SPREADSHEET_UNREADABLE()) from None


def _check_archive(data: bytes) -> None:
    left = MOST_INFLATED_BYTES
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        if len(parts) > MOST_PARTS:
            raise FileUnusable(FileFault.SPREADSHEET_WITH_TOO_MANY_FILES(maximum=MOST_PARTS, count=len(parts)))
        for part in parts:
            feed = _reader_of(part.filename.casefold())
            for chunk in inflate(archive, part, left):
                left -= len(chunk)
                if feed:
                    feed(chunk)


def _reader_of(name: str) -> Callable[[bytes], None] | None:
    """What reads the cells of a part of an archive; None if it has none."""
    if "worksheets/" in name and name.endswith(".xml"):
        return _Xlsx().feed
    if "worksheets/" in name and name.endswith(".bin"):
        return _Xlsb().feed
    return _Ods().feed if name == "content.xml" else None


class _Extent:
    """How far the cells of one sheet reach from the first row and column, which a reader starts with."""

    def __init__(self) -> None:
        self._bottom = self._right = 0

    def hold(self, row: int, column: int) -> None:
        """A cell that holds something, counted from 1. Raises `FileUnusable`."""
        if row <= self._bottom and column <= self._right:
            return
        self._bottom, self._right = max(self._bottom, row), max(self._right, column)
        if self._bottom > MOST_ROWS or self._right > MOST_COLUMNS or self._bottom * self._right > MOST_CELLS:
            most = {"most_rows": MOST_ROWS, "most_columns": MOST_COLUMNS, "most_cells": MOST_CELLS}
            spans = {"rows": self._bottom, "columns": self._right}
            raise FileUnusable(FileFault.SPREADSHEET_SPANS_TOO_MUCH(row=row, column=column, **spans, **most))


def _check_stated(rows: int, columns: int) -> None:
    """The extent that a file states. Raises `FileUnusable`."""
    if rows * columns > MOST_CELLS:
        raise FileUnusable(FileFault.SPREADSHEET_STATES_TOO_MUCH(rows=rows, columns=columns, maximum=MOST_CELLS))


# -- XML ---------------------------------------------------------------------------------------------------


class _Xml:
    """Reads XML as the bytes come."""

    def __init__(self) -> None:
        self._extent = _Extent()
        self._parser = xml_parser()
        self._parser.StartElementHandler = lambda name, values: self.start(name.rpartition(":")[2], values)
        self._fed = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        raise NotImplementedError

    def feed(self, chunk: bytes) -> None:
        self._parser.Parse(chunk, False)
        self._fed += len(chunk)
        if self._fed - max(self._parser.CurrentByteIndex, 0) > LONGEST_TAG_BYTES:
            raise FileUnusable(FileFault.SPREADSHEET_TEXT_TOO_LONG(maximum=LONGEST_TAG_BYTES))


class _Xlsx(_Xml):
    def __init__(self) -> None:
        super().__init__()
        self._row = self._column = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        match name:
            case "row":
                self._row = _whole(attributes.get("r"), self._row + 1)
                self._column = 0
            case "c":
                self._row, self._column = _place(attributes.get("r", ""), self._row, self._column + 1)
            case "v" | "is" | "f":
                self._extent.hold(self._row, self._column)


def _place(text: str, row: int, column: int) -> tuple[int, int]:
    """Row and column of a place such as "B12"; without one, those that are given."""
    letters = text.rstrip("0123456789")
    if not (1 <= len(letters) <= 4 and letters.isascii() and letters.isupper() and 1 <= len(text) - len(letters) <= 8):
        return row, column
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return int(text[len(letters) :]), number


class _Ods(_Xml):
    """Rows and cells have no numbers. A cell counts if it has a value or a text."""

    def __init__(self) -> None:
        super().__init__()
        self._row = self._column = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        match name:
            case "table":
                self._extent, self._row, self._column = _Extent(), 0, 0
            case "table-row":
                self._row += _repeated(attributes, "number-rows-repeated")
                self._column = 0
            case "table-cell" | "covered-table-cell":
                self._column += _repeated(attributes, "number-columns-repeated")
                if any(key.endswith(("value", "value-type", "formula")) for key in attributes):
                    self._extent.hold(self._row, self._column)
            case "p" if self._column:
                self._extent.hold(self._row, self._column)


def _repeated(attributes: Mapping[str, str], name: str) -> int:
    return next((_whole(text, 1) for key, text in attributes.items() if key.rpartition(":")[2] == name), 1)


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 12 else otherwise


# -- records -----------------------------------------------------------------------------------------------


class _Xlsb:
    ROW, DIMENSIONS = 0, 148
    #: Cells with a value or a formula. 1 is an empty one.
    CELLS = range(2, 12)

    def __init__(self) -> None:
        self._extent = _Extent()
        self._rest = b""
        self._row = 0

    def feed(self, chunk: bytes) -> None:
        data, at = self._rest + chunk, 0
        while found := _record(data, at):
            kind, start, size = found
            if size > LONGEST_TAG_BYTES:
                raise FileUnusable(FileFault.SPREADSHEET_RECORD_TOO_LONG(maximum=LONGEST_TAG_BYTES))
            if len(data) < start + size:
                break
            if kind == self.ROW:
                self._row = _number(data, start, 4) + 1
            elif kind in self.CELLS:
                self._extent.hold(self._row, _number(data, start, 4) + 1)
            elif kind == self.DIMENSIONS:
                top, bottom, left, right = struct.unpack_from("<4I", data, start)
                _check_stated(max(bottom - top + 1, 0), max(right - left + 1, 0))
            at = start + size
        self._rest = data[at:]


def _record(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Type, place of the content and size of a record; None if its head is not complete."""
    kind = size = 0
    for place in range(2):
        if at == len(data):
            return None
        kind |= (data[at] & 0x7F) << (7 * place)
        at += 1
        if data[at - 1] < 0x80:
            break
    for place in range(4):
        if at == len(data):
            return None
        size |= (data[at] & 0x7F) << (7 * place)
        at += 1
        if data[at - 1] < 0x80:
            break
    return kind, at, size


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


#: Records of an .xls.
_BOF, _DIMENSIONS, _MULRK = 0x0809, 0x0200, 0x00BD
#: Cells with a value: FORMULA, LABELSST, NUMBER, LABEL, BOOLERR, RK.
_CELLS = frozenset((0x0006, 0x00FD, 0x0203, 0x0204, 0x0205, 0x027E))


def _check_xls(data: bytes) -> None:
    extent = _Extent()
    for kind, content in _records(_workbook(data)):
        if kind in _CELLS:
            row, column = struct.unpack_from("<HH", content)
            extent.hold(row + 1, column + 1)
        elif kind == _MULRK:
            # Several cells of a row: the last two bytes are the last column.
            (row,), (column,) = struct.unpack_from("<H", content), struct.unpack("<H", content[-2:])
            extent.hold(row + 1, column + 1)
        elif kind == _BOF:
            extent = _Extent()
        elif kind == _DIMENSIONS:
            top, bottom, left, right = struct.unpack_from("<IIHH" if len(content) >= 14 else "<HHHH", content)
            _check_stated(max(bottom - top, 0), max(right - left, 0))


def _workbook(data: bytes) -> memoryview:
    with olefile.OleFileIO(io.BytesIO(data)) as compound:
        name = next((name for name in ("Workbook", "Book") if compound.exists(name)), None)
        if name is None:
            raise FileUnusable(FileFault.SPREADSHEET_UNREADABLE())
        return memoryview(compound.openstream(name).read())


def _records(stream: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + size]
        at += 4 + size
