"""A value with its unit, however it is written, is one number or is rejected."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.interpreting import only_error, short, understood, values
from weighbridge.reading.quantities import LONGEST_TEXT


@pytest.mark.parametrize(
    ("typed", "kg"),
    [
        (81.4, "81.4"),
        (81, "81"),
        (Decimal("81.40"), "81.4"),
        ("81.4", "81.4"),
        ("81,4", "81.4"),
        ("81.4kg", "81.4"),
        ("81,4 kg", "81.4"),
        (" 81.4  KG ", "81.4"),
        ("81,4\u00a0kg", "81.4"),
        ("81,4\u202fkg", "81.4"),
        ("+81.4 kilograms", "81.4"),
        ("81.39999999999999", "81.39999999999999"),
        ("81,400", "81.4"),
        ("81400 g", "81.4"),
        ("179.5 lb", "81.41983"),
        ("179.5 lbs", "81.41983"),
        ("179,5 pounds", "81.41983"),
        ("12 st 11.5 lb", "81.41983"),
        ("12st 11,5lb", "81.41983"),
        ("12 stone 11.5", "81.41983"),
        ("12.5 st", "79.378665"),
        ("162.8 jin", "81.4"),
        ("162.8 斤", "81.4"),
        ("81.4(57.1-77.0)kg", "81.4"),
        ("81,4 (57,1–77,0) kg", "81.4"),
        ("81.4kg/105.7%/Alto", "81.4"),
    ],
)
def test_weight_in_any_form(typed: object, kg: str) -> None:
    """A weight is understood in any of these forms and units."""
    assert values({"weight": typed}) == {"weight_kg": kg}


@pytest.mark.parametrize(
    "typed",
    [
        "heavy", "kg", "81.4.5", "81 4", "1.081,4", "81.4 kg kg", "81.4 cm", "81.4 %", "81.4 kcal", "81.4 €", "8e1",
        "0x51", "NaN", "inf", "-81.4", "--81.4", "12 st 11 in", "81.4/3", "81.4()kg", "٨١", True, False, [81.4],
        {"value": 81.4}, float("nan"), float("inf"), Decimal("sNaN"), Decimal("1E+999999999"), Decimal("1E-999999999"),
        10**5000, -(10**5000), 0, "0", 1.99, 400.01,
    ],
    ids=short,
)  # fmt: skip
def test_invalid_weight(typed: object) -> None:
    """A value that is not a weight is rejected once, under its key."""
    error = only_error({"Weight": typed})
    assert error.field == "Weight"
    assert len(str(error.input)) <= LONGEST_TEXT + 1


@pytest.mark.parametrize("key", ["height", "Height (cm)"])
@pytest.mark.parametrize("typed", [178, "178", "178 cm", "1.78 m", "1,78m", "1780 mm"])
def test_metric_height(key: str, typed: object) -> None:
    """A height is understood in metric units."""
    assert values({"weight": 81.4, key: typed})["height_cm"] == "178"


@pytest.mark.parametrize("typed", ["5'10\"", "5 ft 10 in", "5ft10", "70 in", "70 inches"])
def test_height_in_feet_and_inches(typed: str) -> None:
    """A height is understood in feet and inches."""
    assert values({"weight": 81.4, "height": typed})["height_cm"] == "177.8"


@pytest.mark.parametrize(
    ("key", "typed", "attribute", "value"),
    [
        ("body fat", "18.2 %", "body_fat_percent", "18.2"),
        ("body fat", "18,3%", "body_fat_percent", "18.3"),
        ("body fat", "14.8 kg", "fat_mass_kg", "14.8"),
        ("body fat", "32.6 lb", "fat_mass_kg", "14.787111"),
        ("fat mass", "18.2 %", "body_fat_percent", "18.2"),
        ("water weight", "56.4 %", "body_water_percent", "56.4"),
        ("water", "45.9 kg", "body_water_kg", "45.9"),
        ("muscle", "63.2 kg", "muscle_mass_kg", "63.2"),
        ("muscle rate", "77.6 %", "muscle_mass_kg", "63.166"),
        ("skeletal muscle", "36.1 kg", "skeletal_muscle_mass_kg", "36.1"),
        ("BMR", "1812 kcal", "basal_metabolic_rate_kcal", "1812"),
        ("BMR", "1812 kcal/day", "basal_metabolic_rate_kcal", "1812"),
        ("BMR", "1811,75", "basal_metabolic_rate_kcal", "1811.75"),
        ("BMI", "25.7 kg/m²", "bmi", "25.7"),
        ("BMI", "25.7 kg/m2", "bmi", "25.7"),
        ("body age", "38 years", "metabolic_age_years", "38"),
        ("bone mass", "3.4kg/462.8%/High", "bone_mass_kg", "3.4"),
        ("bone mass", "7.5 lb", "bone_mass_kg", "3.401943"),
    ],
)
def test_unit_decides_the_attribute(key: str, typed: str, attribute: str, value: str) -> None:
    """The unit of a value decides which attribute it is."""
    found = getattr(understood({"weight": 81.4, key: typed}).reading, attribute)
    assert format(found.normalize(), "f") == value


@pytest.mark.parametrize(
    ("key", "typed", "message"),
    [
        ("bone mass", "4 %", "A number in kg was expected."),
        ("visceral fat", "7 kg", "A number without a unit was expected."),
        ("visceral fat", "7 %", "A number without a unit was expected."),
        ("BMR", "1812 kg", "A number in kcal was expected."),
        ("height", "178 kg", "A number in cm was expected."),
        ("body fat", "18.2 cm", "A number in % was expected."),
    ],
)
def test_wrong_unit(key: str, typed: str, message: str) -> None:
    """A unit that does not fit the value is rejected."""
    error = only_error({"weight": 81.4, key: typed})
    assert (error.field, error.input, error.message) == (key, typed, message)


@pytest.mark.parametrize(
    "payload", [{"weight": 81.4, "BMR": "1,812"}, {"weight": 81.4, "BMR": "1.812 kcal"}, {"weight_g": "81,400"}]
)
def test_ambiguous_separator(payload: dict[str, object]) -> None:
    """A separator that may be for thousands is rejected."""
    error = only_error(payload)
    assert error.input == list(payload.values())[-1]
    assert "thousands" in error.message


@pytest.mark.parametrize(
    ("unit", "kg"), [("kg", "81.4"), ("lbs", "36.922419"), ("LB", "36.922419"), ("jin", "40.7"), ("", "81.4")]
)
@pytest.mark.parametrize("key", ["unit", "weight_unit"])
def test_weight_unit_is_only_for_the_weight(key: str, unit: str, kg: str) -> None:
    """A unit next to the weight is only the weight's: xiaomi_mi_scale's other masses are always in kg."""
    assert values({key: unit, "weight": 81.4, "bone_mass": 3.4}) == {"weight_kg": kg, "bone_mass_kg": "3.4"}


def test_own_unit_comes_first() -> None:
    """The unit of a value is used before the one next to it."""
    assert values({"unit": "lb", "weight": "81.4 kg"}) == {"weight_kg": "81.4"}


@pytest.mark.parametrize("unit", ["stones!", "%", "cm", 1, ["kg"], "k" * 10**6], ids=short)
def test_invalid_weight_unit(unit: object) -> None:
    """A unit next to the weight that is not a unit of weight is rejected."""
    assert only_error({"weight": 81.4, "unit": unit}).field == "unit"
