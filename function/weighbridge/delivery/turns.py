"""Turns: of requests that could be about one weigh-in, one at a time.

Rule: two messages of one weigh-in that arrive together would both find nothing there, and would both be sent. Requests
about other instants do not wait for each other.

Strategy: each request has an upload of its own, however many arrive together. To put them into one file, the first
would have to wait for the others, and Garmin's one answer to the file, a refusal or a silence, would be the answer to
all of them. Whoever has several readings sends them in one call, as the outbox does, and that is one upload.

Weakness: turns are kept within one process.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Span(NamedTuple):
    first_s: int
    last_s: int


class Turns:
    """The turns of one account."""

    def __init__(self, apart_s: float) -> None:
        """`apart_s`: how many seconds apart two messages of one weigh-in may be."""
        self._apart_s = apart_s
        self._taken: list[Span] = []
        self._changed = threading.Condition()

    @contextmanager
    def of(self, instants_s: Collection[int]) -> Iterator[None]:
        """Wait for the turn of everything from the first to the last of these instants, and keep it for the block."""
        span = Span(min(instants_s), max(instants_s))
        with self._changed:
            self._changed.wait_for(lambda: not any(self._touch(span, taken) for taken in self._taken))
            self._taken.append(span)
        try:
            yield
        finally:
            with self._changed:
                self._taken.remove(span)
                self._changed.notify_all()

    def _touch(self, one: Span, other: Span) -> bool:
        return one.first_s - other.last_s <= self._apart_s and other.first_s - one.last_s <= self._apart_s
