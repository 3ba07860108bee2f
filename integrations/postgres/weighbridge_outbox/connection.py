"""A connection to Postgres that sleeps until something arrives.

Facts (psycopg 3.3): a wait wakes up ten times a second, so that Ctrl-C can end it in a program without asyncio. In the
event loop a cancellation ends it at once, so a worker that listens for readings does not need that.
"""

from __future__ import annotations

from typing import TypeVar

import psycopg
from psycopg.abc import PQGen

_Result = TypeVar("_Result")

#: With a time limit, a wait ends at that limit.
LONGEST_SLEEP_S = 60.0


class SleepingConnection(psycopg.AsyncConnection[psycopg.rows.TupleRow]):
    """For the pool of procrastinate, which also listens with it."""

    async def wait(
        self,
        gen: PQGen[_Result],
        interval: float = LONGEST_SLEEP_S,
        timeout: float | None = None,  # psycopg's
    ) -> _Result:
        return await super().wait(gen, interval=interval, timeout=timeout)
