"""A value with its unit, however it is written, is one number or is rejected."""

from __future__ import annotations

import sys
import unicodedata
from decimal import Decimal
from itertools import product

import pytest
from babel import localedata
from babel.units import format_unit
from hypothesis import given
from hypothesis import strategies as st

from tests.interpreting import only_error, short, understood, values
from weighbridge.notes import Code
from weighbridge.reading.characters import INVISIBLE
from weighbridge.reading.dialects import BARE_WEIGHT, Quantity
from weighbridge.reading.quantities import KG_PER, LONGEST_TEXT, UNITS, NotUnderstood, quantity, simple


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
        # Units with a point.
        ("81.4 kg.", "81.4"),
        ("179.5 lb.", "81.41983"),
        ("179.5 lbs.", "81.41983"),
        ("12 st. 11.5 lb.", "81.41983"),
        # Other scripts' digits, separators, units and signs.
        ("٨١٫٤", "81.4"),
        ("٨١،٤ كجم", "81.4"),
        ("۸۱٫۴ کیلوگرم", "81.4"),
        ("८१.४ किग्रा", "81.4"),
        ("८१.४ कि॰ग्रा॰", "81.4"),
        ("８１.４", "81.4"),
        ("８１．４ｋｇ", "81.4"),
        ("８１，４", "81.4"),
        ("81.4㎏", "81.4"),
        ("81.4公斤", "81.4"),
        ("81.4 千克", "81.4"),
        ("81.4 キロ", "81.4"),
        ("81.4ｷﾛｸﾞﾗﾑ", "81.4"),
        ("81.4 кг", "81.4"),
        ("81,4 КГ.", "81.4"),
        ("81,4 килограмма", "81.4"),
        ("81.4 กก.", "81.4"),
        ("81400 г", "81.4"),
        ("162.8 市斤", "81.4"),
        ("179.5 磅", "81.41983"),
        ("179.5 पाउंड", "81.41983"),
        ("179,5 фунта", "81.41983"),
        ("179.5 ポンド", "81.41983"),
        ("12.5 英石", "79.378665"),
        # Invisible marks.
        ("\u200e81.4\u00a0kg\u200f", "81.4"),
        ("\ufeff81.4", "81.4"),
        ("8\u200b1.4 k\u2060g", "81.4"),
        # Exponents.
        ("8.14e1", "81.4"),
        ("8,14E+1 kg", "81.4"),
        ("814e-1", "81.4"),
        ("1.0E2", "100"),
        ("8e1", "80"),
        # A value with its unit in an object.
        ({"value": 81.4, "unit": "kg"}, "81.4"),
        ({"value": "81,4", "unit_of_measurement": "kg"}, "81.4"),
        ({"value": "81.4 kg", "unit": "kg"}, "81.4"),
        ({"Value": 179.5, "Units": "lbs."}, "81.41983"),
        ({"qty": 81400, "uom": "g"}, "81.4"),
        ({"value": 81.4}, "81.4"),
        ({"value": 81.4, "unit": None}, "81.4"),
        ({"value": "٨١٫٤", "unit": "кг"}, "81.4"),
    ],
)
def test_weight_in_any_form(typed: object, kg: str) -> None:
    """A weight is understood in any of these forms and units."""
    assert values({"weight": typed}) == {"weight_kg": kg}


@pytest.mark.parametrize(
    "typed",
    [
        "heavy", "kg", "81.4.5", "81 4", "1.081,4", "81.4 kg kg", "81.4 cm", "81.4 %", "81.4 kcal", "81.4 €", "8e99",
        "0x51", "NaN", "inf", "-81.4", "--81.4", "12 st 11 in", "81.4/3", "81.4()kg", "٨١٬٤٠٠ ²", True, False, [81.4],
        {"value": [81.4]}, {"unit": "kg"}, {}, {"value": 81.4, "unit": "kg", "time": 0}, {"value": 81.4, "unit": -3},
        {"value": 81.4, "unit": "stones!"}, {"value": "81.4 kg", "unit": "lb"}, {"value": 81.4, "qty": 81.4},
        {"value": True}, {"value": {"value": 81.4}}, {"kg": 81.4}, {"v" * 10**6: 81.4}, {"value": 81.4, "unit": "%"},
        "81²", "81½", "81.4²", "⑧⑨", "八十一", "81٬400 kg",
        "81.4e", "8e1e1", "\u202e81.4", "−81.4", "8 1.4", "81.4..kg",
        float("nan"), float("inf"), Decimal("sNaN"), Decimal("1E+999999999"), Decimal("1E-999999999"),
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
        ("bone mass", "3400 g", "bone_mass_kg", "3.4"),
        ("bone mass", "4.3 %", "bone_mass_kg", "3.5"),
        ("bone mass", {"value": 4.3, "unit": "%"}, "bone_mass_kg", "3.5"),
        ("fat-free mass", "81.8 %", "fat_free_mass_kg", "66.585"),
        ("visceral fat", "7 %", "visceral_fat_rating", "7"),
        ("visceral fat", "7 Level", "visceral_fat_rating", "7"),
        ("body fat", "١٨٫٢٪", "body_fat_percent", "18.2"),
        ("body fat", "１８．２％", "body_fat_percent", "18.2"),
        ("body fat", {"value": 18.2, "unit": "%"}, "body_fat_percent", "18.2"),
        ("body fat", {"value": 14.8, "unit": "kg"}, "fat_mass_kg", "14.8"),
        ("BMR", "1812 ккал", "basal_metabolic_rate_kcal", "1812"),
        ("height", "5′10″", "height_cm", "177.8"),
        ("height", "5’10”", "height_cm", "177.8"),
    ],
)
def test_unit_decides_the_attribute(key: str, typed: object, attribute: str, value: str) -> None:
    """The unit of a value decides which attribute it is."""
    found = getattr(understood({"weight": 81.4, key: typed}).reading, attribute)
    assert format(found.normalize(), "f") == value


@pytest.mark.parametrize(
    ("key", "typed", "message"),
    [
        ("BMI", "25.7 %", "A number in kg/m² was expected."),
        ("visceral fat mass", "4 %", "A number in kg was expected."),
        ("visceral fat", "7 kg", "A number without a unit was expected."),
        ("body fat", "18 level", "A number in % was expected."),
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
    "payload",
    [
        {"weight": 81.4, "BMR": "1,812"},
        {"weight": 81.4, "BMR": "1.812 kcal"},
        {"weight_g": "81,400"},
        {"weight": "81.400 г"},
        {"weight": {"value": "81,400", "unit": "g"}},
        {"weight": 81.4, "BMR": "１，８１２"},
        {"weight": 81.4, "BMR": "1,812e0"},
    ],
)
def test_ambiguous_separator(payload: dict[str, object]) -> None:
    """A separator that may be for thousands is rejected."""
    error = only_error(payload)
    assert error.field == list(payload)[-1]
    assert "thousands" in error.message


@pytest.mark.parametrize(
    ("unit", "kg"),
    [
        ("kg", "81.4"),
        ("公斤", "81.4"),
        ("Lbs.", "36.922419"),
        ("\u200eкг", "81.4"),
        ("lbs", "36.922419"),
        ("LB", "36.922419"),
        ("jin", "40.7"),
        ("", "81.4"),
    ],
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


@pytest.mark.parametrize("unit", ["Pfund", "livres", "pond", "pund", "libras", "رطل"])
def test_pound_that_may_be_half_a_kilogram(unit: str) -> None:
    """A name of two pounds, of 453.6 g and of 500 g, is refused and says so."""
    assert "500 g" in only_error({"weight": f"162 {unit}"}).message


@pytest.mark.parametrize("missing", [None, "", "unavailable"])
def test_object_without_a_value(missing: object) -> None:
    """A unit without a value was not measured, as a missing value is."""
    absent = {"value": missing, "unit": "%"}
    assert Code.NOT_MEASURED in [note.why for note in understood({"weight": 81.4, "body fat": absent}).notes]
    assert only_error({"weight": absent}).message.startswith("A reading needs a weight")


# -- every script and language ---------------------------------------------------------------------------

#: The zero of each set of decimal digits.
ZEROS = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.decimal(chr(code), None) == 0]
MARKS = st.lists(st.sampled_from(sorted(INVISIBLE)), max_size=1).map("".join)


@given(
    zero=st.sampled_from(ZEROS), grams=st.integers(2_000, 400_000), point=st.sampled_from(".,٫．，،"), data=st.data()
)
def test_digits_of_any_script(zero: str, grams: int, point: str, data: st.DataObject) -> None:
    """A number in any script's digits, with invisible marks anywhere, is the number."""
    kilograms = Decimal(grams) / 1000
    written = "".join(point if c == "." else chr(ord(zero) + int(c)) for c in f"{kilograms:.3f}") + " kg"
    text = "".join(data.draw(MARKS) + character for character in written) + data.draw(MARKS)
    assert quantity(text, BARE_WEIGHT) == ("weight_kg", kilograms)


@given(before=st.sampled_from(["", "81", "81.4 ", "81.4 kg"]), text=st.text(max_size=20))
def test_only_decimal_digits_are_digits(before: str, text: str) -> None:
    """A text with any other sign of a number is refused: 81² is not 812."""
    try:
        quantity(before + text, BARE_WEIGHT)
    except NotUnderstood:
        return
    assert all(not c.isnumeric() or unicodedata.decimal(c, None) is not None for c in text)


#: The names of these languages are in the table.
LANGUAGES = frozenset(
    """ar be bg bn ca cs da de el en es et eu fa fi fr gl gu he_IL hi hr hu hy id is it ja ka kk km kn ko lo lt lv mk ml
    mr ms my nb ne nl pa pl pt ro ru sk sl sq sr sv ta te th tr uk ur uz vi zh zh_Hant""".split()  # noqa: SIM905  # a list of 60 quoted words is harder to read
)


@pytest.mark.parametrize(
    ("name", "unit"), [("mass-kilogram", "kg"), ("mass-gram", "g"), ("mass-pound", "lb"), ("mass-stone", "st")]
)
def test_units_of_every_language(name: str, unit: str) -> None:
    """No name of a unit in Unicode CLDR is misread. In `LANGUAGES`, kg and g are always understood."""
    for language in (*LANGUAGES, *(each for each in localedata.locale_identifiers() if "_" not in each)):
        for width, count in product(("long", "short", "narrow"), (1, 2, 3, 5, 11, 21, 1.5)):
            text = format_unit(count, name, width, locale=language)  # type: ignore[arg-type]  # one of its literals
            if not any(character.isdigit() for character in text):
                continue  # "one gram" and "two grams" in Arabic have no number
            try:
                _, number = quantity(text, Quantity("weight_kg", "g"))
            except NotUnderstood:
                assert language not in LANGUAGES or unit in ("lb", "st"), (language, text)
            else:
                assert number == (Decimal(str(count)) * KG_PER[unit]).quantize(Decimal("0.000001")), (language, text)


@given(
    st.from_regex(r"\A[+-]?\d{1,5}([.,]\d{1,4})?(e\d)?\Z", fullmatch=True),
    st.sampled_from(["", " ", ".", *UNITS]),
    st.sampled_from(["", *UNITS.values()]),
)
def test_simple(number: str, written: str, unit: str) -> None:
    """What is found quickly in a text is the number that is found slowly."""
    if (found := simple(text := f"{number} {written}", unit)) is not None:
        assert quantity(text, Quantity("weight_kg", unit)) == ("weight_kg", found)
        assert found != 0


def test_simple_texts() -> None:
    """A text with a number in the unit of calculation is found quickly."""
    assert simple("81.4 kg", "kg") == simple("81.4", "kg") == simple("81,4", "kg") == Decimal("81.4")
    assert simple("81.4 lb", "kg") is simple("179.5", "lb") is simple("1,812", "kcal") is simple("0", "%") is None
