"""Notifies a person of a sign-in that ends, or that has ended.

Rule: of each event there is one notice, from whichever process finds it first. The last notice is in a file beside the
token. When the sign-in works again, it starts over.

Facts: nothing here asks Garmin. What is known was learned by the last delivery or renewal.

Weakness: without a file (a token in Secret Manager) each process remembers for itself, so each new one sends it again.
The sign-in of the delivery `browser` is in its profile, and does not say when it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import SignInNeeded, TokenStoreUnusable
from ..notify import events
from ..notify.events import Notice
from ..notify.send import LONGEST_S, Notifier, failures, was_taken
from ..state_file import StateFile, number
from .sessions.port import Session

#: How long a process has to send a notice, before another tries.
SEND_WITHIN_S = 4 * LONGEST_S


class SignInWatch:
    """Looks at the sign-in of one account. Safe to share between threads."""

    def __init__(
        self,
        session: Session,
        token_name: str,
        file: Path | None,
        notifier: Notifier,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`file`: of the last notice; None = remember in this process only."""
        self._session = session
        self._token_name = token_name
        self._file = StateFile(file)
        self._notifier = notifier
        self._now = now

    def look(self) -> str:
        """Send the notice that is due. Returns what failed, for a log; "" if nothing did."""
        notice = self._notice()
        if notice is None:
            if self._file.read():
                self._file.change(lambda _: {})
            return ""
        if not self._is_due(notice):
            return ""
        sent = self._notifier.send(notice)
        if was_taken(sent):
            self._file.change(lambda known: {**known, "sent": True} if _is_about(known, notice) else known)
        return failures(sent)

    def _notice(self) -> Notice | None:
        name = self._token_name
        try:
            days = self._session.token_days_left()
            failure = self._session.renewal_failure()
        except SignInNeeded as fault:
            return events.sign_in_needed(name, str(fault))
        except TokenStoreUnusable as fault:
            return events.sign_in_not_renewed(name, str(fault))
        if days is not None and days <= 0:
            return events.sign_in_needed(name, f"It has ended. {self._session.sign_in_again}")
        if failure:
            return events.sign_in_not_renewed(name, failure)
        return None if days is None else events.sign_in_ends(name, days)

    def _is_due(self, notice: Notice) -> bool:
        """Whether the caller is to send it: nobody has, and nobody else is about to."""
        now, is_first = self._now(), False

        def is_open(known: Mapping[str, Any]) -> bool:
            taken = _is_about(known, notice)
            return not taken or not (known.get("sent") is True or 0 <= now - number(known.get("at")) < SEND_WITHIN_S)

        def changed(known: Mapping[str, Any]) -> Mapping[str, Any]:
            nonlocal is_first
            # It is called again for the memory of the process if the file cannot be written.
            is_first = is_first or is_open(known)
            return {"code": notice.code, "title": notice.title, "at": now, "sent": False} if is_first else known

        if is_open(self._file.read()):
            self._file.change(changed)
        return is_first


def _is_about(known: Mapping[str, Any], notice: Notice) -> bool:
    return known.get("code") == notice.code and known.get("title") == notice.title
