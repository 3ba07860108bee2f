"""Two messages are one weigh-in if they are near, nearly equal in weight, and do not contradict each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.fit.encode import RawFields
from weighbridge.fit.profile import FIELDS
from weighbridge.reading.weighing import SHOWN, added, changed, is_one_weighing, together

AT = 1_000_000_000
WEIGHT = {"timestamp": AT, "weight": 8140}
FULL = {**WEIGHT, "percent_fat": 1820, "bone_mass": 320}

#: The values of one weigh-in, of which each message has some.
ALL = {name: number for number, name in enumerate(SHOWN, 10)} | {"weight": 8140, "basal_met": 6800}
MESSAGES = st.builds(
    lambda names, after_s: {"timestamp": AT + after_s, "weight": 8140, **{name: ALL[name] for name in names}},
    st.sets(st.sampled_from(sorted(ALL))),
    st.integers(0, 60),
)


def test_added() -> None:
    """What one has and the other has not is told in the attributes of a reading, and only what Garmin shows."""
    assert added({**FULL, "basal_met": 6800}, WEIGHT) == ["body_fat_percent", "bone_mass_kg"]
    assert added(WEIGHT, FULL) == []
    assert added({**WEIGHT, "basal_met": 6800}, WEIGHT, FIELDS) == ["basal_metabolic_rate_kcal"]


def test_changed() -> None:
    """A difference of one raw integer counts; the instant does not."""
    other = {**FULL, "percent_fat": 1810, "timestamp": AT + 1}
    assert changed(other, FULL) == ["body_fat_percent"]
    assert changed(FULL, FULL) == []
    assert changed(FULL, WEIGHT) == []


@pytest.mark.parametrize(
    ("second", "one"),
    [
        (FULL, True),
        ({**WEIGHT, "timestamp": AT + 60}, True),
        ({**WEIGHT, "timestamp": AT - 60}, True),
        ({**WEIGHT, "timestamp": AT + 61}, False),
        ({**WEIGHT, "weight": 8170}, True),
        ({**WEIGHT, "weight": 8110}, True),
        ({**WEIGHT, "weight": 8171}, False),
        ({**WEIGHT, "weight": 8109}, False),
        ({**FULL, "bone_mass": 321}, False),
        ({**FULL, "bmi": 249}, True),
    ],
)
def test_one_weighing(second: RawFields, one: bool) -> None:
    """At most a minute, 0.3 kg and no other value apart; what only one of them has is no contradiction."""
    first = {**FULL, "bmi": 250} if "bone_mass" in second else WEIGHT
    assert is_one_weighing(first, second, 60) is one
    assert is_one_weighing(second, first, 60) is one


@pytest.mark.parametrize(("heavier", "one"), [(4020, True), (4021, False)])
def test_half_a_percent(heavier: int, one: bool) -> None:
    """Of a light person, 0.5 % of the weight counts and not 0.3 kg."""
    assert is_one_weighing({**WEIGHT, "weight": 4000}, {**WEIGHT, "weight": heavier}, 60) is one


def test_window_of_nothing() -> None:
    """With a window of 0 nothing is joined, not even at the same instant."""
    assert not is_one_weighing(WEIGHT, WEIGHT, 0)


def test_together() -> None:
    """The one with more values wins, the first one if they have equally many, and the first's instant stays."""
    later = {"timestamp": AT + 6, "weight": 8130, "percent_fat": 1820, "basal_met": 6800}
    assert together(WEIGHT, later) == {**later, "timestamp": AT}
    assert together(later, WEIGHT) == later
    assert together(WEIGHT, {**WEIGHT, "weight": 8130, "basal_met": 1}) == {**WEIGHT, "basal_met": 1}


@given(st.lists(MESSAGES, min_size=1, max_size=6))
def test_any_order(messages: list[RawFields]) -> None:
    """Messages of one weigh-in are together all of their values, whichever comes first."""
    union = messages[0]
    for message in messages[1:]:
        assert is_one_weighing(union, message, 120)
        union = together(union, message)
    expected = {name: raw for message in messages for name, raw in message.items() if name != "timestamp"}
    assert union == {**expected, "timestamp": messages[0]["timestamp"]}
    assert all(not added(message, union) and not changed(message, union) for message in messages)
