"""Where answers are worked out: threads with a bound, so that nothing quick waits for anything slow.

Rule: what needs less than a millisecond stays in the event loop. What waits for Garmin, a disk or a lock goes to a
bounded pool. When too many wait there already, the next caller is asked to come back (503), and nothing was sent.

Weakness: the threads share one interpreter, so long calculations slow down the event loop, although they do not stop
it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..errors import Busy

_Result = TypeVar("_Result")


class Pool:
    """A fixed number of threads, and a limit for those that wait for one."""

    def __init__(self, name: str, threads: int, most_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most = threads + most_waiting
        self._inside = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """The result of `work`, once it has had its turn. Raises `Busy`."""
        with self._lock:
            if self._inside >= self._most:
                raise Busy("Too many requests are being worked on. Nothing was sent; send it again.")
            self._inside += 1
        future = self._executor.submit(work)
        # Counted until the work has ended, although its caller may be gone.
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for the work that was taken, and end the threads. Nothing may be run afterwards."""
        self._executor.shutdown()

    def _leave(self, _future: object) -> None:
        with self._lock:
            self._inside -= 1
