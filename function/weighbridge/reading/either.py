"""Numbers that are a mass in one app and a percentage in another -> what each one means. Pure.

Rule: never a guess. Only the unit decides, or the other values do.

Strategy: of all ways to read the open numbers together, those count that are possible and break no rule with the
other values. If muscle and bone make up the fat-free mass in some of these ways, only these count, because a sum
is hardly ever right to a tenth by chance. A number is decided if it means the same in all ways that count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import NamedTuple

from ..reasons import Reason, Why
from .dialects import PERCENT, Either, Quantity, Share
from .identities import LEAN_SOFT_TISSUE, contradictions, derive, rounding_of_a_percentage
from .measures import out_of_range
from .quantities import quantity

Name = str | Share

#: With more open numbers than this, none is decided.
_MOST = 6


class Open(NamedTuple):
    """A number without a unit: what it is if it is in kg, and if it is in %."""

    key: str
    kg: tuple[Name, Decimal]
    percent: tuple[Name, Decimal]


def read_either(key: str, value: object, meaning: Either) -> Open | tuple[Name, Decimal]:
    """A value -> its attribute and number if it has a unit, otherwise the open number. Raises `NotUnderstood`."""
    kg = quantity(value, Quantity(meaning.mass, "kg"))
    percent = quantity(value, Quantity(meaning.share, PERCENT))
    return kg if kg == percent else Open(key, kg, percent)


#: What a number is, or why it is left out.
Decision = tuple[Name, Decimal] | Reason
_BOTH, _NEITHER = Why.KG_OR_PERCENT(), Why.NEITHER_KG_NOR_PERCENT()


def decide(values: Mapping[str, Decimal], opened: Sequence[Open]) -> list[Decision]:
    """What each open number is. `values` has the weight, and each is in its range."""
    if len(opened) > _MOST:
        return [_BOTH] * len(opened)
    known = _with_derived(values)
    # One that fits in no way does not cost the others.
    return _decided(known, opened) or [(_decided(known, [each]) or [_NEITHER])[0] for each in opened]


def _decided(known: Mapping[str, Decimal], opened: Sequence[Open]) -> list[Decision]:
    """The same; empty if there is no possible way."""
    already = len(contradictions(known))
    ways = []
    for way in product(*((each.kg, each.percent) for each in opened)):
        together = _together(known, way)
        if together is not None and len(contradictions(together)) <= already:
            ways.append((way, _adds_up(together)))
    best = [way for way, adds_up in ways if adds_up] or [way for way, _ in ways]
    if not best:
        return []
    return [meaning if all(way[i] == meaning for way in best) else _BOTH for i, meaning in enumerate(best[0])]


def _together(known: Mapping[str, Decimal], way: Sequence[tuple[Name, Decimal]]) -> dict[str, Decimal] | None:
    """All values; None if one is impossible, or two are different numbers for the same thing."""
    values = dict(known)
    weight = values["weight_kg"]
    for name, number in way:
        if out_of_range(str(name), number, name.measure if isinstance(name, Share) else None):
            return None
        attribute, value = (name.mass, weight * number / 100) if isinstance(name, Share) else (name, number)
        if out_of_range(attribute, value):
            return None
        unit = Decimal(1) if attribute.endswith("_kg") else 100 / weight
        if abs(values.setdefault(attribute, value) - value) > rounding_of_a_percentage(known) * unit:
            return None
    return _with_derived(values)


def _with_derived(values: Mapping[str, Decimal]) -> dict[str, Decimal]:
    found = dict(values)
    derive(found)
    return found


def _adds_up(values: Mapping[str, Decimal]) -> bool:
    return values.keys() >= set(LEAN_SOFT_TISSUE.needs) and not contradictions(values, (LEAN_SOFT_TISSUE,))
