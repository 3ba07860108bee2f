"""The times of a reading, from several keys -> one instant. Pure.

Rule: times of one rank must agree. A time of a worse rank, such as when Home Assistant wrote the state, counts only if
there is none of a better one. A date and a time of day in two keys are one time.

Strategy: whether a text depends on the zone is found by reading it in two zones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

from ..notes import Code, Note
from ..reasons import Reason, Why
from .dialects import TIMES, Role, is_missing
from .quantities import NotUnderstood
from .times import NoteOfKey, read_parts, read_time, zone_of

#: A time further in the future comes from a wrong clock or a wrong time zone.
FUTURE_ALLOWED = timedelta(minutes=5)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

_RANK = {role: rank for rank, roles in enumerate(TIMES) for role in roles}
#: What a key could say.
ZONE_NOT_NEEDED = "the time zone, which this time does not need"
#: Two zones in which no local time is the same instant.
_TWO_ZONES = (UTC, timezone(timedelta(hours=1)))
#: With this, a date alone is a time.
_NOON = "12:00"
#: With this, a time of day alone is a time.
_ANY_DAY = "2000-01-01"
_A_DAY_AND_A_HALF = timedelta(hours=36)


class Fault(NamedTuple):
    key: str
    value: object
    reason: Reason


class Time(NamedTuple):
    role: Role
    key: str
    value: object


class Instants:
    """What a payload says about the time, and what follows from it."""

    __slots__ = ("faults", "notes", "now", "occurred_at", "receipts", "times", "zone", "zones")

    def __init__(self, now: datetime, zone: tzinfo, occurred_at: object) -> None:
        self.now, self.zone, self.occurred_at = now, zone, occurred_at
        self.times: list[Time] = []
        self.zones: list[tuple[str, object]] = []
        #: Read only if the reading has no time of its own.
        self.receipts: list[Time] = []
        self.notes: list[Note] = []
        self.faults: list[Fault] = []

    def settle(self) -> datetime:
        """The instant of the reading. If there are `faults`, it means nothing."""
        if self.times:
            times, best = self.times, _RANK[self.times[0].role]
            if len(times) > 1:
                best = min(_RANK[time.role] for time in times)
                times = [time for time in times if _RANK[time.role] == best]
            note = Code.TIME_OF_RECORD(key=times[0].key) if best else None
        elif not is_missing(self.occurred_at):
            times = [Time(Role.EVENT, "time", self.occurred_at)]
            note = Code.TIME_OF_EVENT()
        elif self.receipts:
            times = self.receipts
            note = Code.TIME_OF_RECEIPT(key=times[0].key)
        else:
            self.notes.append(Code.TIME_OF_ARRIVAL())
            return self.now
        found = self._agreed(times)
        if note:
            self.notes.append(note)
        return found or self.now

    def _agreed(self, times: list[Time]) -> datetime | None:
        """The instant that all these times are."""
        found: tuple[str, datetime] | None = None
        pair, days = None, []
        if len(times) > 1 and (alone := [time for time in times if not _is_time(time.value)]):
            pair = _date_and_clock(alone)
            days = [time for time in alone if not pair and _is_time(time.value, _NOON)]
            days = days if len(days) < len(times) else []
        for time in times:
            if (pair and time is pair[1]) or time in days:
                continue
            parts = (pair[0].value, pair[1].value) if pair and time is pair[0] else (time.value,)
            instant = self._read(time, parts)
            if instant is None:
                continue
            if not EARLIEST <= instant <= self.now + FUTURE_ALLOWED:
                reason = Why.INSTANT_IMPOSSIBLE(instant=f"{instant:%Y-%m-%dT%H:%M:%SZ}")
                self.faults.append(Fault(time.key, time.value, reason))
            elif found and found[1] != instant:
                self.faults.append(Fault(time.key, time.value, Why.ANOTHER_INSTANT(key=found[0])))
            else:
                found = time.key, instant
        for day in days:
            # A date next to an instant, in whatever zone.
            noon = _read((day.value, _NOON), UTC, assumed=False)[0]
            if found and abs(found[1] - noon) > _A_DAY_AND_A_HALF:
                self.faults.append(Fault(day.key, day.value, Why.ANOTHER_DAY(key=found[0])))
        return found[1] if found else None

    def _read(self, time: Time, parts: tuple[object, ...]) -> datetime | None:
        utc = time.role is Role.UTC_TIME
        try:
            instant, note = _read(parts, UTC if utc else self.zone, assumed=not utc)
            if self.zones and not utc:
                instant, note = self._in_their_zone(parts, instant, note)
        except NotUnderstood as e:
            self.faults.append(Fault(time.key, time.value, e.reason))
            return None
        if note:
            self._note(note(key=time.key))
        return instant

    def _in_their_zone(
        self, parts: tuple[object, ...], instant: datetime, note: NoteOfKey | None
    ) -> tuple[datetime, NoteOfKey | None]:
        """The same in the zone that the reading names, if the time depends on a zone."""
        first, second = (_read(parts, zone, assumed=False)[0] for zone in _TWO_ZONES)
        local = first != second
        found: tuple[str, datetime] | None = None
        for key, value in self.zones:
            try:
                named = zone_of(value)
                theirs, its_note = _read(parts, named, assumed=False) if local else (instant, note)
            except NotUnderstood as e:
                if local:
                    self.faults.append(Fault(key, value, e.reason))
                else:
                    self._note(Code.KEY_NOT_UNDERSTOOD(key=key, question=ZONE_NOT_NEEDED))
                continue
            if found and found[1] != theirs:
                self.faults.append(Fault(key, value, Why.ANOTHER_ZONE(key=found[0])))
            else:
                found, instant, note = (key, theirs), theirs, its_note
        return instant, note

    def _note(self, note: Note) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _read(parts: tuple[object, ...], zone: tzinfo, *, assumed: bool) -> tuple[datetime, NoteOfKey | None]:
    if len(parts) == 1:
        return read_time(parts[0], zone, assumed=assumed)
    date, clock = parts
    return read_parts(date, clock, zone, assumed=assumed)


def _date_and_clock(alone: list[Time]) -> tuple[Time, Time] | None:
    """Of two values that are not times by themselves, the date and the time of day. The date may still be wrong."""
    if len(alone) == 2:
        for date, clock in (alone, reversed(alone)):
            if _is_time(_ANY_DAY, clock.value) and not _is_time(_ANY_DAY, date.value):
                return date, clock
    return None


def _is_time(*parts: object) -> bool:
    try:
        _read(parts, UTC, assumed=False)
    except NotUnderstood:
        return False
    return True
