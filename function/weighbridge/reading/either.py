"""Numbers that are a mass in one app and a percentage in another -> what each one means. Pure.

Rule: never a guess. Only the unit decides, or the other values do.

Strategy: of all ways to read the open numbers together, those count that are possible and break no rule with the
other values. If muscle and bone make up the fat-free mass in some of these ways, only these count: a sum that is right
to a tenth is no accident. A number is decided if it means the same in all ways that count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import NamedTuple

from ..errors import ReadingRejected
from .dialects import PERCENT, Either, Quantity, Share
from .identities import LEAN_SOFT_TISSUE, contradictions, derive
from .measures import MEASURES, out_of_range
from .quantities import quantity

Name = str | Share

#: With more open numbers than this, none is decided.
_MOST = 6
_ROUNDING = Decimal("0.05")


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


def decide(values: Mapping[str, Decimal], opened: Sequence[Open]) -> list[tuple[Name, Decimal] | None]:
    """What each open number is; None if the other values do not decide. `values` has the weight."""
    known = _with_derived(values)
    if known is None or len(opened) > _MOST:
        return [None] * len(opened)
    found = _decided(known, opened)
    # One that fits in no way does not cost the others.
    return found or [(_decided(known, [each]) or [None])[0] for each in opened]


def _decided(known: Mapping[str, Decimal], opened: Sequence[Open]) -> list[tuple[Name, Decimal] | None] | None:
    """The same; None if there is no possible way."""
    already = len(contradictions(known))
    ways = []
    for way in product(*((each.kg, each.percent) for each in opened)):
        together = _together(known, way)
        if together is not None and len(contradictions(together)) <= already:
            ways.append((way, _adds_up(together)))
    if not ways:
        return None
    best = [way for way, adds_up in ways if adds_up] or [way for way, _ in ways]
    return [meaning if all(way[i] == meaning for way in best) else None for i, meaning in enumerate(best[0])]


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
        if abs(values.setdefault(attribute, value) - value) > _ROUNDING * (2 + weight / 100) * unit:
            return None
    return _with_derived(values)


def _with_derived(values: Mapping[str, Decimal]) -> dict[str, Decimal] | None:
    """With the values that follow; None if one of them is impossible."""
    found = dict(values)
    if any(out_of_range(name, value) for name, value in found.items() if name in MEASURES):
        return None
    try:
        derive(found)
    except ReadingRejected:
        return None
    return found


def _adds_up(values: Mapping[str, Decimal]) -> bool:
    return values.keys() >= set(LEAN_SOFT_TISSUE.needs) and not contradictions(values, (LEAN_SOFT_TISSUE,))
