"""A value with its unit -> a number in the unit of the reading. Pure.

Rule: what could be two numbers is refused and not guessed. A number may have a unit, and a comma or a point.

Facts: 1 lb = 0.45359237 kg, 1 st = 14 lb, 1 jin = 0.5 kg.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from .dialects import Quantity, Share

LONGEST_TEXT = 100


class NotUnderstood(Exception):
    """The message says what was expected, as a sentence."""


_POUND_KG = Decimal("0.45359237")  # international avoirdupois pound, exactly
KG_PER = {"kg": Decimal(1), "g": Decimal("0.001"), "lb": _POUND_KG, "st": 14 * _POUND_KG, "jin": Decimal("0.5")}
_CM_PER = {"cm": Decimal(1), "m": Decimal(100), "mm": Decimal("0.1"), "in": Decimal("2.54"), "ft": Decimal("30.48")}
#: Unit -> the unit of calculation, and how many of it.
_FACTORS = {unit: ("kg", size) for unit, size in KG_PER.items()} | {
    unit: ("cm", size) for unit, size in _CM_PER.items()
}

#: How people and devices write units.
UNITS = {
    **{unit: unit for unit in ("kg", "g", "lb", "st", "jin", "cm", "m", "mm", "in", "ft", "%", "kcal", "years")},
    **dict.fromkeys(("kgs", "kilo", "kilos", "kilogram", "kilograms"), "kg"),
    **dict.fromkeys(("lbs", "pound", "pounds"), "lb"),
    **dict.fromkeys(("stone", "stones"), "st"),
    "斤": "jin",
    **dict.fromkeys(("kcal/day", "kcal/d", "calories", "cal"), "kcal"),
    **dict.fromkeys(("year", "yr", "yrs", "y"), "years"),
    **dict.fromkeys(("kg/m²", "kg/m2", "kg/m^2"), "kg/m²"),
    **dict.fromkeys(('"', "inch", "inches"), "in"),
    **dict.fromkeys(("'", "feet", "foot"), "ft"),
    "percent": "%",
}

#: A mass in place of a percentage, or a percentage in place of a mass, is the same quantity in another unit.
_SAID_IN: Mapping[tuple[str | Share, str], str | Share] = {
    ("body_fat_percent", "kg"): "fat_mass_kg",
    ("fat_mass_kg", "%"): "body_fat_percent",
    ("body_water_percent", "kg"): "body_water_kg",
    ("body_water_kg", "%"): "body_water_percent",
    ("muscle_mass_kg", "%"): Share.MUSCLE,
    (Share.MUSCLE, "kg"): "muscle_mass_kg",
    ("skeletal_muscle_mass_kg", "%"): Share.SKELETAL_MUSCLE,
    (Share.SKELETAL_MUSCLE, "kg"): "skeletal_muscle_mass_kg",
}

#: Templates of Home Assistant write floats in full: 18.200000000000003.
_ONE = re.compile(r"([+-]?\d{1,12}(?:[.,]\d{1,17})?)\s*(\D.{0,11})?", re.ASCII)
_TWO = re.compile(
    r"(\d{1,4})\s*(st|stone|ft|feet|')\s*(\d{1,4}(?:[.,]\d{1,6})?)\s*(lbs?|pounds?|in|inch|inches|\")?", re.ASCII
)
#: A cell of an export: the value, the healthy range, the unit; or value/percentage/rating.
_CELL = re.compile(
    r"([\d.,]{1,12})\s*\([\d.,\s–-]{1,24}\)\s*(\D{0,8})|([\d.,]{1,12}\s*kg)/[^/]{1,20}/.{1,20}", re.ASCII
)
#: 1,812 may be one point eight or one thousand eight hundred: only its author knows.
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_UNITS_OF_THOUSANDS = frozenset(("kcal", "g"))
#: Converted numbers are rounded to this step, ten thousand times finer than any field of FIT.
_STEP = Decimal("0.000001")


def quantity(value: object, meaning: Quantity) -> tuple[str | Share, Decimal]:
    """A value -> its attribute, which may depend on its unit, and the number in the unit of that attribute.

    Raises `NotUnderstood`.
    """
    if isinstance(value, str):
        number, typed = _typed(value, meaning.unit)
    else:
        number, typed = plain(value), ""
    unit = typed or meaning.unit
    if (factor := _FACTORS.get(unit)) is not None:
        unit, size = factor
        if size != 1:
            number = (number * size).quantize(_STEP)
    expected = meaning.unit if meaning.unit not in _FACTORS else _FACTORS[meaning.unit][0]
    if unit == expected:
        return meaning.name, number
    if (name := _SAID_IN.get((meaning.name, unit))) is not None:
        return name, number
    raise NotUnderstood(f"A number {f'in {expected}' if expected else 'without a unit'} was expected.")


def plain(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise NotUnderstood('A number, or a text such as "81.4 kg", was expected.')
    if is_short(value):
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        # Larger and smaller numbers are impossible, and arithmetic with them may take forever.
        if number.is_finite() and (number == 0 or -12 <= number.adjusted() <= 12):
            return number
    raise NotUnderstood("A number that a scale can show was expected.")


def is_short(value: object) -> bool:
    """False for an integer that is so long that Python would refuse to print it, or take long."""
    return not isinstance(value, int) or value.bit_length() <= 128


def _typed(text: str, usual: str) -> tuple[Decimal, str]:
    """ "81,4 kg" -> 81.4, "kg". `usual` is the unit of a number without one."""
    text = text.strip().casefold()
    if len(text) > LONGEST_TEXT:
        raise NotUnderstood("A number with its unit was expected; this text is too long.")
    if cell := _CELL.fullmatch(text):
        text = f"{cell[1]} {cell[2]}".strip() if cell[1] else cell[3]
    if two := _TWO.fullmatch(text):
        major, minor = UNITS[two[2]], UNITS.get(two[4] or "", "")
        if (major, minor) in (("st", "lb"), ("st", "")):
            return Decimal(two[1]) * 14 + _decimal(two[3]), "lb"
        if (major, minor) in (("ft", "in"), ("ft", "")):
            return Decimal(two[1]) * 12 + _decimal(two[3]), "in"
    one = _ONE.fullmatch(text)
    # The space before a unit may be a no-break space.
    unit = UNITS.get(one[2].strip()) if one and one[2] else ""
    if one is None or unit is None:
        raise NotUnderstood("A number with a known unit (kg, g, lb, st, jin, %, kcal, cm …) was expected.")
    if (unit or usual) in _UNITS_OF_THOUSANDS and _AMBIGUOUS.fullmatch(one[1]):
        raise NotUnderstood("It is not clear whether the separator is for thousands or for decimals. Leave it out.")
    return _decimal(one[1]), unit


def _decimal(digits: str) -> Decimal:
    return Decimal(digits.replace(",", "."))
