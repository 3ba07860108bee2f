"""How long the outbox waits: as long as it was asked to, at random, and once for all that fare the same."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from weighbridge.client import Result, problem
from weighbridge_outbox.pauses import Pauses
from weighbridge_outbox.verdict import FOR_ANOTHER, SOON, NextStep, judge


def fault(*, retry_after_s: float | None = None, blame: str = "garmin") -> NextStep:
    body = problem("rate-limited", "", "", blame="garmin", again="later") | {"blame": blame}
    return judge(Result(body if retry_after_s is None else body | {"retry_after_s": retry_after_s}))


DONE = NextStep("confirmed", Result({"status": "confirmed", "final": True}))


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=range(5))
def pauses(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Pauses]:
    return Pauses(86_400, random.Random(request.param), clock)


def test_readings_that_fare_the_same_have_one_pause(pauses: Pauses) -> None:
    """The readings of one request that fare the same have one pause, that of the fewest attempts."""
    first, *others = pauses.of([(fault(), attempts) for attempts in (7, 0, 3)])
    assert first is not None
    assert 2.5 <= first <= 5
    assert others == [first, first]
    assert pauses.of([(DONE, 0), (fault(), 0)])[0] is None


def test_pauses_differ() -> None:
    """Pauses are random, so that workers do not ask at the same moment."""
    drawn = {Pauses(86_400, random.Random(seed)).of([(fault(), 0)])[0] for seed in range(10)}
    assert len(drawn) == 10


@pytest.mark.parametrize(("asked_s", "least_s", "most_s"), [(3, 3, 4.3), (600, 600, 661), (1e6, 86_400, 86_400)])
def test_asked_pause_is_kept(pauses: Pauses, asked_s: float, least_s: float, most_s: float) -> None:
    """A pause is never shorter than what was asked for, unless that is longer than the longest."""
    (pause_s,) = pauses.of([(fault(retry_after_s=asked_s), 0)])
    assert pause_s is not None
    assert least_s <= pause_s <= most_s


def test_shared_fault_pauses_all(pauses: Pauses, clock: Clock) -> None:
    """After a shared fault nothing is sent until the pause is over, and no reading is due before."""
    assert pauses.left_s == 0
    pauses.hear([fault(retry_after_s=60)], shared=True)
    assert 60 <= pauses.left_s <= 67
    (pause_s,) = pauses.of([(NextStep("waiting", Result({}), FOR_ANOTHER), 0)])
    assert pause_s == pauses.left_s
    clock.now_s += 67
    assert pauses.left_s == 0


def test_pause_grows_with_failures_in_a_row(pauses: Pauses, clock: Clock) -> None:
    """The pause for all doubles with each failure in a row, and starts again after an answer."""
    lengths = []
    for _ in range(4):
        pauses.hear([fault()], shared=True)
        lengths.append(pauses.left_s)
        clock.now_s += 10_000
    assert all(SOON.after(n) / 2 <= length <= SOON.after(n) for n, length in enumerate(lengths))
    pauses.hear([DONE], shared=False)
    pauses.hear([fault()], shared=True)
    assert pauses.left_s <= 5


def test_answer_ends_the_pause(pauses: Pauses) -> None:
    """An answer about the readings themselves ends the pause for all."""
    pauses.hear([fault(retry_after_s=60)], shared=True)
    pauses.hear([DONE], shared=False)
    assert pauses.left_s == 0
