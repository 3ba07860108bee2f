"""Reads the times and dates of a file.

Rule: 03/04 is April 3 or March 4. The whole file decides: one number after the twelfth is enough. If there is none, the
user is asked. A date without a time of day is not a time: midnight is never added. Nothing is guessed.

Facts: the function itself reads ISO 8601, epochs, English months, and the `HH:MM DD/MM/YYYY` of the Fitdays export.

Strategy: only the date is rewritten, year first. The time of day and the zone stay as they are in the file.

Weakness: month names are recognized in English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import NamedTuple

DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "day first", "month first", "year first"
#: The places of year, month and day.
_ORDERS = {DAY_FIRST: (2, 1, 0), MONTH_FIRST: (2, 0, 1), YEAR_FIRST: (0, 1, 2)}

_EPOCH = re.compile(r"\d{9,19}(\.\d{1,9})?", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_YEAR = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)", re.ASCII)
#: A date whose order has to be found out, and the same after a time of day.
_NUMBERS = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d\d)(?![\d:])", re.ASCII)
_AFTER_CLOCK = re.compile(r"(\d{1,2}:\d\d(?::\d\d)?) (?=\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\Z)", re.ASCII)
_CLOCK = re.compile(
    r"(\d{1,2})[:.](\d\d)(?:[:.](\d\d)(?:[.,]\d{1,9})?)?(?:\s*([ap])\.?\s*m\.?)?", re.ASCII | re.IGNORECASE
)
_HAS_CLOCK = re.compile(r"\d:\d\d|\dT\d\d", re.ASCII)
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_WITH_MONTH_NAME = re.compile(
    r"(?:([A-Za-z]{3})[a-z]*\.? (\d{1,2})|(\d{1,2})\.? ([A-Za-z]{3})[a-z]*\.?),? (\d{4})", re.ASCII
)


class Kind(Enum):
    """What a text says about the time."""

    INSTANT = "a date with a time of day, or an epoch"
    DAY = "a date alone"
    CLOCK = "a time of day alone"
    OTHER = "something else"


def kind_of(text: str) -> Kind:
    text = text.strip()
    if _CLOCK.fullmatch(text):
        return Kind.CLOCK
    if _HAS_CLOCK.search(text) or _EPOCH.fullmatch(text):
        return Kind.INSTANT
    if _day(text, DAY_FIRST) or _NUMBERS.fullmatch(text):
        return Kind.DAY
    found = _NUMBERS.match(text) or _YEAR.match(text)
    return Kind.INSTANT if found and text[found.end() :].strip(" ,T") else Kind.OTHER


class Unclear(NamedTuple):
    """No date in the file shows its order. `orders`: those that are possible; empty if the dates contradict."""

    example: str
    orders: tuple[str, ...]


def order_of(texts: Iterable[str]) -> str | Unclear:
    """Whether the day, the month or the year comes first in these times."""
    left = dict.fromkeys(_ORDERS)
    example, dates = "", dict[str, str]()
    for text in texts:
        clock = _AFTER_CLOCK.match(text)
        found = _NUMBERS.match(text, clock.end() if clock else 0)
        if found and (found[0] not in dates):
            dates[found[0]] = text
    latest = datetime.now(UTC).date() + timedelta(days=1)
    for written in dates:
        possible = {order: day for order in left if (day := _date(written, order)) and day <= latest}
        if not possible and any(_date(written, order) for order in _ORDERS):
            return Unclear(dates[written], ())
        left = dict.fromkeys(possible) if possible else left
    for written, text in dates.items():
        if len({_date(written, order) for order in left}) > 1:
            if DAY_FIRST in left and ("." in written or _AFTER_CLOCK.match(text)):
                return DAY_FIRST
            example = example or text
    return Unclear(example, tuple(left)) if example else next(iter(left))


def as_iso(text: str, order: str) -> str:
    """The time with its date in a form that the function reads. Other text stays unchanged; the function rejects it."""
    clock = _AFTER_CLOCK.match(text)
    found = _NUMBERS.match(text, clock.end() if clock else 0)
    day = _date(found[0], order) if found else None
    if not found or not day:
        return text
    rest = clock[1] if clock else text[found.end() :].strip(" ,T")
    if _CLOCK.fullmatch(rest):
        rest = re.sub(r"(?<=\d)\.(?=\d\d(?!\d))", ":", rest) if ":" not in rest else rest
    return f"{day} {rest}".rstrip()


def on_date(text: str, clock: str, order: str) -> str:
    """A date alone and a time of day as one text."""
    day = _day(text.strip(), order)
    return as_iso(f"{day or text} {clock}", order)


def parse_day(text: str) -> tuple[int, int, int] | None:
    """Year, month and day of "Jul 18, 2026", "21 Sep 2023" or "2026-07-18"."""
    day = _day(text.strip(), "")
    return (day.year, day.month, day.day) if day else None


def on_day(day: tuple[int, int, int], clock: str) -> str:
    """The day and the time of day as one text. A clock that is not a time of day is returned unchanged."""
    at = time_of_day(clock)
    return f"{date(*day)} {at}" if at else clock


def is_clock(text: str) -> bool:
    return _CLOCK.fullmatch(text.strip()) is not None


def time_of_day(text: str) -> str:
    """HH:MM:SS of a time of day, or nothing."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return ""
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    if half := (found[4] or "").lower():
        hour = hour % 12 + (12 if half == "p" else 0)
    return f"{hour:02}:{minute:02}:{second:02}" if hour < 24 and minute < 60 and second < 60 else ""


def _day(text: str, order: str) -> date | None:
    """The date in a text that is a date alone."""
    if found := _YEAR.fullmatch(text):
        return _valid(found[1], found[3], found[4])
    if found := _COMPACT.fullmatch(text):
        return _valid(found[1], found[2], found[3])
    if found := _WITH_MONTH_NAME.fullmatch(text):
        return _valid(found[5], _MONTHS.get((found[1] or found[4]).lower(), 0), found[2] or found[3])
    return _date(text, order) if order and _NUMBERS.fullmatch(text) else None


def _date(written: str, order: str) -> date | None:
    """The date of three numbers in this order."""
    found = _NUMBERS.fullmatch(written)
    if found is None:
        return None
    numbers = found[1], found[3], found[4]
    year, month, day = (numbers[place] for place in _ORDERS[order])
    if len(found[4]) == 4 and order == YEAR_FIRST:
        return None
    return _valid(year if len(year) == 4 else f"20{year:0>2}", month, day)


def _valid(year: str, month: str | int, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
