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
    "Tasmota": (
        """{"Time": "2026-11-20T14:12:35", "mac": "70879e568c44", "weight_removed": 0, "stabilized": 1,
            "weight_unit": "lbs", "weight": 179.45, "impedance": 480, "RSSI": -54}""",
        {"weight_kg": "81.397151"},
    ),
    "Home Assistant": (
        """{"weight": "179.45", "unit_of_measurement": "lb", "device_class": "weight", "state_class": "measurement",
            "friendly_name": "Scale", "icon": "mdi:scale", "last_changed": "2026-11-20T07:12:33.123456+00:00",
            "last_updated": "2026-11-20T07:12:34+00:00", "last_reported": "2026-11-20T07:12:35+00:00"}""",
        {"weight_kg": "81.397151"},
    ),
    "SmartScaleConnect": (
        """{"Date": "2026-11-20T07:12:33Z", "Weight": 81.4, "BMI": 25.7, "BodyFat": 18.2, "BodyWater": 56.4,
            "BoneMass": 3.4, "MetabolicAge": 38, "MuscleMass": 63.2, "PhysiqueRating": 5, "ProteinMass": 17.3,
            "VisceralFat": 7, "BasalMetabolism": 1812, "BodyScore": 80, "HeartRate": 61, "Height": 178,
            "SkeletalMuscleMass": 36.1, "User": "Ben", "Source": "zepp"}""",
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
            "skeletal_muscle_mass_kg": "36.1",
            "height_cm": "178",
            "person": "Ben",
        },
    ),
    "Zepp Life": (
        """{"time": "2026-11-20 07:12:33+0000", "weight": 61.6, "height": 170, "bmi": 21.3, "fatRate": 35.5,
            "bodyWaterRate": 44.2, "boneMass": 2.4, "metabolism": 1233, "muscleRate": 37.29, "visceralFat": 7}""",
        {
            "weight_kg": "61.6",
            "body_fat_percent": "35.5",
            "muscle_mass_kg": "37.29",
            "bone_mass_kg": "2.4",
            "body_water_percent": "44.2",
            "visceral_fat_rating": "7",
            "bmi": "21.3",
            "basal_metabolic_rate_kcal": "1233",
            "height_cm": "170",
        },
    ),
    "Renpho": (
        """{"time_stamp": 1795239060, "weight": 179.45, "weight_unit": 2, "bmi": 25.7, "bodyfat": 18.2, "water": 56.4,
            "bmr": 1812, "bodyage": 38, "subfat": 16.1, "visfat": 7, "protein": 17.9, "b_user_id": "a1b2",
            "scale_name": "R-A012", "created_at": "2026-11-21T05:31:05Z"}""",
        {
            "weight_kg": "81.397151",
            "body_fat_percent": "18.2",
            "body_water_percent": "56.4",
            "subcutaneous_fat_percent": "16.1",
            "visceral_fat_rating": "7",
            "bmi": "25.7",
            "basal_metabolic_rate_kcal": "1812",
            "metabolic_age_years": "38",
            "person": "a1b2",
        },
    ),
    "others": (
        """{"unix-timestamp": 1717050449, "mass": "81.4 kg", "body_fat_percentage": 18.2, "water_percentage": 56.4,
            "bone_mineral": 3.4, "visceral_fat_value": 7, "basal_metabolic_rate": 1812, "body_mass_index": 25.7,
            "member": "Anna", "stable": true, "deleted": "no"}""",
        {
            "weight_kg": "81.4",
            "body_fat_percent": "18.2",
            "body_water_percent": "56.4",
            "bone_mass_kg": "3.4",
            "visceral_fat_rating": "7",
            "bmi": "25.7",
            "basal_metabolic_rate_kcal": "1812",
            "person": "Anna",
        },
    ),
    "HA-Fitdays": (
        """{"weight": "81.4 kg", "body_fat_mass": "14.8 kg", "body_water_mass": "45.9 kg"}""",
        {"weight_kg": "81.4", "fat_mass_kg": "14.8", "body_water_kg": "45.9"},
    ),
    "MyTanita": (
        """{"Date": "2026-11-21T06:31:00+01:00", "Weight (kg)": 81.4, "Body Fat (%)": 18.2, "Visc Fat": 7,
            "Muscle Mass (kg)": 63.2, "Muscle Quality": 61, "BMR (kcal)": 1812, "Metab Age": 38}""",
        {
            "weight_kg": "81.4",
            "body_fat_percent": "18.2",
            "muscle_mass_kg": "63.2",
            "visceral_fat_rating": "7",
            "basal_metabolic_rate_kcal": "1812",
            "metabolic_age_years": "38",
        },
    ),
    "other languages": (
        """{"weight": 81.4, "fat kg or percent": "18.2 %", "skeletal muscle kg or percent": "36.1 kg"}""",
        {"weight_kg": "81.4", "body_fat_percent": "18.2", "skeletal_muscle_mass_kg": "36.1"},
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
    assert {key for item in items for key in understood(item.payload).unknown} == set()


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


#: What came, and what the number that could be in kg or in % is: an attribute and its value, or why it is left out.
KG_OR_PERCENT: list[tuple[str, str]] = [
    # WebBodyComposition 8: muscle and bone make up what is not fat.
    ('{"weight": 61.6, "fatRate": 35.5, "boneMass": 2.4, "muscleRate": 37.29}', "muscle_mass_kg 37.29"),
    # The Fitdays app.
    ('{"weight": 81.4, "body fat": 18.2, "bone mass": 3.4, "muscle rate": 77.6}', "muscle_mass_kg 63.166"),
    # The unit decides.
    ('{"weight": 80, "muscle": "40 %"}', "muscle_mass_kg 32"),
    ('{"weight": 80, "muscle": "40 kg"}', "muscle_mass_kg 40"),
    ('{"weight": 80, "muscle": 40, "muscle_unit": "%"}', "muscle_mass_kg 32"),
    ('{"weight": 80, "muscle_percent": 40}', "muscle_mass_kg 32"),
    ('{"weight": 80, "muscle_kg": 40}', "muscle_mass_kg 40"),
    ('{"weight": 80, "muscle": {"value": 40, "unit": "%"}}', "muscle_mass_kg 32"),
    ('{"weight": 81.4, "hydration": "45.9 kg"}', "body_water_kg 45.9"),
    ('{"weight": 81.4, "tbw": "56.4 %"}', "body_water_percent 56.4"),
    ('{"weight": 81.4, "bone": "4.2 %"}', "bone_mass_kg 3.419"),
    ('{"weight": 81.4, "lbm": "66.6 kg"}', "fat_free_mass_kg 66.6"),
    ('{"weight": 81.4, "Bone mass (%)": 4.2}', "bone_mass_kg 3.419"),
    ('{"weight": 81.4, "muscle mass %": 45}', "muscle_mass_kg 36.63"),
    ('{"weight": 80, "Muscle [%]": 40}', "muscle_mass_kg 32"),
    # Only one meaning is possible with the other values.
    ('{"weight": 81.4, "body fat": 18.2, "lbm": 66.6}', "fat_free_mass_kg 66.6"),
    ('{"weight": 81.4, "body fat": 18.2, "lbm": 81.8}', "fat_free_mass_kg 66.585"),
    ('{"weight": 81.4, "body fat": 18.2, "hydration": 70}', "body_water_percent 70"),
    ('{"weight": 120, "hydration": 105}', "body_water_kg 105"),
    ('{"weight": 40, "muscle": 60}', "muscle_mass_kg 24"),
    ('{"weight": 81.4, "body fat": 18.2, "muscle mass": 63.2, "bone": 3.4}', "bone_mass_kg 3.4"),
    # Two at once.
    ('{"weight": 61.6, "fat": 35.5, "bone": 2.4, "muscle": 37.29}', "muscle_mass_kg 37.29"),
    ('{"weight": 61.6, "fat": 35.5, "bone": 2.4, "muscle": 37.29}', "bone_mass_kg 2.4"),
    # Nothing decides, or nothing fits.
    ('{"weight": 80, "muscle": 40}', "It could be in kg or in %"),
    ('{"weight": 87.15, "fat": 23.8, "muscle": 39.1}', "It could be in kg or in %"),
    ('{"weight": 81.4, "muscle rate": 77.6}', "It could be in kg or in %"),
    ('{"weight": 81.4, "hydration": 45.9}', "It could be in kg or in %"),
    ('{"weight": 81.4, "bone": 3.2}', "It could be in kg or in %"),
    ('{"weight": 81.4, "lbm": 66.6}', "It could be in kg or in %"),
    ('{"weight": 80, "muscle": 101}', "It fits the other values neither in kg nor in %"),
    ('{"weight": 80, "muscle mass": 62, "muscle rate": 40}', "It fits the other values neither in kg nor in %"),
]


@pytest.mark.parametrize(("payload", "expected"), KG_OR_PERCENT)
def test_kg_or_percent(payload: str, expected: str) -> None:
    """What could be in kg or in % is decided by its unit or by the other values; otherwise it is left out and named."""
    interpreted = understood(parsed(payload))
    left_out = [str(warning) for warning in interpreted.warnings if warning.why is Code.LEFT_OUT_IN_DOUBT]
    if expected.startswith("It "):
        assert len(left_out) == 1
        assert expected in left_out[0]
        return
    name, value = expected.split()
    assert left_out == []
    assert getattr(interpreted.reading, name) == Decimal(value)


def test_decided_unit_is_noted() -> None:
    """A note says which unit the other values showed."""
    interpreted = understood({"weight": 61.6, "fatRate": 35.5, "boneMass": 2.4, "muscleRate": 37.29})
    assert (Code.UNIT_DECIDED, "'muscleRate' is in kg: the other values show it.") in notes(interpreted)


def test_many_open_numbers() -> None:
    """With more open numbers than are tried together, none is decided."""
    keys = ("muscle", "muscle rate", "bone", "lbm", "hydration", "tbw", "total body water")
    interpreted = understood({"weight": 80, "fat": 18.2} | dict.fromkeys(keys, 3))
    assert len([warning for warning in interpreted.warnings if "kg or in %" in str(warning)]) == len(keys)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"weight_lb": 179.45, "muscle_mass_lb": 139}, {"weight_kg": "81.397151", "muscle_mass_kg": "63.049339"}),
        ({"weightLbs": 179.45}, {"weight_kg": "81.397151"}),
        ({"Weight (st)": 13}, {"weight_kg": "82.553811"}),
        ({"weight": 81.4, "Hydration (kg)": 45.9}, {"weight_kg": "81.4", "body_water_kg": "45.9"}),
        ({"weight": 81.4, "Fat %": 18.2}, {"weight_kg": "81.4", "body_fat_percent": "18.2"}),
        ({"weight": 81.4, "Visceral Fat ％": 7}, {"weight_kg": "81.4", "visceral_fat_rating": "7"}),
        ({"weight": 81.4, "BMI (%)": 25.7}, {"weight_kg": "81.4"}),
        ({"weight": 81.4, "fat_kg": 14.8}, {"weight_kg": "81.4", "fat_mass_kg": "14.8"}),
        ({"weight": 81.4, "visceral_fat_percent": 7}, {"weight_kg": "81.4", "visceral_fat_rating": "7"}),
        ({"weight": 81.4, "height": 70, "height_unit": "in"}, {"weight_kg": "81.4", "height_cm": "177.8"}),
        ({"weight": 81.4, "bone_mass": 7.5, "bone_mass_unit": "lb"}, {"weight_kg": "81.4", "bone_mass_kg": "3.401943"}),
        ({"weight_kg": 81.4, "unit": "lb"}, {"weight_kg": "81.4"}),
        ({"weight": "81.4 kg", "unit": "lb"}, {"weight_kg": "81.4"}),
    ],
)  # fmt: skip
def test_unit_in_a_key(payload: dict[str, object], expected: dict[str, str]) -> None:
    """A unit may be at the end of a key, or in a key of its own. A weight that has its unit keeps it."""
    assert values(payload) == expected


def test_unit_that_is_not_used_is_noted() -> None:
    """Where the weight has another unit than the key for it, a note says which one was not used."""
    for weight in ({"weight_kg": 81.4}, {"weight": "81.4 kg"}):
        assert notes(understood({**weight, "unit": "lb"}))[0][0] is Code.NOT_USED


def test_unit_that_a_value_cannot_have() -> None:
    """A value whose unit has a key and is not understood is left out; the weight is not."""
    interpreted = understood({"weight": 81.4, "height": 178, "height_unit": "ells"})
    assert interpreted.reading.height_cm is None
    assert notes(interpreted)[0] == (
        Code.NOT_USED,
        "'height' was not used: 'height_unit' is not a unit that it can have.",
    )


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


def test_fitdays_words_change_the_muscle_rule() -> None:
    """With words of the Fitdays app, muscle and bone must be all that is not fat."""
    row = {"weight": 81.4, "body fat": 18.2, "muscle mass": 36, "bone mass": 3.4}
    assert values(row)["muscle_mass_kg"] == "36"
    fitdays = understood(row | {"water weight": 45.9})
    assert (fitdays.reading.muscle_mass_kg, fitdays.reading.bone_mass_kg) == (None, None)
    assert (fitdays.reading.body_fat_percent, fitdays.reading.body_water_kg) == (Decimal("18.2"), Decimal("45.9"))
    code, text = notes(fitdays)[-1]
    assert code is Code.LEFT_OUT_IN_DOUBT
    assert text.startswith(
        "Left out as doubtful: 'muscle mass', 'bone mass'. "
        "Muscle mass + bone mass 39.4 kg does not fit the fat-free mass, which in the Fitdays app they make up: 66.59"
    )


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
