"""The names that scales, apps and people use: one vocabulary, as tables.

Strategy: each dialect is a table, and the tables are merged. A key that two dialects share means the same in both (a
test checks it). Case, spaces and punctuation of keys do not matter.

Facts: `lean_body_mass` of xiaomi_mi_scale (`getLBMCoefficient`) and bodymiscale (`get_lbm`) is a coefficient of their
formula for fat: 0.8 kg (most men) to 10 kg (women) more than the weight without that fat. So it is named in the
receipt and not used.

Weakness: a dialect is not detected. A key that a new app uses with another meaning needs a decision here.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from .measures import MEASURES, Measure

KG, PERCENT = "kg", "%"


class Share(Enum):
    """A percentage of the weight that gives a mass."""

    MUSCLE = ("muscle_mass_kg", Measure("muscle share", PERCENT, Decimal(1), Decimal(100)))
    BONE = ("bone_mass_kg", Measure("bone share", PERCENT, Decimal("0.1"), Decimal(20)))
    FAT_FREE = ("fat_free_mass_kg", Measure("fat-free share", PERCENT, Decimal(10), Decimal("99.9")))
    SKELETAL_MUSCLE = ("skeletal_muscle_mass_kg", Measure("skeletal muscle share", PERCENT, Decimal(1), Decimal(100)))

    def __init__(self, mass: str, measure: Measure) -> None:
        #: The attribute of `Reading` that is calculated from it.
        self.mass = mass
        self.measure = measure


class Quantity(NamedTuple):
    """A key of a number: an attribute of `Reading` or a share, and the unit of a number without one."""

    name: str | Share
    unit: str = ""


class Role(Enum):
    """A key that changes how the reading is understood."""

    __hash__ = object.__hash__  # Enum's own is a Python function; this is the hot path

    TIME = auto()
    #: When the caller received it: used if the reading has no time of its own.
    RECEIPT = auto()
    #: When the event around the reading occurred; no key of a reading has it.
    EVENT = auto()
    PERSON = auto()
    #: The internal id of a person in a scale or an app: used if there is no name.
    PERSON_ID = auto()
    WEIGHT_UNIT = auto()
    DELETED = auto()
    PROBLEM = auto()
    MODE = auto()


class Unused(NamedTuple):
    """A key that is known and has no value for Garmin."""

    #: Why it is not used, if the reason is not that Garmin does not store it.
    why: str = ""


Meaning = Quantity | Role | Unused

#: A weight whose unit may have a key of its own.
BARE_WEIGHT = Quantity("weight_kg", KG)
_FAT = Quantity("body_fat_percent", PERCENT)
_WATER = Quantity("body_water_percent", PERCENT)
_BONE = Quantity("bone_mass_kg", KG)
_MUSCLE = Quantity("muscle_mass_kg", KG)
_MUSCLE_SHARE = Quantity(Share.MUSCLE, PERCENT)
_SKELETAL_MUSCLE_SHARE = Quantity(Share.SKELETAL_MUSCLE, PERCENT)
_VISCERAL = Quantity("visceral_fat_rating")
_BASAL = Quantity("basal_metabolic_rate_kcal", "kcal")
_AGE = Quantity("metabolic_age_years", "years")
_BMI = Quantity("bmi", "kg/m²")
_UNUSED = Unused()
_COEFFICIENT = Unused("it is a coefficient of the scale's formula, not the weight without the fat")
_KG_OR_PERCENT = Unused("it is in kg or in %, depending on the release of openScale-sync")

_UNIT_OF_NAME = {"kg": "kg", "percent": "%", "cm": "cm", "kcal": "kcal", "years": "years", "bmi": "kg/m²"}

DIALECTS: Mapping[str, Mapping[str, Meaning]] = {
    # Our own names, as in the OpenAPI document.
    "canonical": {name: Quantity(name, _UNIT_OF_NAME.get(name.rpartition("_")[2], "")) for name in MEASURES}
    | {"measured_at": Role.TIME, "received_at": Role.RECEIPT, "person": Role.PERSON},
    # The words of the app.
    "Fitdays": {
        "weight": BARE_WEIGHT,
        "body fat": _FAT,
        "body fat rate": _FAT,
        "fat mass": Quantity("fat_mass_kg", KG),
        "fat free body weight": Quantity("fat_free_mass_kg", KG),
        "fat-free mass": Quantity("fat_free_mass_kg", KG),
        "muscle mass": _MUSCLE,
        "muscle rate": _MUSCLE_SHARE,
        "bone mass": _BONE,
        "water weight": Quantity("body_water_kg", KG),
        "body water": _WATER,
        "subcutaneous fat": Quantity("subcutaneous_fat_percent", PERCENT),
        "visceral fat": _VISCERAL,
        "skeletal muscle": _SKELETAL_MUSCLE_SHARE,
        "BMI": _BMI,
        "BMR": _BASAL,
        "body age": _AGE,
        "height": Quantity("height_cm", "cm"),
        "time": Role.TIME,
        "date": Role.TIME,
        "protein": _UNUSED,
        "protein mass": _UNUSED,
        "WHR": _UNUSED,
        "body type": _UNUSED,
        "heart rate": _UNUSED,
    },
    "Fitdays cloud": {
        "measured_time": Role.TIME,
        "weight_g": Quantity("weight_kg", "g"),
        "bfr": _FAT,
        "sfr": Quantity("subcutaneous_fat_percent", PERCENT),
        "uvi": _VISCERAL,
        "rom": _MUSCLE_SHARE,
        "rosm": _SKELETAL_MUSCLE_SHARE,
        "bm": _BONE,
        "vwc": _WATER,
        "bmi": _BMI,
        "bmr": _BASAL,
        "bodyage": _AGE,
        "suid": Role.PERSON_ID,
        "is_deleted": Role.DELETED,
        "pp": _UNUSED,
        "hr": _UNUSED,
        "data_id": _UNUSED,
        "is_weight_only": _UNUSED,
    },
    "ble-scale-sync": {
        "weight": BARE_WEIGHT,
        "impedance": _UNUSED,
        "bmi": _BMI,
        "bodyFatPercent": _FAT,
        "waterPercent": _WATER,
        "boneMass": _BONE,
        "muscleMass": _MUSCLE,
        "visceralFat": _VISCERAL,
        "physiqueRating": Quantity("physique_rating"),
        "bmr": _BASAL,
        "metabolicAge": _AGE,
        "user_name": Role.PERSON,
        "user_slug": Role.PERSON_ID,
        "timestamp": Role.TIME,
    },
    "xiaomi_mi_scale": {
        "weight": BARE_WEIGHT,
        "weight_unit": Role.WEIGHT_UNIT,
        "bmi": _BMI,
        "basal_metabolism": _BASAL,
        "visceral_fat": _VISCERAL,
        "lean_body_mass": _COEFFICIENT,
        "body_fat": _FAT,
        "water": _WATER,
        "bone_mass": _BONE,
        "muscle_mass": _MUSCLE,
        "protein": _UNUSED,
        "body_type": _UNUSED,
        "metabolic_age": _AGE,
        "impedance": _UNUSED,
        "timestamp": Role.TIME,
    },
    "openScale-sync": {
        "id": _UNUSED,
        "userId": Role.PERSON_ID,
        "username": Role.PERSON,
        "date": Role.TIME,
        "dateTime": Role.TIME,
        "weight": BARE_WEIGHT,
        "fat": _FAT,
        "body_fat": _FAT,
        "muscle": _MUSCLE_SHARE,
        "water": _WATER,
        "lbm": _KG_OR_PERCENT,
        "bone": _KG_OR_PERCENT,
        "values": Unused("only the values next to it are read"),
    },
    # What `bodies` leaves next to the values of a whole body.
    "whole bodies": dict.fromkeys(
        (
            *("event", "waist", "hip", "chest", "neck", "calories", "comment"),
            *("steps", "sleep", "distance", "active_calories", "total_calories", "exercise", "nutrition"),
            *("step_count", "active_energy", "basal_energy_burned", "resting_heart_rate", "heart_rate_variability"),
            *("grpid", "modified", "deviceid", "hash_deviceid", "modelid", "goals", "groups without a weight"),
            *("samplePk", "sourceType", "weightDelta", "summaryId"),
            *("dataSource", "deviceId", "deviceSource", "deviceType", "proteinRatio", "source", "encryptImpedance"),
            *("state", "state_class", "device_class"),
        ),
        _UNUSED,
    ),
    "Theengs and OpenMQTTGateway": {
        "weighing_mode": Role.MODE,
        "unit": Role.WEIGHT_UNIT,
        "weight": BARE_WEIGHT,
        "impedance": _UNUSED,
        "name": _UNUSED,
        "brand": _UNUSED,
        "model": _UNUSED,
        "model_id": _UNUSED,
        "type": _UNUSED,
        "mac": _UNUSED,
        "rssi": _UNUSED,
    },
    "bodymiscale": {
        "weight": BARE_WEIGHT,
        "impedance": _UNUSED,
        "bmi": _BMI,
        "bmi_label": _UNUSED,
        "basal_metabolism": _BASAL,
        "visceral_fat": _VISCERAL,
        "lean_body_mass": _COEFFICIENT,
        "body_fat": _FAT,
        "water": _WATER,
        "bone_mass": _BONE,
        "muscle_mass": _MUSCLE,
        "skeletal_muscle_mass": Quantity("skeletal_muscle_mass_kg", KG),
        "protein": _UNUSED,
        "metabolic_age": _AGE,
        "last_measurement_time": Role.TIME,
        "problem": Role.PROBLEM,
        "sensors": _UNUSED,
        "model_miscale": _UNUSED,
        "body_type": _UNUSED,
        "body_score": _UNUSED,
        "ideal": _UNUSED,
        "fat_mass_to_lose": _UNUSED,
        "fat_mass_to_gain": _UNUSED,
        "fat_mass_to_ideal_weight": _UNUSED,
        "age": _UNUSED,
        "gender": _UNUSED,
        "height": Quantity("height_cm", "cm"),
        "friendly_name": _UNUSED,
        "icon": _UNUSED,
        "attribution": _UNUSED,
    },
    # The fields of the Home Assistant action add_body_composition.
    "garmin_connect": {
        "weight": BARE_WEIGHT,
        "timestamp": Role.TIME,
        "bmi": _BMI,
        "percent_fat": _FAT,
        "percent_hydration": _WATER,
        "visceral_fat_mass": Quantity("visceral_fat_mass_kg", KG),
        "bone_mass": _BONE,
        "muscle_mass": _MUSCLE,
        "basal_met": _BASAL,
        "active_met": Quantity("active_metabolic_rate_kcal", "kcal"),
        "physique_rating": Quantity("physique_rating"),
        "metabolic_age": _AGE,
        "visceral_fat_rating": _VISCERAL,
        "entity_id": _UNUSED,
    },
}


@lru_cache(maxsize=4096)
def normal(key: str) -> str:
    """A key without case, spaces and punctuation."""
    return "".join(character for character in key.casefold() if character.isalnum())


VOCABULARY: Mapping[str, Meaning] = {
    normal(key): meaning for dialect in DIALECTS.values() for key, meaning in dialect.items()
}

#: Words that only the share screen of the Fitdays app uses: with one of them, muscle is all lean soft tissue.
FITDAYS_WORDS = frozenset(map(normal, ("fat free body weight", "water weight")))

#: What Home Assistant, forms and exports write if there is no value.
NOT_MEASURED = frozenset({"", "unknown", "unavailable", "none", "null", "nan", "-", "--", "- -", "n/a"})


def is_missing(value: object) -> bool:
    """Whether this means that there is no value."""
    return value is None or (isinstance(value, str) and len(value) < 20 and value.strip().casefold() in NOT_MEASURED)
