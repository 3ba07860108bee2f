"""Reads an Apple Health export.

Facts: each value is a separate `Record` with type, unit, value and startDate. The values of one weigh-in have the same
startDate and sourceName; some apps write the fat a second later. A value in "%" is a fraction: 0.182 means 18.2 %. Some
apps write 18.2, which cannot be a fraction. All weights come first, then all fat
percentages, so no weigh-in is complete before the end of the file. The file can be a gigabyte; weigh-ins are a small
part of it.

Rule: this module expands no entities. expat (2.4.1 and newer) stops an entity that grows without bound.

Weakness: the whole file is held in memory. A .zip stays compressed there.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import IO
from xml.etree.ElementTree import Element, ParseError, iterparse  # see Rule

from .errors import FileUnusable

#: How far apart the values of one weigh-in may be.
JOINED = timedelta(minutes=1)
WORDS = {
    "HKQuantityTypeIdentifierBodyMass": "weight",
    "HKQuantityTypeIdentifierBodyFatPercentage": "body fat",
    "HKQuantityTypeIdentifierLeanBodyMass": "fat_free_mass_kg",
    "HKQuantityTypeIdentifierBodyMassIndex": "BMI",
}


def read_apple_health(data: bytes) -> dict[str, dict[str, str]]:
    """The weigh-ins by startDate and source, as the function reads them, oldest first. Raises `FileUnusable`."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    try:
        with _xml(data) as file:
            events = iterparse(file, ("start", "end"))  # noqa: S314  # see Rule
            _, root = next(events)
            if root.tag != "HealthData":
                raise FileUnusable(
                    "Expected an Apple Health export, but the root element of this XML is not HealthData."
                )
            for event, element in events:
                if event == "end" and element.tag == "Record":
                    _take(element, found)
                if event == "end":
                    root.clear()
    except ParseError as e:
        row, column = e.position
        raise FileUnusable(f"Row {row}, column {column}: the XML is damaged. Export it again.") from None
    except zipfile.BadZipFile:
        raise FileUnusable("The archive is damaged. Export it again.") from None
    _join(found)
    weigh_ins = {f"{at} ({source})": values for (at, source), values in sorted(found.items()) if "weight" in values}
    if not weigh_ins:
        raise FileUnusable("The Apple Health export contains no weight.")
    return weigh_ins


def is_archive(data: bytes) -> bool:
    """Whether this ZIP is an Apple Health export. A spreadsheet is a ZIP too."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _name(archive) is not None
    except zipfile.BadZipFile:
        return False


def _xml(data: bytes) -> IO[bytes]:
    if not data.startswith(b"PK"):
        return io.BytesIO(data)
    archive = zipfile.ZipFile(io.BytesIO(data))
    return archive.open(_name(archive) or "")


def _name(archive: zipfile.ZipFile) -> str | None:
    # The name is in the phone's language: export.xml, Exportar.xml, 导出.xml. There is also an export_cda.xml.
    names = [n for n in archive.namelist() if n.startswith("apple_health_export/") and n.count("/") == 1]
    return next((n for n in names if n.endswith(".xml") and not n.endswith("_cda.xml")), None)


def _take(record: Element, found: dict[tuple[str, str], dict[str, str]]) -> None:
    word = WORDS.get(record.get("type", ""))
    if word is None:
        return
    at, value, unit = record.get("startDate", ""), record.get("value", ""), record.get("unit", "")
    if unit == "%":
        with contextlib.suppress(InvalidOperation):  # sent unchanged; the function rejects it and names it
            fraction = Decimal(value)
            value = f"{fraction * 100:f}" if fraction <= 1 else value
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
