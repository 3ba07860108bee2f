"""What a reading may hold: each number, its unit and its possible range.

Rule: this is the only table of ranges and units. The encoder, responses and documents read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from ..errors import FieldError
from ..reasons import Reason, Why


class Measure(NamedTuple):
    """A name for people, a unit, and the smallest and largest possible value, both included."""

    label: str
    unit: str
    minimum: Decimal
    maximum: Decimal


def _measure(label: str, unit: str, minimum: str, maximum: str) -> Measure:
    return Measure(label, unit, Decimal(minimum), Decimal(maximum))


#: How much two weights of one weigh-in may differ, while the scale settles: the lesser of these, in kg and as a share.
WOBBLE_KG, WOBBLE_SHARE = Decimal("0.3"), Decimal("0.005")

#: Every number that a reading may hold. Each range fits into its FIT field.
MEASURES: Mapping[str, Measure] = {
    "weight_kg": _measure("weight", "kg", "2", "400"),
    "body_fat_percent": _measure("body fat", "%", "0.1", "90"),
    "fat_mass_kg": _measure("fat mass", "kg", "0.01", "360"),
    "fat_free_mass_kg": _measure("fat-free mass", "kg", "0.5", "400"),
    "muscle_mass_kg": _measure("muscle mass", "kg", "0.1", "400"),
    "bone_mass_kg": _measure("bone mass", "kg", "0.1", "20"),
    "body_water_kg": _measure("body water", "kg", "0.1", "400"),
    "body_water_percent": _measure("body water", "%", "1", "100"),
    "subcutaneous_fat_percent": _measure("subcutaneous fat", "%", "0.1", "90"),
    "visceral_fat_rating": _measure("visceral fat", "", "0.5", "59"),
    "visceral_fat_mass_kg": _measure("visceral fat mass", "kg", "0.01", "50"),
    "bmi": _measure("body mass index", "kg/m²", "5", "150"),
    "basal_metabolic_rate_kcal": _measure("basal metabolic rate", "kcal/day", "200", "10000"),
    "active_metabolic_rate_kcal": _measure("active metabolic rate", "kcal/day", "200", "15000"),
    "metabolic_age_years": _measure("metabolic age", "years", "1", "120"),
    "physique_rating": _measure("physique rating", "", "1", "9"),
    "skeletal_muscle_mass_kg": _measure("skeletal muscle mass", "kg", "0.1", "400"),
    "height_cm": _measure("height", "cm", "40", "260"),
}

#: More digits than any instrument shows. With more, decimal arithmetic would round.
MOST_DIGITS = 20


def out_of_range(name: str, value: Decimal, measure: Measure | None = None) -> FieldError | None:
    """The error of one number, or None. `measure` defaults to the one in `MEASURES`."""
    measure = measure or MEASURES[name]
    if not value.is_finite() or not measure.minimum <= value <= measure.maximum:
        return FieldError(name, value, _out_of_range(measure))
    # str() is fast and never shorter than the digits. This is the hot path.
    if len(str(value)) > MOST_DIGITS and len(value.as_tuple().digits) > MOST_DIGITS:
        return FieldError(name, value, Why.TOO_MANY_DIGITS(maximum=MOST_DIGITS))
    return None


def all_out_of_range(values: Mapping[str, Decimal]) -> list[FieldError]:
    """The errors of all numbers, each named as in `MEASURES`."""
    faults = []
    for name, value in values.items():
        _, _, minimum, maximum = MEASURES[name]
        # Nearly every number is possible. This is the hot path.
        if value.is_finite() and minimum <= value <= maximum and len(str(value)) <= MOST_DIGITS:
            continue
        if fault := out_of_range(name, value):
            faults.append(fault)
    return faults


def _out_of_range(measure: Measure) -> Reason:
    label, unit, minimum, maximum = measure
    return Why.OUT_OF_RANGE(quantity=label, minimum=minimum, maximum=maximum, unit=unit)
