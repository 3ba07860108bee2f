"""The names that scales, apps and people use: one vocabulary, as tables.

Strategy: each dialect is a table, and the tables are merged. A key that two dialects share means the same in both (a
test checks it). Case, spaces and punctuation of keys do not matter.

The words of other languages (`languages`) are added, each with the meaning of its English key.

Facts: `lean_body_mass` of xiaomi_mi_scale (`getLBMCoefficient`) and bodymiscale (`get_lbm`) is a coefficient of their
formula for fat: 0.8 kg (most men) to 10 kg (women) more than the weight without that fat. So it is named in the
receipt and not used.

Apps disagree on whether `muscle`, `bone`, `lbm` and `hydration` are in kg or in % of the weight. These are `Either`.

Weakness: a dialect is not detected. A key that a new app uses with another meaning needs a decision here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from ..reasons import Reason, Why
from .languages import LANGUAGES
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


class Either(NamedTuple):
    """A key of a number that is a mass in one app and a percentage of the weight in another."""

    #: The attribute of `Reading` in kg.
    mass: str
    #: The same quantity in %.
    share: str | Share


class Role(Enum):
    """A key that changes how the reading is understood."""

    __hash__ = object.__hash__  # Enum's own is a Python function; this is the hot path

    #: When it was measured.
    TIME = auto()
    #: The same; a time without an offset is in UTC.
    UTC_TIME = auto()
    #: When the value changed at its source, and so on: each is used if there is none of the ones before.
    CHANGED = auto()
    UPDATED = auto()
    REPORTED = auto()
    CREATED = auto()
    #: The zone of a time without an offset.
    ZONE = auto()
    #: When the caller received it: used if the reading has no time of its own.
    RECEIPT = auto()
    #: When the event around the reading occurred; no key of a reading has it.
    EVENT = auto()
    PERSON = auto()
    #: The internal id of a person in a scale or an app: used if there is no name.
    PERSON_ID = auto()
    #: A device or a person: the person if someone has that name.
    NAME = auto()
    WEIGHT_UNIT = auto()
    #: A weigh-in only if this is true: stable, final.
    GOOD = auto()
    #: A weigh-in only if this is false: deleted, removed from the scale.
    BAD = auto()
    PROBLEM = auto()
    MODE = auto()


class Unused(NamedTuple):
    """A key that is known and has no value for Garmin."""

    #: Why it is not used, if the reason is not that Garmin does not store it.
    why: Reason | None = None


class UnitOf(NamedTuple):
    """A key with the unit of another key, which is given as in `VOCABULARY`."""

    key: str


Meaning = Quantity | Either | Role | Unused | UnitOf

#: The roles of times of the reading, by rank: a time is used if there is none of a better rank.
TIMES = ((Role.TIME, Role.UTC_TIME), (Role.CHANGED,), (Role.UPDATED,), (Role.REPORTED,), (Role.CREATED,))

#: A weight whose unit may have a key of its own. It is this object: a key such as `weight_kg` has its unit.
BARE_WEIGHT = Quantity("weight_kg", KG)
_FAT = Quantity("body_fat_percent", PERCENT)
_WATER = Quantity("body_water_percent", PERCENT)
_BONE = Quantity("bone_mass_kg", KG)
_MUSCLE = Quantity("muscle_mass_kg", KG)
_MUSCLE_SHARE = Quantity(Share.MUSCLE, PERCENT)
_MUSCLE_KG_OR_PERCENT = Either("muscle_mass_kg", Share.MUSCLE)
_BONE_KG_OR_PERCENT = Either("bone_mass_kg", Share.BONE)
_FAT_KG_OR_PERCENT = Either("fat_mass_kg", "body_fat_percent")
_LEAN_KG_OR_PERCENT = Either("fat_free_mass_kg", Share.FAT_FREE)
_WATER_KG_OR_PERCENT = Either("body_water_kg", "body_water_percent")
_SKELETAL_MUSCLE_SHARE = Quantity(Share.SKELETAL_MUSCLE, PERCENT)
_SKELETAL_MUSCLE_KG_OR_PERCENT = Either("skeletal_muscle_mass_kg", Share.SKELETAL_MUSCLE)
_VISCERAL = Quantity("visceral_fat_rating")
_BASAL = Quantity("basal_metabolic_rate_kcal", "kcal")
_AGE = Quantity("metabolic_age_years", "years")
_BMI = Quantity("bmi", "kg/m²")
_UNUSED = Unused()
_COEFFICIENT = Unused(Why.COEFFICIENT_OF_FORMULA())


def _each(meaning: Meaning, keys: str) -> dict[str, Meaning]:
    return dict.fromkeys(keys.split(), meaning)


def _unused(keys: str) -> dict[str, Meaning]:
    return _each(_UNUSED, keys)


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
        "muscle rate": _MUSCLE_KG_OR_PERCENT,
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
        # Of its table for a history, which has more columns than the share screen.
        "water content": _WATER_KG_OR_PERCENT,
        "fat-free weight": Quantity("fat_free_mass_kg", KG),
        **dict.fromkeys(("cardiac index", "obesity", "obesity level", "SMI", "body score"), _UNUSED),
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
        "is_deleted": Role.BAD,
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
        "muscle": _MUSCLE_KG_OR_PERCENT,
        "water": _WATER,
        "lbm": _LEAN_KG_OR_PERCENT,
        "bone": _BONE_KG_OR_PERCENT,
        "values": Unused(Why.ONLY_VALUES_BESIDE()),
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
            *("state", "state_class", "device_class", "other sensors"),
        ),
        _UNUSED,
    ),
    "Theengs and OpenMQTTGateway": {
        "weighing_mode": Role.MODE,
        "unit": Role.WEIGHT_UNIT,
        "weight": BARE_WEIGHT,
        "impedance": _UNUSED,
        "name": Role.NAME,
        "brand": _UNUSED,
        "model": _UNUSED,
        "model_id": _UNUSED,
        "type": _UNUSED,
        "mac": _UNUSED,
        "rssi": _UNUSED,
        "UTCtime": Role.UTC_TIME,
        "unixtime": Role.TIME,
        **_unused(
            "cidc acts cont track prmac mac_type adv_type servicedata servicedatauuid manufacturerdata distance "
            "txpower battery batt volt voltage host tracker linkquality"
        ),
    },
    "Tasmota": {
        "Time": Role.TIME,
        "weight_unit": Role.WEIGHT_UNIT,
        "weight": BARE_WEIGHT,
        "stabilized": Role.GOOD,
        "weight_stabilized": Role.GOOD,
        "weight_removed": Role.BAD,
        # These say something about the impedance, not about the weight.
        **_unused("has_impedance impedance impedance_stabilized ImpedanceFailed mac RSSI"),
    },
    # The keys of a state and of its attributes.
    "Home Assistant": {
        "unit_of_measurement": Role.WEIGHT_UNIT,
        "last_changed": Role.CHANGED,
        "last_updated": Role.UPDATED,
        "last_reported": Role.REPORTED,
        **_unused(
            "device_class state_class supported_features restored editable assumed_state entity_picture context "
            "last_reset unique_id object_id device device_id device_name area_id domain platform entity_id "
            "friendly_name icon attribution"
        ),
    },
    "SmartScaleConnect": {
        "Date": Role.TIME,
        "Weight": BARE_WEIGHT,
        "BMI": _BMI,
        "BodyFat": _FAT,
        "BodyWater": _WATER,
        "BoneMass": _BONE,
        "MetabolicAge": _AGE,
        "MuscleMass": _MUSCLE,
        "PhysiqueRating": Quantity("physique_rating"),
        "VisceralFat": _VISCERAL,
        "BasalMetabolism": _BASAL,
        "SkeletalMuscleMass": Quantity("skeletal_muscle_mass_kg", KG),
        "Height": Quantity("height_cm", "cm"),
        "User": Role.PERSON,
        **_unused("ProteinMass BodyScore HeartRate Impedance Source"),
    },
    "Zepp Life": {
        "time": Role.TIME,
        "generatedTime": Role.TIME,
        "weight": BARE_WEIGHT,
        "height": Quantity("height_cm", "cm"),
        "bmi": _BMI,
        "fatRate": _FAT,
        "bodyWaterRate": _WATER,
        "boneMass": _BONE,
        "metabolism": _BASAL,
        "muscleRate": _MUSCLE_KG_OR_PERCENT,
        "visceralFat": _VISCERAL,
    },
    "Renpho": {
        "time_stamp": Role.TIME,
        "time_of_measurement": Role.TIME,
        "created_at": Role.CREATED,
        "weight": BARE_WEIGHT,
        "weight_unit": Role.WEIGHT_UNIT,
        "bmi": _BMI,
        "bodyfat": _FAT,
        "water": _WATER,
        "bmr": _BASAL,
        "bodyage": _AGE,
        "bone": _BONE_KG_OR_PERCENT,
        "muscle": _MUSCLE_KG_OR_PERCENT,
        "subfat": Quantity("subcutaneous_fat_percent", PERCENT),
        "visfat": _VISCERAL,
        "user_id": Role.PERSON_ID,
        "b_user_id": Role.PERSON_ID,
        **_unused("protein resistance gender birthday scale_name scale_type category_type person_type body_shape"),
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
    # Sensors of HA-Fitdays that are named otherwise than in the app.
    "HA-Fitdays": {
        "body_fat_mass": Quantity("fat_mass_kg", KG),
        "body_water_mass": Quantity("body_water_kg", KG),
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
    "MyTanita": {"visc fat": _VISCERAL, "metab age": _AGE, "muscle quality": _UNUSED},
    # What words of other languages stand for, if apps disagree on the unit.
    "other languages": {
        "fat kg or percent": _FAT_KG_OR_PERCENT,
        "skeletal muscle kg or percent": _SKELETAL_MUSCLE_KG_OR_PERCENT,
    },
    # Words of shortcuts, scripts and smaller apps.
    "others": {
        "mass": BARE_WEIGHT,
        "body_weight": BARE_WEIGHT,
        "fat_percentage": _FAT,
        "body_fat_percentage": _FAT,
        "fat_ratio": _FAT,
        "water_percentage": _WATER,
        "body_water_percentage": _WATER,
        "hydration": _WATER_KG_OR_PERCENT,
        "tbw": _WATER_KG_OR_PERCENT,
        "total_body_water": _WATER_KG_OR_PERCENT,
        "muscle_percentage": _MUSCLE_SHARE,
        "bone_mineral": _BONE,
        "bone_percentage": Quantity(Share.BONE, PERCENT),
        "visceral_fat_value": _VISCERAL,
        "visceral_fat_level": _VISCERAL,
        "visceral_fat_index": _VISCERAL,
        "basal_metabolic_rate": _BASAL,
        "body_mass_index": _BMI,
        **_each(
            Role.TIME,
            "when ts epoch epoch_time epoch_seconds epoch_ms unix unix_time unix_timestamp datetime date_time "
            "time_date measured measured_on measured_time measured_date measure_time measure_date measurement_time "
            "measurement_date measurement_timestamp measurement_datetime date_measured time_measured weighed_at "
            "weigh_time weigh_in_time weighing_time recorded recorded_at record_time record_date logged_at log_time "
            "log_date taken_at start_date start_time timestamp_ms timestamp_unix local_time ts_ms unix_ts",
        ),
        **_each(Role.UTC_TIME, "utc utc_time time_utc timestamp_utc utc_timestamp timestamp_gmt date_utc utc_date"),
        **_each(Role.CHANGED, "changed_at"),
        **_each(Role.UPDATED, "updated updated_at last_update update_time last_modified modified_at"),
        **_each(Role.REPORTED, "last_seen"),
        **_each(Role.CREATED, "created created_time create_time created_date creation_date creation_time"),
        **_each(Role.ZONE, "timezone tz zone tz_name timezone_name timezone_id utc_offset tz_offset timezone_offset"),
        **_each(
            Role.PERSON,
            "user member profile owner person_name profile_name member_name owner_name account "
            "account_name family_member patient patient_name",
        ),
        **_each(
            Role.PERSON_ID,
            "uid person_id member_id profile_id owner_id account_id family_member_id patient_id user_uuid",
        ),
        **_each(
            Role.WEIGHT_UNIT,
            "units uom weight_units unit_weight mass_unit unit_of_weight unit_of_measure measurement_unit "
            "weight_unit_of_measurement native_unit_of_measurement scale_unit unit_system measurement_system",
        ),
        **_each(
            Role.GOOD,
            "stable is_stable stabilised is_stabilized is_stabilised weight_stable weight_stabilised "
            "weight_is_stable is_weight_stable measurement_stable valid is_valid weight_valid final is_final",
        ),
        **_each(
            Role.BAD,
            "deleted deleted_at removed is_removed is_weight_removed load_removed weight_unstable unstable "
            "is_unstable invalid is_invalid discarded is_discarded cancelled canceled guest is_guest guest_mode",
        ),
        **_unused(
            "source comment comments note notes battery_level firmware serial serial_number manufacturer version"
        ),
    },
}


@lru_cache(maxsize=4096)
def normal(key: str) -> str:
    """A key without case, spaces and punctuation."""
    return "".join(character for character in key.casefold() if character.isalnum())


def spellings(word: str) -> Iterator[str]:
    """The normal forms of a word: as it is, and as systems write it that drop accents."""
    yield (name := normal(word))
    if not name.isascii():
        plain = unicodedata.normalize("NFD", word.replace("ł", "l"))
        yield normal("".join(letter for letter in plain if not unicodedata.combining(letter)))


_ENGLISH: dict[str, Meaning] = {
    normal(key): meaning for dialect in DIALECTS.values() for key, meaning in dialect.items()
}
#: A word of another language -> the English key that it stands for. An English word with the same letters counts.
FOREIGN: Mapping[str, str] = {
    name: english
    for table in LANGUAGES.values()
    for english, words in table.items()
    for word in words.split(", ")
    for name in spellings(word)
    if name not in _ENGLISH
}
VOCABULARY: Mapping[str, Meaning] = _ENGLISH | {name: _ENGLISH[normal(english)] for name, english in FOREIGN.items()}

_OF_THE_SHARE_SCREEN = ("fat free body weight", "water weight")
#: Words that only the share screen of the Fitdays app uses: with one of them, muscle is all lean soft tissue.
FITDAYS_WORDS = frozenset(map(normal, _OF_THE_SHARE_SCREEN)) | {
    name for name, english in FOREIGN.items() if english in _OF_THE_SHARE_SCREEN
}

#: What Home Assistant, forms and exports write if there is no value.
NOT_MEASURED = frozenset({"", "unknown", "unavailable", "none", "null", "nan", "-", "--", "- -", "n/a"})


def is_missing(value: object) -> bool:
    """Whether this means that there is no value."""
    return value is None or (isinstance(value, str) and len(value) < 20 and value.strip().casefold() in NOT_MEASURED)
