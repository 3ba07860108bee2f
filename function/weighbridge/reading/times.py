"""A time, however it is written -> the instant. Pure.

Facts: a time without an offset is in the configured zone. On the day of a clock change, fold=0 of PEP 495 is used: an
hour that occurs twice is the first one, and an hour that does not exist is moved forward by the size of the gap.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..notes import Code, Note
from .quantities import LONGEST_TEXT, NotUnderstood, plain

_EPOCH = re.compile(r"\d{9,14}(?:\.\d{1,9})?", re.ASCII)
#: As the Fitdays export writes it.
_FITDAYS_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d))? (\d\d)/(\d\d)/(\d{4})", re.ASCII)
#: This and larger epoch numbers are milliseconds: as seconds they would be the year 5138.
_MILLISECONDS_FROM = 100_000_000_000
_TIME_EXPECTED = "A time was expected: ISO 8601 such as 2026-11-23T06:31:00+01:00, or epoch seconds or milliseconds."


def read_time(value: object, zone: tzinfo, *, assumed: bool = True) -> tuple[datetime, Note | None]:
    """A time from JSON -> the instant in UTC and whole seconds, and a note if a rule was needed.

    `zone` is for a time without an offset. `assumed`: the caller did not send that zone, so the note names it.
    Raises `NotUnderstood`.
    """
    try:
        if not isinstance(value, str):
            instant, note = _epoch(plain(value)), None
        elif len(text := value.strip()) > LONGEST_TEXT:
            raise NotUnderstood(_TIME_EXPECTED)
        elif _EPOCH.fullmatch(text):
            instant, note = _epoch(Decimal(text)), None
        else:
            moment = _written(text)
            instant, note = (moment.astimezone(UTC), None) if moment.tzinfo else _in_zone(moment, zone)
    except (NotUnderstood, ValueError, OverflowError, OSError) as e:
        raise NotUnderstood(str(e) if isinstance(e, _DateAlone) else _TIME_EXPECTED) from None
    return instant.replace(microsecond=0), note


def read_parts(date: object, time: object, zone: tzinfo, *, assumed: bool = True) -> tuple[datetime, Note | None]:
    """A date and a time of day from two keys -> the same as `read_time`.

    Raises `NotUnderstood`.
    """
    if not isinstance(date, str) or not isinstance(time, str):
        raise NotUnderstood("A date such as 2026-11-23 and a time of day such as 06:31 were expected.")
    return read_time(f"{date.strip()} {time.strip()}", zone, assumed=assumed)


_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d\d):?(\d\d)", re.ASCII)


def zone_of(text: object) -> tzinfo:
    """A time zone from JSON: a name such as Europe/Berlin, UTC, GMT or Z, or an offset such as +01:00.

    Raises `NotUnderstood`.
    """
    if isinstance(text, str) and len(name := text.strip()) <= LONGEST_TEXT:
        if name.upper() in ("UTC", "GMT", "Z"):
            return UTC
        if (offset := _OFFSET.fullmatch(name.upper())) and int(offset[2]) <= 14 and int(offset[3]) < 60:
            size = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
            return timezone(size if offset[1] == "+" else -size)
        if "/" in name:
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                pass
    raise NotUnderstood("A time zone was expected, such as Europe/Berlin, UTC or +01:00.")


class _DateAlone(NotUnderstood): ...


def _epoch(number: Decimal) -> datetime:
    return datetime.fromtimestamp(int(number / 1000 if number >= _MILLISECONDS_FROM else number), UTC)


def _written(text: str) -> datetime:
    if fitdays := _FITDAYS_TIME.fullmatch(text):
        hour, minute, second, day, month, year = (int(part or 0) for part in fitdays.groups())
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # the zone is found by `read_time`
    moment = datetime.fromisoformat(text.upper())
    # fromisoformat reads 2026-11-23, 20261123 and 2026-W48-1 as midnight, which is not when the person weighed in.
    if len(text) <= len("2026-11-23"):
        raise _DateAlone("The time of day is missing; Garmin needs the instant.")
    return moment


def _in_zone(moment: datetime, zone: tzinfo) -> tuple[datetime, Note | None]:
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    instant = first.astimezone(UTC)
    if first.utcoffset() == second.utcoffset():
        return instant, None
    local = instant.astimezone(zone)
    if local.replace(tzinfo=None) == moment:
        text = f"This hour occurs twice in {zone}; the first one was used. Send the time with an offset."
        return instant, Note(Code.HOUR_TWICE, text)
    text = f"This hour does not exist in {zone}; {local:%H:%M} was used. Send the time with an offset."
    return instant, Note(Code.HOUR_SKIPPED, text)
