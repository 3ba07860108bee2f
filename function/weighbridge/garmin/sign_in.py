"""The state of a sign-in, in a file beside its token: whose it is, when Garmin may be asked again, what it has refused,
and when a reading last arrived.

Rule: what Garmin has refused is not asked again without a reason: nothing before the time that it named, and nothing
with a token that it no longer accepts. Every thread and process with this token knows it at once. The file has no
secret and no measurement: of a token it has a part of its hash.

Facts: a waiting time counts only if it cannot be longer than when it was noted. So after the clock was set back, or in
a file that somebody has changed, Garmin is asked once more, which costs one request. A refusal ends after `REFUSED_S`
for the same reason: a fault of Garmin must not need a person.

Strategy: the file has one size and is written in place under its own lock. That needs no space on a full disk, and a
reader waits for a writer. A file that cannot be read is an empty one. One that cannot be written is made up for by the
memory of the process.

Weakness: without a file (a token in Secret Manager) each session remembers for itself. Requests that are on their way
when Garmin refuses the first are not stopped, but after a refusal, and at the start, requests take turns.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import RateLimited
from ..private import make_private_folder
from ..secret import SecretStr
from .answers import LONGEST_RETRY_AFTER_S, REFUSALS

#: How long a token that Garmin has refused is not tried again: once a day cannot do harm.
REFUSED_S = 86_400
SIZE_BYTES = 4096
MOST_WORDS = 500  # each at most 6 bytes of JSON
LONGEST_NAME = 80


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
    #: The name that Garmin shows for the account.
    signed_in_as: str = ""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def read_state(content: bytes) -> State:
    """The content of a file. Whatever is not as expected is as if it were not there."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return State()
    if not isinstance(value, dict):
        return State()
    refused = value.get("refused")
    refused = refused if isinstance(refused, dict) else {}
    return State(
        _number(value.get("not_before")),
        _number(value.get("wait_s")),
        {mark: _number(at) for mark, at in refused.items()},
        str(value.get("failed") or ""),
        str(value.get("why") or "")[:MOST_WORDS],
        _number(value.get("succeeded_at")),
        str(value.get("signed_in_as") or "")[:LONGEST_NAME],
    )


class SignIn:
    """The state of one sign-in. Safe to share between threads and processes."""

    def __init__(self, path: Path | None, now: Callable[[], float] = time.time) -> None:
        """`path`: of the file; None = remember in this process only."""
        self._path = path
        self._now = now
        self._remembered = State()
        self._is_written = True
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
        self._change(lambda state: replace(state, failed=_mark(token), why=why[:MOST_WORDS]))

    def failure(self, token: SecretStr) -> str:
        """Why the last renewal with this refresh token failed; "" if it did not."""
        state = self._read()
        return state.why if state.failed == _mark(token) else ""

    def signed_in(self, name: str) -> None:
        """Somebody has signed in to the account with this name; "" if it is not known, or after signing out."""
        self._change(lambda state: replace(state, signed_in_as=name[:LONGEST_NAME]))

    def signed_in_as(self) -> str:
        """The name of the account; "" if it is not known."""
        return self._read().signed_in_as

    def succeeded(self) -> None:
        """Garmin has taken a reading, or shown that it has it."""
        now = float(int(self._now()))
        self._change(lambda state: replace(state, succeeded_at=now))

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

    # -- the file ----------------------------------------------------------------------------------------

    def _read(self) -> State:
        if self._path is None or not self._is_written:
            return self._remembered
        try:
            with self._opened(os.O_RDONLY, fcntl.LOCK_SH) as handle:
                return read_state(os.pread(handle, SIZE_BYTES, 0))
        except FileNotFoundError:
            return State()
        except OSError:
            return self._remembered

    def _change(self, change: Callable[[State], State]) -> None:
        try:
            if self._path is not None:
                self._is_written = self._write(self._path, change)
                return
        except OSError:
            self._is_written = False
        self._remembered = change(self._remembered)

    def _write(self, path: Path, change: Callable[[State], State]) -> bool:
        make_private_folder(path.parent)
        with self._opened(os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as handle:
            self._remembered = change(read_state(os.pread(handle, SIZE_BYTES, 0)))
            return os.pwrite(handle, self._remembered.to_json().ljust(SIZE_BYTES), 0) == SIZE_BYTES

    @contextlib.contextmanager
    def _opened(self, flags: int, lock: int) -> Iterator[int]:
        handle = os.open(self._path or "", flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, lock)
            yield handle
        finally:
            os.close(handle)


def _mark(token: SecretStr) -> str:
    return hashlib.sha256(token.get_secret_value().encode()).hexdigest()[:16]


def _number(value: Any) -> float:
    # A JSON number may be NaN, infinite, or an int too large for a float.
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11
    return float(value) if usable else 0.0
