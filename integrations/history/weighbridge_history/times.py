"""Reads the times and dates of a file.

Rule: 03/04 is April 3 or March 4. The whole file decides: one day after the twelfth is enough. If there is none, the
user is asked. Nothing is guessed.

Facts: the function itself reads ISO 8601, epochs, and the `HH:MM DD/MM/YYYY` of the Fitdays export.

Weakness: month names are recognized in English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

#: What the function reads; it is passed on unchanged.
_UNDERSTOOD = re.compile(r"\d{4}-\d\d-\d\d[T ].*|\d{9,14}(\.\d+)?|\d\d:\d\d(:\d\d)? \d\d/\d\d/\d{4}", re.ASCII)
_FITDAYS = re.compile(r"(\d\d):(\d\d)(?::(\d\d))? (\d\d)/(\d\d)/(\d{4})", re.ASCII)
_DAY = re.compile(r"(\d{1,2})([./])(\d{1,2})\2(\d{4})", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2})[:.](\d\d)(?:[:.](\d\d))?(?:\s*([ap])\.?\s*m\.?)?", re.ASCII | re.IGNORECASE)
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_WITH_MONTH_NAME = re.compile(
    r"(?:([A-Za-z]{3})[a-z]*\.? (\d{1,2})|(\d{1,2})\.? ([A-Za-z]{3})[a-z]*\.?),? (\d{4})", re.ASCII
)

DAY_FIRST, MONTH_FIRST = "day first", "month first"


class Unclear(NamedTuple):
    """No time in the file shows whether the day or the month comes first."""

    example: str


def order_of(texts: Iterable[str]) -> str | Unclear:
    """Whether the day or the month comes first in these times."""
    example = ""
    for text in texts:
        found = _DAY.match(text)
        if found is None or _UNDERSTOOD.fullmatch(text):
            continue
        first, second = int(found[1]), int(found[3])
        if found[2] == "." or first > 12:
            return DAY_FIRST
        if second > 12:
            return MONTH_FIRST
        if first != second:
            example = example or text
    return Unclear(example) if example else DAY_FIRST


def as_iso(text: str, order: str) -> str:
    """The time in a format that the function reads. Other text stays unchanged; the function rejects it by name."""
    if _UNDERSTOOD.fullmatch(text):
        return text
    found = _DAY.match(text)
    clock = text[found.end() :].strip(" ,T") if found else ""
    if not found or not clock:
        return text
    first, second = int(found[1]), int(found[3])
    day, month = (first, second) if order == DAY_FIRST else (second, first)
    return _iso(int(found[4]), month, day, clock) or text


def moment_of(text: str) -> datetime | None:
    """The datetime, aware or naive, of a text that the function reads as one. None for an epoch."""
    try:
        if found := _FITDAYS.fullmatch(text):
            hours, minutes, seconds, days, months, years = (int(part or 0) for part in found.groups())
            return datetime(years, months, days, hours, minutes, seconds)  # noqa: DTZ001  # the caller knows the zone
        return None if text.isdigit() else datetime.fromisoformat(text)
    except ValueError:
        return None


def parse_day(text: str) -> tuple[int, int, int] | None:
    """Year, month and day of "Jul 18, 2026", "21 Sep 2023" or "2026-07-18"."""
    text = text.strip()
    if found := _WITH_MONTH_NAME.fullmatch(text):
        month = _MONTHS.get((found[1] or found[4]).lower())
        return (int(found[5]), month, int(found[2] or found[3])) if month else None
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        return int(text[:4]), int(text[5:7]), int(text[8:])
    return None


def on_day(day: tuple[int, int, int], clock: str) -> str:
    """The day and the time of day as one text. A clock that is not a time of day is returned unchanged."""
    return _iso(*day, clock) or clock


def is_clock(text: str) -> bool:
    return _CLOCK.fullmatch(text.strip()) is not None


def _iso(year: int, month: int, day: int, clock: str) -> str:
    found = _CLOCK.fullmatch(clock)
    if found is None:
        return ""
    hour = int(found[1])
    if half := (found[4] or "").lower():
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        moment = datetime(year, month, day, hour, int(found[2]), int(found[3] or 0))  # noqa: DTZ001  # the caller knows the zone
    except ValueError:
        return ""
    return moment.isoformat(" ")
