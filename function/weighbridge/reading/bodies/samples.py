"""Single values with a time each, as phones export them -> weigh-ins. Pure.

Rule: values of one instant are one weigh-in. A value without a weight at its instant belongs to the only weight within
a minute; if there is none, or there are two, it stays alone, and is reported. No value is dropped without being named.

Strategy: two apps may write one weigh-in into the phone's store, one with the weight alone and one with all values.
If their weights are of one weigh-in, the one with more values counts, and the other adds what it lacks. What differs is
named. If they cannot be of one, there are two.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from decimal import Decimal
from typing import NamedTuple

from ...errors import FieldError, ReadingRejected
from ...reasons import Why
from ..dialects import BARE_WEIGHT
from ..measures import WOBBLE_KG, WOBBLE_SHARE
from ..quantities import NotUnderstood, quantity
from ..times import read_time
from .items import EMPTY, TIME, WEIGHT, Document, Values, put

#: How far a value may be from the weight that it belongs to.
NEAR_S = 60

#: What an app writes down now and then, apart from any weigh-in.
APART = frozenset(("height_cm", "bmi", "basal_metabolic_rate_kcal"))

#: So many weights at one instant are a mistake of the sender.
MOST_AT_ONE_INSTANT = 10
_TOO_MANY = Why.TOO_MANY_WEIGHTS(maximum=MOST_AT_ONE_INSTANT)

_LONGEST_SOURCE = 40


class Sample(NamedTuple):
    """One value."""

    #: An attribute of `Reading`.
    name: str
    #: With its unit, as `interpret` reads it.
    value: object
    #: As it came.
    time: object
    #: The app or device that wrote it; "" if unknown.
    source: str = ""
    #: The other keys of its record.
    rest: Document = EMPTY


class Joined(NamedTuple):
    """The samples of one body."""

    #: Each has a weight and its time.
    weigh_ins: list[Values]
    #: Values without a weight, by their time: they could be part of a weigh-in.
    without_weight: list[Values]
    #: The attributes that came only apart from any weigh-in.
    aside: list[str]


#: The second of an instant; the text of a time that cannot be read.
_Moment = int | str


def join(samples: Iterable[Sample]) -> Joined:
    """Samples -> weigh-ins, in the order in which their instants came.

    Raises `ReadingRejected` for more different weights at one instant than anybody could have.
    """
    moments: dict[_Moment, dict[str, list[Sample]]] = {}
    rest: list[tuple[_Moment, Sample]] = []
    known: dict[object, _Moment] = {}
    for sample in samples:
        moment = _moment(sample.time, known)
        if sample.name == WEIGHT:
            moments.setdefault(moment, {}).setdefault(sample.source, []).append(sample)
        else:
            rest.append((moment, sample))
    seconds = sorted(moment for moment in moments if isinstance(moment, int))
    alone: dict[_Moment, Values] = {}
    for moment, sample in rest:
        if (place := _place(moment, moments, seconds)) is not None:
            moments[place].setdefault(sample.source, []).append(sample)
        else:
            _add(alone.setdefault(moment, {TIME: sample.time}), sample)
    weigh_ins = [values for of_sources in moments.values() for values in _merged(of_sources)]
    without_weight = [values for values in alone.values() if not values.keys() - {TIME} <= APART]
    aside = {name: None for values in alone.values() if values.keys() - {TIME} <= APART for name in values}
    aside.pop(TIME, None)
    return Joined(weigh_ins, without_weight, list(aside))


def _moment(time: object, known: dict[object, _Moment]) -> _Moment:
    if not isinstance(time, str | int | float | Decimal):
        return ""
    if time not in known:
        try:
            # Times without an offset are all in the same zone, whichever it is.
            known[time] = int(read_time(time, UTC)[0].timestamp())
        except NotUnderstood:
            known[time] = f"unreadable {time}" if isinstance(time, str) else "unreadable"
    return known[time]


def _place(moment: _Moment, moments: Mapping[_Moment, object], seconds: list[int]) -> _Moment | None:
    """The moment of the weight to which a value of this moment belongs."""
    if moment in moments:
        return moment
    if isinstance(moment, int):
        first, last = bisect_left(seconds, moment - NEAR_S), bisect_right(seconds, moment + NEAR_S)
        if last - first == 1:
            return seconds[first]
    return None


def _merged(of_sources: Mapping[str, list[Sample]]) -> Iterator[Values]:
    """The weigh-ins of one instant: one, unless its weights cannot be of one."""
    found: list[Values] = []
    # The one with the most values first; those without a weight of their own come last.
    order = sorted(of_sources.items(), key=lambda item: (not _has_weight(item[1]), -len(item[1])))
    for _, samples in order:
        weights = [sample for sample in samples if sample.name == WEIGHT]
        target = next((values for values in found if not weights or _are_of_one(values, weights[0])), None)
        if target is None:
            target = {TIME: (weights or samples)[0].time}
            found.append(target)
        if len(found) > MOST_AT_ONE_INSTANT:
            raise ReadingRejected([FieldError("weight", None, _TOO_MANY)])
        for sample in (*weights, *(sample for sample in samples if sample.name != WEIGHT)):
            if sample.name == WEIGHT and WEIGHT in target and not _are_of_one(target, sample):
                found.append({TIME: sample.time, WEIGHT: sample.value, **sample.rest})
            else:
                _add(target, sample)
    yield from found


def _has_weight(samples: Iterable[Sample]) -> bool:
    return any(sample.name == WEIGHT for sample in samples)


def _are_of_one(values: Values, weight: Sample) -> bool:
    ours, theirs = _kg(values.get(WEIGHT)), _kg(weight.value)
    if ours is None or theirs is None:
        return values.get(WEIGHT) == weight.value
    apart = abs(ours - theirs)
    return apart <= WOBBLE_KG and apart <= min(ours, theirs) * WOBBLE_SHARE


def _kg(value: object) -> Decimal | None:
    try:
        return quantity(value, BARE_WEIGHT)[1]
    except NotUnderstood:
        return None


def _add(values: Values, sample: Sample) -> None:
    """Adds a sample. If it differs from the value there, a key that nobody understands names it and its source."""
    key = sample.name
    if key in values and values[key] != sample.value:
        key = f"{key} of {sample.source[:_LONGEST_SOURCE] or 'another source'}"
    put(values, key, sample.value)
    for name, value in sample.rest.items():
        put(values, name, value)
