"""The reading of what is not in doubt: a doubtful value never costs the weight.

Rule: each value goes into the reading, or is left out and named, or the reading is refused. The reading satisfies
every rule of `identities.RULES`, and nothing in it is derived from a value that was left out.

Strategy: nearly every reading is right, so it is made first. Only if that fails are the values in doubt looked for,
one broken rule at a time and in the order of the table, and what follows is derived again from the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from ..errors import ReadingRejected
from ..notes import Code, Note
from ..reasons import Reason
from .identities import Rule, contradictions, derive, unusual
from .reading import Reading


class Doubt(NamedTuple):
    """Values that were left out, by their attributes, and what disagrees."""

    names: tuple[str, ...]
    reason: Reason


class Settled(NamedTuple):
    """A reading without the values in doubt."""

    reading: Reading
    #: Attribute -> the formula by which it was derived.
    derived: dict[str, str]
    doubts: Sequence[Doubt]
    #: What is unusual and is sent.
    warnings: Sequence[Note]


def settle(
    given: Mapping[str, Decimal], measured_at: datetime, person: str | None, more: tuple[Rule, ...] = ()
) -> Settled:
    """The reading of `given`, each value in its range, without those in doubt by the rules or by `more` rules.

    Raises `ReadingRejected` if a broken rule refuses the reading, or if the name of the person is not valid.
    """
    doubts: list[Doubt] = []
    while True:
        values = dict(given)
        derived = derive(values)
        try:
            reading = Reading(measured_at=measured_at, person=person, **values)
            broken = contradictions(values, more) if more else []
        except ReadingRejected:
            broken = [*contradictions(values), *contradictions(values, more)]
            # A rule that leaves nothing out refuses. So each round leaves something out, or is the last.
            if refusing := [each for each in broken if given.keys().isdisjoint(each.rule.doubted)]:
                # Not those between values that only follow from the ones to blame.
                blamed = [each for each in refusing if (given.keys() - {"weight_kg"}) & {*each.rule.needs}]
                raise ReadingRejected([each.error(given) for each in blamed or refusing]) from None
            if not broken:
                raise
        if not broken:
            return Settled(reading, derived, doubts, [Code.UNUSUAL(reason=each.reason) for each in unusual(values)])
        doubted = broken[0].rule.doubted
        doubts.append(Doubt(tuple(name for name in doubted if name in given), broken[0].reason))
        given = {name: value for name, value in given.items() if name not in doubted}
