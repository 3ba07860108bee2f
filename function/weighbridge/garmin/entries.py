"""What Garmin Connect shows of a weigh-in, and whether it is this reading.

Facts (garmin-connect-api 0.3.1 and eufy-sync): masses are grams, ages are milliseconds, a BMI has single
precision: 22.799999237060547 is 22.8. An entry that was typed by hand has a weight and nothing else.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from ..delivery.joining import labels
from ..delivery.port import WeighIn
from ..fit.encode import RawFields
from ..fit.profile import FIT_EPOCH_UNIX_S, WEIGHT_SCALE
from ..notes import Code, Note
from ..reading.bodies.garmin import MS_PER_YEAR
from ..reading.reading import Reading
from ..reading.weighing import added

#: How near an entry must be for a 409 to mean this entry.
NEAR_S = 120


class Value(NamedTuple):
    """One value of an entry: our name, Garmin's name, and how far two equal values may differ."""

    name: str
    garmin: str
    divisor: int
    step: Decimal
    tolerance: Decimal


def _value(name: str, garmin: str, divisor: int, step: str, tolerance: str) -> Value:
    return Value(name, garmin, divisor, Decimal(step), Decimal(tolerance))


VALUES = (
    _value("weight_kg", "weight", 1000, "0.001", "0.05"),
    _value("bmi", "bmi", 1, "0.01", "0.1"),
    _value("body_fat_percent", "bodyFat", 1, "0.01", "0.1"),
    _value("body_water_percent", "bodyWater", 1, "0.01", "0.1"),
    _value("bone_mass_kg", "boneMass", 1000, "0.001", "0.05"),
    _value("muscle_mass_kg", "muscleMass", 1000, "0.001", "0.05"),
    _value("visceral_fat_rating", "visceralFat", 1, "1", "0"),
    _value("physique_rating", "physiqueRating", 1, "1", "0"),
    _value("metabolic_age_years", "metabolicAge", MS_PER_YEAR, "1", "0"),
)

_FIELDS = {value.name: field for value in VALUES for field in WEIGHT_SCALE if field.source == value.name}
_ONE = Decimal(1)

#: An entry with none of these was typed by hand, or came from a plain scale.
COMPOSITION = ("body_fat_percent", "body_water_percent", "bone_mass_kg", "muscle_mass_kg")

Values = Mapping[str, Decimal]


class Entry(NamedTuple):
    """One weigh-in as Garmin shows it, in our names and units. `values` has only what Garmin has."""

    calendar_date: date
    sample_pk: int
    instant_s: int
    values: Values

    @property
    def id(self) -> str:
        return f"{self.calendar_date.isoformat()}.{self.sample_pk}"

    def weigh_in(self) -> WeighIn:
        measured_at = datetime.fromtimestamp(self.instant_s, UTC)
        return WeighIn(self.id, self.calendar_date, measured_at, plain(self.values))


class ByInstant:
    """Entries, found by their instant as in a file."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._at: dict[int, list[Entry]] = {}
        for entry in entries:
            self._at.setdefault(timestamp(entry), []).append(entry)
        self._instants = sorted(self._at)

    def at(self, instant: int) -> Sequence[Entry]:
        return self._at.get(instant, ())

    def near(self, instant: int, window_s: float) -> Iterator[Entry]:
        """Those at most `window_s` seconds away."""
        first, last = bisect_left(self._instants, instant - window_s), bisect_right(self._instants, instant + window_s)
        for each in self._instants[first:last]:
            yield from self._at[each]


def quantized(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, ROUND_HALF_UP)


def values_of(raws: RawFields) -> Values:
    """What Garmin should show of a file with these values."""
    return {name: Decimal(raws[field.name]) / field.scale for name, field in _FIELDS.items() if field.name in raws}


def timestamp(entry: Entry) -> int:
    """The instant as in a file."""
    return entry.instant_s - FIT_EPOCH_UNIX_S


def raws_of(entry: Entry) -> RawFields:
    """What a file with these values would hold."""
    raws = {"timestamp": timestamp(entry)}
    for value in VALUES:
        if value.name in entry.values:
            field = _FIELDS[value.name]
            raws[field.name] = int(quantized(entry.values[value.name] * field.scale, _ONE))
    return raws


def fits(raws: RawFields, entry: Entry, *, near: bool) -> bool:
    """Whether an entry that was looked for is the one of a file; `near` also takes the same weight within two minutes.

    Only for the look after an upload: Garmin may round what it shows.
    """
    different = differences(values_of(raws), entry.values)
    if near:
        return abs(timestamp(entry) - raws["timestamp"]) <= NEAR_S and "weight_kg" not in different
    return timestamp(entry) == raws["timestamp"] and not different


def differences(ours: Values, theirs: Values) -> list[str]:
    """The names of the values that differ by more than rounding. A value that is missing in `theirs` does not differ,
    unless the whole body composition is missing: then the weight was typed by hand."""
    different = [
        value.name
        for value in VALUES
        if value.name in ours and value.name in theirs and abs(ours[value.name] - theirs[value.name]) > value.tolerance
    ]
    missing = [name for name in COMPOSITION if name in ours]
    return different + ([] if any(name in theirs for name in COMPOSITION) else missing)


def not_shown(raws: RawFields, entry: Entry) -> tuple[Note, ...]:
    """The warning about values of a file that Garmin does not show."""
    names = added(raws, raws_of(entry))
    return (Code.NOT_SHOWN(values=labels(names)),) if names else ()


def ours(reading: Reading) -> dict[str, object]:
    """The values of a reading that Garmin can show, for a response."""
    values = {value.name: getattr(reading, value.name) for value in VALUES}
    measured = {name: Decimal(number) for name, number in values.items() if number is not None}
    return {"measured_at": iso(int(reading.measured_at.timestamp())), **plain(measured)}


def plain(values: Values) -> dict[str, Decimal | int]:
    """Decimals without trailing zeros: 75.800 is 75.8. Whole ratings and ages are integers."""
    whole = {value.name for value in VALUES if value.step == 1}
    return {
        name: int(number) if name in whole and number == int(number) else number.normalize() + Decimal(0)
        for name, number in values.items()
    }


def iso(instant_s: int) -> str:
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
