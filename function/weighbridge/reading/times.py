"""A time, however it is written -> the instant. Pure, apart from the time zone database that `zoneinfo` reads.

Rule: a time that could be two instants is refused, and the message has both. 03/04/2026 is April 3 or March 4; only a
day after the twelfth settles it. Abbreviations of time zones are refused: CST is in America, in China and in Cuba.

Facts: a time without an offset is in the configured zone. On the day of a clock change, fold=0 of PEP 495 is used: an
hour that occurs twice is the first one, and an hour that does not exist is moved forward by the size of the gap.
03.04.2026 with points is day first wherever points are used. So is HH:MM DD/MM/YYYY, which the Fitdays export writes.

Strategy: ISO 8601 is read by the standard library. In any other text the time of day is found first; the date is
before it and the zone after it. `email.utils` is not used: it takes CET for a time without an offset.

Weakness: names of months and weekdays are recognized in English only. A language whose dates have points and the month
first would be misread; none is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..notes import Code, Note
from ..reasons import Why
from .characters import fold
from .quantities import LONGEST_TEXT, NotUnderstood, is_short

_EPOCH = re.compile(r"\d{9,19}(?:\.\d{1,9})?", re.ASCII)
#: An epoch number from here on -> how many of its unit are a second. In any other unit it would be no year since 2000.
_EPOCH_UNITS = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3), (0, 1))
#: As the Fitdays export writes it.
_FITDAYS_TIME = r"(?a)(\d\d):(\d\d)(?::(\d\d))? (\d\d)/(\d\d)/(\d{4})"
_TIME_EXPECTED = Why.TIME_EXPECTED()


class _Explained(NotUnderstood):
    """The reason says more than what was expected of any time."""


class _Clock(NamedTuple):
    hour: int
    minute: int
    second: int


def read_time(value: object, zone: tzinfo, *, assumed: bool = True) -> tuple[datetime, Note | None]:
    """A time from JSON -> the instant in UTC and whole seconds, and a note if a rule was needed.

    `zone` is for a time without an offset. `assumed`: the reading does not name that zone, so a note does.
    Raises `NotUnderstood`.
    """
    try:
        if not isinstance(value, str):
            instant, note = _epoch(_number(value)), None
        elif len(text := fold(value.strip())) > LONGEST_TEXT:
            raise NotUnderstood(_TIME_EXPECTED)
        elif _EPOCH.fullmatch(text):
            instant, note = _epoch(Decimal(text)), None
        else:
            instant, note = _instant(_written(text), zone, assumed)
    except (NotUnderstood, ValueError, OverflowError, OSError) as e:
        raise NotUnderstood(e.reason if isinstance(e, _Explained) else _TIME_EXPECTED) from None
    return instant.replace(microsecond=0), note


def read_parts(date: object, time: object, zone: tzinfo, *, assumed: bool = True) -> tuple[datetime, Note | None]:
    """A date and a time of day from two keys -> the same as `read_time` of both in one text.

    Raises `NotUnderstood`. Neither may be an instant already.
    """
    if not isinstance(date, str) or not isinstance(time, str):
        raise NotUnderstood(Why.DATE_AND_TIME_EXPECTED())
    return read_time(f"{date.strip()} {time.strip()}", zone, assumed=assumed)


# -- zones -------------------------------------------------------------------------------------------------

_OFFSET = r"(?a)(?:UTC|GMT)?([+-])(\d\d|\d(?=:|$))(?::?(\d\d))?"
#: posix/… is the same again, and right/… counts leap seconds.
_ZONE_NAME = r"(?a)(?!posix/|right/)[A-Za-z_]+(?:/[A-Za-z0-9_+-]+){1,2}"


def zone_of(text: object) -> tzinfo:
    """A time zone from JSON: a name such as Europe/Berlin, UTC, GMT or Z, or an offset such as +01:00, GMT+1.

    Raises `NotUnderstood`.
    """
    if isinstance(text, str) and len(text) <= LONGEST_TEXT:
        name = fold(text.strip())
        if (upper := name.upper()) in ("UTC", "GMT", "Z"):
            return UTC
        offset = re.fullmatch(_OFFSET, upper)
        if offset and int(offset[2]) <= 14 and int(offset[3] or 0) < 60:
            size = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
            return timezone(size if offset[1] == "+" else -size)
        if re.fullmatch(_ZONE_NAME, name):
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                pass
    raise _Explained(Why.ZONE_EXPECTED())


def _instant(moment: datetime, zone: tzinfo, assumed: bool) -> tuple[datetime, Note | None]:
    own = moment.tzinfo
    if own is None:
        return _in_zone(moment, zone, assumed)
    if isinstance(own, ZoneInfo):
        return _in_zone(moment.replace(tzinfo=None), own, assumed=False)
    return moment.astimezone(UTC), None


def _in_zone(moment: datetime, zone: tzinfo, assumed: bool) -> tuple[datetime, Note | None]:
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    instant = first.astimezone(UTC)
    if first.utcoffset() == second.utcoffset():
        return instant, _zone_assumed(zone) if assumed else None
    local = instant.astimezone(zone)
    if local.replace(tzinfo=None) == moment:
        text = f"This hour occurs twice in {zone}; the first one was used. Send the time with an offset."
        return instant, Note(Code.HOUR_TWICE, text)
    text = f"This hour does not exist in {zone}; {local:%H:%M} was used. Send the time with an offset."
    return instant, Note(Code.HOUR_SKIPPED, text)


@lru_cache(maxsize=64)
def _zone_assumed(zone: tzinfo) -> Note:
    text = f"This time has no offset, so it was read in {zone}. Send it with an offset, or set WEIGHBRIDGE_TIMEZONE."
    return Note(Code.ZONE_ASSUMED, text)


# -- numbers -----------------------------------------------------------------------------------------------


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not is_short(value):
        raise NotUnderstood(_TIME_EXPECTED)
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    # Arithmetic with larger and smaller numbers may take forever.
    if not number.is_finite() or not (number == 0 or -12 <= number.adjusted() <= 18):
        raise NotUnderstood(_TIME_EXPECTED)
    return number


def _epoch(number: Decimal) -> datetime:
    per_second = next((size for start, size in _EPOCH_UNITS if number >= start), 1)
    return datetime.fromtimestamp(int(number / per_second), UTC)


# -- texts -------------------------------------------------------------------------------------------------

# Patterns as texts: `re` compiles each when it is first used, and keeps it. A cold start needs none of them.

#: The first time of day in a text. It does not begin or end within a longer row of digits and colons.
_CLOCK = r"(?ai)(?<![\d:.,+-])(\d\d?):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?(?![\d:])(?:\s*([ap])\.?m\b\.?)?"
#: What may stand between the date and the time of day.
_BETWEEN = r"(?ai)(?:,?\s+at|,|T|\s)?\s*\Z"
_WEEKDAY = r"(?ai)(mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
#: A weekday, and the zone that JavaScript writes in words after the offset.
_IN_WORDS = r"(?a)\s*\([^()]{1,60}\)\Z"
_BRACKETS = r"(?a)(.*?)\s*\[([^\[\]]+)\]"

_YEAR_FIRST = r"(?a)(\d{4})([-/.])(\d\d?)\2(\d\d?)|(\d{4})年(\d\d?)月(\d\d?)日"
_YEAR_LAST = r"(?a)(\d\d?)([-/.])(\d\d?)\2(\d{4})"
_DAY_MONTH = r"(?ai)(\d\d?)(?:st|nd|rd|th)?[ .-]+([a-z]+)\.?(?:,?\s+|-)(\d{4})"
_MONTH_DAY = r"(?ai)([a-z]+)\.?\s+(\d\d?)(?:st|nd|rd|th)?,?\s+(\d{4})"


def _written(text: str) -> datetime:
    """A time in a text, aware if it has an offset or a zone. Raises `NotUnderstood` or ValueError."""
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return _in_words(text)
    # fromisoformat reads 2026-11-23, 20261123 and 2026-W48-1 as midnight, which is not when the person weighed in.
    if len(text) <= len("2026-11-23"):
        raise _Explained(Why.TIME_OF_DAY_MISSING())
    return moment


def _in_words(text: str) -> datetime:
    if fitdays := re.fullmatch(_FITDAYS_TIME, text):
        hour, minute, second, day, month, year = (int(part or 0) for part in fitdays.groups())
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # the zone is found by `read_time`
    text = " ".join(text.split())
    found = re.search(_CLOCK, text)
    if found is None:
        _ = _date(text, None)
        raise _Explained(Why.TIME_OF_DAY_MISSING())
    clock = _clock(found)
    before, after = text[: found.start()], text[found.end() :].strip(" ,")
    if before and re.fullmatch(r"\d{4}", after, re.ASCII) and not re.search(r"\d{4}", before, re.ASCII):
        # As asctime of C writes it: Thu Nov 26 07:12:00 2026.
        before, after = f"{before.rstrip()} {after}", ""
    if not before:
        return _date(after, clock)
    moment = _date(re.sub(_BETWEEN, "", before, count=1), clock)
    return moment if not after else _with_zone(moment, after)


def _clock(found: re.Match[str]) -> _Clock:
    hour, half = int(found[1]), (found[4] or "").lower()
    if half:
        if hour > 12 or (half == "p" and hour == 0):
            raise NotUnderstood(_TIME_EXPECTED)
        hour = hour % 12 + (12 if half == "p" else 0)
    return _Clock(hour, int(found[2]), int(found[3] or 0))


def _with_zone(moment: datetime, text: str) -> datetime:
    """A moment in the zone after it: Z, +01:00, Europe/Berlin, +01:00[Europe/Berlin] or GMT+0100 (in words)."""
    text = re.sub(_IN_WORDS, "", text)
    if named := re.fullmatch(_BRACKETS, text):
        zone = zone_of(named[2])
        if not named[1]:
            return moment.replace(tzinfo=zone)
        aware = moment.replace(tzinfo=zone_of(named[1]))
        # RFC 9557 section 3.4: with Z, the offset at the place is unknown. Any other must be that of the place.
        if named[1].upper() != "Z" and aware.astimezone(zone).utcoffset() != aware.utcoffset():
            raise _Explained(Why.OFFSET_NOT_OF_ZONE(offset=named[1], zone=named[2]))
        return aware
    return moment.replace(tzinfo=zone_of(text))


def _date(text: str, clock: _Clock | None) -> datetime:
    """The date in a text, at a time of day. Raises `NotUnderstood` or ValueError, with both dates if it may be two."""
    day_name = ""
    if weekday := re.match(_WEEKDAY, text):
        day_name, text = weekday[1].lower(), text[weekday.end() :]

    def at(year: str, month: int, day: str) -> datetime:
        moment = datetime(int(year), month, int(day), *(clock or ()))  # noqa: DTZ001  # the caller knows the zone
        if day_name and WEEKDAYS[moment.weekday()][:3].lower() != day_name:
            raise _Explained(Why.WEEKDAY_WRONG(date=f"{moment:%Y-%m-%d}", weekday=WEEKDAYS[moment.weekday()]))
        return moment

    if found := re.fullmatch(_YEAR_FIRST, text):
        return at(found[1] or found[5], int(found[3] or found[6]), found[4] or found[7])
    if found := re.fullmatch(_DAY_MONTH, text):
        return at(found[3], _month(found[2]), found[1])
    if found := re.fullmatch(_MONTH_DAY, text):
        return at(found[3], _month(found[1]), found[2])
    if found := re.fullmatch(_YEAR_LAST, text):
        return _year_last(found, at)
    raise NotUnderstood(_TIME_EXPECTED)


def _year_last(found: re.Match[str], at: Callable[[str, int, str], datetime]) -> datetime:
    first, mark, second, year = found.groups()
    if mark == "." or int(first) > 12:
        return at(year, int(second), first)
    if int(second) > 12 or int(first) == int(second):
        return at(year, int(first), second)
    readings = [at(year, int(second), first), at(year, int(first), second)]
    day, other_day = (f"{moment.day} {_MONTHS[moment.month - 1].capitalize()}" for moment in readings)
    time, other_time = (moment.isoformat() for moment in readings)
    raise _Explained(Why.DATE_AMBIGUOUS(day=day, other_day=other_day, year=year, time=time, other_time=other_time))


def _month(name: str) -> int:
    name = name.lower()
    for number, month in enumerate(_MONTHS, 1):
        if name in (month, month[:3]) or (name == "sept" and number == 9):
            return number
    raise NotUnderstood(_TIME_EXPECTED)
