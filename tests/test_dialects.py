"""The names that scales, apps and people use, and that each dialect is understood."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.interpreting import instant, notes, only_error, parsed, understood, values
from weighbridge.notes import Code
from weighbridge.reading.bodies import unpack
from weighbridge.reading.dialects import DIALECTS, Meaning, normal

EXAMPLES = Path(__file__).parent.parent / "examples"
#: Named, because they could have been a value: the other sensor of a gateway.
NOT_OURS = {"ATCd4e5f6"}

#: Dialect -> a payload as it is sent, and its values.
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
    "whole bodies": (
        """{"event": "update", "weight": "64.6 kg", "waist": "74 cm", "steps": 512, "grpid": 4711, "state": "ok"}""",
        {"weight_kg": "64.6"},
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


def test_every_dialect_has_an_example() -> None:
    """Each dialect has an example in `SAID`."""
    assert SAID.keys() == DIALECTS.keys()


@pytest.mark.parametrize("dialect", SAID)
def test_dialect_is_understood(dialect: str) -> None:
    """Each dialect's example gives exactly the expected values, and no unknown key."""
    text, expected = SAID[dialect]
    assert values(parsed(text)) == expected
    assert understood(parsed(text)).unknown == ()


def test_shared_keys_have_one_meaning() -> None:
    """A key has the same meaning in every dialect that has it, so no dialect needs to be detected."""
    meanings: dict[str, set[Meaning]] = {}
    for dialect in DIALECTS.values():
        for key, meaning in dialect.items():
            meanings.setdefault(normal(key), set()).add(meaning)
    assert {key: found for key, found in meanings.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.name)
def test_examples_have_no_unknown_key(path: Path) -> None:
    """Each JSON file in `examples/` is a reading, or a whole body, without an unknown key."""
    items = unpack(parsed(path.read_text(encoding="utf-8"))).items
    assert {key for item in items for key in understood(item.payload).unknown} <= NOT_OURS


def test_history_example_has_five_instants() -> None:
    """`examples/history.ndjson` holds five readings at five instants."""
    lines = (EXAMPLES / "history.ndjson").read_text(encoding="utf-8").splitlines()
    assert len({instant(parsed(line)) for line in lines}) == 5


def test_xiaomi_lean_body_mass_is_not_used() -> None:
    """Xiaomi's lean_body_mass, 52.81 kg where 43.07 kg are not fat, is a coefficient and is not used."""
    interpreted = understood(parsed(SAID["xiaomi_mi_scale"][0]))
    assert interpreted.reading.fat_free_mass_kg is not None
    assert round(interpreted.reading.fat_free_mass_kg, 2) == Decimal("43.08")
    assert (
        Code.NOT_USED,
        "'lean_body_mass' was not used: it is a coefficient of the scale's formula, not the weight without the fat.",
    ) in notes(interpreted)


def test_openscale_muscle_is_a_percentage() -> None:
    """The muscle of openScale is a percentage, and becomes a mass."""
    interpreted = understood({"weight": 80, "muscle": 40})
    assert interpreted.reading.muscle_mass_kg == 32
    assert interpreted.derived == {"muscle_mass_kg": "weight_kg × muscle mass % ÷ 100"}


def test_fitdays_skeletal_muscle_is_a_percentage() -> None:
    """The skeletal muscle of Fitdays is a percentage, and becomes a mass."""
    interpreted = understood({"weight_g": 80000, "rosm": 45})
    assert interpreted.reading.skeletal_muscle_mass_kg == 36
    assert interpreted.derived == {"skeletal_muscle_mass_kg": "weight_kg × skeletal muscle mass % ÷ 100"}


def test_muscle_rate_next_to_mass_is_left_out() -> None:
    """A muscle rate next to a muscle mass is left out, and a note names it."""
    interpreted = understood({"weight": 80, "muscle rate": 77.6, "muscle mass": 62})
    assert interpreted.reading.muscle_mass_kg == 62
    assert notes(interpreted)[-1] == (
        Code.SAID_TWICE,
        "'muscle rate' was left out, because 'muscle mass' says the same.",
    )


def test_muscle_above_100_percent() -> None:
    """A muscle share above 100 % is rejected."""
    assert only_error({"weight": 80, "muscle": 101}).message == "A muscle share of 1 to 100 % was expected."


def test_fitdays_words_change_the_muscle_rule() -> None:
    """With words of the Fitdays app, muscle and bone must be all that is not fat."""
    row = {"weight": 81.4, "body fat": 18.2, "muscle mass": 36, "bone mass": 3.4}
    assert values(row)["muscle_mass_kg"] == "36"
    error = only_error(row | {"water weight": 45.9})
    assert (error.field, error.input) == ("muscle mass", 36)
    assert error.message.startswith("Muscle mass + bone mass 39.4 kg does not fit the fat-free mass, which in the Fit")


@pytest.mark.parametrize("deleted", [1, True, "1", "true", Decimal(1), [0]])
def test_deleted_row_is_rejected(deleted: object) -> None:
    """A row that was deleted in the Fitdays cloud is rejected."""
    assert only_error({"weight_g": 81400, "is_deleted": deleted}).field == "is_deleted"


@pytest.mark.parametrize("deleted", [0, False, "0", "false", None, Decimal(0)])
def test_row_that_is_not_deleted(deleted: object) -> None:
    """A row with a negative `is_deleted` is accepted."""
    assert values({"weight_g": 81400, "is_deleted": deleted}) == {"weight_kg": "81.4"}


@pytest.mark.parametrize("problem", ["weight low", "weight unavailable, impedance unavailable", True, ["weight"]])
def test_weight_problem_is_rejected(problem: object) -> None:
    """A reading whose source reports a problem with the weight is rejected."""
    assert only_error({"weight": 8.4, "problem": problem}).field == "problem"


def test_impedance_problem_is_noted() -> None:
    """A problem with only the impedance is a note."""
    interpreted = understood({"weight": 81.4, "problem": "impedance low"})
    assert notes(interpreted)[0] == (
        Code.PROBLEM_AT_SOURCE,
        "'problem' reports a problem with this weigh-in, but not with the weight.",
    )


def test_weighed_object_is_rejected() -> None:
    """A weight that the scale itself reports as an object is rejected."""
    assert (
        only_error({"weight": 21.4, "weighing_mode": "object"}).message == "The scale weighed an object, not a person."
    )
