"""The state of a sign-in, in a file beside its token: whose it is, when Garmin may be asked again, what it has refused,
what the last delivery came to, and when a reading last arrived.

Rule: what Garmin has refused is not asked again without a reason: nothing before the time that it named, and nothing
with a token that it no longer accepts. Every thread and process with this token knows it at once. The file has no
secret and no measurement: of a token it has a part of its hash.

Facts: a waiting time counts only if it cannot be longer than when it was noted. So after the clock was set back, or in
a file that somebody has changed, Garmin is asked once more, which costs one request. A refusal ends after `REFUSED_S`
for the same reason: a fault of Garmin must not need a person.

Weakness: without a file (a token that is not in a folder) each session remembers for itself. Requests that are on
their way when Garmin refuses the first are not stopped, but after a refusal, and at the start, requests take turns.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..delivery.last_outcome import (
    MOST_CHARACTERS,
    SIGN_IN_NEEDED,
    LastOutcome,
    next_outcome,
    read_last_outcome,
)
from ..delivery.port import Delivered, Outcome
from ..errors import RateLimited
from ..secret import SecretStr
from ..state_file import StateFile, number
from .answers import LONGEST_RETRY_AFTER_S, REFUSALS

#: How long a token that Garmin has refused is not tried again: once a day cannot do harm.
REFUSED_S = 86_400
LONGEST_NAME = 80
#: From how many days before its end a sign-in or a key is announced to end.
ANNOUNCED_DAYS = 14


@dataclass(frozen=True, slots=True)
class State:
    """What is known. Times are Unix seconds."""

    not_before: float = 0.0
    #: How long the wait was when it was noted.
    wait_s: float = 0.0
    #: A part of the hash of a token that Garmin has refused -> when.
    refused: Mapping[str, float] = field(default_factory=dict)
    #: A part of the hash of a token whose renewal failed, and why.
    failed: str = ""
    why: str = ""
    #: When Garmin last took a reading, or showed that it has it.
    succeeded_at: float = 0.0
    #: The name of a delivery -> what its last one came to.
    outcomes: Mapping[str, LastOutcome] = field(default_factory=dict)
    #: A part of the hash of the token with which a delivery needed a sign-in.
    signed_out: str = ""
    #: The name that Garmin shows for the account.
    signed_in_as: str = ""


def read_state(value: Mapping[str, Any]) -> State:
    """The content of a file. Whatever is not as expected is as if it were not there."""
    refused, outcomes = (each if isinstance(each := value.get(n), dict) else {} for n in ("refused", "outcomes"))
    return State(
        number(value.get("not_before")),
        number(value.get("wait_s")),
        {mark: number(at) for mark, at in refused.items()},
        str(value.get("failed") or ""),
        str(value.get("why") or "")[:MOST_CHARACTERS],
        number(value.get("succeeded_at")),
        {name: read_last_outcome(outcome) for name, outcome in outcomes.items()},
        str(value.get("signed_out") or ""),
        str(value.get("signed_in_as") or "")[:LONGEST_NAME],
    )


class SignIn:
    """The state of one sign-in. Safe to share between threads and processes."""

    def __init__(self, path: Path | None, now: Callable[[], float] = time.time) -> None:
        """`path`: of the file; None = remember in this process only."""
        self._file = StateFile(path)
        self._now = now
        self._turn = threading.Lock()
        self._is_open = False
        self._waits = 0

    def check(self) -> None:
        """Raises `RateLimited` while Garmin asks to wait."""
        state = self._read()
        left_s = state.not_before - self._now()
        if 0 < left_s <= min(state.wait_s, LONGEST_RETRY_AFTER_S):
            raise RateLimited(REFUSALS[429], math.ceil(left_s))

    def wait(self, seconds: float) -> None:
        """Garmin asks to wait."""
        self._waits += 1
        self._is_open = False
        until = self._now() + seconds
        self._change(lambda state: replace(state, not_before=until, wait_s=seconds))

    def is_refused(self, token: SecretStr) -> bool:
        """Whether Garmin no longer accepts this token."""
        at = self._read().refused.get(_mark(token))
        return at is not None and 0 <= self._now() - at < REFUSED_S

    def refuse(self, token: SecretStr) -> None:
        """Garmin no longer accepts this token."""
        now = self._now()

        def changed(state: State) -> State:
            still = {mark: at for mark, at in state.refused.items() if 0 <= now - at < REFUSED_S}
            return replace(state, refused={**dict([*still.items()][-3:]), _mark(token): now})

        self._change(changed)

    def renewal_failed(self, token: SecretStr, why: str) -> None:
        """The renewal with this refresh token failed. This counts as long as it is the stored one."""
        self._change(lambda state: replace(state, failed=_mark(token), why=why[:MOST_CHARACTERS]))

    def failure(self, token: SecretStr) -> str:
        """Why the last renewal with this refresh token failed; "" if it did not."""
        state = self._read()
        return state.why if state.failed == _mark(token) else ""

    def signed_in(self, name: str | None = None) -> None:
        """Somebody has signed in to the account with this name; "" after signing out, None if it is the same."""
        self._change(
            lambda state: replace(
                state, outcomes={}, signed_in_as=state.signed_in_as if name is None else name[:LONGEST_NAME]
            )
        )

    def signed_in_as(self) -> str:
        """The name of the account; "" if it is not known."""
        return self._read().signed_in_as

    def ended(self, delivery: str, outcomes: Collection[Outcome], token: SecretStr | None = None) -> None:
        """A delivery of this name has ended like this, with this token."""
        now = float(int(self._now()))
        arrived = any(isinstance(outcome, Delivered) for outcome in outcomes)

        def changed(state: State) -> State:
            last = next_outcome(state.outcomes.get(delivery, LastOutcome()), outcomes, now)
            return replace(
                state,
                succeeded_at=now if arrived else state.succeeded_at,
                outcomes={**state.outcomes, delivery: last},
                signed_out=_mark(token) if token and last.code == SIGN_IN_NEEDED else state.signed_out,
            )

        self._change(changed)

    def last_outcome(self, delivery: str, token: SecretStr | None = None) -> LastOutcome:
        """What the last delivery of this name came to. With another token, it does not need a sign-in any more."""
        state = self._read()
        last = state.outcomes.get(delivery, LastOutcome())
        is_repaired = token and last.code == SIGN_IN_NEEDED and state.signed_out != _mark(token)
        return replace(last, why="") if is_repaired else last

    def last_success_at(self) -> datetime | None:
        """When that was, in UTC; None if it never was."""
        at = self._read().succeeded_at
        return datetime.fromtimestamp(at, UTC) if at else None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """For one request. Until Garmin has answered one without asking to wait, requests take turns, so that those
        that wait learn from the first. Raises `RateLimited`."""
        if self._is_open:
            self.check()
            yield
            return
        with self._turn:
            self.check()
            if not self._is_open:
                waits = self._waits
                try:
                    yield
                finally:
                    self._is_open = waits == self._waits
                return
        yield

    def _read(self) -> State:
        return read_state(self._file.read())

    def _change(self, change: Callable[[State], State]) -> None:
        self._file.change(lambda content: asdict(change(read_state(content))))


def _mark(token: SecretStr) -> str:
    return hashlib.sha256(token.get_secret_value().encode()).hexdigest()[:16]
