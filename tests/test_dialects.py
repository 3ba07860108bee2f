"""What scales, apps and people write, and how it is understood."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.reading.dialects import DIALECTS, NOT_MEASURED, VOCABULARY, Meaning, normal
from weighbridge.reading.interpret import LONGEST_TEXT, Interpreted, interpret
from weighbridge.errors import FieldError, ReadingRejected
from weighbridge.reading.measures import MEASURES

EXAMPLES = Path(__file__).parent.parent / "examples"
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
ARRIVAL = "No time was given, so the time of arrival counts. Sent again, it would be another weigh-in."


def understood(payload: object, timezone: ZoneInfo = BERLIN) -> Interpreted:
    return interpret(payload, now=NOW, timezone=timezone)


def values(payload: object) -> dict[str, str]:
    """The values of the reading that were given, as short texts; the time apart."""
    interpreted = understood(payload)
    return {
        name: format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
        for name, value in interpreted.reading
        if value is not None and name != "measured_at" and name not in interpreted.derived
    }


def instant(payload: object, timezone: ZoneInfo = BERLIN) -> str:
    return understood(payload, timezone).reading.measured_at.isoformat()


def errors(payload: object) -> tuple[FieldError, ...]:
    with pytest.raises(ReadingRejected) as caught:
        understood(payload)
    return tuple(caught.value.errors)


def only_error(payload: object) -> FieldError:
    (error,) = errors(payload)
    return error


def parsed(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(text, parse_float=Decimal)
    return found


def short(value: object) -> str:
    """A name for a value in a list of cases; some are too long to be written."""
    return "long int" if isinstance(value, int) and value.bit_length() > 999 else ascii(value)[:30]


# -- dialects --------------------------------------------------------------------------------------------

#: Dialect -> a payload as it is sent, and the values in it.
SAID: dict[str, tuple[str, dict[str, str]]] = {
    "canonical": (
        """{"measured_at": "2026-11-21T06:31:00+01:00", "weight_kg": 81.4, "body_fat_percent": 18.2,
            "fat_mass_kg": 14.8, "fat_free_mass_kg": 66.6, "muscle_mass_kg": 63.2, "bone_mass_kg": 3.4,
            "body_water_kg": 45.9, "body_water_percent": 56.4, "subcutaneous_fat_percent": 16.1,
            "visceral_fat_rating": 6.5, "visceral_fat_mass_kg": 1.2, "bmi": 25.7, "basal_metabolic_rate_kcal": 1812,
            "active_metabolic_rate_kcal": 2540, "metabolic_age_years": 38, "physique_rating": 5,
            "skeletal_muscle_mass_kg": 36.1, "height_cm": 178, "person": "Anna"}""",
        {
            "weight_kg": "81.4",
            "body_fat_percent": "18.2",
            "fat_mass_kg": "14.8",
            "fat_free_mass_kg": "66.6",
            "muscle_mass_kg": "63.2",
            "bone_mass_kg": "3.4",
            "body_water_kg": "45.9",
            "body_water_percent": "56.4",
            "subcutaneous_fat_percent": "16.1",
            "visceral_fat_rating": "6.5",
            "visceral_fat_mass_kg": "1.2",
            "bmi": "25.7",
            "basal_metabolic_rate_kcal": "1812",
            "active_metabolic_rate_kcal": "2540",
            "metabolic_age_years": "38",
            "physique_rating": "5",
            "skeletal_muscle_mass_kg": "36.1",
            "height_cm": "178",
            "person": "Anna",
        },
    ),
    "Fitdays": (
        """{"weight": "81,4 kg", "body fat": "18.2 %", "fat mass": "14.8kg", "fat free body weight": "66.6 kg",
            "muscle mass": "63.2 kg", "Bone mass": "3.4 kg", "water weight": "45.9 kg", "subcutaneous fat": "16.1 %",
            "visceral fat": "7", "BMI": "25.7", "BMR": "1812 kcal", "Body age": "38", "Muscle rate": "77.6 %",
            "Skeletal muscle": "44.3 %", "Body water": "56.4 %", "Protein mass": "17.3 kg", "WHR": "0.88"}""",
        {
            "weight_kg": "81.4",
            "body_fat_percent": "18.2",
            "fat_mass_kg": "14.8",
            "fat_free_mass_kg": "66.6",
            "muscle_mass_kg": "63.2",
            "bone_mass_kg": "3.4",
            "body_water_kg": "45.9",
            "body_water_percent": "56.4",
            "subcutaneous_fat_percent": "16.1",
            "visceral_fat_rating": "7",
            "bmi": "25.7",
            "basal_metabolic_rate_kcal": "1812",
            "metabolic_age_years": "38",
        },
    ),
    "Fitdays cloud": (
        """{"measured_time": 1795239060, "weight_g": 81400, "bfr": 18.2, "sfr": 16.1, "uvi": 7, "rom": 77.6,
            "rosm": 44.3, "bm": 3.4, "vwc": 56.4, "pp": 21.3, "bmr": 1812, "bodyage": 38, "hr": 0, "suid": 1207,
            "data_id": "9f1c", "is_deleted": 0, "is_weight_only": 0}""",
        {
            "weight_kg": "81.4",
            "body_fat_percent": "18.2",
            "bone_mass_kg": "3.4",
            "body_water_percent": "56.4",
            "subcutaneous_fat_percent": "16.1",
            "visceral_fat_rating": "7",
            "basal_metabolic_rate_kcal": "1812",
            "metabolic_age_years": "38",
            "person": "1207",
        },
    ),
    "ble-scale-sync": (
        (EXAMPLES / "ble_scale_sync.json").read_text(encoding="utf-8"),
        {
            "weight_kg": "81.4",
            "body_fat_percent": "18.2",
            "muscle_mass_kg": "63.2",
            "bone_mass_kg": "3.4",
            "body_water_percent": "56.4",
            "visceral_fat_rating": "7",
            "bmi": "25.7",
            "basal_metabolic_rate_kcal": "1812",
            "metabolic_age_years": "38",
            "physique_rating": "5",
            "person": "Jörg",
        },
    ),
    "xiaomi_mi_scale": (
        (EXAMPLES / "xiaomi.json").read_text(encoding="utf-8"),
        {
            "weight_kg": "64.600625",
            "body_fat_percent": "33.32",
            "muscle_mass_kg": "40.5",
            "bone_mass_kg": "2.58",
            "body_water_percent": "47.61",
            "visceral_fat_rating": "4.62",
            "bmi": "22.89",
            "basal_metabolic_rate_kcal": "1246.61",
            "metabolic_age_years": "36",
        },
    ),
    "openScale-sync": (
        """{"id": 179, "date": "2025-11-17T08:56-0800", "weight": 87.15, "fat": 23.8, "muscle": 39.1,
            "water": 50.89}""",
        {"weight_kg": "87.15", "body_fat_percent": "23.8", "body_water_percent": "50.89"},
    ),
    "Theengs and OpenMQTTGateway": (
        """{"id": "AA:BB", "name": "MIBFS", "rssi": -71, "brand": "Xiaomi", "model": "Mi_Body_Composition_Scale",
            "model_id": "XMTZC02HM/XMTZC05HM", "type": "SCALE", "weighing_mode": "person", "unit": "lb",
            "weight": 179.45, "impedance": 480}""",
        {"weight_kg": "81.397151"},
    ),
    "bodymiscale": (
        """{"problem": "none", "height": "178", "gender": "male", "age": "38", "weight": 81.4, "impedance": 480,
            "bmi": "25.7", "basal_metabolism": "1622", "visceral_fat": "8", "ideal": "68.60", "bmi_label": "overweight",
            "lean_body_mass": "61.6", "body_fat": "25.2", "water": "51.3", "bone_mass": "3.10", "muscle_mass": "57.75",
            "protein": "19.7", "body_type": "balanced", "metabolic_age": "37",
            "last_measurement_time": "2026-11-21T06:31:00+01:00"}""",
        {
            "weight_kg": "81.4",
            "body_fat_percent": "25.2",
            "muscle_mass_kg": "57.75",
            "bone_mass_kg": "3.1",
            "body_water_percent": "51.3",
            "visceral_fat_rating": "8",
            "bmi": "25.7",
            "basal_metabolic_rate_kcal": "1622",
            "metabolic_age_years": "37",
            "height_cm": "178",
        },
    ),
    "garmin_connect": (
        (EXAMPLES / "home_assistant.json").read_text(encoding="utf-8"),
        {
            "weight_kg": "81.4",
            "body_fat_percent": "18.2",
            "muscle_mass_kg": "63.2",
            "bone_mass_kg": "3.4",
            "body_water_percent": "56.4",
            "visceral_fat_rating": "7",
            "bmi": "25.69",
            "basal_metabolic_rate_kcal": "1812",
            "metabolic_age_years": "38",
            "physique_rating": "5",
        },
    ),
}


def test_every_dialect_is_tried() -> None:
    assert SAID.keys() == DIALECTS.keys()


@pytest.mark.parametrize("dialect", SAID)
def test_a_dialect_is_understood(dialect: str) -> None:
    text, expected = SAID[dialect]
    assert values(parsed(text)) == expected
    assert understood(parsed(text)).unknown == ()


def test_a_key_means_the_same_in_every_dialect_that_has_it() -> None:
    """So no dialect has to be guessed from the others' keys."""
    meanings: dict[str, set[Meaning]] = {}
    for dialect in DIALECTS.values():
        for key, meaning in dialect.items():
            meanings.setdefault(normal(key), set()).add(meaning)
    assert {key: found for key, found in meanings.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.name)
def test_every_example_is_a_reading_without_a_word_left_over(path: Path) -> None:
    assert understood(parsed(path.read_text(encoding="utf-8"))).unknown == ()


def test_the_history_is_five_readings_at_five_instants() -> None:
    lines = (EXAMPLES / "history.ndjson").read_text(encoding="utf-8").splitlines()
    assert len({instant(parsed(line)) for line in lines}) == 5


@pytest.mark.parametrize("payload", [None, True, 81.4, "81.4", [], [{"weight": 81.4}]])
def test_only_an_object_is_a_reading(payload: object) -> None:
    assert only_error(payload).field == ""
    assert "JSON object" in only_error(payload).message


def test_lean_body_mass_of_xiaomi_is_a_coefficient_and_is_not_used() -> None:
    """An honest row: its lean_body_mass of 52.81 kg is far more than the 43.07 kg that are not fat."""
    interpreted = understood(parsed(SAID["xiaomi_mi_scale"][0]))
    assert interpreted.reading.fat_free_mass_kg is not None
    assert round(interpreted.reading.fat_free_mass_kg, 2) == Decimal("43.08")
    assert (
        "'lean_body_mass' was not used: it is a coefficient of the scale's formula, not the weight without the fat."
        in (interpreted.notes)
    )


def test_muscle_of_openscale_is_a_percentage_and_becomes_a_mass() -> None:
    interpreted = understood({"weight": 80, "muscle": 40})
    assert interpreted.reading.muscle_mass_kg == 32
    assert interpreted.derived == {"muscle_mass_kg": "weight_kg × muscle mass % ÷ 100"}


def test_skeletal_muscle_of_fitdays_is_a_percentage_and_becomes_a_mass() -> None:
    interpreted = understood({"weight_g": 80000, "rosm": 45})
    assert interpreted.reading.skeletal_muscle_mass_kg == 36
    assert interpreted.derived == {"skeletal_muscle_mass_kg": "weight_kg × skeletal muscle mass % ÷ 100"}


def test_a_muscle_rate_beside_a_muscle_mass_is_left_out_and_named() -> None:
    interpreted = understood({"weight": 80, "muscle rate": 77.6, "muscle mass": 62})
    assert interpreted.reading.muscle_mass_kg == 62
    assert "'muscle rate' was left out, because 'muscle mass' tells the same." in interpreted.notes


def test_a_percentage_of_muscle_beyond_the_whole_is_rejected() -> None:
    assert only_error({"weight": 80, "muscle": 101}).message == "A muscle share of 1 to 100 % was expected."


def test_fitdays_words_make_muscle_and_bone_all_that_is_not_fat() -> None:
    row = {"weight": 81.4, "body fat": 18.2, "muscle mass": 36, "bone mass": 3.4}
    assert values(row)["muscle_mass_kg"] == "36"
    error = only_error(row | {"water weight": 45.9})
    assert (error.field, error.input) == ("muscle mass", 36)
    assert error.message.startswith("Muscle mass + bone mass 39.4 kg does not fit the fat-free mass, which in the Fit")


@pytest.mark.parametrize("deleted", [1, True, "1", "true", Decimal(1), [0]])
def test_a_row_deleted_in_the_fitdays_cloud_is_rejected(deleted: object) -> None:
    assert only_error({"weight_g": 81400, "is_deleted": deleted}).field == "is_deleted"


@pytest.mark.parametrize("deleted", [0, False, "0", "false", None, Decimal(0)])
def test_a_row_not_deleted_is_taken(deleted: object) -> None:
    assert values({"weight_g": 81400, "is_deleted": deleted}) == {"weight_kg": "81.4"}


@pytest.mark.parametrize("problem", ["weight low", "weight unavailable, impedance unavailable", True, ["weight"]])
def test_a_problem_with_the_weight_is_rejected(problem: object) -> None:
    assert only_error({"weight": 8.4, "problem": problem}).field == "problem"


def test_a_problem_with_the_impedance_alone_is_noted() -> None:
    interpreted = understood({"weight": 81.4, "problem": "impedance low"})
    assert "'problem' tells of a problem with this weigh-in, though not with the weight." in interpreted.notes


def test_a_suitcase_that_the_scale_itself_took_for_one_is_rejected() -> None:
    assert (
        only_error({"weight": 21.4, "weighing_mode": "object"}).message == "The scale weighed an object, not a person."
    )


# -- persons ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "person"),
    [
        ({"person": "Anna"}, "Anna"),
        ({"user_name": "Jörg", "user_slug": "jorg"}, "Jörg"),
        ({"user_slug": "jorg", "user_name": "Jörg"}, "Jörg"),
        ({"user_slug": "jorg"}, "jorg"),
        ({"username": " Anna ", "userId": 1}, "Anna"),
        ({"suid": 1207}, "1207"),
        ({"person": "unknown"}, "None"),
    ],
)
def test_a_name_counts_before_an_id(payload: dict[str, object], person: str) -> None:
    assert str(understood(payload | {"weight": 81.4}).reading.person) == person


def test_two_names_are_rejected() -> None:
    error = only_error({"weight": 81.4, "person": "Anna", "user_name": "Jörg"})
    assert (error.field, error.message) == ("user_name", "'person' names somebody else.")


@pytest.mark.parametrize("person", [True, 1.5, ["Anna"], {"name": "Anna"}, 10**5000, "x" * 65, "A\x00"], ids=short)
@pytest.mark.parametrize("key", ["user_name", "user_slug"])
def test_what_is_no_name_is_rejected_under_the_caller_s_key(key: str, person: object) -> None:
    assert only_error({"weight": 81.4, key: person}).field == key


# -- numbers and units -----------------------------------------------------------------------------------


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
def test_a_weight_may_be_typed_in_any_of_these_ways(typed: object, kg: str) -> None:
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
def test_a_weight_that_is_none_is_rejected_once_under_its_key(typed: object) -> None:
    error = only_error({"Weight": typed})
    assert error.field == "Weight"
    assert len(str(error.input)) <= LONGEST_TEXT + 1


@pytest.mark.parametrize("key", ["height", "Height (cm)"])
@pytest.mark.parametrize("typed", [178, "178", "178 cm", "1.78 m", "1,78m", "1780 mm"])
def test_a_height_may_be_typed_in_metric_units(key: str, typed: object) -> None:
    assert values({"weight": 81.4, key: typed})["height_cm"] == "178"


@pytest.mark.parametrize("typed", ["5'10\"", "5 ft 10 in", "5ft10", "70 in", "70 inches"])
def test_a_height_may_be_typed_in_feet_and_inches(typed: str) -> None:
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
def test_a_typed_unit_says_what_a_value_is(key: str, typed: str, attribute: str, value: str) -> None:
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
def test_a_unit_that_does_not_fit_is_rejected(key: str, typed: str, message: str) -> None:
    error = only_error({"weight": 81.4, key: typed})
    assert (error.field, error.input, error.message) == (key, typed, message)


@pytest.mark.parametrize(
    "payload", [{"weight": 81.4, "BMR": "1,812"}, {"weight": 81.4, "BMR": "1.812 kcal"}, {"weight_g": "81,400"}]
)
def test_a_separator_that_may_be_for_thousands_is_rejected(payload: dict[str, object]) -> None:
    error = only_error(payload)
    assert error.input == list(payload.values())[-1]
    assert "thousands" in error.message


@pytest.mark.parametrize(
    ("unit", "kg"), [("kg", "81.4"), ("lbs", "36.922419"), ("LB", "36.922419"), ("jin", "40.7"), ("", "81.4")]
)
@pytest.mark.parametrize("key", ["unit", "weight_unit"])
def test_a_unit_beside_the_weight_is_the_weight_s_alone(key: str, unit: str, kg: str) -> None:
    """xiaomi_mi_scale's other masses are in kg whatever the weight is in."""
    assert values({key: unit, "weight": 81.4, "bone_mass": 3.4}) == {"weight_kg": kg, "bone_mass_kg": "3.4"}


def test_a_typed_unit_counts_before_one_beside() -> None:
    assert values({"unit": "lb", "weight": "81.4 kg"}) == {"weight_kg": "81.4"}


@pytest.mark.parametrize("unit", ["stones!", "%", "cm", 1, ["kg"], "k" * 10**6], ids=short)
def test_a_unit_beside_that_is_none_of_a_weight_is_rejected(unit: object) -> None:
    assert only_error({"weight": 81.4, "unit": unit}).field == "unit"


# -- not measured ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", [None, "", "unknown", "unavailable", "None", "none", "Unknown", " ", "- -", "--", "n/a"]
)
def test_a_value_that_was_not_measured_is_absent_and_noted(word: object) -> None:
    interpreted = understood({"weight": 81.4, "Body Fat": word})
    assert interpreted.reading.body_fat_percent is None
    assert interpreted.notes == ("'Body Fat' was not measured.", ARRIVAL)


@pytest.mark.parametrize("word", [None, *sorted(NOT_MEASURED)])
def test_a_weight_that_was_not_measured_is_rejected(word: object) -> None:
    error = only_error({"Weight": word, "body fat": 18.2})
    assert (error.field, error.input) == ("Weight", word)
    assert error.message == 'A reading needs a weight, such as 81.4 or "81.4 kg".'


def test_without_a_weight_there_is_no_reading() -> None:
    assert only_error({"body fat": 18.2}).field == "weight"
    assert only_error({}).field == "weight"


@pytest.mark.parametrize("zero", [0, 0.0, Decimal("0.0"), "0", "0,0 %", "0 kg", -0.0])
def test_a_zero_is_not_measured_and_noted(zero: object) -> None:
    interpreted = understood({"weight": 81.4, "body fat": zero})
    assert interpreted.reading.body_fat_percent is None
    assert interpreted.reading.fat_mass_kg is None
    assert interpreted.notes == ("'body fat' is 0, which means that it was not measured.", ARRIVAL)


# -- keys ------------------------------------------------------------------------------------------------


def test_keys_that_nobody_knows_are_named() -> None:
    interpreted = understood({"weight": 81.4, "mood": "fine", "": 1, "x" * 500: 2})
    assert interpreted.unknown == ("mood", "", "x" * LONGEST_TEXT)


def test_a_key_longer_than_any_is_known_by_nobody() -> None:
    """What is remembered of keys stays small, whatever is sent."""
    assert understood({"weight": 81.4, " " * LONGEST_TEXT + "body fat": 18.2}).unknown == (" " * LONGEST_TEXT,)


def test_values_that_garmin_has_no_place_for_are_named() -> None:
    assert (
        "Garmin has no place for: impedance, protein, heart rate."
        in understood({"weight": 81.4, "impedance": 480, "protein": 21.3, "heart rate": 61}).notes
    )


def test_bone_and_lbm_of_openscale_are_named_because_their_unit_is_not_known() -> None:
    interpreted = understood({"weight": 81.4, "bone": 3.2, "lbm": 66.6})
    assert interpreted.reading.bone_mass_kg is None
    assert interpreted.reading.fat_free_mass_kg is None
    assert [note.split("'")[1] for note in interpreted.notes[:2]] == ["bone", "lbm"]


def test_a_value_given_twice_is_taken_once() -> None:
    assert values({"weight": 81.4, "weight_kg": "81,40 kg", "fat": 18.2, "body_fat": "18.2"}) == {
        "weight_kg": "81.4",
        "body_fat_percent": "18.2",
    }


def test_a_value_given_twice_with_a_difference_is_rejected_with_both_keys() -> None:
    error = only_error({"weight": 81.4, "fat": 18.2, "Body Fat": 19.1})
    assert (error.field, error.input, error.message) == (
        "Body Fat", 19.1, "'fat' says the same thing, with another value.",
    )  # fmt: skip


def test_everything_that_is_wrong_is_told_at_once() -> None:
    payload = {"weight": 9999, "Body Fat": "much", "time": "noon", "BMI": 1, "bone mass": [3.4]}
    assert {error.field for error in errors(payload)} == set(payload)


def test_a_contradiction_is_told_under_the_caller_s_keys_and_values() -> None:
    error = only_error({"weight": "81.4 kg", "Fat Mass": "20 kg", "percent_fat": 18.2})
    assert (error.field, error.input) == ("Fat Mass", "20 kg")
    assert error.message.startswith("Fat mass 20 kg does not fit weight × body fat %: 14.81 kg")


# -- times -----------------------------------------------------------------------------------------------

SIX_THIRTY_ONE = "2026-11-21T05:31:00+00:00"


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-21T06:31:00+01:00",
        "2026-11-21T05:31:00Z",
        "2026-11-21t05:31:00z",
        "2026-11-21 05:31:00+00:00",
        "2026-11-21T06:31+0100",
        "2026-11-21T05:31:00.999999Z",
        "20261121T053100Z",
        "2026-11-21T06:31:00",
        "2026-11-21 06:31",
        " 2026-11-21 06:31 ",
        "06:31 21/11/2026",
        "06:31:00 21/11/2026",
        1795239060,
        1795239060000,
        "1795239060",
        "1795239060.75",
        "1795239060999",
        Decimal("1795239060.75"),
        1795239060.75,
    ],
)
def test_an_instant_may_be_written_in_any_of_these_ways(written: object) -> None:
    assert instant({"weight": 81.4, "time": written}) == SIX_THIRTY_ONE


@pytest.mark.parametrize(
    "key", [key for dialect in DIALECTS.values() for key, meaning in dialect.items() if meaning.attribute == "(time)"]
)
def test_every_key_of_a_time_is_one(key: str) -> None:
    assert instant({"weight": 81.4, key: 1795239060}) == SIX_THIRTY_ONE


@pytest.mark.parametrize("date", ["2026-11-21", "20261121", "2026-W47-6", "2026-W47"])
def test_a_date_without_a_time_is_rejected(date: str) -> None:
    assert only_error({"weight": 81.4, "date": date}).message == "The time of day is missing; Garmin needs the instant."


@pytest.mark.parametrize(
    "written",
    ["noon", "06:31", "31/12/2026", "25:31 21/11/2026", "2026-13-01T00:00", "2026-11-21T06:31+99:00",
     "0001-01-01T00:00", "x" * 10**6, True, [1], {}, 10**30, 10**5000, float("nan"), Decimal("1E+999999999"),
     "99999999999999"],
    ids=short,
)  # fmt: skip
def test_what_is_no_instant_is_rejected(written: object) -> None:
    assert only_error({"weight": 81.4, "Time": written}).field == "Time"


def test_without_a_time_the_arrival_counts_and_is_noted() -> None:
    for payload in ({"weight": 81.4}, {"weight": 81.4, "time": None}, {"weight": 81.4, "time": "unknown"}):
        interpreted = understood(payload)
        assert interpreted.reading.measured_at == NOW
        assert interpreted.notes == (ARRIVAL,)


def test_five_minutes_ahead_is_a_clock_and_a_second_more_is_rejected() -> None:
    ahead = NOW + timedelta(minutes=5)
    assert understood({"weight": 81.4, "time": ahead.isoformat()}).reading.measured_at == ahead
    error = only_error({"weight": 81.4, "time": (ahead + timedelta(seconds=1)).isoformat()})
    assert error.message.startswith("This is 2026-11-23T07:05:01Z, which is before the year 2000 or more than five min")


def test_the_year_2000_is_the_first() -> None:
    assert instant({"weight": 81.4, "time": "2000-01-01T00:00:00Z"}) == "2000-01-01T00:00:00+00:00"
    assert only_error({"weight": 81.4, "time": "1999-12-31T23:59:59Z"}).field == "time"
    assert only_error({"weight": 81.4, "time": 0}).field == "time"


def test_two_times_must_be_one_instant() -> None:
    same = {"weight": 81.4, "timestamp": 1795239060, "time": "2026-11-21T05:31:00.5Z"}
    assert instant(same) == SIX_THIRTY_ONE
    error = only_error(same | {"time": "2026-11-21T05:32:00Z"})
    assert (error.field, error.message) == ("time", "'timestamp' says another instant.")


@pytest.mark.parametrize(
    ("local", "utc", "note"),
    [
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59+00:00", None),
        (
            "2026-03-29T02:30:00",
            "2026-03-29T01:30:00+00:00",
            "'time': This hour did not come in Europe/Berlin; 03:30 was taken. An offset would tell.",
        ),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00+00:00", None),
        ("2026-10-25T01:59:59", "2026-10-24T23:59:59+00:00", None),
        (
            "2026-10-25T02:30:00",
            "2026-10-25T00:30:00+00:00",
            "'time': This hour came twice in Europe/Berlin; the first one was taken. An offset would tell.",
        ),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00+00:00", None),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00+00:00", None),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00+00:00", None),
    ],
)
def test_on_a_day_of_clock_change_the_rule_is_applied_and_noted(local: str, utc: str, note: str | None) -> None:
    interpreted = understood({"weight": 81.4, "time": local})
    assert interpreted.reading.measured_at.isoformat() == utc
    assert interpreted.notes == ((note,) if note else ())


def test_a_time_without_an_offset_is_in_the_configured_zone() -> None:
    payload = {"weight": 81.4, "time": "2026-11-21T06:31:00"}
    assert instant(payload, ZoneInfo("UTC")) == "2026-11-21T06:31:00+00:00"
    assert instant(payload, ZoneInfo("Asia/Kolkata")) == "2026-11-21T01:01:00+00:00"


# -- properties ------------------------------------------------------------------------------------------

WEIGHTS = st.decimals("3", "300", places=2)
#: Values that never contradict each other, for any weight.
OTHERS = st.fixed_dictionaries(
    {},
    optional={
        "body_fat_percent": st.decimals("10", "40", places=1),
        "body_water_percent": st.decimals("40", "55", places=1),
        "visceral_fat_rating": st.decimals("1", "59", places=1),
        "metabolic_age_years": st.integers(1, 120),
        "basal_metabolic_rate_kcal": st.integers(500, 5000),
        "physique_rating": st.integers(1, 9),
    },
)


@given(WEIGHTS)
def test_a_weight_in_pounds_is_the_weight_in_kilograms(kg: Decimal) -> None:
    """Up to the rounding of the pounds to a hundredth."""
    pounds = (kg / Decimal("0.45359237")).quantize(Decimal("0.01"))
    stones, rest = divmod(pounds, 14)
    for typed in (f"{pounds} lb", f"{stones} st {rest} lb"):
        assert abs(understood({"weight": typed}).reading.weight_kg - kg) <= Decimal("0.005")


@given(WEIGHTS, OTHERS)
def test_a_comma_is_a_point(weight: Decimal, others: dict[str, object]) -> None:
    payload = {"weight_kg": weight} | others
    comma = {key: str(value).replace(".", ",") for key, value in payload.items()}
    assert understood(comma) == understood(payload)


@given(WEIGHTS, OTHERS, st.data())
def test_case_and_spacing_of_keys_do_not_matter(
    weight: Decimal, others: dict[str, object], data: st.DataObject
) -> None:
    payload = {"weight_kg": weight} | others
    punctuated = {
        "".join(
            data.draw(st.sampled_from([c.upper(), c.lower(), f" {c}", f"{c}-", f"_{c}", f"({c})"]))
            for c in key
            if c != "_"
        ): value
        for key, value in payload.items()
    }
    assert understood(punctuated).reading == understood(payload).reading


@given(WEIGHTS, OTHERS)
def test_a_float_a_decimal_and_a_text_are_the_same_number(weight: Decimal, others: dict[str, object]) -> None:
    payload = {"weight_kg": weight} | others
    assert understood({key: float(str(value)) for key, value in payload.items()}).reading == understood(payload).reading
    assert understood({key: str(value) for key, value in payload.items()}).reading == understood(payload).reading


@given(WEIGHTS, OTHERS)
def test_the_same_payload_is_the_same_reading_and_stays_as_it_was(weight: Decimal, others: dict[str, object]) -> None:
    payload = {"weight_kg": weight} | others
    before = dict(payload)
    assert understood(payload) == understood(payload)
    assert payload == before


@given(
    st.dictionaries(
        st.sampled_from(sorted({key for dialect in DIALECTS.values() for key in dialect})),
        st.sampled_from([0, None, "unknown", 7, 38, 1812, Decimal("20.5"), "3.4 kg", "18 %"]),
        max_size=12,
    )
)
def test_every_key_is_used_or_named(payload: dict[str, object]) -> None:
    """Each key of a payload that is not rejected has a value in the reading, or is named in a note."""
    payload = {"weight": 81.4} | payload
    try:
        interpreted = understood(payload)
    except ReadingRejected:
        return
    told = " ".join(interpreted.notes)
    for key in payload:
        attribute = VOCABULARY[normal(key)].attribute
        used = attribute in MEASURES and getattr(interpreted.reading, attribute) is not None
        steers = attribute.startswith("(") and attribute not in ("(unused)", "(muscle %)", "(skeletal muscle %)")
        made = {"(muscle %)": "muscle_mass_kg", "(skeletal muscle %)": "skeletal_muscle_mass_kg"}.get(attribute)
        assert (
            used
            or steers
            or key in told
            or (made and getattr(interpreted.reading, made) is not None)
            or "kg" in str(payload[key])
            or "%" in str(payload[key])  # said in another unit, it is another attribute
        ), key


ANY_NUMBER = (
    st.integers()
    | st.floats()
    | st.decimals()
    | st.sampled_from([10**4000, -(10**4000), Decimal("1E+999999999"), Decimal("-1E-999999999"), Decimal("1" * 5000)])
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | ANY_NUMBER | st.text(max_size=40) | st.sampled_from(sorted(NOT_MEASURED)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
ANY_VALUE = ANY_JSON | st.from_regex(r"[-+]?[0-9]{1,4}([.,][0-9]{1,4})? ?(kg|lb|st|%|g|cm|m|kcal)?", fullmatch=True)
KNOWN_KEY = st.sampled_from(sorted({key for dialect in DIALECTS.values() for key in dialect}))


def only_answers(payload: object) -> None:
    try:
        interpreted = understood(payload)
    except ReadingRejected as fault:
        assert fault.errors
        for error in fault.errors:
            assert len(error.field) <= LONGEST_TEXT
            assert len(str(error.input)) <= LONGEST_TEXT + 1
    else:
        assert interpreted.reading.weight_kg


@given(ANY_JSON)
def test_any_json_is_a_reading_or_is_rejected(payload: object) -> None:
    only_answers(payload)


@given(st.dictionaries(KNOWN_KEY | st.text(max_size=20), ANY_VALUE, max_size=12))
def test_any_values_under_known_keys_are_a_reading_or_are_rejected(payload: dict[str, object]) -> None:
    only_answers({"weight": 81.4} | payload)


@pytest.mark.parametrize(
    "long",
    ["9" * 10**6, "1," * 500_000, " " * 10**6, "1" + " " * 10**6 + "kg", "(" * 10**6, "1(" + "1 " * 500_000,
     "st " * 300_000],
    ids=short,
)  # fmt: skip
def test_a_text_of_a_megabyte_is_answered_at_once_under_every_key(long: str) -> None:
    """With anything worse than linear time, this test would not end."""
    for meaning_key in {meaning.attribute: key for key, meaning in VOCABULARY.items()}.values():
        only_answers({"weight": 81.4, meaning_key: long})
    only_answers({"weight": 81.4, long: long})


def test_a_hundred_thousand_keys_are_answered_at_once() -> None:
    assert len(understood({"weight": 81.4} | {f"key {n}": n for n in range(100_000)}).unknown) == 100_000


def test_a_very_deep_value_is_answered() -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    assert only_error({"weight": deep}).input == "a list"
