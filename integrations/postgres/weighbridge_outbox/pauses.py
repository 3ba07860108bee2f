"""How long to wait before a reading is sent again, and whether anything may be sent now.

Rule: a pause is at least what was asked for (`Retry-After`), never longer than the longest, and random, since others
may wait for the same moment. The readings of one request that fare the same have one pause, so they stay together.

Rule: what the readings of a request share, such as a function that is down or a Garmin that asks to wait, others would
share too. So nothing is sent until the pause is over: after it one request finds out, instead of one for each reading.
Only what someone sends again by hand goes at once.

Strategy: each worker remembers its own pause, and forgets it when it is restarted. Its length grows with the failures
in a row, not with the attempts of a reading: one reading that always fails must not hold up the others.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from .verdict import NextStep


class Pauses:
    """The pauses of one worker."""

    def __init__(self, longest_s: float, dice: random.Random, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._longest_s, self._dice, self._monotonic = longest_s, dice, monotonic
        self._failures = 0
        self._until = 0.0

    @property
    def left_s(self) -> float:
        """For how long nothing is to be sent; 0 if it may be."""
        return max(0.0, self._until - self._monotonic())

    def hear(self, steps: Sequence[NextStep], *, shared: bool) -> None:
        """Learn from a request. `shared`: whether other readings would fare the same."""
        if not shared:
            self._failures, self._until = 0, 0.0
        elif pauses := [pause_s for step in steps if (pause_s := self._drawn(step, self._failures)) is not None]:
            self._failures += 1
            self._until = self._monotonic() + max(pauses)

    def of(self, steps: Sequence[tuple[NextStep, int]]) -> list[float | None]:
        """The pause of each reading of a batch, from what is next and the attempts before; None: its job ends."""
        alike: dict[tuple[object, ...], list[int]] = {}
        for step, attempts in steps:
            alike.setdefault(_kind(step), []).append(attempts)
        drawn: dict[tuple[object, ...], float | None] = {}
        for step, _ in steps:
            if (kind := _kind(step)) not in drawn:
                drawn[kind] = self._drawn(step, min(alike[kind]))
        left_s = self.left_s
        pauses = [drawn[_kind(step)] for step, _ in steps]
        return [None if pause_s is None else max(pause_s, left_s) for pause_s in pauses]

    def _drawn(self, step: NextStep, attempts: int) -> float | None:
        if step.pause is None:
            return None
        if (asked_s := step.result.retry_after_s) is not None:
            pause_s = asked_s + self._dice.uniform(0, 1 + asked_s / 10)
        else:
            pause_s = step.pause.after(attempts) * self._dice.uniform(0.5, 1)
        return min(pause_s, self._longest_s)


def _kind(step: NextStep) -> tuple[object, ...]:
    return step.name, step.pause, step.result.retry_after_s
