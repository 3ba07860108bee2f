"""Typed or pasted text -> what the function reads; what it returns -> text for the page; the moving average.

Rule: only the function judges values and times. This module adds what the page knows and the text may lack: the unit
that was chosen and the zone of the browser. It calculates only the height and the moving average.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from weighbridge.reading.dialects import VOCABULARY, Role, normal
from weighbridge.reading.measures import MEASURES
from weighbridge.reading.quantities import KG_PER

from .words import _, mark, number


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
        return capital(_(self.key))


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
#: The key for the zone of a time without an offset.
ZONE = "timezone"
UNITS = ("kg", "lb", "st")
#: Units that are words.
mark("years"), mark("kcal/day")

_BARE_NUMBER = re.compile(r"[\d.,]+", re.ASCII)


def reading_of(texts: Mapping[str, str], unit: str, zone: str, more: Mapping[str, object]) -> dict[str, object]:
    """The JSON object for the function, from the typed texts by key. `zone` is the name of the browser's zone, for a
    time without an offset. `more` is added unchanged."""
    reading: dict[str, object] = {}
    for field in FIELDS:
        if text := texts.get(field.key, "").strip():
            of_field = unit if field.unit == "mass" else field.unit
            reading[field.key] = f"{text} {of_field}".rstrip() if _BARE_NUMBER.fullmatch(text) else text
    if text := texts.get(TIME.key, "").strip():
        reading |= {TIME.key: text, ZONE: zone}
    return reading | dict(more)


def pasted_reading(text: str, zone: str) -> str:
    """The JSON for the function, from pasted JSON or from the text of a share screen, with the browser's zone."""
    text = text.strip()
    if not text.startswith(("{", "[")):
        return json.dumps(read_share_screen(text) | {ZONE: zone})
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text  # the function says what is wrong with it
    if not isinstance(document, dict) or any(VOCABULARY.get(normal(key)) is Role.ZONE for key in document):
        return text
    # Into the text as it is: written again, it would lose a duplicate key, which the function refuses.
    return f"{{{json.dumps(ZONE)}: {json.dumps(zone)}{', ' if document else ''}{text[1:]}"


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
            texts[field.key] = f"{written(value)} {unit}".rstrip()
        elif (value := values.get(other)) is not None:
            texts[field.key] = f"{written(value)} {other_unit}"
    weight, bmi = values.get("weight_kg"), values.get("bmi")
    if HEIGHT.key not in texts and isinstance(weight, int | float) and isinstance(bmi, int | float) and bmi > 0:
        # When the weight is corrected, the height stays the same; the body mass index does not.
        texts[HEIGHT.key] = f"{number(100 * math.sqrt(weight / bmi), 1)} cm"
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


def label_in(field: Field, unit: str) -> str:
    """The field's label with the unit of a number without one: "Fat mass (kg)"."""
    own = unit if field.unit == "mass" else field.unit
    return f"{field.label} ({own})" if own else field.label


def in_unit(field: Field, value: float, unit: str) -> str:
    """A value of the function, as a number in the unit of its field."""
    per_unit = float(KG_PER[unit]) if field.unit == "mass" else 1.0
    return number(value / per_unit)


def written(value: object) -> str:
    """A value of the function, with all its digits."""
    return number(value, 6) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# -- what the function returned, for people -----------------------------------------------------------------


def label_of(name: str) -> str:
    """A value's name in the API as a label: "body fat (%)" for `body_fat_percent`."""
    measure = MEASURES.get(name)
    return f"{name_of(name)} ({_(measure.unit)})" if measure and measure.unit else name_of(name)


def formula_of(derived: str) -> str:
    """How a value was derived, with names for people: "100 × body water kg ÷ weight kg"."""
    return " ".join(_with_unit(word, name_of(word)) for word in derived.split())


class Differences(NamedTuple):
    """What replacing an entry would do to its values, as texts: "body fat 18.2 % → 18.1 %"."""

    added: list[str]
    changed: list[str]
    removed: list[str]


#: What an entry in a conflict has besides its values.
_NO_VALUES = frozenset({"id", "calendar_date", "measured_at"})


def differences(
    ours: Mapping[str, object], theirs: Sequence[Mapping[str, object]], added: Sequence[str], changed: Sequence[str]
) -> Differences:
    """What a conflict says. `added` and `changed` are the function's names.

    What is in `theirs` alone is removed if something changes. If values are only added, the entry keeps its own.
    """

    def old(name: str) -> str:
        return _(" or ").join(dict.fromkeys(_with_unit(name, entry[name]) for entry in theirs if name in entry))

    def new(name: str) -> str:
        return _with_unit(name, ours.get(name, ""))

    removed = left_out(ours, theirs) if changed else []
    return Differences(
        [f"{name_of(name)} {new(name)}" for name in added],
        [f"{name_of(name)} {old(name)} → {new(name)}" for name in changed],
        [f"{name_of(name)} {old(name)}" for name in removed],
    )


def left_out(ours: Collection[str], theirs: Iterable[Mapping[str, object]]) -> list[str]:
    """The names of the values that are in `theirs` alone."""
    names = dict.fromkeys(name for entry in theirs for name in entry)
    return [name for name in names if name not in ours and name not in _NO_VALUES]


def name_of(name: str) -> str:
    """A value's name for people: "body fat" for `body_fat_percent`."""
    if measure := MEASURES.get(name):
        return _(measure.label)
    return _(name).replace("_", " ")


def _with_unit(name: str, value: object) -> str:
    measure = MEASURES.get(name)
    return f"{written(value)} {_(measure.unit) if measure and measure.unit else ''}".rstrip()
