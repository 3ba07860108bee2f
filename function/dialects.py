"""What scales, apps and people write -> Reading.

Rule: every key is used, or named in the receipt; nothing is dropped in silence and nothing is guessed. Where a bare
number could mean two things, its unit must be typed.

Strategy: one vocabulary. Each dialect is a table of its own below, and the tables are merged: a key that two
dialects share means the same in both (a test holds that). Case, spaces and punctuation of keys do not matter. A number
may be typed with its unit, with a comma or a point.

Facts: zero stands for "not measured" in the Fitdays cloud, and no scale measures a zero. Home Assistant writes
"unknown", "unavailable", "None" or "" for a sensor without a value. 1 lb = 0.45359237 kg, 1 st = 14 lb, 1 jin = 0.5 kg.
A time without an offset is in the configured zone; on a clock-change day PEP 495's first reading of it counts: an hour
that comes twice is the first one, an hour that does not come is moved on by the size of the gap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .errors import FieldError, ReadingRejected
from .reading import LEAN_SOFT_TISSUE, MEASURES, Reading, contradictions, derive, out_of_range


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


KG, PERCENT = "kg", "%"

#: Attributes that are not the reading's: they steer how it is understood.
TIME, PERSON, WEIGHT_UNIT, DELETED, PROBLEM, UNUSED = "(time)", "person", "(unit)", "(deleted)", "(problem)", "(unused)"
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
_UNUSED = Meaning(UNUSED)

_UNIT_OF_NAME = {"kg": "kg", "percent": "%", "cm": "cm", "kcal": "kcal", "years": "years"}

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
        "suid": _PERSON,
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
        "user_slug": _PERSON,
        "timestamp": _TIME,
    },
    "xiaomi_mi_scale": {
        "weight": _WEIGHT,
        "weight_unit": Meaning(WEIGHT_UNIT),
        "bmi": _BMI,
        "basal_metabolism": _BASAL,
        "visceral_fat": _VISCERAL,
        "lean_body_mass": Meaning("fat_free_mass_kg", KG),
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
        "date": _TIME,
        "weight": _WEIGHT,
        "fat": _FAT,
        "muscle": Meaning(MUSCLE_PERCENT, PERCENT),
        "water": _WATER,
    },
    "Theengs and OpenMQTTGateway": {
        "weighing_mode": _UNUSED,
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
        "lean_body_mass": Meaning("fat_free_mass_kg", KG),
        "body_fat": _FAT,
        "water": _WATER,
        "bone_mass": _BONE,
        "muscle_mass": _MUSCLE,
        "skeletal_muscle_mass": Meaning("skeletal_muscle_mass_kg", KG),
        "protein": _UNUSED,
        "metabolic_age": _AGE,
        "last_measurement_time": _TIME,
        "problem": Meaning(PROBLEM),
        "body_type": _UNUSED,
        "ideal": _UNUSED,
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
        self.notes: list[str] = []
        self.unknown: list[str] = []
        self.unused: list[str] = []
        self.errors: list[FieldError] = []

    def of(self, payload: Mapping[str, object]) -> Interpreted:
        unit = self._weight_unit(payload)
        for key, value in payload.items():
            meaning = VOCABULARY.get(normal(key)) if len(key) <= LONGEST_TEXT else None
            if meaning is None:
                self.unknown.append(key[:LONGEST_TEXT])
            elif (attribute := meaning.attribute) in _STEERING:
                _STEERING[attribute](self, key, value)
            elif attribute == "weight_kg" and unit and meaning.unit == KG:
                self._number(key, value, Meaning(attribute, unit))
            else:
                self._number(key, value, meaning)
        if self.unused:
            self.notes.append(f"Garmin has no place for: {', '.join(self.unused)}.")
        weight = self.values.get("weight_kg")
        if weight is None and not any(error.field == self.keys.get("weight_kg", "weight") for error in self.errors):
            key = self.keys.get("weight_kg", "weight")
            self._reject(key, self.inputs.get("weight_kg"), 'A reading needs a weight, such as 81.4 or "81.4 kg".')
        measured_at = self._instant()
        if self.errors or weight is None or measured_at is None:
            ranges = (out_of_range(name, value) for name, value in self.values.items())
            raise ReadingRejected([*self.errors, *(self._in_the_caller_s_words(fault) for fault in ranges if fault)])
        return self._reading(weight, measured_at, fitdays=any(normal(key) in _FITDAYS_WORDS for key in payload))

    def _reading(self, weight: Decimal, measured_at: datetime, *, fitdays: bool) -> Interpreted:
        values = self.values
        for attribute, mass in _MASS_OF_PERCENT.items():
            if attribute in values:
                percent = values.pop(attribute)
                if mass not in values:
                    values[mass] = (weight * percent / 100).quantize(_GRAM)
                    self.keys[mass], self.inputs[mass] = self.keys[attribute], self.inputs[attribute]
                    self.notes.append(f"{self.keys[attribute]!a} is a percentage of the weight; {mass} is made of it.")
        derived = derive(values) if weight >= MEASURES["weight_kg"].minimum else {}
        try:
            reading = Reading(measured_at=measured_at, person=self.person, **values)
            if fitdays and (errors := contradictions(values, (LEAN_SOFT_TISSUE,))):
                raise ReadingRejected(errors)
        except ReadingRejected as fault:
            raise ReadingRejected([self._in_the_caller_s_words(error) for error in fault.errors]) from None
        return Interpreted(reading, derived, tuple(self.notes), tuple(self.unknown))

    def _in_the_caller_s_words(self, error: FieldError) -> FieldError:
        key = self.keys.get(error.field, error.field)
        return FieldError(key, self.inputs.get(error.field, _shown(error.input)), error.message)

    # -- values ------------------------------------------------------------------------------------------

    def _number(self, key: str, value: object, meaning: Meaning) -> None:
        attribute = meaning.attribute
        if _is_missing(value):
            if attribute == "weight_kg":
                self.keys[attribute], self.inputs[attribute] = key, _shown(value)
            else:
                self.notes.append(f"{key!a} was not measured.")
            return
        try:
            attribute, number = _quantity(value, meaning)
        except _NotUnderstood as e:
            self._reject(key, value, str(e))
            return
        if number == 0 and attribute != "weight_kg":
            self.notes.append(f"{key!a} is 0, which means that it was not measured.")
        elif attribute in self.values and self.values[attribute] != number:
            self._reject(key, value, f"This contradicts {self.keys[attribute]!a}, which says the same thing.")
        else:
            self.values[attribute], self.keys[attribute], self.inputs[attribute] = number, key, _shown(value)

    def _weight_unit(self, payload: Mapping[str, object]) -> str:
        """What `weight_unit` or `unit` says a bare weight is in."""
        for key, value in payload.items():
            meaning = VOCABULARY.get(normal(key)) if len(key) <= LONGEST_TEXT else None
            if meaning and meaning.attribute == WEIGHT_UNIT and not _is_missing(value):
                unit = _UNITS.get(value.strip().casefold()) if isinstance(value, str) else None
                if unit in _KG_PER:
                    return unit
                self._reject(key, value, "kg, lb, st or jin was expected.")
        return ""

    # -- words that steer --------------------------------------------------------------------------------

    def _time(self, key: str, value: object) -> None:
        if _is_missing(value):
            return
        try:
            instant, note = read_time(value, self.timezone)
        except _NotUnderstood as e:
            self._reject(key, value, str(e))
            return
        if note:
            self.notes.append(f"{key!a}: {note}")
        if not EARLIEST <= instant <= self.now + FUTURE_ALLOWED:
            self._reject(
                key,
                value,
                f"This is {instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}, which is before the year 2000 or more than "
                "five minutes from now. Is it the clock, or the time zone?",
            )
        elif self.times and self.times[0][1] != instant:
            self._reject(key, value, f"This contradicts {self.times[0][0]!a}, which is another instant.")
        else:
            self.times.append((key, instant))

    def _instant(self) -> datetime | None:
        if self.times:
            return self.times[0][1]
        if any(VOCABULARY.get(normal(error.field), _UNUSED).attribute == TIME for error in self.errors):
            return None
        self.notes.append("No time was given, so the time of arrival counts. Sent again, it would be another weigh-in.")
        return self.now

    def _person(self, key: str, value: object) -> None:
        if _is_missing(value):
            return
        name = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if not name or (self.person is not None and normal(self.person) != normal(name)):
            self._reject(key, value, "One name, as a text, was expected.")
        elif self.person is None:
            self.person, self.keys[PERSON] = name[:LONGEST_TEXT], key

    def _deleted(self, key: str, value: object) -> None:
        if value not in (0, False, None, "0", "false"):
            self._reject(key, value, "This reading was deleted where it comes from.")

    def _problem(self, key: str, value: object) -> None:
        # bodymiscale: "none", or the names of the sensors that failed.
        if not _is_missing(value):
            self._reject(key, value, "The scale's integration reports a problem with this weigh-in.")

    def _unit(self, _key: str, _value: object) -> None:
        """Read before all others, see `_weight_unit`."""

    def _not_used(self, key: str, _value: object) -> None:
        self.unused.append(key)

    def _reject(self, key: str, value: object, message: str) -> None:
        self.errors.append(FieldError(key[:LONGEST_TEXT], _shown(value), message))


_STEERING: Mapping[str, Callable[[_Interpretation, str, object], None]] = {
    TIME: _Interpretation._time,
    PERSON: _Interpretation._person,
    WEIGHT_UNIT: _Interpretation._unit,
    DELETED: _Interpretation._deleted,
    PROBLEM: _Interpretation._problem,
    UNUSED: _Interpretation._not_used,
}

_MASS_OF_PERCENT = {MUSCLE_PERCENT: "muscle_mass_kg", SKELETAL_MUSCLE_PERCENT: "skeletal_muscle_mass_kg"}
_GRAM = Decimal("0.001")


# -- numbers and units -----------------------------------------------------------------------------------


class _NotUnderstood(Exception):
    """What was expected instead, as a sentence."""


_POUND_KG = Decimal("0.45359237")  # international avoirdupois pound, exactly
_KG_PER = {"kg": Decimal(1), "g": Decimal("0.001"), "lb": _POUND_KG, "st": 14 * _POUND_KG, "jin": Decimal("0.5")}
_CM_PER = {"cm": Decimal(1), "m": Decimal(100), "mm": Decimal("0.1"), "in": Decimal("2.54"), "ft": Decimal("30.48")}

#: How people and devices write units.
_UNITS = {
    **{unit: unit for unit in ("kg", "g", "lb", "st", "jin", "cm", "m", "mm", "in", "ft", "%", "kcal", "years")},
    **dict.fromkeys(("kgs", "kilo", "kilos", "kilogram", "kilograms"), "kg"),
    **dict.fromkeys(("lbs", "pound", "pounds"), "lb"),
    **dict.fromkeys(("stone", "stones"), "st"),
    "斤": "jin",
    **dict.fromkeys(("kcal/day", "kcal/d", "calories", "cal"), "kcal"),
    **dict.fromkeys(("year", "yrs", "y"), "years"),
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

_ONE = re.compile(r"([+-]?\d{1,12}(?:[.,]\d{1,12})?)\s*(\D{0,12}?)\s*", re.ASCII)
_TWO = re.compile(r"(\d{1,4})\s*(st|stone|ft|feet|')\s*(\d{1,4}(?:[.,]\d{1,6})?)\s*(lbs?|pounds?|in|inch|inches|\")?")
#: An export's cell: the value, the range that is healthy, the unit; or value/percentage/judgement.
_CELL = re.compile(r"\s*([\d.,]{1,12})\s*\([\d.,\s–-]{1,24}\)\s*(\D{0,8})|\s*([\d.,]{1,12}\s*kg)/[^/]{1,20}/.{1,20}")


def _quantity(value: object, meaning: Meaning) -> tuple[str, Decimal]:
    """A value -> the attribute it says (which may depend on its unit) and the number in that attribute's unit."""
    if isinstance(value, str):
        number, typed = _typed(value)
    else:
        number, typed = _plain(value), ""
    unit = typed or meaning.unit
    if unit in _KG_PER:
        number, unit = number * _KG_PER[unit], "kg"
    elif unit in _CM_PER:
        number, unit = number * _CM_PER[unit], "cm"
    expected = meaning.unit if meaning.unit not in _KG_PER else "kg"
    if unit == expected or not typed:
        return meaning.attribute, number
    if (attribute := _SAID_IN.get((meaning.attribute, unit))) is not None:
        return attribute, number
    raise _NotUnderstood(f"A number {f'in {expected}' if expected else 'without a unit'} was expected.")


def _plain(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _NotUnderstood('A number, or a text such as "81.4 kg", was expected.')
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    # Beyond this nothing is possible, and arithmetic with it would not end.
    if not number.is_finite() or not (number == 0 or -12 <= number.adjusted() <= 12):
        raise _NotUnderstood("A number of a size that a scale can show was expected.")
    return number


def _typed(text: str) -> tuple[Decimal, str]:
    """ "81,4 kg" -> 81.4, "kg"."""
    text = text.strip().casefold()
    if len(text) > LONGEST_TEXT:
        raise _NotUnderstood("A number with its unit was expected; this is too long to be one.")
    if cell := _CELL.fullmatch(text):
        text = f"{cell[1]} {cell[2]}" if cell[1] else cell[3]
    if two := _TWO.fullmatch(text):
        major, minor = _UNITS[two[2]], _UNITS.get(two[4] or "", "")
        if (major, minor) in (("st", "lb"), ("st", "")):
            return Decimal(two[1]) * 14 + _decimal(two[3]), "lb"
        if (major, minor) in (("ft", "in"), ("ft", "")):
            return Decimal(two[1]) * 12 + _decimal(two[3]), "in"
    one = _ONE.fullmatch(text)
    unit = _UNITS.get(one[2]) if one and one[2] else ""
    if one is None or unit is None:
        raise _NotUnderstood("A number with a unit that is known (kg, g, lb, st, jin, %, kcal, cm …) was expected.")
    # 1,812 may be one point eight or one thousand eight hundred: the one who typed it knows.
    if re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", one[1]) and unit in ("kcal", "g"):
        raise _NotUnderstood("It is not clear whether the separator is for thousands or for decimals; leave it out.")
    return _decimal(one[1]), unit


def _decimal(digits: str) -> Decimal:
    try:
        return Decimal(digits.replace(",", "."))
    except InvalidOperation:
        raise _NotUnderstood("A number was expected.") from None


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and len(value) < 20 and value.strip().casefold() in NOT_MEASURED)


def _shown(value: object) -> object:
    """What came, short enough to be repeated in an answer."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value if len(str(value)) <= LONGEST_TEXT else f"a number of {len(str(value))} digits"
    return "a list" if isinstance(value, list) else "an object"


# -- times -----------------------------------------------------------------------------------------------

_EPOCH = re.compile(r"\d{9,14}(?:\.\d{1,9})?", re.ASCII)
#: As the Fitdays export writes it.
_FITDAYS_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d))? (\d\d)/(\d\d)/(\d{4})", re.ASCII)
_ISO_DAY = re.compile(r"\d{4}-?\d\d-?\d\d", re.ASCII)
#: Epoch numbers from here on are milliseconds: as seconds they would be the year 5138.
_MILLISECONDS_FROM = 100_000_000_000


def read_time(value: object, timezone: ZoneInfo) -> tuple[datetime, str]:
    """A time as JSON has it -> the aware instant, and a note where a rule was needed.

    Raises `_NotUnderstood`.
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) > LONGEST_TEXT:
            raise _NotUnderstood(_TIME_EXPECTED)
        if _EPOCH.fullmatch(text):
            return _epoch(Decimal(text)), ""
        return _written(text, timezone)
    return _epoch(_plain(value)), ""


_TIME_EXPECTED = "A time was expected: ISO 8601 such as 2026-11-23T06:31:00+01:00, or epoch seconds or milliseconds."


def _epoch(number: Decimal) -> datetime:
    seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, ValueError, OSError):
        raise _NotUnderstood(_TIME_EXPECTED) from None


def _written(text: str, timezone: ZoneInfo) -> tuple[datetime, str]:
    if _ISO_DAY.fullmatch(text):
        raise _NotUnderstood("The time of day is missing; Garmin needs the instant.")
    try:
        if fitdays := _FITDAYS_TIME.fullmatch(text):
            hour, minute, second, day, month, year = (int(part or 0) for part in fitdays.groups())
            moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # placed in a zone below
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        raise _NotUnderstood(_TIME_EXPECTED) from None
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC), ""
        return _in_zone(moment, timezone)
    except OverflowError:
        raise _NotUnderstood(_TIME_EXPECTED) from None


def _in_zone(moment: datetime, timezone: ZoneInfo) -> tuple[datetime, str]:
    first, second = moment.replace(tzinfo=timezone, fold=0), moment.replace(tzinfo=timezone, fold=1)
    instant = first.astimezone(UTC)
    if first.utcoffset() == second.utcoffset():
        return instant, ""
    if instant.astimezone(timezone).replace(tzinfo=None) == moment:
        return instant, f"This hour came twice in {timezone.key}; the first one was taken. An offset would tell."
    moved = instant.astimezone(timezone)
    return instant, f"This hour did not come in {timezone.key}; {moved:%H:%M} was taken. An offset would tell."
