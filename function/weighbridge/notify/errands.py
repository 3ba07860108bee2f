"""Work that is done after an answer: one piece at a time, in the order in which it came.

Rule: nobody waits for it, and its failure is only logged. At rest there is no thread, so nothing wakes up.

Weakness: what is left when the program ends is not done. A host that gives a program time only during requests (Cloud
Run by default) may do it with the next request.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

MOST_WAITING = 16

_log = logging.getLogger(__name__)


class Errands:
    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_running = False
        self._lock = threading.Lock()

    def add(self, work: Callable[[], None]) -> None:
        """Do it soon. If too much waits, the oldest is dropped: what comes later knows more."""
        with self._lock:
            if len(self._waiting) == MOST_WAITING:
                self._waiting.popleft()
                _log.warning("a notice or a ping was left out: too many wait")
            self._waiting.append(work)
            if self._is_running:
                return
            self._is_running = True
        threading.Thread(target=self._run, name="errands", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_running = False
                    return
                work = self._waiting.popleft()
            try:
                work()
            except Exception as e:  # noqa: BLE001  # the next one has its turn
                _log.error("a notice or a ping failed with %s", type(e).__name__)  # its text may hold an address
