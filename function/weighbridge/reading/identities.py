"""How the values of a reading are related: rules that they must satisfy, and values that follow from others.

Facts (rows of the Fitdays app): fat + fat-free = weight; weight × fat % = fat mass; muscle + bone = fat-free;
water = weight × water %. Half-updated sensors, swapped fields, another person and a suitcase break them.

Strategy: apps round each number to a tenth, the weight too, and a rounded percentage counts in proportion to the
weight. Each rule allows the sum of its roundings, so that no correct row is refused: 0.14 kg of fat mass for 81.4 kg.
The mistakes that the rules should find are larger.

Weakness: a mistake within the rounding is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from ..errors import FieldError, ReadingRejected
from .measures import MEASURES

Values = Mapping[str, Decimal]


class Identity(NamedTuple):
    """A rule: two ways to the same quantity agree. It has the values needed, both ways and the allowed difference."""

    needs: tuple[str, ...]
    #: "fat mass": the quantity, and how the other way calculates it.
    quantity: str
    way: str
    unit: str
    measured: Callable[[Values], Decimal]
    calculated: Callable[[Values], Decimal]
    #: Half a tenth for each rounded number, by its effect on the result.
    allowed: Callable[[Values], Decimal]
    #: False: the measured one may be smaller but not larger.
    both_ways: bool = True


#: Half of the tenth that apps round to.
_ROUNDING = Decimal("0.05")
_HUNDRED = Decimal(100)


def _rounding_of_a_percentage(v: Values) -> Decimal:
    """A mass, the weight and a percentage are rounded; the percentage counts in proportion to the weight."""
    return _ROUNDING * (2 + v["weight_kg"] / _HUNDRED)


def _rounding_of_parts(v: Values) -> Decimal:
    """Two parts and their whole are rounded, and both sides may come from percentages."""
    return _ROUNDING * (3 + 2 * v["weight_kg"] / _HUNDRED)


def _part(part: str, whole: str) -> Identity:
    """A part never weighs more than its whole."""
    return Identity(
        (part, whole),
        MEASURES[part].label,
        f"the {MEASURES[whole].label}, of which it is a part",
        "kg",
        lambda v: v[part],
        lambda v: v[whole],
        _rounding_of_parts,
        both_ways=False,
    )


_MUSCLE_AND_BONE = Identity(
    ("muscle_mass_kg", "bone_mass_kg", "fat_free_mass_kg"),
    "muscle mass + bone mass",
    "the fat-free mass, of which they are parts",
    "kg",
    lambda v: v["muscle_mass_kg"] + v["bone_mass_kg"],
    lambda v: v["fat_free_mass_kg"],
    _rounding_of_parts,
    both_ways=False,
)

#: Fitdays' muscle is all lean soft tissue, so there (and only there) muscle and bone are all that is not fat.
LEAN_SOFT_TISSUE = _MUSCLE_AND_BONE._replace(
    way="the fat-free mass, which in the Fitdays app they make up", both_ways=True
)

IDENTITIES = (
    Identity(
        ("fat_mass_kg", "fat_free_mass_kg"),
        "weight",
        "fat mass + fat-free mass",
        "kg",
        lambda v: v["weight_kg"],
        lambda v: v["fat_mass_kg"] + v["fat_free_mass_kg"],
        lambda _: 3 * _ROUNDING,
    ),
    Identity(
        ("fat_mass_kg", "body_fat_percent"),
        "fat mass",
        "weight × body fat %",
        "kg",
        lambda v: v["fat_mass_kg"],
        lambda v: v["weight_kg"] * v["body_fat_percent"] / _HUNDRED,
        _rounding_of_a_percentage,
    ),
    Identity(
        ("body_water_kg", "body_water_percent"),
        "body water",
        "weight × body water %",
        "kg",
        lambda v: v["body_water_kg"],
        lambda v: v["weight_kg"] * v["body_water_percent"] / _HUNDRED,
        _rounding_of_a_percentage,
    ),
    _MUSCLE_AND_BONE,
    *(_part(name, "weight_kg") for name in MEASURES if name.endswith("_kg") and name != "weight_kg"),
    _part("body_water_kg", "fat_free_mass_kg"),
    _part("skeletal_muscle_mass_kg", "muscle_mass_kg"),
    Identity(
        ("subcutaneous_fat_percent", "body_fat_percent"),
        "subcutaneous fat",
        "the body fat, of which it is a part",
        "%",
        lambda v: v["subcutaneous_fat_percent"],
        lambda v: v["body_fat_percent"],
        # Body fat may come from a mass and the weight, both rounded.
        lambda v: _ROUNDING * (2 + 2 * _HUNDRED / v["weight_kg"]),
        both_ways=False,
    ),
    Identity(
        ("bmi", "height_cm"),
        "body mass index",
        "weight ÷ height²",
        "kg/m²",
        lambda v: v["bmi"],
        lambda v: v["weight_kg"] / (v["height_cm"] / _HUNDRED) ** 2,
        # A height is given in whole centimetres: the index can be this much higher if it is half a centimetre less.
        lambda v: (
            _ROUNDING
            + (v["weight_kg"] + _ROUNDING) / ((v["height_cm"] - Decimal("0.5")) / _HUNDRED) ** 2
            - v["weight_kg"] / (v["height_cm"] / _HUNDRED) ** 2
        ),
    ),
)


def contradictions(values: Values, rules: tuple[Identity, ...] = IDENTITIES) -> list[FieldError]:
    """An error for each rule that the values break, with both values."""
    errors = []
    for rule in rules:
        if not all(map(values.__contains__, rule.needs)):
            continue
        measured, calculated = rule.measured(values), rule.calculated(values)
        apart = abs(measured - calculated) if rule.both_ways else measured - calculated
        if apart > 0 and apart > (allowed := rule.allowed(values)):
            verb = "does not fit" if rule.both_ways else "is more than"
            errors.append(
                FieldError(
                    rule.needs[0],
                    values[rule.needs[0]],
                    f"{rule.quantity.capitalize()} {_short(measured)} {rule.unit} {verb} {rule.way}: "
                    f"{_short(calculated)} {rule.unit} "
                    f"(a difference of {_short(allowed)} {rule.unit} is allowed for rounding). "
                    "Was one of them typed wrongly, not updated, or measured on someone else?",
                )
            )
    return errors


def _short(value: Decimal) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


class Derivation(NamedTuple):
    """A value that follows exactly from others, with its formula."""

    name: str
    needs: tuple[str, ...]
    formula: str
    calculate: Callable[[Values], Decimal]


#: In this order; the first that can be calculated is used. Nothing is estimated.
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

#: Derived values are rounded to this step, ten thousand times finer than any field of FIT.
_STEP = Decimal("0.000001")


def derive(values: dict[str, Decimal]) -> dict[str, str]:
    """Add the values that follow from `values`, each of them possible, and return the formula of each.

    Raises `ReadingRejected` if a derived value is impossibly large: a height in inches, given as one in cm.
    """
    derived: dict[str, str] = {}
    errors: list[FieldError] = []
    for rule in DERIVATIONS:
        if rule.name in values or not all(map(values.__contains__, rule.needs)):
            continue
        value, measure = rule.calculate(values).quantize(_STEP), MEASURES[rule.name]
        if value > measure.maximum:
            cause = rule.needs[0]
            errors.append(
                FieldError(
                    cause,
                    values[cause],
                    f"With a weight of {_short(values['weight_kg'])} kg, a {measure.label} of {_short(value)} "
                    f"{measure.unit} would follow; at most {measure.maximum:f} {measure.unit} is possible.",
                )
            )
        # A value below the range was not measured: fat-free mass = weight does not mean a body without fat.
        elif value >= measure.minimum:
            values[rule.name] = value
            derived[rule.name] = rule.formula
    if errors:
        raise ReadingRejected(contradictions(values) or errors)
    return derived
