"""Weigh-ins that are hardly the person's own are marked with a reason; what a body can do is not."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from weighbridge_history.outliers import Weight, find_outliers
from weighbridge_history.picture import draw

DAY_S = 86_400


def history(
    seed: int, *, count: int = 120, start_kg: float = 80, daily: float = 1.5, change: float = 0, pauses: bool = True
) -> list[Weight]:
    """Weigh-ins of one person, about one each `daily` days. The weight changes by the factor 1 + `change` in all.

    Each scatters by 0.4 to 0.9 %, three in a hundred are in clothes (1 to 3 %), and there are pauses of up to a year.
    """
    dice = random.Random(seed)
    scatter, days, found = dice.uniform(0.004, 0.009), [0.0], []
    for _ in range(count - 1):
        pause = dice.choice([30, 90, 200, 365]) if pauses and dice.random() < 0.01 else 0
        days.append(days[-1] + dice.expovariate(1 / daily) + pause)
    for row, day in enumerate(days):
        kg = start_kg * (1 + change) ** (day / days[-1]) * math.exp(dice.gauss(0, scatter))
        kg *= 1 + (dice.uniform(0.01, 0.03) if dice.random() < 0.03 else 0)
        found.append(Weight(row, day * DAY_S, round(kg, 1)))
    return found


def marked(weights: list[Weight]) -> dict[int, str]:
    return {outlier.weight.row: outlier.looks_like for outlier in find_outliers(weights)}


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(20, 400),
    start_kg=st.floats(45, 140),
    daily=st.sampled_from([0.5, 1, 3, 7]),
    change=st.floats(-0.1, 0.1),
)
def test_ordinary_history_has_no_outliers(seed: int, count: int, start_kg: float, daily: float, change: float) -> None:
    """Of an ordinary history, with scatter, clothes, pauses and a change of 10 %, nothing is marked."""
    assert marked(history(seed, count=count, start_kg=start_kg, daily=daily, change=change)) == {}


@pytest.mark.parametrize("seed", range(20))
def test_real_loss_is_none(seed: int) -> None:
    """30 kg lost in two years are not marked, weighed daily, weekly or monthly."""
    for daily in (1, 7, 30):
        weights = history(seed, count=730 // daily, start_kg=100, daily=daily, change=-0.3, pauses=False)
        assert marked(weights) == {}


def test_new_weight_after_a_pause() -> None:
    """After a pause of a year, another weight is the new one, and not an outlier."""
    before, after = history(1, count=50, pauses=False), history(2, count=50, start_kg=62, pauses=False)
    later = [w._replace(row=w.row + 50, at_s=w.at_s + before[-1].at_s + 365 * DAY_S) for w in after]
    assert marked(before + later) == {}


def test_step_that_lasts_is_a_new_weight() -> None:
    """12 % less from one day to the next, and from then on, is a new weight, such as after a birth."""
    weights = [w._replace(kg=w.kg * (0.88 if w.row >= 60 else 1)) for w in history(3, pauses=False)]
    assert marked(weights) == {}


@pytest.mark.parametrize(
    ("factor", "reason"),
    [
        (2.2046, "pounds read as kilograms?"),
        (1 / 2.2046, "kilograms read as pounds?"),
        (0.1, "a slipped decimal point?"),
        (10, "a slipped decimal point?"),
        (1 / 6.35, "stones read as kilograms?"),
        (0.75, "another person on the scale?"),
        (1.3, "another person on the scale?"),
    ],
)
@pytest.mark.parametrize("rows", [{0}, {119}, {60}, {30, 31, 90}, set(range(40, 80)), set(range(45))])
def test_wrong_weights_are_marked(factor: float, reason: str, rows: set[int]) -> None:
    """Exactly the wrong weigh-ins are marked, single or many in a row, in the middle or at an end, with the reason."""
    weights = [
        w._replace(kg=round(w.kg * factor, 1)) if w.row in rows else w for w in history(5, start_kg=35, pauses=False)
    ]
    assert marked(weights) == dict.fromkeys(sorted(rows), reason)


def test_two_people_by_turns() -> None:
    """Of two people who use the scale by turns, the one with fewer weigh-ins is marked."""
    weights = [w._replace(kg=w.kg * (0.8 if w.row % 3 == 0 else 1)) for w in history(7, pauses=False)]
    assert set(marked(weights)) == set(range(0, 120, 3))


def test_people_who_are_named_are_apart() -> None:
    """If the rows name several people, each has a history of their own."""
    weights = [
        w._replace(kg=w.kg * (0.8 if w.row % 2 else 1), person="Ben" if w.row % 2 else "Anna")
        for w in history(7, pauses=False)
    ]
    assert marked(weights) == {}
    assert set(marked([*weights[:50], weights[50]._replace(kg=160), *weights[51:]])) == {50}


def test_few_weigh_ins_are_not_judged() -> None:
    """Four weigh-ins do not show which of them are wrong."""
    assert marked([Weight(n, n * DAY_S, kg) for n, kg in enumerate([80, 176, 80, 176])]) == {}
    assert marked([]) == {}


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(2, 400)), max_size=60), st.randoms(use_true_random=False))
def test_order_of_the_rows_does_not_matter(values: list[tuple[int, float]], dice: random.Random) -> None:
    """The same weigh-ins in another order have the same outliers, and each is one of them."""
    weights = [Weight(row, float(at), kg) for row, (at, kg) in enumerate(values)]
    shuffled = dice.sample(weights, len(weights))
    assert find_outliers(shuffled) == find_outliers(weights)
    assert {o.weight for o in find_outliers(weights)} <= set(weights)


# -- the picture -------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(seed=st.integers(0, 1000), width=st.integers(10, 200), encoding=st.sampled_from(["utf-8", "ascii"]))
def test_picture_fits_the_terminal(seed: int, width: int, encoding: str) -> None:
    """The picture fits the width of the terminal, shows each outlier's sign, and is of the terminal's characters."""
    weights = history(seed)
    weights[50] = weights[50]._replace(kg=176)

    class Terminal(Console):
        encoding = property(lambda _self: encoding)  # type: ignore[assignment]

    text = draw(Terminal(width=width), weights, {50})
    if text is None:
        assert width < 28
        return
    lines = text.plain.split("\n")
    assert max(map(len, lines)) <= width
    assert ("^" if encoding == "ascii" else "▲") in lines[0]
    text.plain.encode(encoding)
    assert [span.style for span in text.spans].count("bold red") == 1
