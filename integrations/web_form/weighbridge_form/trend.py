"""What the charts show of weigh-ins, and the time axis that they share.

Rule: all charts have the same axis. It ends with a day, and is at least a week long, so that a single weigh-in has a
place in time, too. Its ticks are midnights: a few days apart, or first days of months.

Facts: Garmin stores neither fat mass nor fat-free mass. Where they are missing, they are calculated from the weight and
the body fat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from .values import capital, label_of
from .words import mark

#: The values of the Fitdays app, and the body mass index.
VALUES = (
    "weight_kg",
    "body_fat_percent",
    "fat_mass_kg",
    "fat_free_mass_kg",
    "muscle_mass_kg",
    "bone_mass_kg",
    "body_water_percent",
    "subcutaneous_fat_percent",
    "visceral_fat_rating",
    "bmi",
)
#: Those that are drawn until a person chooses others.
AT_FIRST = ("weight_kg", "body_fat_percent", "muscle_mass_kg")

LEAST_DAYS, MOST_TICKS = 7, 5
#: How a tick is written, as in strftime.
DAYS, MONTHS, YEARS = mark("%-d %b"), mark("%b %Y"), "%Y"
_STEPS_DAYS = (1, 2, 3, 4, 7, 14)
_STEPS_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600)


def title_of(name: str) -> str:
    """A value's name and unit as a title: "Body fat (%)"."""
    return capital(label_of(name))


def with_calculated(row: Mapping[str, Any]) -> dict[str, Any]:
    """A weigh-in with its fat mass and fat-free mass, if its weight and body fat are known."""
    known = dict(row)
    if "weight_kg" in row and "body_fat_percent" in row:
        fat_kg = row["weight_kg"] * row["body_fat_percent"] / 100
        known.setdefault("fat_mass_kg", round(fat_kg, 2))
        known.setdefault("fat_free_mass_kg", round(row["weight_kg"] - known["fat_mass_kg"], 2))
    return known


class Axis(NamedTuple):
    """The time axis: local times."""

    start: datetime
    end: datetime
    ticks: tuple[datetime, ...]
    #: Of a tick, as in strftime.
    format: str


def axis_of(first: date, last: date) -> Axis:
    """The axis from one day to the end of another."""
    first = min(first, last - timedelta(days=LEAST_DAYS - 1))
    ticks, form = _ticks(first, last)
    return Axis(_midnight(first), _midnight(last + timedelta(days=1)), tuple(map(_midnight, ticks)), form)


def _ticks(first: date, last: date) -> tuple[list[date], str]:
    days = (last - first).days
    for step in _STEPS_DAYS:
        if days // step < MOST_TICKS:
            return [last - timedelta(days=back) for back in range(days // step * step, -1, -step)], DAYS
    months = range(first.year * 12 + first.month - (first.day == 1), last.year * 12 + last.month)
    for step in _STEPS_MONTHS:
        starts = [month for month in months if month % step == 0]
        if len(starts) <= MOST_TICKS:
            break
    return [date(month // 12, month % 12 + 1, 1) for month in starts], MONTHS if step < 12 else YEARS


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def on_axis(local: datetime) -> str:
    """A local time as the charts have it: as if it were UTC. So a chart needs no time zone, and the hour by which a
    clock is put forward or back moves no day."""
    return f"{local:%Y-%m-%dT%H:%M:%SZ}"


def extent_of(values: Sequence[float]) -> tuple[float, float]:
    """The vertical axis for these values: a little more than they need, and never so little that noise looks like a
    trend."""
    low, high = min(values), max(values)
    margin = max(0.08 * (high - low), (1 - (high - low)) / 2)
    return low - margin, high + margin
