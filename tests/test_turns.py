"""Requests about one weigh-in take turns; others do not wait."""

from __future__ import annotations

import threading

import pytest

from weighbridge.delivery.turns import Turns


@pytest.mark.parametrize(
    ("instants", "waits"),
    [([100], True), ([160], True), ([40], True), ([161], False), ([39], False), ([0, 500], True), ([200, 300], False)],
)
def test_turns(instants: list[int], waits: bool) -> None:
    """What could be one weigh-in with the request under way waits for its end; anything else goes ahead."""
    turns, entered = Turns(60), threading.Event()

    def other() -> None:
        with turns.of(instants):
            entered.set()

    thread = threading.Thread(target=other)
    with turns.of([100]):
        thread.start()
        assert entered.wait(0.2 if waits else 30) is not waits
    thread.join(30)
    assert entered.is_set()


def test_turn_ends_with_a_fault() -> None:
    """A request that fails gives its turn back."""
    turns = Turns(0)
    with pytest.raises(RuntimeError), turns.of([1]):
        raise RuntimeError
    with turns.of([1]):
        pass
