"""The attempts to sign in to one account, in a file beside its token: when the next one is allowed, and the one that
waits for its code.

Rule: one attempt at a time, in every thread and process. After a failure the next one has to wait, because repeated
failures lock an account for one to three days. The file stops a script in a loop, too. What waits for a code can be
finished once, within `CODE_S`, by who has its state, and read by nobody else: it is sealed with the state, which is
in no file.

Facts: what waits holds Garmin's cookies, which are as secret as a token. The file is readable only by its owner, too.
Its name begins with a dot, so no backup has it. It is emptied, not deleted, because its lock belongs to the open file.

Strategy: whoever looks at the file after the end of what waits removes it, also who only asks how long to wait.

Weakness: where the token is in Secret Manager, the file is still on this machine, so a code must come back to it. If
nobody ever looks again, what waits stays: without its state, nobody can read it, and Garmin has forgotten it by then.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..commands import DEFAULT_TOKEN
from ..errors import Busy, CodesUsedUp, CoolDown, RateLimited, SignInEnded, TokenStoreUnusable, WeighbridgeError
from ..private import make_private_folder
from ..secret import SecretStr
from .sealed import seal, unseal
from .sessions.steps import Pending

#: Seconds to wait after the first, second … failure in a row; the last one stays.
COOL_DOWN_S = (60, 300, 1800, 6 * 3600, 24 * 3600)
RATE_LIMIT_COOL_DOWN_S = 3600

#: How long a code is waited for, and how many wrong ones may be typed: Garmin counts each towards its lock.
CODE_S = 300
CODES = 3

ENDED = (
    "No sign-in waits for this code: it took more than five minutes, was finished already, or another one began. "
    "Sign in again."
)
ENOUGH = (
    "The code was rejected, and this sign-in cannot send another. Wait, then sign in again: further failures lock the "
    "account."
)


class Waiting(NamedTuple):
    """A sign-in that waits for its code. Its `repr` shows no secret."""

    #: What only its caller has.
    state: SecretStr
    expires_at: float
    #: The library that began it, and what it needs to finish.
    library: str
    pending: Pending
    wrong_codes: int = 0


class _Sealed(NamedTuple):
    """The same, as the file has it."""

    expires_at: float
    content: str

    @classmethod
    def of(cls, waiting: Waiting) -> _Sealed:
        content = [waiting.library, waiting.pending.content.get_secret_value(), waiting.wrong_codes]
        text, expires_at = SecretStr(json.dumps(content)), float(waiting.expires_at)
        return cls(expires_at, seal(text, waiting.state, repr(expires_at)))

    def opened(self, state: SecretStr) -> Waiting | None:
        """None if the state is another one, or the file was changed."""
        text = unseal(self.content, state, repr(self.expires_at))
        if text is None:
            return None
        library, pending, wrong_codes = json.loads(text.get_secret_value())
        return Waiting(state, self.expires_at, library, Pending(SecretStr(pending)), wrong_codes)


@dataclass(frozen=True, slots=True)
class _File:
    failures: int = 0
    until: float = 0.0
    waiting: _Sealed | None = None

    def at(self, now_s: float) -> _File:
        """Without what has ended. After the clock was set back, something could wait for ever."""
        return self if self.waiting and 0 < self.waiting.expires_at - now_s <= CODE_S else replace(self, waiting=None)


class Attempts:
    """The attempts to sign in to the account with this token name."""

    def __init__(self, folder: Path, name: str = DEFAULT_TOKEN, *, now: Callable[[], float]) -> None:
        self.path = folder / f".{name}.attempt"
        self._now = now

    @contextlib.contextmanager
    def turn(self) -> Iterator[Turn]:
        """For one attempt. Raises `Busy` while there is another one, or `TokenStoreUnusable`."""
        try:
            make_private_folder(self.path.parent)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise self.unusable(e) from e
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(
                    "Somebody is signing in to this account at the moment. Try again when that has ended."
                ) from None
            turn = Turn(self, handle, self._now)
            turn.probe()
            yield turn
        finally:
            os.close(handle)

    def left_s(self) -> int:
        """How long the next attempt with a password has to wait."""
        try:
            file = _read(self.path.read_bytes())
        except OSError:
            return 0
        if file != file.at(self._now()):
            with contextlib.suppress(Busy, TokenStoreUnusable), self.turn():
                pass  # which removes it
        return _left_s(file, self._now())

    def unusable(self, fault: OSError) -> TokenStoreUnusable:
        return TokenStoreUnusable(
            f"The token folder {self.path.parent} cannot be written: {fault.strerror}. Fix that, or name another "
            "folder with WEIGHBRIDGE_TOKENS. Garmin was not asked."
        )


class Turn:
    """One attempt, which nobody else makes at the same time."""

    def __init__(self, attempts: Attempts, handle: int, now: Callable[[], float]) -> None:
        self._attempts, self._handle, self._now = attempts, handle, now

    def probe(self) -> None:
        """Remove what has ended. Raises `TokenStoreUnusable` if the file cannot be written: a sign-in would be lost."""
        self._write(self._read().at(self._now()))

    def check(self) -> None:
        """Raises `CoolDown` until the next attempt is allowed."""
        if left_s := _left_s(self._read(), self._now()):
            raise CoolDown(
                f"The last sign-in failed. Wait {duration(left_s)} before the next one: repeated failures lock the "
                "account for one to three days. You can use your own browser at once.",
                left_s,
            )

    def failed(self, *faults: WeighbridgeError) -> None:
        """An attempt has failed, with each library that was tried. The next one has to wait, longer each time."""
        file = self._read()
        wait_s = COOL_DOWN_S[min(file.failures, len(COOL_DOWN_S) - 1)]
        for fault in faults:
            if isinstance(fault, RateLimited):
                wait_s = max(wait_s, fault.retry_after_s, RATE_LIMIT_COOL_DOWN_S)
        self._write(_File(file.failures + 1, self._now() + wait_s))

    def succeeded(self) -> None:
        self._write(_File())

    def wait_for_code(self, library: str, pending: Pending) -> tuple[SecretStr, float]:
        """Keep what waits for a code; an older one ends. Its state, and when it ends."""
        waiting = Waiting(SecretStr(secrets.token_urlsafe(32)), self._now() + CODE_S, library, pending)
        self._keep(waiting)
        return waiting.state, waiting.expires_at

    def waiting(self, state: SecretStr) -> Waiting:
        """What waits for the code that belongs to this state. Raises `SignInEnded`."""
        sealed = self._read().waiting
        waiting = sealed and sealed.opened(state)
        if waiting is None:
            raise SignInEnded(ENDED)
        return waiting

    def wrong_code(self, waiting: Waiting, pending: Pending | None) -> None:
        """Keep it for another code, if Garmin and `CODES` allow one. Raises `CodesUsedUp` if not."""
        if pending is None or waiting.wrong_codes + 1 >= CODES:
            self.failed(fault := CodesUsedUp(ENOUGH))
            raise fault
        self._keep(waiting._replace(pending=pending, wrong_codes=waiting.wrong_codes + 1))

    def _keep(self, waiting: Waiting) -> None:
        self._write(replace(self._read(), waiting=_Sealed.of(waiting)))

    def _read(self) -> _File:
        return _read(os.pread(self._handle, 1 << 20, 0))

    def _write(self, file: _File) -> None:
        content = b"" if file == _File() else json.dumps(_to_json(file)).encode()
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, content, 0)
        except OSError as e:
            raise self._attempts.unusable(e) from e


def _to_json(file: _File) -> dict[str, Any]:
    return {"failures": file.failures, "until": file.until, "waiting": file.waiting and file.waiting._asdict()}


def _read(content: bytes) -> _File:
    """The content of a file. Whatever is not as expected is as if it were not there."""
    try:
        value = json.loads(content)
        waiting = value["waiting"]
        sealed = _Sealed(float(waiting["expires_at"]), str(waiting["content"])) if waiting else None
        return _File(int(value["failures"]), float(value["until"]), sealed)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return _File()


def _left_s(file: _File, now_s: float) -> int:
    left_s = math.ceil(file.until - now_s)
    # After the clock was set back, a wait could be for ever.
    return left_s if 0 < left_s <= max(COOL_DOWN_S) else 0


def duration(seconds: int) -> str:
    if seconds < 120:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{math.ceil(seconds / 60)} minutes" if seconds < 7200 else f"{math.ceil(seconds / 3600)} hours"
