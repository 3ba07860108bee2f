"""What scales, apps and people write -> Reading.

Rule: every key is used or named in the receipt. Nothing is dropped silently and nothing is guessed. What could mean
two things is refused, or named and left out.

Facts: zero means "not measured" in the Fitdays cloud and in openScale-sync, and no scale measures a zero. Home
Assistant writes "unknown", "unavailable", "None" or "" for a sensor without a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

from ..errors import FieldError, ReadingRejected
from ..notes import Code, Note
from .dialects import BARE_WEIGHT, FITDAYS_WORDS, VOCABULARY, Meaning, Quantity, Role, Share, Unused, is_missing, normal
from .identities import LEAN_SOFT_TISSUE, contradictions, derive
from .measures import MEASURES, out_of_range
from .quantities import KG_PER, LONGEST_TEXT, NotMeasured, NotUnderstood, is_short, quantity, unit_of
from .reading import Reading
from .times import read_time


@dataclass(frozen=True, slots=True)
class Interpreted:
    """A reading, and how it was understood."""

    reading: Reading
    #: Attribute -> the formula by which it was derived.
    derived: Mapping[str, str]
    notes: tuple[Note, ...]
    #: Keys that no dialect knows.
    unknown: tuple[str, ...]
    #: What a person should look at: the summary names it.
    warnings: tuple[Note, ...] = ()
    #: Whether the time is the reading's own, and not that of its receipt or arrival.
    timed: bool = True


#: A time further in the future comes from a wrong clock or a wrong time zone.
FUTURE_ALLOWED = timedelta(minutes=5)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def interpret(payload: object, *, now: datetime, timezone: tzinfo, occurred_at: object = None) -> Interpreted:
    """One JSON value -> the reading in it. `now` is aware; `timezone` is for times without an offset.

    `occurred_at`: the time of the event that carried the payload, as it came; for a reading without a time.
    Raises `ReadingRejected`, which names every value to blame by the caller's own key.
    """
    if not isinstance(payload, dict):
        raise ReadingRejected([FieldError("", _shown(payload), "A reading is a JSON object of names and values.")])
    return _Interpretation(now, timezone, occurred_at).of(payload)


def when_and_whose(payload: object, *, now: datetime, timezone: tzinfo) -> tuple[datetime, str | None]:
    """The instant and the person of a weigh-in to delete; its values do not matter. Raises `ReadingRejected`."""
    steering: object = payload
    if isinstance(payload, dict):
        steering = {key: value for key, value in payload.items() if not isinstance(_meaning(key), Quantity | Unused)}
        steering["weight_kg"] = _ANY_WEIGHT
    interpreted = interpret(steering, now=now, timezone=timezone)
    if not interpreted.timed:
        raise ReadingRejected([FieldError("measured_at", None, "The time of the weigh-in to delete was expected.")])
    return interpreted.reading.measured_at, interpreted.reading.person


def has_time(payload: Mapping[str, object]) -> bool:
    """Whether a payload has a time, so that the same payload is the same weigh-in."""
    return any(_meaning(key) is Role.TIME and not is_missing(value) for key, value in payload.items())


class _Interpretation:
    """The work on one payload: what was found so far, and under which key."""

    def __init__(self, now: datetime, timezone: tzinfo, occurred_at: object) -> None:
        self.now, self.timezone, self.occurred_at = now, timezone, occurred_at
        self.values: dict[str, Decimal] = {}
        self.shares: dict[Share, Decimal] = {}
        #: The caller's key for a number or the person, and what came.
        self.keys: dict[str | Share, str] = {}
        self.inputs: dict[str | Share, object] = {}
        #: The instant of each role that was read, with its key.
        self.instants: dict[Role, tuple[str, datetime]] = {}
        #: Read only if the reading has no time of its own.
        self.receipts: list[tuple[str, object]] = []
        self.person: str | None = None
        self.person_id: str | None = None
        self.notes: list[Note] = []
        self.unknown: list[str] = []
        self.unused: list[str] = []
        self.errors: list[FieldError] = []
        #: What already has an error, so that it is not also reported as missing.
        self.blamed: set[str | Share | Role] = set()

    def of(self, payload: Mapping[str, object]) -> Interpreted:
        said = [(key, value, _meaning(key)) for key, value in payload.items()]
        unit = self._weight_unit(said)
        for key, value, meaning in said:
            # The most frequent kind first; this is the hot path.
            if isinstance(meaning, Quantity):
                of_weight = unit and meaning == BARE_WEIGHT
                self._number(key, value, meaning._replace(unit=unit) if of_weight else meaning)
            elif meaning is None:
                self.unknown.append(key[:LONGEST_TEXT])
            elif isinstance(meaning, Unused):
                self._not_used(key, meaning.why)
            else:
                _STEERING[meaning](self, key, value)
        if self.unused:
            self._note(Code.NO_PLACE, f"Not stored by Garmin: {', '.join(self.unused)}.")
        if "weight_kg" not in self.values and "weight_kg" not in self.blamed:
            key = self.keys.get("weight_kg", "weight")
            self._reject("weight_kg", key, self.inputs.get("weight_kg"), _WEIGHT_EXPECTED)
        measured_at = self._instant()
        faults = [out_of_range(name, value) for name, value in self.values.items()]
        self.errors += [self._with_caller_keys(fault) for fault in faults if fault]
        for share, percent in self.shares.items():
            if fault := out_of_range(self.keys[share], percent, share.measure):
                self.errors.append(FieldError(fault.field, _shown(self.inputs[share]), fault.message))
        if self.errors:
            raise ReadingRejected(self.errors)
        try:
            return self._reading(measured_at, fitdays=any(normal(key) in FITDAYS_WORDS for key in self.keys.values()))
        except ReadingRejected as fault:
            raise ReadingRejected([self._with_caller_keys(error) for error in fault.errors]) from None

    def _reading(self, measured_at: datetime, *, fitdays: bool) -> Interpreted:
        """The reading of values that are each possible."""
        values = self.values
        derived: dict[str, str] = {}
        for share, percent in self.shares.items():
            key, mass = self.keys[share], share.mass
            if mass in values:
                self._note(Code.SAID_TWICE, f"{key!a} was left out, because {self.keys[mass]!a} says the same.")
            else:
                values[mass] = (values["weight_kg"] * percent / 100).quantize(_GRAM)
                self.keys[mass], self.inputs[mass] = key, self.inputs[share]
                derived[mass] = f"weight_kg × {MEASURES[mass].label} % ÷ 100"
        derived |= derive(values)
        reading = Reading(measured_at=measured_at, person=self.person or self.person_id, **values)
        if fitdays and (errors := contradictions(values, (LEAN_SOFT_TISSUE,))):
            raise ReadingRejected(errors)
        timed = Role.TIME in self.instants
        return Interpreted(reading, derived, tuple(self.notes), tuple(self.unknown), timed=timed)

    def _with_caller_keys(self, error: FieldError) -> FieldError:
        key = self.keys.get(error.field, error.field)
        return FieldError(key, _shown(self.inputs.get(error.field, error.input)), error.message)

    # -- values ------------------------------------------------------------------------------------------

    def _number(self, key: str, value: object, meaning: Quantity) -> None:
        name = meaning.name
        try:
            name, number = (name, None) if is_missing(value) else quantity(value, meaning)
        except NotMeasured:
            number = None
        except NotUnderstood as e:
            self._reject(name, key, value, str(e))
            return
        if number is None:
            if name == "weight_kg":
                self.keys[name], self.inputs[name] = key, value
            else:
                self._note(Code.NOT_MEASURED, f"{key!a} was not measured.")
            return
        known = self.shares.get(name) if isinstance(name, Share) else self.values.get(name)
        if number == 0 and name != "weight_kg":
            self._note(Code.NOT_MEASURED, f"{key!a} is 0, which means that it was not measured.")
        elif known is not None and known != number:
            self._reject(name, key, value, f"{self.keys[name]!a} has another value for the same thing.")
        else:
            if isinstance(name, Share):
                self.shares[name] = number
            else:
                self.values[name] = number
            self.keys[name], self.inputs[name] = key, value

    def _weight_unit(self, said: Sequence[tuple[str, object, Meaning | None]]) -> str:
        """The unit from `weight_unit` or `unit`, for a weight without one; "" if there is none."""
        for key, value, meaning in said:
            if meaning is Role.WEIGHT_UNIT and not is_missing(value):
                unit = unit_of(value)
                if unit in KG_PER:
                    return unit
                self._reject(Role.WEIGHT_UNIT, key, value, "kg, lb, st or jin was expected.")
        return ""

    # -- keys with a role ---------------------------------------------------------------------------------

    def _time(self, key: str, value: object) -> None:
        self._read_instant(Role.TIME, key, value)

    def _receipt(self, key: str, value: object) -> None:
        self.receipts.append((key, value))

    def _read_instant(self, role: Role, key: str, value: object) -> None:
        if is_missing(value):
            return
        try:
            instant, note = read_time(value, self.timezone)
        except NotUnderstood as e:
            self._reject(role, key, value, str(e))
            return
        if note:
            self._note(note.code, f"{key!a}: {note.text}")
        known = self.instants.get(role)
        if not EARLIEST <= instant <= self.now + FUTURE_ALLOWED:
            self._reject(
                role,
                key,
                value,
                f"This is {instant:%Y-%m-%dT%H:%M:%SZ}, which is before the year 2000 or more than "
                "five minutes from now. Check the clock and the time zone.",
            )
        elif known and known[1] != instant:
            self._reject(role, key, value, f"{known[0]!a} is another instant.")
        else:
            self.instants[role] = key, instant

    def _instant(self) -> datetime:
        if Role.TIME in self.instants:
            return self.instants[Role.TIME][1]
        if Role.TIME in self.blamed:
            return self.now
        if not is_missing(self.occurred_at):
            self._read_instant(Role.EVENT, "time", self.occurred_at)
            if Role.EVENT in self.blamed:
                return self.now
            self._note(Code.TIME_OF_EVENT, "No time was given, so the time of the event is used.")
            return self.instants[Role.EVENT][1]
        for key, value in self.receipts:
            self._read_instant(Role.RECEIPT, key, value)
        if Role.RECEIPT in self.blamed:
            return self.now
        if Role.RECEIPT in self.instants:
            key, instant = self.instants[Role.RECEIPT]
            self._note(Code.TIME_OF_RECEIPT, f"No time was given, so {key!a} is used.")
            return instant
        self._note(
            Code.TIME_OF_ARRIVAL,
            "No time was given, so the time of arrival counts. Sent again, it would be another weigh-in.",
        )
        return self.now

    def _person(self, key: str, value: object) -> None:
        name = self._name(key, value)
        if name and self.person and name != self.person:
            self._reject(Role.PERSON, key, value, f"{self.keys['person']!a} names someone else.")
        elif name:
            self.person, self.keys["person"] = name, key

    def _person_id(self, key: str, value: object) -> None:
        if name := self._name(key, value):
            self.person_id = name
            self.keys.setdefault("person", key)

    def _name(self, key: str, value: object) -> str:
        if is_missing(value):
            return ""
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and is_short(value)):
            return str(value).strip()[:LONGEST_TEXT]
        self._reject(Role.PERSON, key, value, "A name was expected, as a text.")
        return ""

    def _deleted(self, key: str, value: object) -> None:
        if not is_missing(value) and value not in (0, "0", "false", "False"):
            self._reject(Role.DELETED, key, value, "This reading was deleted at its source.")

    def _problem(self, key: str, value: object) -> None:
        # bodymiscale: "none", or for example "weight low, impedance unavailable".
        if is_missing(value):
            return
        if isinstance(value, str) and "weight" not in value.casefold():
            self._note(
                Code.PROBLEM_AT_SOURCE, f"{key!a} reports a problem with this weigh-in, but not with the weight."
            )
        else:
            self._reject(Role.PROBLEM, key, value, "The source reports a problem with the weight itself.")

    def _mode(self, key: str, value: object) -> None:
        # Theengs: "person", or "object" for a thing on the scale.
        if isinstance(value, str) and value.strip().casefold() == "object":
            self._reject(Role.MODE, key, value, "The scale weighed an object, not a person.")

    def _unit(self, _key: str, _value: object) -> None:
        """Does nothing: `_weight_unit` has read it before the others."""

    def _not_used(self, key: str, why: str) -> None:
        if why:
            self._note(Code.NOT_USED, f"{key!a} was not used: {why}.")
        else:
            self.unused.append(key)

    def _note(self, code: Code, text: str) -> None:
        self.notes.append(Note(code, text))

    def _reject(self, what: str | Share | Role, key: str, value: object, message: str) -> None:
        self.blamed.add(what)
        self.errors.append(FieldError(key, _shown(value), message))


def _meaning(key: str) -> Meaning | None:
    return VOCABULARY.get(normal(key)) if len(key) <= LONGEST_TEXT else None


_STEERING: Mapping[Role, Callable[[_Interpretation, str, object], None]] = {
    Role.TIME: _Interpretation._time,
    Role.RECEIPT: _Interpretation._receipt,
    Role.PERSON: _Interpretation._person,
    Role.PERSON_ID: _Interpretation._person_id,
    Role.WEIGHT_UNIT: _Interpretation._unit,
    Role.DELETED: _Interpretation._deleted,
    Role.PROBLEM: _Interpretation._problem,
    Role.MODE: _Interpretation._mode,
}

_GRAM = Decimal("0.001")
_ANY_WEIGHT = Decimal(80)
_WEIGHT_EXPECTED = 'A reading needs a weight, such as 81.4 or "81.4 kg".'


def _shown(value: object) -> object:
    """What came, short enough for the response."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value if is_short(value) and len(str(value)) <= LONGEST_TEXT else "a very long number"
    return "a list" if isinstance(value, list) else "an object"
