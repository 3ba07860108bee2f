"""What scales, apps and people write -> Reading.

Rule: every key is used or named in the receipt. Nothing is dropped silently and nothing is guessed. What could mean
two things is refused, or named and left out.

Facts: zero means "not measured" in the Fitdays cloud and in openScale-sync, and no scale measures a zero. Home
Assistant writes "unknown", "unavailable", "None" or "" for a sensor without a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import NamedTuple

from ..errors import FieldError, ReadingRejected
from ..notes import Code, Note
from ..reasons import Reason, Why
from .dialects import (
    BARE_WEIGHT,
    NOT_MEASURED,
    TIMES,
    Either,
    Meaning,
    Quantity,
    Role,
    Share,
    UnitOf,
    Unused,
    is_missing,
    normal,
)
from .doubts import settle
from .either import Open, decide, read_either
from .hints import missing_weight, not_recognized
from .identities import LEAN_SOFT_TISSUE, REFUSING, SHARE, contradictions, share_rule
from .instants import Instants, Time
from .keys import in_unit, is_unit, meaning_of, meanings_of
from .measures import MEASURES, all_out_of_range, out_of_range
from .quantities import KG_PER, LONGEST_TEXT, NotMeasured, NotUnderstood, is_short, quantity, simple, unit_of
from .reading import Reading
from .steering import COULD_SAY, Question, questions_of


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
    #: Keys that could name the person and were not understood, if nothing else does: with several people, the reading
    #: is refused.
    unclear_person: tuple[FieldError, ...] = ()
    #: A name of a device or of a person.
    name: str | None = None
    #: Whether the time is the reading's own, and not that of its receipt or arrival.
    timed: bool = True


def interpret(payload: object, *, now: datetime, timezone: tzinfo, occurred_at: object = None) -> Interpreted:
    """One JSON value -> the reading in it. `now` is aware; `timezone` is for times without an offset.

    `occurred_at`: the time of the event that carried the payload, as it came; for a reading without a time.
    Raises `ReadingRejected`, which names every value to blame by the caller's own key.
    """
    if not isinstance(payload, dict):
        raise ReadingRejected([FieldError("", _shown(payload), Why.READING_EXPECTED())])
    return _Interpretation(now, timezone, occurred_at).of(payload)


def when_and_whose(payload: object, *, now: datetime, timezone: tzinfo) -> tuple[datetime, str | None]:
    """The instant and the person of a weigh-in to delete; its values do not matter. Raises `ReadingRejected`."""
    steering: object = payload
    if isinstance(payload, dict):
        steering = {
            key: value for key, value in payload.items() if not isinstance(meaning_of(key), Quantity | Either | Unused)
        }
        steering["weight_kg"] = _ANY_WEIGHT
    interpreted = interpret(steering, now=now, timezone=timezone)
    if not interpreted.timed:
        raise ReadingRejected([FieldError("measured_at", None, Why.TIME_OF_DELETION_MISSING())])
    return interpreted.reading.measured_at, interpreted.reading.person


def has_time(payload: Mapping[str, object]) -> bool:
    """Whether a payload has a time, so that the same payload is the same weigh-in."""
    return any(meaning_of(key) in _TIMES and not is_missing(value) for key, value in payload.items())


_TIMES = frozenset(role for rank in TIMES for role in rank)


class _Interpretation:
    """The work on one payload: what was found so far, and under which key."""

    def __init__(self, now: datetime, timezone: tzinfo, occurred_at: object) -> None:
        self.now = now
        self.values: dict[str, Decimal] = {}
        self.shares: dict[Share, Decimal] = {}
        #: Numbers in kg or in %, with what came.
        self.opened: list[tuple[Open, object]] = []
        #: The caller's key for a number or the person, and what came.
        self.keys: dict[str | Share, str] = {}
        self.inputs: dict[str | Share, object] = {}
        self.instants = Instants(now, timezone, occurred_at)
        #: Earlier keys with the same number.
        self.same: dict[str | Share, list[str]] = {}
        #: Keys with different numbers for the same thing.
        self.differing: dict[str | Share, list[str]] = {}
        #: The payload.
        self.said: list[Said] = []
        self.person: str | None = None
        self.person_id: str | None = None
        self.name: str | None = None
        #: What could change the meaning of the reading, and was not understood.
        self.unclear: list[Unclear] = []
        self.unclear_person: list[FieldError] = []
        self.notes: list[Note] = []
        self.warnings: list[Note] = []
        self.unknown: list[str] = []
        #: Unknown keys that could only have added a value.
        self.left_out: list[str] = []
        self.unused: list[str] = []
        self.errors: list[FieldError] = []
        #: What already has an error, so that it is not also reported as missing.
        self.blamed: set[str | Share | Role] = set()

    def of(self, payload: Mapping[str, object]) -> Interpreted:
        known = meanings_of(tuple(payload))
        said = self.said = list(zip(payload, payload.values(), known.meanings, strict=True))
        if known.has_units and (units := [each for each in said if is_unit(each[2]) and not is_missing(each[1])]):
            self._with_units(said, units)
        values, keys, inputs = self.values, self.keys, self.inputs
        for key, value, meaning in said:
            # The most frequent kind first; this is the hot path.
            if isinstance(meaning, Quantity):
                name, unit = meaning
                if isinstance(name, str) and name not in values and (number := simple(value, unit)) is not None:
                    # As `_number` does with a first number other than 0.
                    values[name] = number
                    keys[name], inputs[name] = key, value
                else:
                    self._number(key, value, meaning)
            elif meaning is None:
                self._not_known(key, value)
            elif isinstance(meaning, Role):
                _STEERING[meaning](self, meaning, key, value)
            elif isinstance(meaning, Either):
                self._number(key, value, meaning)
            elif isinstance(meaning, Unused):
                self._not_used(key, meaning.why)
        if self.differing:
            self._leave_out_differing()
        if self.unused:
            self.notes.append(Code.NO_PLACE(keys=self.unused))
        if self.left_out:
            self.warnings.append(not_recognized(self.left_out))
        if "weight_kg" not in self.values and "weight_kg" not in self.blamed:
            missing, value = self.keys.get("weight_kg"), self.inputs.get("weight_kg")
            why = Why.WEIGHT_MISSING() if missing else missing_weight(payload)
            self._reject("weight_kg", missing or "weight", value, why)
        measured_at = self._instant()
        if self.unclear:
            self._settle_unclear(said)
        self._leave_out_impossible()
        if self.errors:
            raise ReadingRejected(self.errors)
        if self.opened:
            self._decide_opened()
        try:
            return self._reading(measured_at, fitdays=not known.fitdays.isdisjoint(self.keys.values()))
        except ReadingRejected as fault:
            errors = fault.errors
        raise ReadingRejected([self._with_caller_keys(error) for error in errors])

    def _reading(self, measured_at: datetime, *, fitdays: bool) -> Interpreted:
        """The reading of values that are each possible."""
        values = self.values
        derived: dict[str, str] = {}
        for share, percent in self.shares.items():
            key, mass = self.keys[share], share.mass
            if mass in values and (broken := contradictions({**values, SHARE: percent}, (share_rule(mass),))):
                del values[mass]
                self._doubt([mass, share], broken[0].reason)
            elif mass in values:
                self._said_twice(key, mass)
            else:
                values[mass] = (values["weight_kg"] * percent / 100).quantize(_GRAM)
                self.keys[mass], self.inputs[mass] = key, self.inputs[share]
                self.same[mass] = self.same.get(share, [])
                derived[mass] = f"weight_kg × {MEASURES[mass].label} % ÷ 100"
        more = (LEAN_SOFT_TISSUE,) if fitdays else ()
        settled = settle(values, measured_at, self.person or self.person_id, more)
        for doubt in settled.doubts:
            self._doubt(doubt.names, doubt.reason)
            for name in doubt.names:
                derived.pop(name, None)
        self.warnings += settled.warnings
        return Interpreted(
            settled.reading,
            derived | settled.derived,
            tuple(self.notes),
            tuple(self.unknown),
            tuple(self.warnings),
            tuple(self.unclear_person),
            self.name,
            timed=bool(self.instants.times) or not is_missing(self.instants.occurred_at),
        )

    def _leave_out_impossible(self) -> None:
        """Leave out each number that is out of its range. The weight is not left out: the reading is rejected."""
        for fault in all_out_of_range(self.values):
            if fault.field == "weight_kg":
                self.errors.append(self._with_caller_keys(fault))
            else:
                del self.values[fault.field]
                self._doubt([fault.field], _received(fault, self.inputs[fault.field]))
        for share, percent in tuple(self.shares.items()):
            if wrong := out_of_range(share.mass, percent, share.measure):
                del self.shares[share]
                self._doubt([share], _received(wrong, self.inputs[share]))

    def _doubt(self, names: Sequence[str | Share], reason: Reason) -> None:
        keys = [key for name in names for key in (*self.same.get(name, ()), self.keys[name])]
        self._leave_out(Code.LEFT_OUT_IN_DOUBT(names=keys, reason=reason))

    def _leave_out(self, note: Note) -> None:
        self.notes.append(note)
        self.warnings.append(note)

    def _with_caller_keys(self, error: FieldError) -> FieldError:
        key = self.keys.get(error.field, error.field)
        return FieldError(key, _shown(self.inputs.get(error.field, error.input)), error.reason)

    # -- values ------------------------------------------------------------------------------------------

    def _number(self, key: str, value: object, meaning: Quantity | Either) -> None:
        name = meaning[0]
        if is_missing(value):
            self._not_measured(key, value, name)
            return
        try:
            read = quantity(value, meaning) if isinstance(meaning, Quantity) else read_either(key, value, meaning)
        except NotUnderstood as e:
            if isinstance(e, NotMeasured) or _is_missing_with_unit(value):
                self._not_measured(key, value, name)
            else:
                self._reject(name, key, value, e.reason)
            return
        if isinstance(read, Open):
            if read.kg[1] == 0:
                self.notes.append(Code.NOT_MEASURED(key=key))
            else:
                self.opened.append((read, value))
            return
        name, number = read
        known = self.shares.get(name) if isinstance(name, Share) else self.values.get(name)
        if number == 0 and name != "weight_kg":
            self.notes.append(Code.NOT_MEASURED(key=key))
        elif name in self.differing:
            self.differing[name].append(key)
        elif known is not None and known != number:
            self._another(name, number, key, value, known)
        else:
            if known is not None:
                self.same.setdefault(name, []).append(self.keys[name])
            self._keep(name, number, key, value)

    def _another(self, name: str | Share, number: Decimal, key: str, value: object, known: Decimal) -> None:
        """A second number for the same thing, which is not the first."""
        first = self.keys[name]
        units = {said: meaning.unit for said, _, meaning in self.said if isinstance(meaning, Quantity)}
        if {units.get(first), units.get(key)} == {"kg", "lb"} and abs(known - number) <= _ROUNDINGS:
            if units[key] == "kg":
                self._keep(name, number, key, value)
                key = first
            self._said_twice(key, name)
        elif name in REFUSING:
            self._reject(name, key, value, Why.ANOTHER_VALUE(key=first))
        else:
            self.differing[name] = [*self.same.pop(name, ()), first, key]

    def _leave_out_differing(self) -> None:
        for name, keys in self.differing.items():
            if isinstance(name, Share):
                del self.shares[name]
            else:
                del self.values[name]
            self._leave_out(Code.LEFT_OUT_IN_DOUBT(names=keys, reason=Why.DIFFERENT_VALUES()))

    def _keep(self, name: str | Share, number: Decimal, key: str, value: object) -> None:
        if isinstance(name, Share):
            self.shares[name] = number
        else:
            self.values[name] = number
        self.keys[name], self.inputs[name] = key, value

    def _not_measured(self, key: str, value: object, name: str | Share) -> None:
        if name == "weight_kg":
            self.keys[name], self.inputs[name] = key, value
        else:
            self.notes.append(Code.NOT_MEASURED(key=key))

    def _decide_opened(self) -> None:
        """Whether each number in kg or in % is the one or the other, by the other values."""
        weight = self.values["weight_kg"]
        masses = {share.mass: weight * percent / 100 for share, percent in self.shares.items()}
        opened = [each for each, _ in self.opened]
        decisions = decide(masses | self.values, opened)
        for (each, value), decision in zip(self.opened, decisions, strict=True):
            if isinstance(decision, Reason):
                self._leave_out(Code.LEFT_OUT_IN_DOUBT(names=[each.key], reason=decision))
                continue
            unit = "kg" if decision == each.kg else "%"
            self.notes.append(Code.UNIT_DECIDED(key=each.key, unit=unit))
            name, number = decision
            if name in self.shares or name in self.values:
                self._said_twice(each.key, name)
            else:
                self._keep(name, number, each.key, value)

    def _said_twice(self, key: str, name: str | Share) -> None:
        self.notes.append(Code.SAID_TWICE(key=key, kept=self.keys[name]))

    # -- units with a key of their own ---------------------------------------------------------------------

    def _with_units(self, said: list[Said], units: Sequence[Said]) -> None:
        """Give each number the unit that its other key names."""
        of_weight = self._weight_unit([(key, value) for key, value, meaning in units if meaning is Role.WEIGHT_UNIT])
        others = {meaning.key: (key, value) for key, value, meaning in units if isinstance(meaning, UnitOf)}
        for place, (key, value, meaning) in enumerate(said):
            if meaning is BARE_WEIGHT:
                own = _unit_in(value) if isinstance(value, str) else ""
                if of_weight and own and own != of_weight[1]:
                    self._not_used(of_weight[0], Why.HAS_OWN_UNIT(key=key))
                elif of_weight and not own:
                    said[place] = key, value, _WEIGHT_IN[of_weight[1]]
            elif not isinstance(meaning, Quantity | Either):
                continue
            elif others and (other := others.get(normal(key))):
                unit = unit_of(other[1])
                in_that = in_unit(meaning, unit) if unit else None
                said[place] = key, value, in_that or Unused(Why.UNIT_NOT_OF_VALUE(key=other[0]))
            elif of_weight and meaning[0] == "weight_kg" and meaning[1] != of_weight[1]:
                self._not_used(of_weight[0], Why.HAS_OWN_UNIT(key=key))

    def _weight_unit(self, keys: Sequence[tuple[str, object]]) -> tuple[str, str] | None:
        """The key and the unit of a weight without one."""
        found: tuple[str, str] | None = None
        for key, value in keys:
            unit = unit_of(value) or _coded_unit(key, value)
            if unit not in KG_PER:
                self.unclear.append(Unclear(Question.UNIT, key, value, Why.UNIT_OF_WEIGHT_EXPECTED()))
            elif found and found[1] != unit:
                self._reject(Role.WEIGHT_UNIT, key, value, Why.ANOTHER_UNIT(key=found[0]))
            else:
                found = key, unit
        return found

    # -- keys with a role ---------------------------------------------------------------------------------

    def _time(self, role: Role, key: str, value: object) -> None:
        if not is_missing(value):
            self.instants.times.append(Time(role, key, value))

    def _zone(self, _role: Role, key: str, value: object) -> None:
        if not is_missing(value):
            self.instants.zones.append((key, value))

    def _receipt(self, role: Role, key: str, value: object) -> None:
        if not is_missing(value):
            self.instants.receipts.append(Time(role, key, value))

    def _instant(self) -> datetime:
        found = self.instants.settle()
        self.notes += self.instants.notes
        for fault in self.instants.faults:
            self._reject(Role.TIME, *fault)
        return found

    def _person(self, _role: Role, key: str, value: object) -> None:
        name = self._name(key, value)
        if name and self.person and name != self.person:
            self._reject(Role.PERSON, key, value, Why.ANOTHER_PERSON(key=self.keys["person"]))
        elif name:
            self.person, self.keys["person"] = name, key

    def _person_id(self, _role: Role, key: str, value: object) -> None:
        if (name := self._name(key, value)) and self.person_id is None:
            self.person_id = name
            self.keys.setdefault("person", key)
        elif name and name != self.person_id:
            self._not_used(key, Why.ANOTHER_KEY_SAYS_WHOSE(key=self.keys["person"]))

    def _device(self, _role: Role, key: str, value: object) -> None:
        self.name = value if isinstance(value, str) else None
        self._not_used(key, None)

    def _name(self, key: str, value: object) -> str:
        if is_missing(value):
            return ""
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and is_short(value)):
            return str(value).strip()[:LONGEST_TEXT]
        self._reject(Role.PERSON, key, value, Why.NAME_EXPECTED())
        return ""

    def _good(self, _role: Role, key: str, value: object) -> None:
        self._validity(key, value, expected=True)

    def _bad(self, _role: Role, key: str, value: object) -> None:
        self._validity(key, value, expected=False)

    def _validity(self, key: str, value: object, *, expected: bool) -> None:
        if is_missing(value):
            return
        found = _TRUTH.get(str(value).strip().casefold()) if isinstance(value, _SCALAR) and is_short(value) else None
        if found is None:
            self._reject(Role.GOOD, key, value, Why.TRUE_OR_FALSE_EXPECTED())
        elif found is not expected:
            self._reject(Role.GOOD, key, value, Why.DOES_NOT_COUNT())

    def _problem(self, _role: Role, key: str, value: object) -> None:
        # bodymiscale: "none", or for example "weight low, impedance unavailable".
        if is_missing(value):
            return
        if isinstance(value, str) and "weight" not in value.casefold():
            self.notes.append(Code.PROBLEM_AT_SOURCE(key=key))
        else:
            self._reject(Role.PROBLEM, key, value, Why.PROBLEM_WITH_WEIGHT())

    def _mode(self, _role: Role, key: str, value: object) -> None:
        # Theengs: "person", or "object" for a thing on the scale.
        if is_missing(value):
            return
        mode = value.strip().casefold() if isinstance(value, str) else None
        if mode == "object":
            self._reject(Role.MODE, key, value, Why.OBJECT_WEIGHED())
        elif mode != "person":
            self._reject(Role.MODE, key, value, Why.MODE_EXPECTED())

    def _unit(self, _role: Role, _key: str, _value: object) -> None:
        """Does nothing: `_with_units` has read it before the others."""

    # -- keys that are not known, or not used -----------------------------------------------------------------

    def _not_known(self, key: str, value: object) -> None:
        self.unknown.append(key[:LONGEST_TEXT])
        if is_missing(value) or value in ([], {}):
            return
        if questions := questions_of(key):
            self.unclear += [Unclear(question, key, value) for question in questions]
        else:
            self.left_out.append(key)

    def _settle_unclear(self, said: Sequence[Said]) -> None:
        """Reject what could change the meaning of the reading, unless something else answers the question."""
        answered = {
            Question.TIME: bool(self.instants.times),
            Question.PERSON: True,  # only with several people does it matter, see `people.who`
            Question.UNIT: any(_has_unit(value, meaning) for _, value, meaning in said),
            Question.VALIDITY: False,  # stable, removed and deleted do not answer each other
        }
        for question, key, value, expected in self.unclear:
            key = key[:LONGEST_TEXT]
            why = expected or COULD_SAY[question]()
            if not answered[question]:
                self._reject(_ROLE_OF[question], key, value, why)
                continue
            self.notes.append(Code.KEY_NOT_UNDERSTOOD(key=key, question=question.value))
            if question is Question.PERSON and not (self.person or self.person_id):
                self.unclear_person.append(FieldError(key, _shown(value), why))

    def _not_used(self, key: str, why: Reason | None) -> None:
        if why:
            self.notes.append(Code.NOT_USED(key=key, reason=why))
        else:
            self.unused.append(key)

    def _reject(self, what: str | Share | Role, key: str, value: object, reason: Reason) -> None:
        self.blamed.add(what)
        self.errors.append(FieldError(key, _shown(value), reason))


class Unclear(NamedTuple):
    """A key, or the value of a known one, that was not understood."""

    question: Question
    key: str
    value: object
    expected: Reason | None = None


#: A key, its value and its meaning.
Said = tuple[str, object, Meaning | None]

_STEERING: Mapping[Role, Callable[[_Interpretation, Role, str, object], None]] = {
    **dict.fromkeys(_TIMES, _Interpretation._time),
    Role.ZONE: _Interpretation._zone,
    Role.RECEIPT: _Interpretation._receipt,
    Role.PERSON: _Interpretation._person,
    Role.PERSON_ID: _Interpretation._person_id,
    Role.NAME: _Interpretation._device,
    Role.WEIGHT_UNIT: _Interpretation._unit,
    Role.GOOD: _Interpretation._good,
    Role.BAD: _Interpretation._bad,
    Role.PROBLEM: _Interpretation._problem,
    Role.MODE: _Interpretation._mode,
}
_ROLE_OF = {
    Question.TIME: Role.TIME,
    Question.PERSON: Role.PERSON,
    Question.UNIT: Role.WEIGHT_UNIT,
    Question.VALIDITY: Role.GOOD,
}

_GRAM = Decimal("0.001")
#: Half of a tenth of a kilogram and of a pound: the same mass in both units may differ by this.
_ROUNDINGS = Decimal("0.05") * (KG_PER["kg"] + KG_PER["lb"])
_ANY_WEIGHT = Decimal(80)
_WEIGHT_IN = {unit: BARE_WEIGHT._replace(unit=unit) for unit in KG_PER}
#: Renpho's codes.
_WEIGHT_UNIT_CODES = {"1": "kg", "2": "lb"}
_SCALAR = str | bool | int | float | Decimal
_TRUTH = {
    **dict.fromkeys(("true", "yes", "y", "t", "on", "1", "1.0", "stable", "stabilized", "stabilised", "valid"), True),
    **dict.fromkeys(("false", "no", "n", "f", "off", "0", "0.0", "-0.0", "unstable", "invalid"), False),
}


def _coded_unit(key: str, value: object) -> str | None:
    """The unit in `"units": "metric"`, or in one of Renpho's codes for the unit of the weight."""
    if isinstance(value, str) and value.strip().casefold() == "metric":
        return "kg"
    short = isinstance(value, str | int) and is_short(value)
    return _WEIGHT_UNIT_CODES.get(str(value).strip()) if short and normal(key).startswith("weightunit") else None


def _has_unit(value: object, meaning: Meaning | None) -> bool:
    """Whether this is a weight that has its unit, in its key or in its value."""
    if not isinstance(meaning, Quantity) or meaning.name != "weight_kg" or is_missing(value):
        return False
    if meaning is not BARE_WEIGHT:
        return True
    try:
        return quantity(value, meaning) == quantity(value, meaning._replace(unit="lb"))
    except NotUnderstood:
        return False


def _unit_in(text: str) -> str | None:
    """The unit in a text such as "81.4 kg"."""
    return unit_of(text.lstrip("0123456789.,+- \u00a0\u202f"))


def _is_missing_with_unit(value: object) -> bool:
    """Whether this is such as "unknown %" or "-- kg"."""
    text = value.strip().casefold() if isinstance(value, str) and len(value) <= LONGEST_TEXT else ""
    return any(text.startswith(word) and unit_of(text[len(word) :]) for word in NOT_MEASURED if word)


def _received(error: FieldError, value: object) -> Reason:
    shown = _shown(value)
    return Why.RECEIVED(reason=error.reason, value=shown if isinstance(shown, Decimal | int) else str(shown))


def _shown(value: object) -> object:
    """What came, short enough for the response."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value if is_short(value) and len(str(value)) <= LONGEST_TEXT else "a very long number"
    return "a list" if isinstance(value, list) else "an object"
