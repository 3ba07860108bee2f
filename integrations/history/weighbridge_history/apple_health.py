"""Reads an Apple Health export.

Facts: each value is a separate `Record` with type, unit, value and startDate. The values of one weigh-in have the same
startDate and sourceName; some apps write the fat a second later. A value in "%" is a fraction: 0.182 means 18.2 %. Some
apps write 18.2, which cannot be a fraction. All weights come first, then all fat
percentages, so no weigh-in is complete before the end of the file. The file can be a gigabyte; weigh-ins are a small
part of it.

Rule: an entity that the file defines is refused, and so is a tag without end. After damage, reading goes on with the
next line that starts a record; the line of the damage is named. A file that ends early is refused, because the rest of
it is missing.

Weakness: a .zip is held in memory, compressed.
"""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple
from xml.parsers import expat

from .errors import FileUnusable
from .limits import CHUNK_BYTES, DAMAGED_ARCHIVE, LONGEST_TAG_BYTES, MOST_XML_BYTES, inflate, xml_parser

#: How far apart the values of one weigh-in may be.
JOINED = timedelta(minutes=1)
#: A file with more damage than this is refused.
MOST_DAMAGED = 100
#: A percentage has fewer digits before or after the point.
LONGEST_NUMBER = 20
_ROOT = b"<HealthData>"
_RECORD = re.compile(rb"\n[ \t]*(<Record[ \t])")
WORDS = {
    "HKQuantityTypeIdentifierBodyMass": "weight",
    "HKQuantityTypeIdentifierBodyFatPercentage": "body fat",
    "HKQuantityTypeIdentifierLeanBodyMass": "fat_free_mass_kg",
    "HKQuantityTypeIdentifierBodyMassIndex": "BMI",
}


class AppleHealth(NamedTuple):
    #: By startDate and source, as the function reads them, oldest first.
    weigh_ins: dict[str, dict[str, str]]
    #: The lines of the XML at which records could not be read.
    damaged: list[int]


def read_apple_health(chunks: Iterable[bytes]) -> AppleHealth:
    """The weigh-ins in the XML. Raises `FileUnusable`."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    xml = _Records(found)
    try:
        for chunk in chunks:
            xml.feed(chunk)
        xml.end()
    except expat.ExpatError as e:
        raise FileUnusable(
            f"Row {xml.lines_above + e.lineno}, column {e.offset}: the XML is damaged. Export it again."
        ) from None
    except DAMAGED_ARCHIVE:
        raise FileUnusable("The archive is damaged. Export it again.") from None
    _join(found)
    weigh_ins = {f"{at} ({source})": values for (at, source), values in sorted(found.items()) if "weight" in values}
    if not weigh_ins:
        raise FileUnusable("The Apple Health export contains no weight.")
    return AppleHealth(weigh_ins, xml.damaged)


class _Records:
    """Reads records as the bytes come. After damage it goes on with the next record."""

    def __init__(self, found: dict[tuple[str, str], dict[str, str]]) -> None:
        self._found = found
        self.damaged: list[int] = []
        #: How many lines come before those that the parser has seen.
        self.lines_above = 0
        self._rooted = False
        #: Whether the next record is being looked for, after damage.
        self._lost = False
        self._renew()

    def _renew(self) -> None:
        self._parser = xml_parser()
        self._parser.StartElementHandler = self._start
        #: What the parser may not have used yet, and where it starts for the parser.
        self._rest, self._rest_at = b"", 0
        if self._rooted:
            self._parser.Parse(_ROOT, False)
            self._rest_at = len(_ROOT)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._rooted:
            if name != "HealthData":
                raise FileUnusable(
                    "Expected an Apple Health export, but the root element of this XML is not HealthData."
                )
            self._rooted = True
        elif name == "Record":
            _take(attributes, self._found)

    def feed(self, chunk: bytes) -> None:
        """Read these bytes too. Raises `expat.ExpatError` if the XML is damaged above its first record."""
        while chunk:
            if self._lost and not (chunk := self._next_record(chunk)):
                return
            self._rest += chunk
            try:
                self._parser.Parse(chunk, False)
            except expat.ExpatError as e:
                chunk = self._damage(e)
                continue
            used = max(self._parser.CurrentByteIndex - self._rest_at, 0)
            self._rest, self._rest_at = self._rest[used:], self._rest_at + used
            if len(self._rest) > LONGEST_TAG_BYTES:
                line = self.lines_above + self._parser.CurrentLineNumber
                raise FileUnusable(f"Row {line}: a tag is longer than {LONGEST_TAG_BYTES:,} bytes. Export it again.")
            return

    def _damage(self, e: expat.ExpatError) -> bytes:
        """Note the damage. The bytes after it."""
        if not self._rooted or len(self.damaged) == MOST_DAMAGED:
            raise e
        self.damaged.append(self.lines_above + e.lineno)
        after = self._rest[max(self._parser.ErrorByteIndex - self._rest_at, 0) :]
        self.lines_above += e.lineno - 1
        self._renew()
        self._lost = True
        return after

    def _next_record(self, chunk: bytes) -> bytes:
        """The bytes from the next line that starts with a record. Nothing if it is not among these."""
        chunk = self._rest + chunk
        self._rest = b""
        if found := _RECORD.search(chunk):
            self._lost = False
            self.lines_above += chunk.count(b"\n", 0, found.start(1))
            return chunk[found.start(1) :]
        # The start of the next record may be cut.
        line = max(chunk.rfind(b"\n"), 0)
        keep = line if len(chunk) - line < CHUNK_BYTES else len(chunk)
        self.lines_above += chunk.count(b"\n", 0, keep)
        self._rest = chunk[keep:]
        return b""

    def end(self) -> None:
        if not self._lost:
            self._parser.Parse(b"", True)


def is_archive(data: bytes) -> bool:
    """Whether this ZIP is an Apple Health export. A spreadsheet is a ZIP too."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _name(archive) is not None
    except DAMAGED_ARCHIVE:
        return False


def chunks_of(data: bytes) -> Iterator[bytes]:
    """The XML in an archive, in pieces. Raises `FileUnusable` if it is too much."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield from inflate(archive, archive.getinfo(_name(archive) or ""), MOST_XML_BYTES)


def _name(archive: zipfile.ZipFile) -> str | None:
    # The name is in the phone's language: export.xml, Exportar.xml, 导出.xml. There is also an export_cda.xml.
    names = [n for n in archive.namelist() if n.startswith("apple_health_export/") and n.count("/") == 1]
    return next((n for n in names if n.endswith(".xml") and not n.endswith("_cda.xml")), None)


def _take(record: Mapping[str, str], found: dict[tuple[str, str], dict[str, str]]) -> None:
    word = WORDS.get(record.get("type", ""))
    if word is None:
        return
    at, value, unit = record.get("startDate", ""), record.get("value", ""), record.get("unit", "")
    if unit == "%":
        with contextlib.suppress(ArithmeticError):  # sent unchanged; the function rejects it and names it
            fraction = Decimal(value)
            if fraction <= 1 and abs(fraction.adjusted()) < LONGEST_NUMBER:
                value = f"{fraction * 100:f}"
    elif unit == "count":
        unit = ""
    found.setdefault((at, record.get("sourceName", "")), {"time": _iso(at)})[word] = f"{value} {unit}".strip()


def _join(found: dict[tuple[str, str], dict[str, str]]) -> None:
    """Give values without a weight to the nearest weight of their source, at most a minute away, that lacks them."""
    weighed: dict[str, list[tuple[datetime, dict[str, str]]]] = {}
    for (at, source), values in found.items():
        if "weight" in values and (moment := _moment(at)):
            weighed.setdefault(source, []).append((moment, values))
    for of_source in weighed.values():
        of_source.sort(key=itemgetter(0))
    for (at, source), values in found.items():
        moment = None if "weight" in values else _moment(at)
        if moment is None:
            continue
        of_source = weighed.get(source, [])
        start = bisect_left(of_source, moment - JOINED, key=itemgetter(0))
        end = bisect_right(of_source, moment + JOINED, key=itemgetter(0))
        for _, nearest in sorted(of_source[start:end], key=lambda pair: abs(pair[0] - moment)):
            if not (values.keys() - {"time"}) & nearest.keys():
                nearest.update((word, value) for word, value in values.items() if word != "time")
                break


def _moment(at: str) -> datetime | None:
    try:
        return datetime.strptime(at, "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return None


def _iso(at: str) -> str:
    """The time with a colon in its offset, as ISO 8601 requires: "2022-11-22 07:31:00 +0100" has none."""
    return f"{at[:19]}{at[20:23]}:{at[23:]}" if len(at) == 25 and at[19] == " " else at
