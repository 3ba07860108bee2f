"""A key -> what it means, and what it was probably meant to be. Pure.

Strategy: first the vocabulary. Then a known key with a unit at its end (`muscle_mass_lb`, `waterPercentage`), and the
unit of a known key (`height_unit`). Everything is cached by key; a payload has the same keys each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .characters import fold
from .dialects import (
    BARE_WEIGHT,
    DIALECTS,
    FITDAYS_WORDS,
    PERCENT,
    VOCABULARY,
    Either,
    Meaning,
    Quantity,
    Role,
    UnitOf,
    Unused,
    normal,
)
from .quantities import LONGEST_TEXT, SAID_IN, base_unit

#: A unit at the end of a key.
_UNIT_AT_END = {
    "kg": "kg",
    "kilograms": "kg",
    "grams": "g",
    "g": "g",
    "lb": "lb",
    "lbs": "lb",
    "pounds": "lb",
    "stone": "st",
    "st": "st",
    "jin": "jin",
    "percent": PERCENT,
    "percentage": PERCENT,
    "pct": PERCENT,
    "kcal": "kcal",
    "cm": "cm",
    "years": "years",
}
_ENDINGS = tuple(_UNIT_AT_END)
_OWN_UNIT = ("unitofmeasurement", "units", "unit", "uom")

#: How a key of a dialect is written. Slips are looked for among these: two languages have too many similar words.
_WRITTEN: dict[str, str] = {}
for _dialect in DIALECTS.values():
    for _key in _dialect:
        _WRITTEN.setdefault(normal(_key), _key)


def meaning_of(key: str) -> Meaning | None:
    """What a key means; None if it is not known."""
    return _meaning_of(key) if len(key) <= LONGEST_TEXT else None


@lru_cache(maxsize=4096)
def _meaning_of(key: str) -> Meaning | None:
    name = normal(key)
    if (meaning := VOCABULARY.get(name)) is not None:
        if isinstance(meaning, Quantity | Either) and PERCENT in fold(key):
            return in_unit(meaning, PERCENT)
        return meaning
    for ending, unit in _UNIT_AT_END.items() if name.endswith(_ENDINGS) else ():
        if name.endswith(ending) and (of := VOCABULARY.get(name.removesuffix(ending))) is not None:
            if isinstance(of, Unused):
                return of
            if (meaning := in_unit(of, unit)) is not None:
                return meaning
    for ending in _OWN_UNIT if "unit" in name or "uom" in name else ():
        for rest in (name.removesuffix(ending), name.removeprefix(ending)):
            if rest != name and isinstance(of := VOCABULARY.get(rest), Quantity | Either):
                return Role.WEIGHT_UNIT if of is BARE_WEIGHT else UnitOf(rest)
    return None


def is_unit(meaning: Meaning | None) -> bool:
    """Whether a key with this meaning names the unit of another one."""
    return meaning is Role.WEIGHT_UNIT or isinstance(meaning, UnitOf)


class Meanings(NamedTuple):
    """What the keys of a payload mean, in their order."""

    meanings: tuple[Meaning | None, ...]
    #: Whether one of them names a unit.
    has_units: bool
    #: The keys that only the Fitdays app uses.
    fitdays: frozenset[str]


def meanings_of(keys: tuple[str, ...]) -> Meanings:
    # Nearly every payload has the keys of the one before it.
    if len(keys) <= _MOST_KEYS and max(map(len, keys), default=0) <= LONGEST_TEXT:
        return _meanings_of(keys)
    return _all(keys)


def _all(keys: tuple[str, ...]) -> Meanings:
    meanings = tuple(map(meaning_of, keys))
    fitdays = frozenset(key for key in keys if normal(key) in FITDAYS_WORDS)
    return Meanings(meanings, any(map(is_unit, meanings)), fitdays)


_MOST_KEYS = 100
_meanings_of = lru_cache(maxsize=256)(_all)


def in_unit(meaning: Meaning, unit: str) -> Quantity | None:
    """A number with this meaning, in this unit; None if it cannot have the unit."""
    base = base_unit(unit)
    if isinstance(meaning, Either):
        return {"kg": Quantity(meaning.mass, unit), PERCENT: Quantity(meaning.share, PERCENT)}.get(base)
    if not isinstance(meaning, Quantity):
        return None
    if base == base_unit(meaning.unit):
        return meaning._replace(unit=unit)
    name = SAID_IN.get((meaning.name, base))
    return None if name is None else Quantity(name, unit)


# -- slips of the keyboard -------------------------------------------------------------------------------------


def written(name: str) -> str:
    """How a key of the vocabulary is written."""
    return _WRITTEN[name]


@lru_cache(maxsize=4096)
def slip_of(key: str) -> str | None:
    """The known key that this one was probably meant to be: one letter more, less or other, or two swapped.

    It is one of a dialect, or None.
    """
    name = normal(key)
    near = {known for part in (name, *_without_one(name)) for known in _NEAR.get(part, ()) if _is_slip(name, known)}
    # The first in the order of the dialects.
    return min(near, key=_ORDER.__getitem__, default=None)


#: Letters that a known key needs: of a short one, too many words are one letter away.
_SHORTEST_SWAPPED, _SHORTEST = 4, 5


def _without_one(name: str) -> Iterator[str]:
    return (name[:i] + name[i + 1 :] for i in range(len(name)))


def _is_slip(name: str, known: str) -> bool:
    if name == known:
        return False
    start = next((i for i, (a, b) in enumerate(zip(name, known, strict=False)) if a != b), min(len(name), len(known)))
    a, b = name[start:], known[start:]
    if len(a) == len(b) and a[:2] == b[1::-1] and len(a) > 1 and a[2:] == b[2:]:
        return True
    return len(known) >= _SHORTEST and (a[1:] == b[1:] or a[1:] == b or a == b[1:])


_NEAR: dict[str, list[str]] = {}
for _name in _WRITTEN:
    if len(_name) >= _SHORTEST_SWAPPED and not isinstance(VOCABULARY[_name], Unused):
        for _part in (_name, *_without_one(_name)):
            _NEAR.setdefault(_part, []).append(_name)
_ORDER = {name: place for place, name in enumerate(_WRITTEN)}
