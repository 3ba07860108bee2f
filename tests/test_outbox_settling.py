"""Which rows of one scale the outbox joins before it sends them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.reading.weighing import is_one_weighing
from weighbridge_outbox.settling import Decision, Row, could_be_one, settle, understand

START = datetime(2026, 11, 26, 6, 12, 0, tzinfo=UTC)
LATER = START + timedelta(minutes=10)


def row(row_id: int, second: float, payload: Mapping[str, object], action: str = "weigh_in") -> Row:
    """A row as the trigger writes it: with the time of its receipt."""
    at = START + timedelta(seconds=second)
    return Row(row_id, at, {**payload, "received_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}, action)


def decide(
    *rows: Row, sent: tuple[Row, ...] = (), now: datetime = LATER, settle_s: float = 10, join_s: float = 60
) -> dict[int, Decision]:
    decisions = settle(rows, sent, now=now, settle_s=settle_s, join_s=join_s)
    found = {decision.row_id: decision for decision in decisions}
    assert sorted(decision.row_id for decision in decisions) == sorted(each.id for each in rows)  # one for each row
    return found


def carried(decisions: Mapping[int, Decision]) -> dict[int, int | None]:
    return {row_id: decision.joined_to for row_id, decision in sorted(decisions.items())}


def values(payload: object) -> dict[str, Decimal]:
    understood = understand(payload, LATER)
    assert understood
    return understood.measures


def test_same_message_is_one_weigh_in() -> None:
    """The same message 25 times in 5 s is one weigh-in, and is sent as it came."""
    found = decide(*(row(n, n / 5, {"weight": 81.4}) for n in range(1, 26)))
    assert carried(found) == {1: None} | dict.fromkeys(range(2, 26), 1)
    assert found[1].payload is None


def test_weight_then_composition_is_one_weigh_in() -> None:
    """A weight, and 6 s later the composition: one weigh-in with all values, in the words of the fuller message."""
    full = {"Weight": "81,4 kg", "body fat": 18.2, "water": 55.1, "protein": 17}
    found = decide(row(1, 0, {"weight": 81.4}), row(2, 6, full))
    assert carried(found) == {1: None, 2: 1}
    assert found[1].payload == full | {"received_at": "2026-11-26T06:12:00Z"}
    assert found[1].instant == START


def test_values_of_both_arrive() -> None:
    """If neither message has all values, the weigh-in has those of both, and the fuller one's weight."""
    found = decide(
        row(1, 0, {"weight": 81.4, "muscle rate": "60 %", "mood": "good"}),
        row(2, 6, {"weight": 81.3, "body fat": 18.2, "water": 55.1, "bone mass": 3.2}),
    )
    assert carried(found) == {1: None, 2: 1}
    union = values(found[1].payload)
    assert union["weight_kg"] == Decimal("81.3")
    assert {"body_fat_percent", "body_water_percent", "bone_mass_kg", "muscle_mass_kg"} <= union.keys()
    assert found[1].payload is not None
    assert found[1].payload["mood"] == "good"


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        ({"weight": 81.4}, {"weight": 81.8}, 3),
        ({"weight": 20.0}, {"weight": 20.2}, 3),
        ({"weight": 81.4}, {"weight": 81.4}, 61),
        ({"weight": 81.4, "body fat": 18.2}, {"weight": 81.4, "body fat": 18.3}, 3),
        ({"weight": 81.4, "person": "Anna"}, {"weight": 81.4, "person": "Ben"}, 3),
        ({"weight": 81.4}, {"weight": 81.4, "user": "Ben", "person": "Ben"}, 3),
    ],
    ids=["0.4 kg", "1 %", "61 s", "fat", "two people", "a person and nobody"],
)
def test_two_weigh_ins_are_never_joined(first: dict[str, object], second: dict[str, object], seconds: float) -> None:
    """Rows that differ, are far apart or name different people stay apart."""
    assert carried(decide(row(1, 0, first), row(2, seconds, second))) == {1: None, 2: None}


def test_two_people_in_turn_are_two() -> None:
    """Two people on one scale within the window are two weigh-ins, each with its own repetitions."""
    weights = (81.4, 60.2, 81.4, 60.2)
    found = decide(*(row(n, 5 * n, {"weight": weight}) for n, weight in enumerate(weights)))
    assert carried(found) == {0: None, 1: None, 2: 0, 3: 1}


def test_timed_reading_does_not_wait() -> None:
    """A reading with a time of its own, and one that is not understood, is sent at once and joined to nothing."""
    timed = {"weight": 81.4, "timestamp": "2026-11-26T06:12:00Z"}
    found = decide(row(1, 0, timed), row(2, 0, timed), row(3, 0, {"weight": 814}), now=START)
    assert carried(found) == {1: None, 2: None, 3: None}
    assert [found[n].wait_until for n in (1, 2, 3)] == [None, None, None]
    assert (found[1].instant, found[3].instant) == (START, None)


def test_settle_time_counts_from_the_first_weight() -> None:
    """Nothing is decided before the settle time has passed after the first weight."""
    rows = row(1, 0, {"weight": 81.4}), row(2, 6, {"weight": 81.4})
    due = START + timedelta(seconds=10)
    early = decide(*rows, now=START + timedelta(seconds=9))
    assert [early[n].wait_until for n in (1, 2)] == [due, due]
    assert carried(decide(*rows, now=due)) == {1: None, 2: 1}
    assert carried(decide(*rows, now=START + timedelta(seconds=6), settle_s=0)) == {1: None, 2: 1}


def test_window_of_zero_joins_nothing() -> None:
    """A window of 0 joins nothing, and nothing waits."""
    found = decide(row(1, 0, {"weight": 81.4}), row(2, 1, {"weight": 81.4}), now=START, join_s=0)
    assert carried(found) == {1: None, 2: None}
    assert found[1].wait_until is None


# --- values without a weight ---


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_values_of_their_own_become_one(order: tuple[int, ...]) -> None:
    """Values that come one by one, in any order, are one weigh-in."""
    parts = ({"weight": 81.4}, {"body_fat": 18.2}, {"impedance": 503})
    found = decide(*(row(n, n * 0.01, parts[place]) for n, place in enumerate(order)))
    head = order.index(0)
    assert carried(found) == {n: (None if n == head else head) for n in range(3)}
    payload = found[head].payload
    assert payload is not None
    assert {"weight": 81.4, "body_fat": 18.2, "impedance": 503}.items() <= payload.items()


def test_value_belongs_to_the_nearest_weight() -> None:
    """Of two weigh-ins within the window, a value belongs to the nearer one."""
    found = decide(
        row(1, 0, {"weight": 81.4}),
        row(2, 0.1, {"body_fat": 18.2}),
        row(3, 30, {"body_fat": 25.5}),
        row(4, 30.1, {"weight": 60.2}),
    )
    assert carried(found) == {1: None, 2: 1, 3: 4, 4: None}
    assert values(found[4].payload)["body_fat_percent"] == Decimal("25.5")


def test_value_waits_for_a_weight() -> None:
    """A value waits for a weight as long as the window, and then needs a person."""
    alone = row(1, 0, {"body_fat": 18.2})
    assert decide(alone, now=START + timedelta(seconds=59))[1].wait_until == START + timedelta(seconds=60)
    assert decide(alone)[1].without_weight
    assert decide(alone, row(2, 61, {"weight": 81.4}))[1].without_weight
    assert decide(alone, now=START, join_s=0)[1].without_weight


def test_late_value_is_sent_with_its_weight() -> None:
    """A value that comes after its weight was sent is sent with the values of that weigh-in, at its instant."""
    found = decide(
        row(3, 20, {"body_fat": 18.2}), row(4, 21, {"water": 55.1}), sent=(row(1, 0, {"weight": 81.4}),), settle_s=10
    )
    assert carried(found) == {3: None, 4: 3}
    payload = found[3].payload
    assert payload == {"weight": 81.4, "body_fat": 18.2, "water": 55.1, "received_at": "2026-11-26T06:12:00Z"}
    assert found[3].instant == START


def test_second_value_of_a_kind_is_not_joined() -> None:
    """A value that contradicts the weigh-in is not joined to it."""
    found = decide(row(1, 0, {"weight": 81.4}), row(2, 1, {"body_fat": 18.2}), row(3, 2, {"body_fat": 18.4}))
    assert carried(found) == {1: None, 2: 1, 3: None}
    assert found[3].without_weight


def test_body_of_another_program_is_no_value() -> None:
    """A body whose weight is further inside does not wait for a weight: the function unpacks it."""
    state = {"entity_id": "sensor.scale", "state": "81.4", "attributes": {"unit_of_measurement": "kg"}}
    assert decide(row(1, 0, state), now=START)[1] == Decision(1)


def test_deletion_is_sent_as_it_is() -> None:
    """A deletion and a replacement never wait and are joined to nothing."""
    found = decide(row(1, 0, {"weight": 81.4}), row(2, 1, {"weight": 81.4, "event": "delete"}, "take_back"), now=START)
    assert (found[2].wait_until, found[2].joined_to) == (None, None)
    assert found[1].wait_until is not None


def test_what_could_be_one_goes_one_by_one() -> None:
    """Only readings that the function may join need to be sent one after the other."""
    reading = {"weight": 81.4, "measured_at": "2026-11-26T06:12:00Z"}
    near = reading | {"measured_at": "2026-11-26T06:12:30Z"}
    assert could_be_one(reading, near | {"body fat": 18.2}, 60)
    assert could_be_one(reading | {"person": "Anna"}, near, 60)
    assert not could_be_one(reading | {"person": "Anna"}, near | {"person": "Ben"}, 60)
    assert not could_be_one(reading, near | {"weight": 60.2}, 60)
    assert not could_be_one(reading, "81,4 kg", 60)


MESSAGES = st.lists(
    st.tuples(
        st.floats(0, 90),
        st.fixed_dictionaries(
            {},
            optional={
                "weight": st.sampled_from([81.4, 81.5, 60.2]),
                "body_fat": st.sampled_from([18.2, 25.5]),
                "bone mass": st.just(3.2),
                "person": st.sampled_from(["Anna", "Ben"]),
            },
        ),
    ),
    max_size=8,
)


@given(MESSAGES)
def test_no_value_is_lost(messages: list[tuple[float, dict[str, object]]]) -> None:
    """Every row is sent, or carried by a row that is sent and has its values, or needs a person."""
    rows = [row(n, at, payload) for n, (at, payload) in enumerate(sorted(messages, key=lambda each: each[0]))]
    found = decide(*rows)
    for each in rows:
        decision = found[each.id]
        if decision.joined_to is None:
            continue
        carrier = found[decision.joined_to]
        assert carrier.joined_to is None
        assert not carrier.without_weight
        sent = carrier.payload or next(r.payload for r in rows if r.id == carrier.row_id)
        mine, theirs = understand(each.payload, LATER), understand(sent, LATER)
        assert theirs
        assert isinstance(each.payload, dict)
        if "body_fat" in each.payload:
            assert theirs.measures["body_fat_percent"] == Decimal(str(each.payload["body_fat"]))
        if mine:
            assert mine.measures.keys() <= theirs.measures.keys()
            assert mine.person == theirs.person
            assert is_one_weighing(theirs.raws, mine.raws, 60)
