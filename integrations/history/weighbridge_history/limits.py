"""How much of a file is read, and what is looked at before its cells are.

Facts: a spreadsheet program allows 1,048,576 rows and 16,384 columns. A reader that makes a list of each row within the
extent of the cells needs 17 billion cells for a file with two. Deflate makes at most 1,032 bytes from one.

Rule: the size that an archive states is not believed: what comes out is counted.

Weakness: the extents of .xls, .xlsb and .ods are not read before the cells. The limits of the process stop them.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from xml.parsers import expat

from .errors import FileUnusable

MEBIBYTE = 1 << 20
#: Of the process that reads: everything it holds, and how long it may take.
MEMORY_BYTES = 256 * MEBIBYTE
SECONDS = 20
#: Of a file that is held in memory. XML is not.
MOST_HELD_BYTES = 96 * MEBIBYTE
#: Of all parts of a spreadsheet, and of the XML in an archive.
MOST_INFLATED_BYTES, MOST_XML_BYTES = 256 * MEBIBYTE, 4096 * MEBIBYTE
#: Text that a program wrote shrinks to a tenth or a fortieth. Small files may shrink more.
MOST_INFLATION, ALWAYS_INFLATED_BYTES = 200, 16 * MEBIBYTE
MOST_PARTS = 10_000
#: One tag of XML, with its attributes.
LONGEST_TAG_BYTES = MEBIBYTE
MOST_ROWS, MOST_COLUMNS, MOST_CELLS = 1_048_576, 200, 5_000_000
CHUNK_BYTES = 64 * 1024

DAMAGED_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
_CELL = re.compile(r"([A-Z]{1,4})(\d{1,8})")


def inflate(archive: zipfile.ZipFile, part: zipfile.ZipInfo, most_bytes: int) -> Iterator[bytes]:
    """The bytes of a part of an archive, in pieces. Raises `FileUnusable` if they are too many."""
    done = 0
    with archive.open(part) as file:
        while chunk := file.read(CHUNK_BYTES):
            done += len(chunk)
            if done > most_bytes or done > max(ALWAYS_INFLATED_BYTES, MOST_INFLATION * part.compress_size):
                raise FileUnusable(
                    f"The archive holds far more than its size of {part.compress_size:,} bytes suggests. "
                    "Export it again, or save it as CSV."
                )
            yield chunk


def check_spreadsheet(data: bytes) -> None:
    """Raises `FileUnusable` if a spreadsheet in an archive (.xlsx) holds too much."""
    left = MOST_INFLATED_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if len(parts) > MOST_PARTS:
                raise FileUnusable(f"Expected at most {MOST_PARTS:,} files in the archive, got {len(parts):,}.")
            for part in parts:
                name = part.filename.casefold()
                sheet = _Sheet() if "worksheets/" in name and name.endswith(".xml") else None
                for chunk in inflate(archive, part, left):
                    left -= len(chunk)
                    if sheet:
                        sheet.feed(chunk)
    except (*DAMAGED_ARCHIVE, expat.ExpatError):
        raise FileUnusable(
            "The spreadsheet cannot be read. Is it complete? Export it again, or save it as CSV."
        ) from None


def xml_parser() -> expat.XMLParserType:
    """A parser that refuses entities of the file's own."""

    def refuse(*_: object) -> None:
        raise FileUnusable("The XML defines entities, which no export does. Export it again.")

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.buffer_text = False
    return parser


class _Sheet:
    """The extent of the cells of a sheet that hold something."""

    def __init__(self) -> None:
        self._parser = xml_parser()
        self._parser.StartElementHandler = self._start
        self._row = self._column = self._fed = 0
        self._first: tuple[int, int] | None = None
        self._last = (0, 0)

    def feed(self, chunk: bytes) -> None:
        self._parser.Parse(chunk, False)
        self._fed += len(chunk)
        if self._fed - max(self._parser.CurrentByteIndex, 0) > LONGEST_TAG_BYTES:
            raise FileUnusable(f"The spreadsheet has a text longer than {LONGEST_TAG_BYTES:,} bytes. Save it as CSV.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match name.rpartition(":")[2]:
            case "row":
                number = attributes.get("r", "")
                self._row = int(number) if number.isdecimal() and len(number) < 9 else self._row + 1
                self._column = 0
            case "c":
                if found := _CELL.fullmatch(attributes.get("r", "")):
                    self._column, self._row = _number_of(found[1]), int(found[2])
                else:
                    self._column += 1
            case "v" | "is" | "f":
                self._hold()

    def _hold(self) -> None:
        row, column = self._row, self._column
        top, left = self._first or (row, column)
        bottom, right = self._last
        self._first = top, left = min(top, row), min(left, column)
        self._last = bottom, right = max(bottom, row), max(right, column)
        rows, columns = bottom - top + 1, right - left + 1
        if rows > MOST_ROWS or columns > MOST_COLUMNS or rows * columns > MOST_CELLS:
            raise FileUnusable(
                f"Row {row}, column {column}: the sheet reaches over {rows:,} rows and {columns:,} columns. "
                f"Expected at most {MOST_ROWS:,} rows, {MOST_COLUMNS} columns and {MOST_CELLS:,} cells. "
                "Delete what is far from the table, or save it as CSV."
            )


def _number_of(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number
