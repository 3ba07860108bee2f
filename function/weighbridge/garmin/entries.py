"""What Garmin Connect shows of a weigh-in, and whether it is this reading.

Facts (garmin-connect-api 0.3.1 and eufy-sync): masses are grams, ages are milliseconds, a BMI has single
precision: 22.799999237060547 is 22.8. An entry that was typed by hand has a weight and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from ..delivery.port import WeighIn
from ..notes import Code, Note
from ..reading.reading import Reading

#: How near an entry must be for a 409 to mean this entry.
NEAR_S = 120

MS_PER_YEAR = 31_536_000_000


class Value(NamedTuple):
    """One value of an entry: our name, Garmin's name, and how far two equal values may differ."""

    name: str
    garmin: str
    divisor: int
    step: Decimal
    tolerance: Decimal


def _value(name: str, garmin: str, divisor: int, step: str, tolerance: str) -> Value:
    return Value(name, garmin, divisor, Decimal(step), Decimal(tolerance))


VALUES = (
    _value("weight_kg", "weight", 1000, "0.001", "0.05"),
    _value("bmi", "bmi", 1, "0.01", "0.1"),
    _value("body_fat_percent", "bodyFat", 1, "0.01", "0.1"),
    _value("body_water_percent", "bodyWater", 1, "0.01", "0.1"),
    _value("bone_mass_kg", "boneMass", 1000, "0.001", "0.05"),
    _value("muscle_mass_kg", "muscleMass", 1000, "0.001", "0.05"),
    _value("visceral_fat_rating", "visceralFat", 1, "1", "0"),
    _value("physique_rating", "physiqueRating", 1, "1", "0"),
    _value("metabolic_age_years", "metabolicAge", MS_PER_YEAR, "1", "0"),
)

#: An entry with none of these was typed by hand, or came from a plain scale.
COMPOSITION = ("body_fat_percent", "body_water_percent", "bone_mass_kg", "muscle_mass_kg")

Values = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Entry:
    """One weigh-in as Garmin shows it, in our names and units. `values` has only what Garmin has."""

    calendar_date: date
    sample_pk: int
    instant_s: int
    values: Values

    @property
    def id(self) -> str:
        return f"{self.calendar_date.isoformat()}.{self.sample_pk}"

    def weigh_in(self) -> WeighIn:
        measured_at = datetime.fromtimestamp(self.instant_s, UTC)
        return WeighIn(self.id, self.calendar_date, measured_at, plain(self.values))


def quantized(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, ROUND_HALF_UP)


def instant_s(reading: Reading) -> int:
    """The instant as in the file: whole seconds."""
    return int(reading.measured_at.timestamp())


def values_of(reading: Reading) -> Values:
    found = {value.name: getattr(reading, value.name) for value in VALUES}
    return {name: Decimal(number) for name, number in found.items() if number is not None}


def at_instant_of(entries: Sequence[Entry], reading: Reading) -> list[Entry]:
    return [entry for entry in entries if entry.instant_s == instant_s(reading)]


def fits(reading: Reading, entry: Entry, *, near: bool) -> bool:
    """Whether the entry is this reading; `near` also takes the same weight within two minutes."""
    if near:
        apart_s = abs(entry.instant_s - instant_s(reading))
        return apart_s <= NEAR_S and "weight_kg" not in differences(values_of(reading), entry.values)
    return entry.instant_s == instant_s(reading) and is_same(reading, entry)


def is_same(reading: Reading, entry: Entry) -> bool:
    return not differences(values_of(reading), entry.values)


def differences(ours: Values, theirs: Values) -> list[str]:
    """The names of the values that differ. A value that is missing in `theirs` does not differ, unless the whole body
    composition is missing: then the weight was typed by hand."""
    different = [
        value.name
        for value in VALUES
        if value.name in ours
        and value.name in theirs
        and abs(_comparable(ours, value) - _comparable(theirs, value)) > value.tolerance
    ]
    missing = [name for name in COMPOSITION if name in ours]
    return different + ([] if any(name in theirs for name in COMPOSITION) else missing)


def _comparable(values: Values, value: Value) -> Decimal:
    # Ratings and ages travel as whole numbers, rounded half up.
    return quantized(values[value.name], value.step) if value.step == 1 else values[value.name]


def not_shown(reading: Reading, entry: Entry) -> tuple[Note, ...]:
    names = [name for name in values_of(reading) if name not in entry.values]
    return (Note(Code.NOT_SHOWN, f"Garmin Connect does not show {', '.join(names)}."),) if names else ()


def ours(reading: Reading) -> dict[str, object]:
    return {"measured_at": iso(instant_s(reading)), **plain(values_of(reading))}


def plain(values: Values) -> dict[str, Decimal | int]:
    """Decimals without trailing zeros: 75.800 is 75.8. Whole ratings and ages are integers."""
    whole = {value.name for value in VALUES if value.step == 1}
    return {
        name: int(number) if name in whole and number == int(number) else number.normalize() + Decimal(0)
        for name, number in values.items()
    }


def iso(instant_s: int) -> str:
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
