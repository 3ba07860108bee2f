"""Reading: one weigh-in in SI units and aware UTC.

Rule: an impossible or contradictory reading cannot exist; nothing after this module validates. Numbers are
`Decimal`, so that 64.6 kg is 64.6 and not 64.599999. `None` means not measured, and is never a zero.

Facts (rows of the Fitdays app): fat + fat-free = weight; weight × fat % = fat mass; muscle + bone = fat-free;
water = weight × water %. Half-updated sensors, swapped fields, another person and a suitcase break them. Apps show
each number rounded to a tenth, so each rule allows what such rounding can add up to, and not more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, field_validator, model_validator

from .errors import FieldError, ReadingRejected


class Measure(NamedTuple):
    """What is possible: smallest and largest value that a person can have, both taken."""

    label: str
    unit: str
    minimum: Decimal
    maximum: Decimal


def _measure(label: str, unit: str, minimum: str, maximum: str) -> Measure:
    return Measure(label, unit, Decimal(minimum), Decimal(maximum))


#: Every number that a reading may hold. A FIT field can hold all of each range.
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

#: More digits than any instrument has; beyond this, decimal arithmetic would begin to round.
MOST_DIGITS = 20


class Reading(BaseModel):
    """One weigh-in. Ranges and units: `MEASURES`. Raises `ReadingRejected` when it cannot be right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: UTC, whole seconds: FIT has no finer instants.
    measured_at: AwareDatetime
    weight_kg: Decimal
    body_fat_percent: Decimal | None = None
    fat_mass_kg: Decimal | None = None
    fat_free_mass_kg: Decimal | None = None
    muscle_mass_kg: Decimal | None = None
    bone_mass_kg: Decimal | None = None
    body_water_kg: Decimal | None = None
    body_water_percent: Decimal | None = None
    subcutaneous_fat_percent: Decimal | None = None
    visceral_fat_rating: Decimal | None = None
    visceral_fat_mass_kg: Decimal | None = None
    bmi: Decimal | None = None
    basal_metabolic_rate_kcal: Decimal | None = None
    active_metabolic_rate_kcal: Decimal | None = None
    metabolic_age_years: Decimal | None = None
    physique_rating: Decimal | None = None
    skeletal_muscle_mass_kg: Decimal | None = None
    height_cm: Decimal | None = None
    person: str | None = None

    @field_validator("measured_at")
    @classmethod
    def _utc(cls, value: datetime) -> datetime:
        return value.astimezone(UTC).replace(microsecond=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        values = self.__dict__
        errors = [fault for name in MEASURES if (fault := out_of_range(name, values[name]))]
        if not errors:
            errors = contradictions(values)
        if self.person is not None and (not 0 < len(self.person) <= 64 or not self.person.isprintable()):
            errors.append(FieldError("person", self.person[:80], "A name has 1 to 64 printable characters."))
        if errors:
            raise ReadingRejected(errors)
        return self


def out_of_range(name: str, value: Decimal | None) -> FieldError | None:
    """What is wrong with one number, if anything."""
    measure = MEASURES.get(name)
    if value is None or measure is None:
        return None
    if not value.is_finite() or not measure.minimum <= value <= measure.maximum:
        return FieldError(name, value, f"{_range(measure)} was expected.")
    if len(value.as_tuple().digits) > MOST_DIGITS:
        return FieldError(name, value, f"A number of at most {MOST_DIGITS} digits was expected.")
    return None


def _range(measure: Measure) -> str:
    return f"A {measure.label} of {measure.minimum:f} to {measure.maximum:f} {measure.unit}".rstrip()


Values = Mapping[str, Decimal]


class Identity(NamedTuple):
    """A rule that two ways to the same quantity keep: what is needed, both ways, and how far apart they may be."""

    needs: tuple[str, ...]
    #: "fat mass" — the quantity, and how the other way gets it.
    quantity: str
    way: str
    unit: str
    measured: Callable[[Values], Decimal]
    calculated: Callable[[Values], Decimal]
    #: Half a tenth for each number that was rounded, as it counts in the result.
    allowed: Callable[[Values], Decimal]
    #: False: the measured one may be smaller, but not larger.
    both_ways: bool = True


_ROUNDING = Decimal("0.05")
_THREE_ROUNDINGS = 3 * _ROUNDING
_HUNDRED = Decimal(100)


def _of_a_percentage(percentage: str) -> Callable[[Values], Decimal]:
    """The rounding of a mass, of a weight times a percentage, and of that percentage times the weight."""
    return lambda v: _ROUNDING * (1 + v[percentage] / _HUNDRED + v["weight_kg"] / _HUNDRED)


IDENTITIES = (
    Identity(
        ("fat_mass_kg", "fat_free_mass_kg"),
        "weight",
        "fat mass + fat-free mass",
        "kg",
        lambda v: v["weight_kg"],
        lambda v: v["fat_mass_kg"] + v["fat_free_mass_kg"],
        lambda _: _THREE_ROUNDINGS,
    ),
    Identity(
        ("fat_mass_kg", "body_fat_percent"),
        "fat mass",
        "weight × body fat %",
        "kg",
        lambda v: v["fat_mass_kg"],
        lambda v: v["weight_kg"] * v["body_fat_percent"] / _HUNDRED,
        _of_a_percentage("body_fat_percent"),
    ),
    Identity(
        ("body_water_kg", "body_water_percent"),
        "body water",
        "weight × body water %",
        "kg",
        lambda v: v["body_water_kg"],
        lambda v: v["weight_kg"] * v["body_water_percent"] / _HUNDRED,
        _of_a_percentage("body_water_percent"),
    ),
    Identity(
        ("muscle_mass_kg", "bone_mass_kg", "fat_free_mass_kg"),
        "muscle mass + bone mass",
        "fat-free mass, of which they are parts",
        "kg",
        lambda v: v["muscle_mass_kg"] + v["bone_mass_kg"],
        lambda v: v["fat_free_mass_kg"],
        lambda _: _THREE_ROUNDINGS,
        both_ways=False,
    ),
    Identity(
        ("muscle_mass_kg",),
        "muscle mass",
        "weight, of which it is a part",
        "kg",
        lambda v: v["muscle_mass_kg"],
        lambda v: v["weight_kg"],
        lambda _: 2 * _ROUNDING,
        both_ways=False,
    ),
    Identity(
        ("body_water_kg", "fat_free_mass_kg"),
        "body water",
        "fat-free mass, of which it is a part",
        "kg",
        lambda v: v["body_water_kg"],
        lambda v: v["fat_free_mass_kg"],
        lambda v: _of_a_percentage("_whole")({**v, "_whole": _HUNDRED}),
        both_ways=False,
    ),
    Identity(
        ("skeletal_muscle_mass_kg", "muscle_mass_kg"),
        "skeletal muscle mass",
        "muscle mass, of which it is a part",
        "kg",
        lambda v: v["skeletal_muscle_mass_kg"],
        lambda v: v["muscle_mass_kg"],
        lambda v: _of_a_percentage("_whole")({**v, "_whole": _HUNDRED}),
        both_ways=False,
    ),
    Identity(
        ("subcutaneous_fat_percent", "body_fat_percent"),
        "subcutaneous fat",
        "body fat, of which it is a part",
        "%",
        lambda v: v["subcutaneous_fat_percent"],
        lambda v: v["body_fat_percent"],
        lambda _: 2 * _ROUNDING,
        both_ways=False,
    ),
    Identity(
        ("bmi", "height_cm"),
        "body mass index",
        "weight ÷ height²",
        "kg/m²",
        lambda v: v["bmi"],
        lambda v: v["weight_kg"] / (v["height_cm"] / _HUNDRED) ** 2,
        # A height is given in whole centimetres: half of one, twice, in relation to the height.
        lambda v: _ROUNDING + v["bmi"] / v["height_cm"],
    ),
)

#: Fitdays' muscle is all lean soft tissue, so there (and only there) it adds up with bone to all that is not fat.
LEAN_SOFT_TISSUE = IDENTITIES[3]._replace(way="fat-free mass, which in the Fitdays app they are", both_ways=True)


def contradictions(values: Mapping[str, Decimal | None], rules: tuple[Identity, ...] = IDENTITIES) -> list[FieldError]:
    """Every rule that the values break, as a sentence with both values."""
    known = {name: value for name, value in values.items() if name in MEASURES and value is not None}
    errors = []
    for rule in rules:
        if not all(name in known for name in rule.needs):
            continue
        measured, calculated, allowed = rule.measured(known), rule.calculated(known), rule.allowed(known)
        apart = measured - calculated
        if apart > allowed or (rule.both_ways and -apart > allowed):
            verb = "does not fit" if rule.both_ways else "is more than"
            errors.append(
                FieldError(
                    rule.needs[0],
                    known[rule.needs[0]],
                    f"{rule.quantity.capitalize()} {_short(measured)} {rule.unit} {verb} {rule.way}: "
                    f"{_short(calculated)} {rule.unit} (a difference of {_short(allowed)} is allowed for rounding). "
                    "Was one of them typed wrongly, not updated, or measured on somebody else?",
                )
            )
    return errors


def _short(value: Decimal) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


class Derivation(NamedTuple):
    """A value that follows exactly from others."""

    name: str
    needs: tuple[str, ...]
    formula: str
    calculate: Callable[[Values], Decimal]


#: In this order; the first that can be calculated counts. Nothing is estimated.
DERIVATIONS = (
    Derivation(
        "body_fat_percent",
        ("fat_mass_kg",),
        "100 × fat_mass_kg ÷ weight_kg",
        lambda v: _HUNDRED * v["fat_mass_kg"] / v["weight_kg"],
    ),
    Derivation(
        "body_fat_percent",
        ("fat_free_mass_kg",),
        "100 × (weight_kg − fat_free_mass_kg) ÷ weight_kg",
        lambda v: _HUNDRED * (v["weight_kg"] - v["fat_free_mass_kg"]) / v["weight_kg"],
    ),
    Derivation(
        "fat_mass_kg",
        ("fat_free_mass_kg",),
        "weight_kg − fat_free_mass_kg",
        lambda v: v["weight_kg"] - v["fat_free_mass_kg"],
    ),
    Derivation(
        "fat_mass_kg",
        ("body_fat_percent",),
        "weight_kg × body_fat_percent ÷ 100",
        lambda v: v["weight_kg"] * v["body_fat_percent"] / _HUNDRED,
    ),
    Derivation(
        "fat_free_mass_kg",
        ("fat_mass_kg",),
        "weight_kg − fat_mass_kg",
        lambda v: v["weight_kg"] - v["fat_mass_kg"],
    ),
    Derivation(
        "body_water_percent",
        ("body_water_kg",),
        "100 × body_water_kg ÷ weight_kg",
        lambda v: _HUNDRED * v["body_water_kg"] / v["weight_kg"],
    ),
    Derivation(
        "body_water_kg",
        ("body_water_percent",),
        "weight_kg × body_water_percent ÷ 100",
        lambda v: v["weight_kg"] * v["body_water_percent"] / _HUNDRED,
    ),
    Derivation(
        "bmi",
        ("height_cm",),
        "weight_kg ÷ (height_cm ÷ 100)²",
        lambda v: v["weight_kg"] / (v["height_cm"] / _HUNDRED) ** 2,
    ),
)

#: Derived values are carried to this step: finer than any field of FIT by a factor of ten thousand.
_STEP = Decimal("0.000001")


def derive(values: dict[str, Decimal]) -> dict[str, str]:
    """Add to `values` what follows from them, and return the formula of each. Needs a possible weight."""
    derived: dict[str, str] = {}
    for rule in DERIVATIONS:
        if rule.name not in values and all(name in values for name in rule.needs):
            value = rule.calculate(values).quantize(_STEP)
            # What cannot be is not derived; the contradiction that made it is reported by its own rule.
            if MEASURES[rule.name].minimum <= value <= MEASURES[rule.name].maximum:
                values[rule.name] = value
                derived[rule.name] = rule.formula
    return derived
