"""Who stood on the scale: by name, by alias, or the only person who fits the weight.

Rule: never a silent guess. A reading without a name belongs to the only person whose range and recent weights it
fits. If it fits no one (a guest, a suitcase) or two people, it is refused and must name its person.

Facts: a healthy body changes by less than 4 % within a month. The ranges of people who live together often overlap,
so their recent weights are read too (ble-scale-sync issue 395: a suitcase, 178 kg).

Weakness: two people of nearly the same weight always have to name themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from ..errors import FieldError, PersonUnclear, SettingsInvalid
from ..notes import Code
from ..reasons import Reason, Why
from .doubts import settle
from .interpret import Interpreted
from .measures import MEASURES, out_of_range
from .reading import Reading

#: How long a weight is recent, and how much the next one may differ from it.
RECENT = timedelta(days=30)
MAY_DIFFER = Decimal("0.04")

MUSCLES = ("muscle_mass_kg", "skeletal_muscle_mass_kg")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose weigh-ins arrive, as WEIGHBRIDGE_PEOPLE describes them."""

    name: str
    #: The name of the token, and so the Garmin account (`weighbridge login --name …`).
    token: str
    #: Other names that scales and apps use for them; case does not matter.
    aliases: tuple[str, ...]
    #: From, to. None: only a name decides.
    weight_kg: tuple[Decimal, Decimal] | None
    height_cm: Decimal | None
    #: The value that Garmin should show as muscle, one of `MUSCLES`.
    muscle: str


class Weight(NamedTuple):
    """A weigh-in that is there: in Garmin, or in a kept file."""

    measured_at: datetime
    kg: Decimal


#: The recent weights of a person.
Recent = Callable[[Person, datetime], Sequence[Weight]]


def read_people(text: str) -> tuple[Person, ...]:
    """The people of a TOML text. Raises `SettingsInvalid`, which names the person and the key."""
    # Imported when needed: most functions serve one person.
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise SettingsInvalid(f"The file named by WEIGHBRIDGE_PEOPLE is not valid TOML: {e}.") from None
    entries = document.get("person")
    if set(document) != {"person"} or not isinstance(entries, list) or not entries:
        raise SettingsInvalid("The file named by WEIGHBRIDGE_PEOPLE must hold [[person]] tables, and nothing else.")
    return make_people(entries)


def make_people(entries: Sequence[object]) -> tuple[Person, ...]:
    """The people of these tables. Raises `SettingsInvalid`, which names the person and the key."""
    people = tuple(_person(number, entry) for number, entry in enumerate(entries, 1))
    for kind, words in (
        ("name or alias", [word for person in people for word in _words(person)]),
        ("token", [person.token for person in people]),
    ):
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise SettingsInvalid(f"WEIGHBRIDGE_PEOPLE: the {kind} {twice[0]!r} is used for two people.")
    return people


def named(people: Sequence[Person], name: str) -> Person | None:
    """The person with this name or alias, or None."""
    wanted = name.strip().casefold()
    return next((person for person in people if wanted in _words(person)), None)


def person_of(people: Sequence[Person], interpreted: Interpreted, recent: Recent) -> Person:
    """The person of a reading, also by a name that could be a device's. Raises what `who` raises.

    With several people, a key that could name the person and was not understood refuses the reading.
    """
    if interpreted.reading.person is None:
        if interpreted.name is not None and (person := named(people, interpreted.name)):
            return person
        if interpreted.unclear_person and len(people) > 1:
            raise PersonUnclear(interpreted.unclear_person, [person.name for person in people])
    return who(people, interpreted.reading, recent)


def who(people: Sequence[Person], reading: Reading, recent: Recent) -> Person:
    """The person of a reading. Raises `PersonUnclear`; `recent` may raise other faults."""
    names = [person.name for person in people]
    if reading.person is not None:
        if person := named(people, reading.person):
            return person
        raise PersonUnclear([FieldError("person", reading.person, Why.PERSON_UNKNOWN(known=names))], names)
    fitting = [person for person in people if _is_in_range(person, reading.weight_kg)]
    fitting = [person for person in fitting if _is_near(reading, recent(person, reading.measured_at))]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        reason = Why.FITS_SEVERAL(fitting=[person.name for person in fitting], known=names)
    else:
        reason = Why.FITS_NO_ONE(known=names)
    raise PersonUnclear([FieldError("person", None, reason)], [person.name for person in fitting] or names)


def of_person(interpreted: Interpreted, person: Person) -> Interpreted:
    """The reading of this person: with their height if none came, and with the muscle value that they chose.

    A height that does not fit the weight is left out. Raises `ReadingRejected` if the name is not valid.
    """
    reading, derived = interpreted.reading, dict(interpreted.derived)
    notes, warnings = list(interpreted.notes), list(interpreted.warnings)
    values = {name: value for name in MEASURES if (value := getattr(reading, name)) is not None}
    if person.height_cm is not None and not {"height_cm", "bmi"} & values.keys():
        values["height_cm"] = person.height_cm
        notes.append(Code.HEIGHT_OF_PERSON(person=person.name))
    if person.muscle != MUSCLES[0]:
        # The values of the scale were checked before, with its own muscle.
        scale_muscle, wanted = values.pop("muscle_mass_kg", None), values.get(person.muscle)
        derived.pop("muscle_mass_kg", None)
        if wanted is not None:
            values["muscle_mass_kg"] = wanted
            notes.append(Code.SKELETAL_MUSCLE(person=person.name))
        elif scale_muscle is not None:
            notes.append(Code.MUSCLE_LEFT_OUT(person=person.name))
    settled = settle(values, reading.measured_at, person.name)
    for doubt in settled.doubts:
        note = Code.LEFT_OUT_IN_DOUBT(names=[_of(person, name) for name in doubt.names], reason=doubt.reason)
        notes.append(note)
        warnings.append(note)
    warnings += [warning for warning in settled.warnings if warning not in warnings]
    derived |= settled.derived
    return replace(
        interpreted,
        reading=settled.reading,
        derived={name: way for name, way in derived.items() if getattr(settled.reading, name) is not None},
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _is_in_range(person: Person, kg: Decimal) -> bool:
    return person.weight_kg is not None and person.weight_kg[0] <= kg <= person.weight_kg[1]


def _is_near(reading: Reading, weights: Sequence[Weight]) -> bool:
    """Whether the weight is near the last one before it. If there is no recent one, the range alone decides."""
    before = [w for w in weights if timedelta(0) <= reading.measured_at - w.measured_at <= RECENT]
    if not before:
        return True
    last = max(before, key=lambda weight: weight.measured_at)
    return abs(reading.weight_kg - last.kg) <= MAY_DIFFER * last.kg


def _of(person: Person, name: str) -> Reason:
    return Why.OF_PERSON(quantity=MEASURES[name].label, person=person.name)


def _words(person: Person) -> set[str]:
    return {word.casefold() for word in (person.name, *person.aliases)}


# -- TOML ------------------------------------------------------------------------------------------------


def _person(number: int, entry: object) -> Person:
    values = entry if isinstance(entry, dict) else {}
    name = values.get("name")
    who = f"WEIGHBRIDGE_PEOPLE, person {number}" + (f" ({name[:64]})" if isinstance(name, str) else "")

    def reject(key: str, expected: str) -> SettingsInvalid:
        return SettingsInvalid(f"{who}: {key} must be {expected}.")

    if unknown := sorted(set(values) - {"name", "token", "aliases", "weight_kg", "height_cm", "muscle"}):
        raise reject(unknown[0], "left out: this key is unknown")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 64 or not name.isprintable():
        raise reject("name", "a text of 1 to 64 characters")
    token = values.get("token", name.strip().casefold())
    if not isinstance(token, str) or not token.isascii() or not token.replace("-", "").replace("_", "").isalnum():
        raise reject("token", "a word of letters, digits, - and _: the --name of `weighbridge login`")
    aliases = values.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(alias, str) and alias.strip() for alias in aliases):
        raise reject("aliases", "a list of texts")
    muscle = values.get("muscle", MUSCLES[0])
    if muscle not in MUSCLES:
        raise reject("muscle", f"{MUSCLES[0]} or {MUSCLES[1]}")
    return Person(
        name=name.strip(),
        token=token,
        aliases=tuple(alias.strip() for alias in aliases),
        weight_kg=_range(values.get("weight_kg"), reject),
        height_cm=_height(values.get("height_cm"), reject),
        muscle=muscle,
    )


def _range(value: object, reject: Callable[[str, str], SettingsInvalid]) -> tuple[Decimal, Decimal] | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
        low, high = (Decimal(str(number)) for number in value)
        if low < high and not out_of_range("weight_kg", low) and not out_of_range("weight_kg", high):
            return low, high
    raise reject("weight_kg", "two weights, such as [55, 70]")


def _height(value: object, reject: Callable[[str, str], SettingsInvalid]) -> Decimal | None:
    if value is None:
        return None
    if _is_number(value) and not out_of_range("height_cm", Decimal(str(value))):
        return Decimal(str(value))
    measure = MEASURES["height_cm"]
    raise reject("height_cm", f"a number from {measure.minimum:f} to {measure.maximum:f}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
