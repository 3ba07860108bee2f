"""How much of a file is read.

Facts: a spreadsheet program allows 1,048,576 rows and 16,384 columns. A reader that makes a list of each row within the
extent of the cells needs 17 billion cells for a file with two. Deflate makes at most 1,032 bytes from one.

Rule: the size that an archive states is not believed: what comes out is counted.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from xml.parsers import expat

from .errors import FileFault, FileUnusable

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


def inflate(archive: zipfile.ZipFile, part: zipfile.ZipInfo, most_bytes: int) -> Iterator[bytes]:
    """The bytes of a part of an archive, in pieces. Raises `FileUnusable` if they are too many."""
    done = 0
    with archive.open(part) as file:
        while chunk := file.read(CHUNK_BYTES):
            done += len(chunk)
            if done > most_bytes or done > max(ALWAYS_INFLATED_BYTES, MOST_INFLATION * part.compress_size):
                raise FileUnusable(FileFault.ARCHIVE_EXPANDS(size=part.compress_size))
            yield chunk


def xml_parser() -> expat.XMLParserType:
    """A parser that refuses entities of the file's own."""

    def refuse(*_: object) -> None:
        raise FileUnusable(FileFault.XML_WITH_ENTITIES())

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.buffer_text = False
    return parser
