"""What is done after the answer to a delivery: a ping, a look at each sign-in, and a notice of a reading that was
refused.

Rule: the answer never waits for it, and it never changes an answer. A reading that is sent again and refused again is
notified once.

Strategy: a delivery succeeded if a reading went where it was meant to go. It failed if somebody must do something: sign
in, fix a setting, import a file by hand. What may pass by itself, such as a Garmin that asks to wait, is neither: if it
does not pass, the pings stop, and the monitor raises its alarm.

Facts: a caller that names itself `weighbridge/…` shows its user what is refused: the outbox parks it, the page and the
import show it.

Weakness: which refusals were notified is remembered in this process only.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .garmin.watch import SignInWatch
from .notes import Code
from .notify import events
from .notify.errands import Errands
from .notify.ping import Ping
from .notify.send import Notifier, failures

#: So many notices of refused readings within so many seconds; a caller may send anything.
MOST_REFUSALS, WITHIN_S = 5, 600.0
#: Refusals that are remembered.
REMEMBERED = 256
#: A caller that shows its user what is refused.
SHOWS_IT = "weighbridge/"

_log = logging.getLogger(__name__)


class Afterwards:
    """Safe to share between threads."""

    def __init__(
        self,
        ping: Ping | None,
        notifier: Notifier | None,
        watches: Sequence[SignInWatch],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ping = ping
        self._notifier = notifier
        self._watches = tuple(watches)
        self._monotonic = monotonic
        self._errands = Errands()
        self._known: deque[str] = deque(maxlen=REMEMBERED)
        self._refusals: deque[float] = deque(maxlen=MOST_REFUSALS)

    def answered(self, bodies: Sequence[Mapping[str, Any]], content: bytes, key: str, user_agent: str) -> None:
        """`bodies`: the receipts and problems of one request. Returns at once."""
        found = [*_flat(bodies)]
        succeeded = _succeeded(found)
        refused = [body for body in found if is_refusal(body)]
        if self._ping and succeeded is not None:
            self._errands.add(lambda: self._send_ping(success=bool(succeeded)))
        if self._watches and len(refused) < len(found):
            self._errands.add(self._look)
        if self._notifier and refused and not user_agent.startswith(SHOWS_IT):
            self._errands.add(lambda: self._notify_of_refusal(refused, content, key))

    def _send_ping(self, *, success: bool) -> None:
        if self._ping and (why := self._ping.send(success=success)):
            _log.warning("the ping of WEIGHBRIDGE_PING_URL was not taken: %s", why)

    def _look(self) -> None:
        for watch in self._watches:
            if why := watch.look():
                _log.warning("a notice about a sign-in was not sent: %s", why)

    def _notify_of_refusal(self, refused: Sequence[Mapping[str, Any]], content: bytes, key: str) -> None:
        mark = hashlib.sha256(content).hexdigest()
        if self._notifier is None or mark in self._known:
            return
        now = self._monotonic()
        if len(self._refusals) == MOST_REFUSALS and now - self._refusals[0] < WITHIN_S:
            _log.warning("a notice about a refused reading was left out: %d were sent just now", MOST_REFUSALS)
            return
        self._known.append(mark)
        self._refusals.append(now)
        if why := failures(self._notifier.send(events.reading_refused(refused, key))):
            _log.warning("a notice about a refused reading was not sent: %s", why)


def _flat(bodies: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for body in bodies:
        if isinstance(results := body.get("results"), Sequence):
            yield from _flat(results)
        else:
            yield body


def is_refusal(body: Mapping[str, Any]) -> bool:
    """Whether this is a problem with a reading that only its sender can fix."""
    return body.get("blame") == "caller" and body.get("again") == "never" and body.get("type") != _NOT_FOUND


_NOT_FOUND = "urn:weighbridge:not-found"  # a deletion of what is not there


def _succeeded(bodies: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether the delivery succeeded; None if neither: nothing was to be delivered, or it may pass by itself."""
    if any(map(_needs_somebody, bodies)):
        return False
    return True if any(body.get("status") in _ARRIVED for body in bodies) else None


#: `kept` if that is where it was meant to go.
_ARRIVED = ("confirmed", "present", "accepted", "kept")


def _needs_somebody(body: Mapping[str, Any]) -> bool:
    if "blame" in body:
        return bool(body["blame"] != "caller" and (body["again"] == "after_repair" or body["blame"] == "weighbridge"))
    return body["status"] == "kept" and Code.FELL_BACK.code in {warning["code"] for warning in body["warnings"]}
