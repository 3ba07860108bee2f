"""Reads an Apple Health export.

Facts: each value is a separate `Record` with type, unit, value and startDate. The values of one weigh-in have the same
startDate and sourceName; some apps write the fat a second later. A value in "%" is a fraction: 0.182 means 18.2 %. Some
apps write 18.2, which cannot be a fraction. All weights come first, then all fat
percentages, so no weigh-in is complete before the end of the file. The file can be a gigabyte; weigh-ins are a small
part of it.

Facts about damage: some apps write `&` or control characters into their name, so that each of their records is invalid
XML. The document type of iOS 16 is not valid.

Rule: what can be read is read. `&` is read as itself, and a control character as a space. After any other damage,
reading goes on with the next record, and the line of the damage is named. So is the line at which a file ends early. An
entity that the file defines is refused, and so is a tag without end.

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

from weighbridge.reasons import Reason

from .errors import FileFault, FileUnusable, RowFault
from .limits import DAMAGED_ARCHIVE, LONGEST_TAG_BYTES, MOST_XML_BYTES, inflate, xml_parser

#: How far apart the values of one weigh-in may be.
JOINED = timedelta(minutes=1)
#: A file with more damage than this is refused.
MOST_DAMAGED = 10_000
#: A percentage has fewer digits before or after the point.
LONGEST_NUMBER = 20
_ROOT = b"<HealthData>"
#: What reading goes on with after damage, and above the first element.
_RECORD, _FIRST = re.compile(rb"<Record[ \t\r\n]"), re.compile(rb"<HealthData[ \t\r\n>]")
_LONGEST_START = len(b"<HealthData>")
#: No XML 1.0 holds these characters.
_CONTROLS = bytes(set(range(32)) - set(b"\t\r\n"))
_WITHOUT_CONTROLS = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)")
#: The longest of these, and so how much after an "&" has to be seen.
_LONGEST_REFERENCE = len(b"&#x10FFFF;")
WORDS = {
    "HKQuantityTypeIdentifierBodyMass": "weight",
    "HKQuantityTypeIdentifierBodyFatPercentage": "body fat",
    "HKQuantityTypeIdentifierLeanBodyMass": "fat_free_mass_kg",
    "HKQuantityTypeIdentifierBodyMassIndex": "BMI",
}


class AppleHealth(NamedTuple):
    #: By startDate and source, as the function reads them, oldest first.
    weigh_ins: dict[str, dict[str, str]]
    #: What could not be read, and at which lines of the XML.
    faults: list[Reason]


def read_apple_health(chunks: Iterable[bytes]) -> AppleHealth:
    """The weigh-ins in the XML. Raises `FileUnusable`."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    xml = _Records(found)
    try:
        for chunk in _repaired(chunks):
            xml.feed(chunk)
        xml.end()
    except expat.ExpatError as e:
        place = {"row": xml.lines_above + e.lineno, "column": e.offset}
        raise FileUnusable(FileFault.FILE_XML_DAMAGED(**place)) from None
    except DAMAGED_ARCHIVE:
        raise FileUnusable(FileFault.ARCHIVE_DAMAGED()) from None
    _join(found)
    weigh_ins = {f"{at} ({source})": values for (at, source), values in sorted(found.items()) if "weight" in values}
    if not weigh_ins:
        raise FileUnusable(FileFault.NO_WEIGHT())
    return AppleHealth(weigh_ins, xml.faults)


def _repaired(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, with each "&" that starts nothing as "&amp;", and control characters as spaces."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk.translate(_WITHOUT_CONTROLS)
        # What starts near the end may go on in the next chunk.
        cut = data.find(b"&", max(len(data) - _LONGEST_REFERENCE, 0))
        data, rest = (data, b"") if cut < 0 else (data[:cut], data[cut:])
        if data:
            yield _AMPERSAND.sub(b"&amp;", data) if b"&" in data else data
    if rest:
        yield _AMPERSAND.sub(b"&amp;", rest)


class _Records:
    """Reads records as the bytes come."""

    def __init__(self, found: dict[tuple[str, str], dict[str, str]]) -> None:
        self._found = found
        self.faults: list[Reason] = []
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
                raise FileUnusable(FileFault.NOT_APPLE_HEALTH())
            self._rooted = True
        elif name == "Record":
            _take(attributes, self._found)

    def feed(self, chunk: bytes) -> None:
        """Read these bytes too. Raises `expat.ExpatError` if there is too much damage."""
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
                raise FileUnusable(FileFault.TAG_TOO_LONG(row=line, maximum=LONGEST_TAG_BYTES))
            return

    def _damage(self, e: expat.ExpatError) -> bytes:
        """Note the damage. The bytes after it."""
        if len(self.faults) == MOST_DAMAGED:
            raise e
        self.faults.append(RowFault.XML_DAMAGED(line=self.lines_above + e.lineno))
        # At least one byte is left out: it may be the start of the element that is damaged.
        place = max(self._parser.ErrorByteIndex - self._rest_at, 0)
        after, newline = self._rest[place + 1 :], self._rest[place : place + 1] == b"\n"
        self.lines_above += e.lineno - 1 + newline
        self._renew()
        self._lost = True
        return after

    def _next_record(self, chunk: bytes) -> bytes:
        """The bytes from the next record, or from the first element. Nothing if it is not among these."""
        chunk = self._rest + chunk
        self._rest = b""
        if found := (_RECORD if self._rooted else _FIRST).search(chunk):
            self._lost = False
            self.lines_above += chunk.count(b"\n", 0, found.start())
            return chunk[found.start() :]
        # The start of the next record may be cut.
        keep = max(len(chunk) - _LONGEST_START, 0)
        self.lines_above += chunk.count(b"\n", 0, keep)
        self._rest = chunk[keep:]
        return b""

    def end(self) -> None:
        """Read the end. Raises `expat.ExpatError` if there was no first element."""
        try:
            if not self._lost:
                self._parser.Parse(b"", True)
        except expat.ExpatError as e:
            if not self._rooted:
                raise
            self.faults.append(RowFault.XML_ENDS_EARLY(line=self.lines_above + e.lineno))
        if not self._rooted:
            raise FileUnusable(FileFault.NOT_APPLE_HEALTH())


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
