"""Pure: typed or pasted text -> what the function reads; what it returns -> text for the fields; the moving average.

Rule: only the function judges values. This module adds a unit if none was typed, and calculates only the height and the
moving average.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Field(NamedTuple):
    """One field of the page. Its key is the app's word, which the function reads and uses in its errors."""

    key: str
    #: "mass" means the unit that was chosen.
    unit: str
    #: The function's name for the value in its responses.
    name: str
    #: Another name for the same value, and its unit, used if the first is missing.
    other: tuple[str, str] = ("", "")

    @property
    def label(self) -> str:
        return self.key[0].upper() + self.key[1:]


#: In the order of the Fitdays app.
NINE = (
    Field("weight", "mass", "weight_kg"),
    Field("body fat", "%", "body_fat_percent"),
    Field("fat mass", "mass", "fat_mass_kg"),
    Field("fat free body weight", "mass", "fat_free_mass_kg"),
    Field("muscle mass", "mass", "muscle_mass_kg"),
    Field("bone mass", "mass", "bone_mass_kg"),
    Field("water weight", "mass", "body_water_kg", ("body_water_percent", "%")),
    Field("subcutaneous fat", "%", "subcutaneous_fat_percent"),
    Field("visceral fat", "", "visceral_fat_rating"),
)
HEIGHT = Field("height", "cm", "height_cm")
TIME = Field("time", "", "measured_at")
FIELDS = (*NINE, HEIGHT)
KEYS = frozenset(field.key for field in (*FIELDS, TIME))
UNITS = ("kg", "lb", "st")

_BARE_NUMBER = re.compile(r"[\d.,]+", re.ASCII)


def reading_of(texts: Mapping[str, str], unit: str, zone: ZoneInfo, more: Mapping[str, object]) -> dict[str, object]:
    """The JSON object for the function, from the typed texts by key. `more` is added unchanged."""
    reading: dict[str, object] = {}
    for field in FIELDS:
        if text := texts.get(field.key, "").strip():
            of_field = unit if field.unit == "mass" else field.unit
            reading[field.key] = f"{text} {of_field}".rstrip() if _BARE_NUMBER.fullmatch(text) else text
    if text := texts.get(TIME.key, "").strip():
        reading[TIME.key] = _with_offset(text, zone)
    return reading | dict(more)


def _with_offset(text: str, zone: ZoneInfo) -> str:
    """The text with the offset of the zone if it is a local time. Other text stays unchanged."""
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return text
    unchanged = moment.tzinfo is not None or len(text) <= len("2026-11-23")
    return text if unchanged else moment.replace(tzinfo=zone).isoformat()


class FieldTexts(NamedTuple):
    """A reading as text for the fields of the page."""

    texts: dict[str, str]
    #: Values that have no field on the page.
    more: dict[str, object]


def as_typed(values: Mapping[str, object]) -> FieldTexts:
    """The texts that a person would have typed for these values, which have the function's names."""
    texts: dict[str, str] = {}
    for field in FIELDS:
        other, other_unit = field.other
        if (value := values.get(field.name)) is not None:
            unit = "kg" if field.unit == "mass" else field.unit
            texts[field.key] = f"{value} {unit}".rstrip()
        elif (value := values.get(other)) is not None:
            texts[field.key] = f"{value} {other_unit}"
    weight, bmi = values.get("weight_kg"), values.get("bmi")
    if HEIGHT.key not in texts and isinstance(weight, int | float) and isinstance(bmi, int | float) and bmi > 0:
        # When the weight is corrected, the height stays the same; the body mass index does not.
        texts[HEIGHT.key] = f"{100 * math.sqrt(weight / bmi):.1f} cm"
    have_fields = {name for field in FIELDS for name in (field.name, field.other[0])}
    not_extra = have_fields | {"id", "calendar_date", "measured_at", "bmi"}
    return FieldTexts(texts, {name: value for name, value in values.items() if name not in not_extra})


#: A number with its unit, as on a share screen. The word after it (Standard, High …) is ignored.
_VALUE = r"\d+\s*st\s*\d[\d.,]*(?:\s*lbs?)?|\d[\d.,]*\s*(?:kg|lbs?|st|jin|kcal|cm|%)?"
_LINE = re.compile(rf"(?P<label>\D*?)[\s::|]*(?P<value>{_VALUE})(?:\s.*)?", re.ASCII | re.IGNORECASE)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?|\d\d:\d\d \d\d/\d\d/\d{4}", re.ASCII)


def read_share_screen(text: str) -> dict[str, str]:
    """The names and values on a share screen: `Weight 81.4kg`, `Weight: 81.4 kg`, or each on its own line."""
    found: dict[str, str] = {}
    label = ""
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if moment := _MOMENT.search(line):
            found[TIME.key] = moment[0]
        elif (match := _LINE.fullmatch(line)) and (match["label"] or label):
            found[match["label"].strip() or label] = match["value"].strip()
            label = ""
        else:
            label = line
    return found


class Point(NamedTuple):
    moment: datetime
    value: float


def moving_average(points: Sequence[Point], days: int) -> list[Point]:
    """For each point, the mean of the `days` that end with it. Both lists start with the oldest."""
    averages, start, total = [], 0, 0.0
    for index, point in enumerate(points):
        total += point.value
        while points[start].moment <= point.moment - timedelta(days=days):
            total -= points[start].value
            start += 1
        averages.append(Point(point.moment, total / (index + 1 - start)))
    return averages
