"""What scales, apps and people write -> Reading.

Rule: every key is used, or named in the receipt; nothing is dropped in silence and nothing is guessed. What could mean
two things is refused, or named and left out.

Strategy: one vocabulary. Each dialect is a table of its own below, and the tables are merged: a key that two
dialects share means the same in both (a test holds that). Case, spaces and punctuation of keys do not matter. A number
may be typed with its unit, with a comma or a point.

Facts: zero stands for "not measured" in the Fitdays cloud and in openScale-sync, and no scale measures a zero. Home
Assistant writes "unknown", "unavailable", "None" or "" for a sensor without a value. 1 lb = 0.45359237 kg,
1 st = 14 lb, 1 jin = 0.5 kg.
`lean_body_mass` of xiaomi_mi_scale (`getLBMCoefficient`) and bodymiscale (`get_lbm`) is the coefficient from which
their formulas get the fat: 0.8 kg (most men) to 10 kg (women) more than the weight without that fat. So it is named,
and not used.
A time without an offset is in the configured zone; on a clock-change day PEP 495's first reading of it counts: an hour
that comes twice is the first one, an hour that does not come is moved on by the size of the gap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .errors import FieldError, ReadingRejected
from .reading import LEAN_SOFT_TISSUE, MEASURES, Measure, Reading, contradictions, derive, out_of_range


@dataclass(frozen=True, slots=True)
class Interpreted:
    """A reading, and what there is to say about how it was understood."""

    reading: Reading
    #: Attribute -> the formula by which it follows from others.
    derived: Mapping[str, str]
    notes: tuple[str, ...]
    #: Keys that no dialect knows.
    unknown: tuple[str, ...]


class Meaning(NamedTuple):
    """What a key says: an attribute of `Reading` or a word of its own below, and the unit of a bare number."""

    attribute: str
    unit: str = ""
    #: Why it is not used, where "Garmin has no place for it" would not be true.
    why: str = ""


KG, PERCENT = "kg", "%"

#: Attributes that are not the reading's: they steer how it is understood.
TIME, PERSON, PERSON_ID, WEIGHT_UNIT, UNUSED = "(time)", "(person)", "(person's id)", "(unit)", "(unused)"
DELETED, PROBLEM, MODE = "(deleted)", "(problem)", "(mode)"
#: Percentages of the weight that stand for a mass.
MUSCLE_PERCENT, SKELETAL_MUSCLE_PERCENT = "(muscle %)", "(skeletal muscle %)"

_WEIGHT = Meaning("weight_kg", KG)
_FAT = Meaning("body_fat_percent", PERCENT)
_WATER = Meaning("body_water_percent", PERCENT)
_BONE = Meaning("bone_mass_kg", KG)
_MUSCLE = Meaning("muscle_mass_kg", KG)
_VISCERAL = Meaning("visceral_fat_rating")
_BASAL = Meaning("basal_metabolic_rate_kcal", "kcal")
_AGE = Meaning("metabolic_age_years", "years")
_BMI = Meaning("bmi", "kg/m²")
_TIME = Meaning(TIME)
_PERSON = Meaning(PERSON)
_PERSON_ID = Meaning(PERSON_ID)
_UNUSED = Meaning(UNUSED)
_COEFFICIENT = Meaning(UNUSED, why="it is a coefficient of the scale's formula, not the weight without the fat")
_KG_OR_PERCENT = Meaning(
    UNUSED, why="openScale-sync's releases differ whether it is in kg or %; fat and bone mass tell"
)

_UNIT_OF_NAME = {"kg": "kg", "percent": "%", "cm": "cm", "kcal": "kcal", "years": "years", "bmi": "kg/m²"}

DIALECTS: Mapping[str, Mapping[str, Meaning]] = {
    # Our own names, as in the OpenAPI document.
    "canonical": {name: Meaning(name, _UNIT_OF_NAME.get(name.rpartition("_")[2], "")) for name in MEASURES}
    | {"measured_at": _TIME, "person": _PERSON},
    # The words of the app, and of the idea that this project began with.
    "Fitdays": {
        "weight": _WEIGHT,
        "body fat": _FAT,
        "body fat rate": _FAT,
        "fat mass": Meaning("fat_mass_kg", KG),
        "fat free body weight": Meaning("fat_free_mass_kg", KG),
        "fat-free mass": Meaning("fat_free_mass_kg", KG),
        "muscle mass": _MUSCLE,
        "muscle rate": Meaning(MUSCLE_PERCENT, PERCENT),
        "bone mass": _BONE,
        "water weight": Meaning("body_water_kg", KG),
        "body water": _WATER,
        "subcutaneous fat": Meaning("subcutaneous_fat_percent", PERCENT),
        "visceral fat": _VISCERAL,
        "skeletal muscle": Meaning(SKELETAL_MUSCLE_PERCENT, PERCENT),
        "BMI": _BMI,
        "BMR": _BASAL,
        "body age": _AGE,
        "height": Meaning("height_cm", "cm"),
        "time": _TIME,
        "date": _TIME,
        "protein": _UNUSED,
        "protein mass": _UNUSED,
        "WHR": _UNUSED,
        "body type": _UNUSED,
        "heart rate": _UNUSED,
    },
    "Fitdays cloud": {
        "measured_time": _TIME,
        "weight_g": Meaning("weight_kg", "g"),
        "bfr": _FAT,
        "sfr": Meaning("subcutaneous_fat_percent", PERCENT),
        "uvi": _VISCERAL,
        "rom": Meaning(MUSCLE_PERCENT, PERCENT),
        "rosm": Meaning(SKELETAL_MUSCLE_PERCENT, PERCENT),
        "bm": _BONE,
        "vwc": _WATER,
        "bmi": _BMI,
        "bmr": _BASAL,
        "bodyage": _AGE,
        "suid": _PERSON_ID,
        "is_deleted": Meaning(DELETED),
        "pp": _UNUSED,
        "hr": _UNUSED,
        "data_id": _UNUSED,
        "is_weight_only": _UNUSED,
    },
    "ble-scale-sync": {
        "weight": _WEIGHT,
        "impedance": _UNUSED,
        "bmi": _BMI,
        "bodyFatPercent": _FAT,
        "waterPercent": _WATER,
        "boneMass": _BONE,
        "muscleMass": _MUSCLE,
        "visceralFat": _VISCERAL,
        "physiqueRating": Meaning("physique_rating"),
        "bmr": _BASAL,
        "metabolicAge": _AGE,
        "user_name": _PERSON,
        "user_slug": _PERSON_ID,
        "timestamp": _TIME,
    },
    "xiaomi_mi_scale": {
        "weight": _WEIGHT,
        "weight_unit": Meaning(WEIGHT_UNIT),
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
        "timestamp": _TIME,
    },
    "openScale-sync": {
        "id": _UNUSED,
        "userId": _PERSON_ID,
        "username": _PERSON,
        "date": _TIME,
        "dateTime": _TIME,
        "weight": _WEIGHT,
        "fat": _FAT,
        "body_fat": _FAT,
        "muscle": Meaning(MUSCLE_PERCENT, PERCENT),
        "water": _WATER,
        "lbm": _KG_OR_PERCENT,
        "bone": _KG_OR_PERCENT,
        "values": Meaning(UNUSED, why="only the values that stand beside it are read"),
    },
    "Theengs and OpenMQTTGateway": {
        "weighing_mode": Meaning(MODE),
        "unit": Meaning(WEIGHT_UNIT),
        "weight": _WEIGHT,
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
        "weight": _WEIGHT,
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
        "skeletal_muscle_mass": Meaning("skeletal_muscle_mass_kg", KG),
        "protein": _UNUSED,
        "metabolic_age": _AGE,
        "last_measurement_time": _TIME,
        "problem": Meaning(PROBLEM),
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
        "height": Meaning("height_cm", "cm"),
        "friendly_name": _UNUSED,
        "icon": _UNUSED,
        "attribution": _UNUSED,
    },
    # The fields of the Home Assistant action add_body_composition.
    "garmin_connect": {
        "weight": _WEIGHT,
        "timestamp": _TIME,
        "bmi": _BMI,
        "percent_fat": _FAT,
        "percent_hydration": _WATER,
        "visceral_fat_mass": Meaning("visceral_fat_mass_kg", KG),
        "bone_mass": _BONE,
        "muscle_mass": _MUSCLE,
        "basal_met": _BASAL,
        "active_met": Meaning("active_metabolic_rate_kcal", "kcal"),
        "physique_rating": Meaning("physique_rating"),
        "metabolic_age": _AGE,
        "visceral_fat_rating": _VISCERAL,
        "entity_id": _UNUSED,
    },
}


@lru_cache(maxsize=4096)
def normal(key: str) -> str:
    """A key without what does not matter: case, spaces, punctuation."""
    return "".join(character for character in key.casefold() if character.isalnum())


VOCABULARY: Mapping[str, Meaning] = {
    normal(key): meaning for dialect in DIALECTS.values() for key, meaning in dialect.items()
}

#: Words of the Fitdays app's share screen alone: with one of them, muscle is all lean soft tissue.
_FITDAYS_WORDS = frozenset(map(normal, ("fat free body weight", "water weight")))

#: What Home Assistant, forms and exports write where there is no value.
NOT_MEASURED = frozenset({"", "unknown", "unavailable", "none", "null", "nan", "-", "--", "- -", "n/a"})

#: A reading dated later than this after its arrival has a wrong clock or a wrong zone.
FUTURE_ALLOWED = timedelta(minutes=5)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

LONGEST_TEXT = 100


def interpret(payload: object, *, now: datetime, timezone: ZoneInfo) -> Interpreted:
    """One JSON value -> the reading in it. `now` is an aware datetime, `timezone` that of times without an offset.

    Raises `ReadingRejected`, which names every value to blame by the caller's own key.
    """
    if not isinstance(payload, dict):
        raise ReadingRejected([FieldError("", _shown(payload), "A reading is a JSON object of names and values.")])
    return _Interpretation(now, timezone).of(payload)


class _Interpretation:
    """The work on one payload: what was found so far, and from which key."""

    def __init__(self, now: datetime, timezone: ZoneInfo) -> None:
        self.now, self.timezone = now, timezone
        self.values: dict[str, Decimal] = {}
        self.keys: dict[str, str] = {}
        self.inputs: dict[str, object] = {}
        self.times: list[tuple[str, datetime]] = []
        self.person: str | None = None
        self.person_id: str | None = None
        self.notes: list[str] = []
        self.unknown: list[str] = []
        self.unused: list[str] = []
        self.errors: list[FieldError] = []
        #: Attributes that an error names, so that none is called missing besides.
        self.blamed: set[str] = set()

    def of(self, payload: Mapping[str, object]) -> Interpreted:
        unit = self._weight_unit(payload)
        for key, value in payload.items():
            meaning = _meaning(key)
            if meaning is None:
                self.unknown.append(key[:LONGEST_TEXT])
            elif (attribute := meaning.attribute) in _STEERING:
                _STEERING[attribute](self, key, value)
            elif attribute == UNUSED:
                self._not_used(key, meaning)
            elif attribute == "weight_kg" and unit and meaning.unit == KG:
                self._number(key, value, Meaning(attribute, unit))
            else:
                self._number(key, value, meaning)
        if self.unused:
            self.notes.append(f"Garmin has no place for: {', '.join(self.unused)}.")
        if "weight_kg" not in self.values and "weight_kg" not in self.blamed:
            key = self.keys.get("weight_kg", "weight")
            self._reject("weight_kg", key, self.inputs.get("weight_kg"), _WEIGHT_EXPECTED)
        measured_at = self._instant()
        ranges = (out_of_range(name, value, _PERCENTAGES.get(name)) for name, value in self.values.items())
        self.errors += [self._in_the_caller_s_words(fault) for fault in ranges if fault]
        if self.errors:
            raise ReadingRejected(self.errors)
        try:
            return self._reading(measured_at, fitdays=any(normal(key) in _FITDAYS_WORDS for key in self.keys.values()))
        except ReadingRejected as fault:
            raise ReadingRejected([self._in_the_caller_s_words(error) for error in fault.errors]) from None

    def _reading(self, measured_at: datetime, *, fitdays: bool) -> Interpreted:
        """The reading that the values make, each of which is possible."""
        values = self.values
        derived: dict[str, str] = {}
        for percentage, mass in _MASS_OF_PERCENT.items():
            percent = values.pop(percentage, None)
            if percent is None:
                continue
            key = self.keys[percentage]
            if mass in values:
                self.notes.append(f"{key!a} was left out, because {self.keys[mass]!a} tells the same.")
            else:
                values[mass] = (values["weight_kg"] * percent / 100).quantize(_GRAM)
                self.keys[mass], self.inputs[mass] = key, self.inputs[percentage]
                derived[mass] = f"weight_kg × {MEASURES[mass].label} % ÷ 100"
        derived |= derive(values)
        reading = Reading(measured_at=measured_at, person=self.person or self.person_id, **values)
        if fitdays and (errors := contradictions(values, (LEAN_SOFT_TISSUE,))):
            raise ReadingRejected(errors)
        return Interpreted(reading, derived, tuple(self.notes), tuple(self.unknown))

    def _in_the_caller_s_words(self, error: FieldError) -> FieldError:
        key = self.keys.get(error.field, error.field)
        return FieldError(key, _shown(self.inputs.get(error.field, error.input)), error.message)

    # -- values ------------------------------------------------------------------------------------------

    def _number(self, key: str, value: object, meaning: Meaning) -> None:
        attribute = meaning.attribute
        if _is_missing(value):
            if attribute == "weight_kg":
                self.keys[attribute], self.inputs[attribute] = key, value
            else:
                self.notes.append(f"{key!a} was not measured.")
            return
        try:
            attribute, number = _quantity(value, meaning)
        except _NotUnderstood as e:
            self._reject(attribute, key, value, str(e))
            return
        if number == 0 and attribute != "weight_kg":
            self.notes.append(f"{key!a} is 0, which means that it was not measured.")
        elif attribute in self.values and self.values[attribute] != number:
            self._reject(attribute, key, value, f"{self.keys[attribute]!a} says the same thing, with another value.")
        else:
            self.values[attribute], self.keys[attribute], self.inputs[attribute] = number, key, value

    def _weight_unit(self, payload: Mapping[str, object]) -> str:
        """What `weight_unit` or `unit` says a bare weight is in."""
        for key, value in payload.items():
            meaning = _meaning(key)
            if meaning and meaning.attribute == WEIGHT_UNIT and not _is_missing(value):
                unit = _UNITS.get(value.strip().casefold()) if isinstance(value, str) else None
                if unit in _KG_PER:
                    return unit
                self._reject(WEIGHT_UNIT, key, value, "kg, lb, st or jin was expected.")
        return ""

    # -- words that steer --------------------------------------------------------------------------------

    def _time(self, key: str, value: object) -> None:
        if _is_missing(value):
            return
        try:
            instant, note = read_time(value, self.timezone)
        except _NotUnderstood as e:
            self._reject(TIME, key, value, str(e))
            return
        if note:
            self.notes.append(f"{key!a}: {note}")
        if not EARLIEST <= instant <= self.now + FUTURE_ALLOWED:
            self._reject(
                TIME,
                key,
                value,
                f"This is {instant:%Y-%m-%dT%H:%M:%SZ}, which is before the year 2000 or more than "
                "five minutes from now. Is it the clock, or the time zone?",
            )
        elif self.times and self.times[0][1] != instant:
            self._reject(TIME, key, value, f"{self.times[0][0]!a} says another instant.")
        else:
            self.times.append((key, instant))

    def _instant(self) -> datetime:
        if self.times:
            return self.times[0][1]
        if TIME not in self.blamed:
            self.notes.append(
                "No time was given, so the time of arrival counts. Sent again, it would be another weigh-in."
            )
        return self.now

    def _person(self, key: str, value: object) -> None:
        name = self._name(key, value)
        if name and self.person and name != self.person:
            self._reject(PERSON, key, value, f"{self.keys['person']!a} names somebody else.")
        elif name:
            self.person, self.keys["person"] = name, key

    def _person_s_id(self, key: str, value: object) -> None:
        """What a scale or an app calls the person inside; it counts where there is no name."""
        if name := self._name(key, value):
            self.person_id = name
            self.keys.setdefault("person", key)

    def _name(self, key: str, value: object) -> str:
        if _is_missing(value):
            return ""
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and _is_short(value)):
            return str(value).strip()[:LONGEST_TEXT]
        self._reject(PERSON, key, value, "A name, as a text, was expected.")
        return ""

    def _deleted(self, key: str, value: object) -> None:
        if not _is_missing(value) and value not in (0, "0", "false", "False"):
            self._reject(DELETED, key, value, "This reading was deleted where it comes from.")

    def _problem(self, key: str, value: object) -> None:
        # bodymiscale: "none", or such as "weight low, impedance unavailable".
        if _is_missing(value):
            return
        if isinstance(value, str) and "weight" not in value.casefold():
            self.notes.append(f"{key!a} tells of a problem with this weigh-in, though not with the weight.")
        else:
            self._reject(PROBLEM, key, value, "The weight itself has a problem where it comes from.")

    def _mode(self, key: str, value: object) -> None:
        # Theengs: "person", or "object" for what was put on the scale.
        if isinstance(value, str) and value.strip().casefold() == "object":
            self._reject(MODE, key, value, "The scale weighed an object, not a person.")

    def _unit(self, _key: str, _value: object) -> None:
        """Read before all others, see `_weight_unit`."""

    def _not_used(self, key: str, meaning: Meaning) -> None:
        if meaning.why:
            self.notes.append(f"{key!a} was not used: {meaning.why}.")
        else:
            self.unused.append(key)

    def _reject(self, attribute: str, key: str, value: object, message: str) -> None:
        self.blamed.add(attribute)
        self.errors.append(FieldError(key, _shown(value), message))


def _meaning(key: str) -> Meaning | None:
    return VOCABULARY.get(normal(key)) if len(key) <= LONGEST_TEXT else None


_STEERING: Mapping[str, Callable[[_Interpretation, str, object], None]] = {
    TIME: _Interpretation._time,
    PERSON: _Interpretation._person,
    PERSON_ID: _Interpretation._person_s_id,
    WEIGHT_UNIT: _Interpretation._unit,
    DELETED: _Interpretation._deleted,
    PROBLEM: _Interpretation._problem,
    MODE: _Interpretation._mode,
}

_MASS_OF_PERCENT = {MUSCLE_PERCENT: "muscle_mass_kg", SKELETAL_MUSCLE_PERCENT: "skeletal_muscle_mass_kg"}
_PERCENTAGES = {
    MUSCLE_PERCENT: Measure("muscle share", "%", Decimal(1), Decimal(100)),
    SKELETAL_MUSCLE_PERCENT: Measure("skeletal muscle share", "%", Decimal(1), Decimal(100)),
}
_GRAM = Decimal("0.001")
_WEIGHT_EXPECTED = 'A reading needs a weight, such as 81.4 or "81.4 kg".'


# -- numbers and units -----------------------------------------------------------------------------------


class _NotUnderstood(Exception):
    """What was expected instead, as a sentence."""


_POUND_KG = Decimal("0.45359237")  # international avoirdupois pound, exactly
_KG_PER = {"kg": Decimal(1), "g": Decimal("0.001"), "lb": _POUND_KG, "st": 14 * _POUND_KG, "jin": Decimal("0.5")}
_CM_PER = {"cm": Decimal(1), "m": Decimal(100), "mm": Decimal("0.1"), "in": Decimal("2.54"), "ft": Decimal("30.48")}
#: Unit -> the one that we reckon in, and how many of it.
_FACTORS = {unit: ("kg", size) for unit, size in _KG_PER.items()} | {
    unit: ("cm", size) for unit, size in _CM_PER.items()
}

#: How people and devices write units.
_UNITS = {
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

#: A mass typed where a percentage is usual, and the other way round, is the same quantity said differently.
_SAID_IN = {
    ("body_fat_percent", "kg"): "fat_mass_kg",
    ("fat_mass_kg", "%"): "body_fat_percent",
    ("body_water_percent", "kg"): "body_water_kg",
    ("body_water_kg", "%"): "body_water_percent",
    ("muscle_mass_kg", "%"): MUSCLE_PERCENT,
    (MUSCLE_PERCENT, "kg"): "muscle_mass_kg",
    ("skeletal_muscle_mass_kg", "%"): SKELETAL_MUSCLE_PERCENT,
    (SKELETAL_MUSCLE_PERCENT, "kg"): "skeletal_muscle_mass_kg",
}

#: Templates write floats in full: 18.200000000000003.
_ONE = re.compile(r"([+-]?\d{1,12}(?:[.,]\d{1,17})?)\s*(\D.{0,11})?", re.ASCII)
_TWO = re.compile(
    r"(\d{1,4})\s*(st|stone|ft|feet|')\s*(\d{1,4}(?:[.,]\d{1,6})?)\s*(lbs?|pounds?|in|inch|inches|\")?", re.ASCII
)
#: An export's cell: the value, the range that is healthy, the unit; or value/percentage/judgement.
_CELL = re.compile(
    r"([\d.,]{1,12})\s*\([\d.,\s–-]{1,24}\)\s*(\D{0,8})|([\d.,]{1,12}\s*kg)/[^/]{1,20}/.{1,20}", re.ASCII
)
#: 1,812 may be one point eight or one thousand eight hundred: the one who typed it knows.
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_UNITS_OF_THOUSANDS = frozenset(("kcal", "g"))
#: Converted numbers are carried to this step: finer than any field of FIT by a factor of ten thousand.
_STEP = Decimal("0.000001")


def _quantity(value: object, meaning: Meaning) -> tuple[str, Decimal]:
    """A value -> the attribute it says (which may depend on its unit) and the number in that attribute's unit."""
    if isinstance(value, str):
        number, typed = _typed(value, meaning.unit)
    else:
        number, typed = _plain(value), ""
    unit = typed or meaning.unit
    if (factor := _FACTORS.get(unit)) is not None:
        unit, size = factor
        if size != 1:
            number = (number * size).quantize(_STEP)
    expected = meaning.unit if meaning.unit not in _FACTORS else _FACTORS[meaning.unit][0]
    if unit == expected:
        return meaning.attribute, number
    if (attribute := _SAID_IN.get((meaning.attribute, unit))) is not None:
        return attribute, number
    raise _NotUnderstood(f"A number {f'in {expected}' if expected else 'without a unit'} was expected.")


def _plain(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _NotUnderstood('A number, or a text such as "81.4 kg", was expected.')
    if _is_short(value):
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        # Beyond this nothing is possible, and arithmetic with it would not end.
        if number.is_finite() and (number == 0 or -12 <= number.adjusted() <= 12):
            return number
    raise _NotUnderstood("A number of a size that a scale can show was expected.")


def _is_short(value: object) -> bool:
    """False for an integer so long that Python would refuse to write it, or take its time."""
    return not isinstance(value, int) or value.bit_length() <= 128


def _typed(text: str, usual: str) -> tuple[Decimal, str]:
    """ "81,4 kg" -> 81.4, "kg". `usual` is the unit that counts when none is typed."""
    text = text.strip().casefold()
    if len(text) > LONGEST_TEXT:
        raise _NotUnderstood("A number with its unit was expected; this is too long to be one.")
    if cell := _CELL.fullmatch(text):
        text = f"{cell[1]} {cell[2]}".strip() if cell[1] else cell[3]
    if two := _TWO.fullmatch(text):
        major, minor = _UNITS[two[2]], _UNITS.get(two[4] or "", "")
        if (major, minor) in (("st", "lb"), ("st", "")):
            return Decimal(two[1]) * 14 + _decimal(two[3]), "lb"
        if (major, minor) in (("ft", "in"), ("ft", "")):
            return Decimal(two[1]) * 12 + _decimal(two[3]), "in"
    one = _ONE.fullmatch(text)
    # The space before a unit may be one that does not break.
    unit = _UNITS.get(one[2].strip()) if one and one[2] else ""
    if one is None or unit is None:
        raise _NotUnderstood("A number with a unit that is known (kg, g, lb, st, jin, %, kcal, cm …) was expected.")
    if (unit or usual) in _UNITS_OF_THOUSANDS and _AMBIGUOUS.fullmatch(one[1]):
        raise _NotUnderstood("It is not clear whether the separator is for thousands or for decimals; leave it out.")
    return _decimal(one[1]), unit


def _decimal(digits: str) -> Decimal:
    return Decimal(digits.replace(",", "."))


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and len(value) < 20 and value.strip().casefold() in NOT_MEASURED)


def _shown(value: object) -> object:
    """What came, short enough to be repeated in an answer."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value if _is_short(value) and len(str(value)) <= LONGEST_TEXT else "a very long number"
    return "a list" if isinstance(value, list) else "an object"


# -- times -----------------------------------------------------------------------------------------------

_EPOCH = re.compile(r"\d{9,14}(?:\.\d{1,9})?", re.ASCII)
#: As the Fitdays export writes it.
_FITDAYS_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d))? (\d\d)/(\d\d)/(\d{4})", re.ASCII)
#: Epoch numbers from here on are milliseconds: as seconds they would be the year 5138.
_MILLISECONDS_FROM = 100_000_000_000
_TIME_EXPECTED = "A time was expected: ISO 8601 such as 2026-11-23T06:31:00+01:00, or epoch seconds or milliseconds."


def read_time(value: object, timezone: ZoneInfo) -> tuple[datetime, str]:
    """A time as JSON has it -> the instant in UTC and whole seconds, and a note where a rule was needed.

    Raises `_NotUnderstood`.
    """
    try:
        if not isinstance(value, str):
            instant, note = _epoch(_plain(value)), ""
        elif len(text := value.strip()) > LONGEST_TEXT:
            raise _NotUnderstood(_TIME_EXPECTED)
        elif _EPOCH.fullmatch(text):
            instant, note = _epoch(Decimal(text)), ""
        else:
            moment = _written(text)
            instant, note = (moment.astimezone(UTC), "") if moment.tzinfo else _in_zone(moment, timezone)
    except (_NotUnderstood, ValueError, OverflowError, OSError) as e:
        raise _NotUnderstood(str(e) if isinstance(e, _DateAlone) else _TIME_EXPECTED) from None
    return instant.replace(microsecond=0), note


class _DateAlone(_NotUnderstood): ...


def _epoch(number: Decimal) -> datetime:
    return datetime.fromtimestamp(int(number / 1000 if number >= _MILLISECONDS_FROM else number), UTC)


def _written(text: str) -> datetime:
    if fitdays := _FITDAYS_TIME.fullmatch(text):
        hour, minute, second, day, month, year = (int(part or 0) for part in fitdays.groups())
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # the zone is found by `read_time`
    moment = datetime.fromisoformat(text.upper())
    # 2026-11-23, 20261123 and 2026-W48-1 are read as midnight, at which nobody stood on the scale.
    if len(text) <= len("2026-11-23"):
        raise _DateAlone("The time of day is missing; Garmin needs the instant.")
    return moment


def _in_zone(moment: datetime, timezone: ZoneInfo) -> tuple[datetime, str]:
    first, second = moment.replace(tzinfo=timezone, fold=0), moment.replace(tzinfo=timezone, fold=1)
    instant = first.astimezone(UTC)
    if first.utcoffset() == second.utcoffset():
        return instant, ""
    if instant.astimezone(timezone).replace(tzinfo=None) == moment:
        return instant, f"This hour came twice in {timezone.key}; the first one was taken. An offset would tell."
    moved = instant.astimezone(timezone)
    return instant, f"This hour did not come in {timezone.key}; {moved:%H:%M} was taken. An offset would tell."
