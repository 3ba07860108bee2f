"""What a reading can be, which values contradict each other, and what follows from which."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import ReadingRejected
from weighbridge.fit.encode import encode
from weighbridge.reading.identities import DERIVATIONS, RULES, Outcome, contradictions, derive
from weighbridge.reading.interpret import interpret
from weighbridge.reading.measures import MEASURES
from weighbridge.reading.reading import Reading

INSTANT = datetime(2026, 11, 23, 6, 31, tzinfo=UTC)


def reading(**values: object) -> Reading:
    given = {name: Decimal(value) if isinstance(value, str) else value for name, value in values.items()}
    return Reading.of({"measured_at": INSTANT, "weight_kg": Decimal("81.4")} | given)


def rejected(**values: object) -> list[tuple[str, str]]:
    with pytest.raises(ReadingRejected) as caught:
        reading(**values)
    return [(error.field, error.message) for error in caught.value.errors]


#: Every mass is a part of the weight, so the heaviest person has room for each.
HEAVIEST = {"weight_kg": MEASURES["weight_kg"].maximum}
LIGHTEST = {"weight_kg": MEASURES["weight_kg"].minimum}


@pytest.mark.parametrize("name", MEASURES)
def test_ends_of_a_range(name: str) -> None:
    """Both ends of each range are possible, and FIT can hold them."""
    for weight, value in ((LIGHTEST, MEASURES[name].minimum), (HEAVIEST, MEASURES[name].maximum)):
        possible = reading(**weight | {name: value})
        assert getattr(possible, name) == value
        assert encode(possible)


@pytest.mark.parametrize("name", MEASURES)
def test_outside_a_range(name: str) -> None:
    """A value outside its range is rejected, and the error gives the range."""
    measure = MEASURES[name]
    for value in (measure.minimum - Decimal("0.001"), measure.maximum + Decimal("0.001"), -measure.minimum, Decimal(0)):
        errors = rejected(**HEAVIEST | {name: value})
        assert [field for field, _ in errors] == [name]
        assert f"{measure.minimum:f} to {measure.maximum:f} {measure.unit}".rstrip() in errors[0][1]


def test_all_impossible_values_together() -> None:
    """All impossible values of a reading are reported together."""
    errors = rejected(weight_kg="9999", bmi="1", bone_mass_kg="99")
    assert [field for field, _ in errors] == ["weight_kg", "bone_mass_kg", "bmi"]


def test_at_most_20_digits() -> None:
    """A number may have 20 digits, and not one more."""
    assert reading(weight_kg="81.400000000000000001").weight_kg == Decimal("81.400000000000000001")
    assert "at most 20 digits" in rejected(weight_kg="81.4000000000000000001")[0][1]


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_not_a_number(value: str) -> None:
    """NaN and infinity are rejected."""
    with pytest.raises(ReadingRejected):
        reading(weight_kg=value)


def test_instant_in_utc_and_seconds() -> None:
    """The instant is stored in UTC, in whole seconds."""
    there = datetime(2026, 11, 23, 7, 31, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert reading(measured_at=there).measured_at == INSTANT
    assert reading(measured_at=there).measured_at.tzinfo is UTC


def test_naive_instant() -> None:
    """An instant without a time zone is rejected."""
    naive = datetime(2026, 11, 23, 6, 31)  # noqa: DTZ001  # on purpose
    assert rejected(measured_at=naive) == [("measured_at", "An instant with an offset was expected.")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("measured_at", 1_795_415_460), ("weight_kg", 81.4), ("weight_kg", None), ("bmi", "24.6"), ("person", 7)],
)
def test_another_type(name: str, value: object) -> None:
    """A value of another type is rejected, whatever it might mean."""
    with pytest.raises(ReadingRejected) as caught:
        Reading.of({"measured_at": INSTANT, "weight_kg": Decimal("81.4")} | {name: value})
    assert [error.field for error in caught.value.errors] == [name]


def test_reading_is_frozen() -> None:
    """A reading cannot be changed and has no other attributes."""
    with pytest.raises(FrozenInstanceError):
        reading().weight_kg = Decimal(80)  # type: ignore[misc]
    with pytest.raises(TypeError):
        reading(mood=7)


def test_not_measured_is_none() -> None:
    """Values that were not measured are None and never zero."""
    assert {value for name, value in vars(reading()).items() if name not in ("measured_at", "weight_kg")} == {None}


@pytest.mark.parametrize("person", ["Anna", "Jörg von der Au", "斤", "x" * 64])
def test_valid_names(person: str) -> None:
    """A name has 1 to 64 printable characters of any script."""
    named = Reading(measured_at=INSTANT, weight_kg=Decimal("81.4"), person=person)
    assert named.person == person


@pytest.mark.parametrize("person", ["", "x" * 65, "A\nB", "A\x00", "\u202eA"])
def test_invalid_names(person: str) -> None:
    """An empty, long or unprintable name is rejected."""
    with pytest.raises(ReadingRejected) as caught:
        Reading(measured_at=INSTANT, weight_kg=Decimal("81.4"), person=person)
    assert [error.field for error in caught.value.errors] == ["person"]


# -- identities ------------------------------------------------------------------------------------------

ASKED = "Was one of them typed wrongly, not updated, or measured on someone else?"

#: Values that contradict each other, the field that is named, and the sentence up to the question.
CONTRADICTIONS: list[tuple[dict[str, str], str, str]] = [
    (
        {"fat_mass_kg": "14.8", "fat_free_mass_kg": "60"},
        "fat_mass_kg",
        "Weight 81.4 kg does not fit fat mass + fat-free mass: 74.8 kg "
        "(a difference of 0.15 kg is allowed for rounding).",
    ),
    (
        {"fat_mass_kg": "20", "body_fat_percent": "18.2"},
        "fat_mass_kg",
        "Fat mass 20 kg does not fit weight × body fat %: 14.81 kg (a difference of 0.14 kg is allowed for rounding).",
    ),
    (
        {"body_water_kg": "45.9", "body_water_percent": "50"},
        "body_water_kg",
        "Body water 45.9 kg does not fit weight × body water %: 40.7 kg "
        "(a difference of 0.14 kg is allowed for rounding).",
    ),
    (
        {"muscle_mass_kg": "65", "bone_mass_kg": "3.4", "fat_free_mass_kg": "66.6"},
        "muscle_mass_kg",
        "Muscle mass + bone mass 68.4 kg is more than the fat-free mass, of which they are parts: 66.6 kg "
        "(a difference of 0.23 kg is allowed for rounding).",
    ),
    (
        {"muscle_mass_kg": "77.6", "fat_free_mass_kg": "66.6"},
        "muscle_mass_kg",
        "Muscle mass 77.6 kg is more than the fat-free mass, of which it is a part: 66.6 kg "
        "(a difference of 0.23 kg is allowed for rounding).",
    ),
    (
        {"skeletal_muscle_mass_kg": "65", "bone_mass_kg": "3.4", "fat_free_mass_kg": "66.6"},
        "skeletal_muscle_mass_kg",
        "Skeletal muscle mass + bone mass 68.4 kg is more than the fat-free mass, of which they are parts: 66.6 kg "
        "(a difference of 0.23 kg is allowed for rounding).",
    ),
    (
        {"skeletal_muscle_mass_kg": "70", "fat_free_mass_kg": "66.6"},
        "skeletal_muscle_mass_kg",
        "Skeletal muscle mass 70 kg is more than the fat-free mass, of which it is a part: 66.6 kg "
        "(a difference of 0.23 kg is allowed for rounding).",
    ),
    (
        {"visceral_fat_mass_kg": "15.1", "fat_mass_kg": "14.8"},
        "visceral_fat_mass_kg",
        "Visceral fat mass 15.1 kg is more than the fat mass, of which it is a part: 14.8 kg "
        "(a difference of 0.23 kg is allowed for rounding).",
    ),
    (
        {"bone_mass_kg": "11.65", "weight_kg": "74.95"},
        "bone_mass_kg",
        "Bone mass 11.65 kg is more than 10 % of the weight: 7.5 kg.",
    ),
    (
        {"bone_mass_kg": "6.7", "fat_free_mass_kg": "66.6"},
        "bone_mass_kg",
        "Bone mass 6.7 kg is more than 10 % of the fat-free mass: 6.66 kg.",
    ),
    (
        {"bone_mass_kg": "0.6", "fat_free_mass_kg": "66.6"},
        "bone_mass_kg",
        "Bone mass 0.6 kg is less than 1 % of the fat-free mass: 0.67 kg.",
    ),
    (
        {"fat_mass_kg": "74", "weight_kg": "81.4"},
        "fat_mass_kg",
        "Fat mass 74 kg is more than 90 % of the weight: 73.26 kg.",
    ),
    (
        {"fat_free_mass_kg": "8", "weight_kg": "81.4"},
        "fat_free_mass_kg",
        "Fat-free mass 8 kg is less than 10 % of the weight: 8.14 kg.",
    ),
    (
        {"body_water_kg": "81.5", "weight_kg": "81.4"},
        "body_water_kg",
        "Body water 81.5 kg is more than 100 % of the weight: 81.4 kg.",
    ),
    (
        {"height_cm": "70", "weight_kg": "81"},
        "height_cm",
        "Weight ÷ height² 165.31 kg/m² is more than the highest possible body mass index, 150 kg/m².",
    ),
    (
        {"height_cm": "178", "weight_kg": "8.14"},
        "height_cm",
        "Weight ÷ height² 2.57 kg/m² is less than the lowest possible body mass index, 5 kg/m².",
    ),
    (
        {"body_water_kg": "70", "fat_free_mass_kg": "66.6"},
        "body_water_kg",
        "Body water 70 kg is more than the fat-free mass, of which it is a part: 66.6 kg "
        "(a difference of 0.23 kg is allowed for rounding).",
    ),
    (
        {"skeletal_muscle_mass_kg": "65", "muscle_mass_kg": "63.2"},
        "skeletal_muscle_mass_kg",
        "Skeletal muscle mass 65 kg is more than the muscle mass, of which it is a part: 63.2 kg "
        "(a difference of 0.23 kg is allowed for rounding).",
    ),
    (
        {"subcutaneous_fat_percent": "19", "body_fat_percent": "18.2"},
        "subcutaneous_fat_percent",
        "Subcutaneous fat 19 % is more than the body fat, of which it is a part: 18.2 % "
        "(a difference of 0.22 % is allowed for rounding).",
    ),
    (
        {"bmi": "30", "height_cm": "178"},
        "bmi",
        "Body mass index 30 kg/m² does not fit weight ÷ height²: 25.69 kg/m² "
        "(a difference of 0.21 kg/m² is allowed for rounding).",
    ),
    *(
        (
            {"weight_kg": "15", name: "15.4"},
            name,
            f"{MEASURES[name].label.capitalize()} 15.4 kg is more than the weight, of which it is a part: 15 kg "
            "(a difference of 0.16 kg is allowed for rounding).",
        )
        for name in ("fat_free_mass_kg", "muscle_mass_kg", "skeletal_muscle_mass_kg", "visceral_fat_mass_kg")
    ),
]


@pytest.mark.parametrize(("values", "field", "sentence"), CONTRADICTIONS)
def test_contradiction(values: dict[str, str], field: str, sentence: str) -> None:
    """The error of a contradiction has both values, the rule and the allowed difference."""
    assert rejected(**values) == [(field, f"{sentence} {ASKED}")]


def test_every_rule_has_a_contradiction() -> None:
    """Each rule is broken by one of the contradictions above."""
    broken = {
        each.rule
        for values, _, _ in CONTRADICTIONS
        for each in contradictions({"weight_kg": Decimal("81.4")} | {k: Decimal(v) for k, v in values.items()})
    }
    assert broken == {rule for rule in RULES if rule.outcome is not Outcome.WARN}


def test_suitcase() -> None:
    """A suitcase, 178 kg next to the values of a body of 81.4 kg, is rejected (ble-scale-sync issue 395)."""
    fields = [f for f, _ in rejected(weight_kg="178", body_fat_percent="18.2", fat_mass_kg="14.8", bmi="25.7")]
    assert fields == ["fat_mass_kg"]


def share(least: float, most: float) -> st.SearchStrategy[Decimal]:
    return st.decimals(str(least), str(most), places=6)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Decimal]:
    """A body with more decimals than any app shows, and all values that the identities use."""
    weight, height = draw(share(10, 200)), draw(share(100, 210))
    fat = draw(share(0.04, 0.6)) * weight
    bone = draw(share(0.02, 0.08)) * (weight - fat)
    muscle = draw(st.one_of(st.just(Decimal(1)), share(0.5, 1))) * (weight - fat - bone)
    water = draw(share(0.5, 1)) * (weight - fat)
    return {
        "weight_kg": weight,
        "body_fat_percent": 100 * fat / weight,
        "fat_mass_kg": fat,
        "fat_free_mass_kg": weight - fat,
        "muscle_mass_kg": muscle,
        "bone_mass_kg": bone,
        "body_water_kg": water,
        "body_water_percent": 100 * water / weight,
        "subcutaneous_fat_percent": draw(share(0.5, 1)) * 100 * fat / weight,
        "skeletal_muscle_mass_kg": draw(share(0.3, 1)) * muscle,
        "bmi": weight / (height / 100) ** 2,
        "height_cm": height,
    }


@given(
    bodies().filter(lambda body: 5 < body["bmi"] < 145),
    st.sets(st.sampled_from(sorted(set(MEASURES) - {"weight_kg"}))),
    st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN]),
)
def test_rounding_is_not_a_contradiction(body: dict[str, Decimal], left_out: set[str], rounding: str) -> None:
    """No correct row, rounded to a tenth, is rejected, whichever values the app shows."""
    shown = {
        name: value.quantize(Decimal(1) if name == "height_cm" else Decimal("0.1"), rounding)
        for name, value in body.items()
        if name not in left_out
    }
    interpreted = interpret(shown, now=INSTANT, timezone=ZoneInfo("UTC"))
    assert {name: getattr(interpreted.reading, name) for name in shown} == shown


# -- derivations -----------------------------------------------------------------------------------------


#: Given with a weight of 80 kg, what follows, its value and its formula.
FOLLOWS = [
    ({"fat_mass_kg": "20"}, "body_fat_percent", "25", "100 × fat_mass_kg ÷ weight_kg"),
    ({"fat_free_mass_kg": "60"}, "body_fat_percent", "25", "100 × (weight_kg − fat_free_mass_kg) ÷ weight_kg"),
    ({"fat_free_mass_kg": "60"}, "fat_mass_kg", "20", "weight_kg − fat_free_mass_kg"),
    ({"body_fat_percent": "25"}, "fat_mass_kg", "20", "weight_kg × body_fat_percent ÷ 100"),
    ({"fat_mass_kg": "20"}, "fat_free_mass_kg", "60", "weight_kg − fat_mass_kg"),
    ({"body_fat_percent": "25"}, "fat_free_mass_kg", "60", "weight_kg − fat_mass_kg"),
    ({"body_water_kg": "44"}, "body_water_percent", "55", "100 × body_water_kg ÷ weight_kg"),
    ({"body_water_percent": "55"}, "body_water_kg", "44", "weight_kg × body_water_percent ÷ 100"),
    ({"height_cm": "200"}, "bmi", "20", "weight_kg ÷ (height_cm ÷ 100)²"),
]


@pytest.mark.parametrize(("given_values", "name", "value", "formula"), FOLLOWS)
def test_derivations(given_values: dict[str, str], name: str, value: str, formula: str) -> None:
    """Each value that follows exactly is derived, with its formula."""
    values = {"weight_kg": Decimal(80)} | {key: Decimal(text) for key, text in given_values.items()}
    derived = derive(values)
    assert values[name] == Decimal(value)
    assert derived[name] == formula
    assert not set(derived) & set(given_values)


def test_every_derivation_is_tested() -> None:
    """Each derivation is among the cases above."""
    assert {(name, formula) for _, name, _, formula in FOLLOWS} == {(rule.name, rule.formula) for rule in DERIVATIONS}


def test_given_value_stays() -> None:
    """A derived value never replaces a given one."""
    values = {"weight_kg": Decimal(80), "fat_mass_kg": Decimal(20), "body_fat_percent": Decimal("25.1")}
    derive(values)
    assert values["body_fat_percent"] == Decimal("25.1")


def test_weight_alone() -> None:
    """Nothing is derived from a weight alone."""
    values = {"weight_kg": Decimal(80)}
    assert derive(values) == {}
    assert values == {"weight_kg": Decimal(80)}


def test_fat_free_mass_equal_to_weight() -> None:
    """A fat-free mass equal to the weight means that no fat was measured."""
    assert derive({"weight_kg": Decimal(80), "fat_free_mass_kg": Decimal(80)}) == {}


def test_impossible_value_is_not_derived() -> None:
    """A value out of its range is not derived: a height of 70 inches, given as one in cm."""
    values = {"weight_kg": Decimal(81), "height_cm": Decimal(70)}
    assert derive(values) == {}
    assert "bmi" not in values
