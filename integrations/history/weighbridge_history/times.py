"""Reads the times and dates of a file.

Rule: 03/04 is April 3 or March 4. The whole file decides: one number after the twelfth is enough. If there is none, the
user is asked. A date without a time of day is not a time: midnight is never added. Nothing is guessed.

Facts: the function itself reads ISO 8601, epochs, English months, and the `HH:MM DD/MM/YYYY` of the Fitdays export.
Renpho writes "July 4, 2022 9:34:26 AM", Garmin Connect "Jul 4, 2022" above the times of that day, and in German "Okt 5,
2022"; an old export of Withings in German writes "2014-02-13 6:04 Uhr". The names of months are those of Unicode CLDR,
and Mrz as Garmin writes it.

Strategy: only the date is rewritten, year first. The time of day and the zone stay as they are in the file, but for
words around the time of day (Uhr, a. m., 上午), which become what the function reads.

Weakness: months and halves of the day in other languages than those below are refused, with the row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import NamedTuple

from weighbridge.reading.characters import fold

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
#: The months of each language, in the forms of a date: short, full, and as in "4 lipca". Accents are dropped.
MONTHS = {
    "English": (
        "jan january, feb february, mar march, apr april, may, jun june, jul july, aug august, sep sept september, "
        "oct october, nov november, dec december"
    ),
    "German": (
        "jan januar jänner, feb februar, mär mrz märz, apr april, mai, jun juni, jul juli, aug august, "
        "sep sept september, okt oktober, nov november, dez dezember"
    ),
    "Dutch": (
        "jan januari, feb februari, mrt maart, apr april, mei, jun juni, jul juli, aug augustus, sep sept september, "
        "okt oktober, nov november, dec december"
    ),
    "French": (
        "janv janvier, févr février, mars, avr avril, mai, juin, juil juillet, août, sept septembre, oct octobre, "
        "nov novembre, déc décembre"
    ),
    "Spanish": (
        "ene enero, feb febrero, mar marzo, abr abril, may mayo, jun junio, jul julio, ago agosto, "
        "sep sept septiembre, oct octubre, nov noviembre, dic diciembre"
    ),
    "Portuguese": (
        "jan janeiro, fev fevereiro, mar março, abr abril, mai maio, jun junho, jul julho, ago agosto, set setembro, "
        "out outubro, nov novembro, dez dezembro"
    ),
    "Italian": (
        "gen gennaio, feb febbraio, mar marzo, apr aprile, mag maggio, giu giugno, lug luglio, ago agosto, "
        "set settembre, ott ottobre, nov novembre, dic dicembre"
    ),
    "Polish": (
        "sty styczeń stycznia, lut luty lutego, mar marzec marca, kwi kwiecień kwietnia, maj maja, "
        "cze czerwiec czerwca, lip lipiec lipca, sie sierpień sierpnia, wrz wrzesień września, "
        "paź październik października, lis listopad listopada, gru grudzień grudnia"
    ),
    "Czech": (
        "led leden ledna, úno únor února, bře březen března, dub duben dubna, kvě květen května, čvn červen června, "
        "čvc červenec července, srp srpen srpna, zář září, říj říjen října, lis listopad listopadu, "
        "pro prosinec prosince"
    ),
}


def _plain(word: str) -> str:
    """A word without case and accents."""
    plain = unicodedata.normalize("NFD", word.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


_MONTHS = {
    _plain(name): number
    for months in MONTHS.values()
    for number, names in enumerate(months.split(", "), 1)
    for name in names.split()
}
_MONTH = r"([^\W\d_]{3,12})\.?"
#: A date with the name of its month, at the start of a text; "4 de julio de 2022" and "4th July, 2022" too.
_WITH_MONTH_NAME = re.compile(
    rf"(?:{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?|(\d{{1,2}})(?:\.|er|st|nd|rd|th)? (?:de )?{_MONTH}(?: de)?)"
    r",? (\d{4})(?!\d)"
)
_CJK = re.compile(r"(\d{4})年 ?(\d{1,2})月 ?(\d{1,2})日", re.ASCII)
#: What stands around a time of day in other languages, and what the function reads.
_HALF_BEFORE = re.compile(r"(上午|下午|午前|午後) ?(\d{1,2}:\d\d(?::\d\d)?)", re.ASCII)
_AFTERNOON = ("下午", "午後")
_HALF_AFTER = re.compile(r"(?<=\d)\s*([ap])\.?\s?m\.?\Z", re.ASCII | re.IGNORECASE)
_OCLOCK = re.compile(r"(?<=\d)\s*Uhr\Z")
_WITH_H = re.compile(r"(?<!\d)(\d{1,2}) ?h ?(\d\d)\Z", re.ASCII)


def plain(text: str) -> str:
    """A time with what other languages write around it in the form that the function reads, or as it is."""
    if text.isascii() and text[-1:].isdigit() and "h" not in text:  # nearly always
        return text
    text = _OCLOCK.sub("", fold(text.strip()))
    text = _HALF_BEFORE.sub(lambda found: f"{found[2]} {'PM' if found[1] in _AFTERNOON else 'AM'}", text)
    text = _WITH_H.sub(r"\1:\2", text)
    return _HALF_AFTER.sub(lambda found: f" {found[1].upper()}M", text)


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
    # Nearly all others are ISO 8601.
    if not found and text[4:5] != "-" and (found := _WITH_MONTH_NAME.match(text) or _CJK.match(text)):
        day = _day(found[0], "")
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
    """Year, month and day of "Jul 18, 2026", "21. Okt. 2023" or "2026-07-18"."""
    day = _day(fold(text.strip()), "")
    return (day.year, day.month, day.day) if day else None


def on_day(day: tuple[int, int, int], clock: str) -> str:
    """The day and the time of day as one text. A clock that is not a time of day is returned unchanged."""
    at = time_of_day(clock)
    return f"{date(*day)} {at}" if at else clock


def is_clock(text: str) -> bool:
    return _CLOCK.fullmatch(plain(text.strip())) is not None


def time_of_day(text: str) -> str:
    """HH:MM:SS of a time of day, or nothing."""
    found = _CLOCK.fullmatch(plain(text.strip()))
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
        return _valid(found[5], _MONTHS.get(_plain(found[1] or found[4]), 0), found[2] or found[3])
    if found := _CJK.fullmatch(text):
        return _valid(found[1], found[2], found[3])
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
