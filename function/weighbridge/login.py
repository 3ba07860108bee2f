"""Signing in to one Garmin account, step by step and without a terminal: for `weighbridge login` and `POST /sign-in`.

Rule: a password is used and forgotten; only a token is stored. It is stored only after one read with it, as the
function will use it: Garmin may refuse a token that it has just issued, and an older one that works must not be lost
for it. No secret is in a message.

Strategy: the libraries are tried in the order of `LIBRARIES`. When Garmin blocks one, or refuses the token that it got,
the next one takes over. A wrong password or code ends the sign-in, because every further attempt counts towards the
lock. The user's own browser works wherever a person can sign in at all, so every fault that is not about what was typed
leads to it.

Weakness: who signs in with a code, and whose new token Garmin then refuses, has to begin again with another way.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .commands import command
from .compose import token_library, token_session, token_store
from .errors import (
    GarminRefused,
    GarminUnreachable,
    RateLimited,
    SettingsInvalid,
    SignInBlocked,
    SignInNeeded,
    SignInRejected,
    TokenStoreUnusable,
    WeighbridgeError,
)
from .garmin.attempts import Attempts
from .garmin.connect import GarminConnect
from .garmin.sessions import garminconnect, garth
from .garmin.sessions.port import Session
from .garmin.sessions.steps import Pending, Where, WrongCode
from .garmin.sessions.token_session import REFRESH_BEFORE_EXPIRY_S
from .garmin.sign_in import LONGEST_NAME, SignIn
from .garmin.tokens import Candidate, Store, Token
from .secret import SecretStr
from .settings import Settings


class Library(NamedTuple):
    """A library that can sign in, in two steps. `check` raises `SettingsInvalid` if it is not installed."""

    check: Callable[[], object]
    sign_in: Callable[[str, SecretStr, Where], Token | Pending]
    finish_sign_in: Callable[[Pending, str, Where], Token]


#: In the order in which they are tried.
LIBRARIES = {
    "garth": Library(garth.import_garth, garth.sign_in, garth.finish_sign_in),
    "garminconnect": Library(garminconnect.import_garminconnect, garminconnect.sign_in, garminconnect.finish_sign_in),
}

PROFILE = "/userprofile-service/socialProfile"


class SignedIn(NamedTuple):
    """A token is stored."""

    token: Token
    #: The name that Garmin shows for the account; "" if it did not say.
    name: str

    @property
    def until(self) -> datetime | None:
        return _until(self.token)


class CodeNeeded(NamedTuple):
    """The password is right, and Garmin asks for the code of the second factor."""

    #: For the second step. Whoever has it and the code can finish the sign-in.
    state: SecretStr
    expires_at: float


class Connection(NamedTuple):
    """Whether somebody has signed in, as far as it is known here."""

    name: str = ""
    until: datetime | None = None
    #: Why nobody is signed in; "" if somebody is.
    detail: str = ""


class TokenRefused(SignInBlocked):
    """Garmin has issued a token, and refuses it."""


def no_news(_fault: WeighbridgeError, _next: str) -> None: ...


class Login:
    """Signs in to the account that the settings are for. `now`: Unix seconds."""

    def __init__(self, settings: Settings, now: Callable[[], float], store: Store | None = None) -> None:
        """`store`: instead of the configured one."""
        self._settings = settings
        self._now = now
        self._store = store or token_store(settings)
        self._where = Where(settings.garmin_domain, settings.garmin_ca_bundle)
        # On this machine, wherever the token is.
        self._attempts = Attempts(settings.tokens, settings.token_name, now=now)

    # -- the steps ---------------------------------------------------------------------------------------------

    def check(self, *, ignore_cool_down: bool = False) -> None:
        """Raises what would end an attempt with a password before Garmin is asked."""
        with self._attempts.turn() as turn:
            if not ignore_cool_down:
                turn.check()

    def with_password(
        self,
        email: str,
        password: SecretStr,
        *,
        libraries: Sequence[str] = tuple(LIBRARIES),
        ignore_cool_down: bool = False,
        going_on: Callable[[WeighbridgeError, str], None] = no_news,
    ) -> SignedIn | CodeNeeded:
        """`going_on`: is called before the next library takes over, with the reason and its name.

        Raises `CoolDown`, `Busy`, `SignInRejected`, `SignInBlocked`, `RateLimited`, `GarminRefused`,
        `GarminUnreachable` or `TokenStoreUnusable`, or `SettingsInvalid` if only a library that is missing may be used.
        """
        here = [name for name in libraries if _is_here(name)]
        if not here:
            LIBRARIES[libraries[0]].check()
        faults: list[WeighbridgeError] = []
        with self._attempts.turn() as turn:
            if not ignore_cool_down:
                turn.check()
            for name in here:
                if faults:
                    going_on(faults[-1], name)
                try:
                    found = LIBRARIES[name].sign_in(email, password, self._where)
                except (GarminRefused, RateLimited) as blocked:
                    faults.append(blocked)
                    continue
                except SignInRejected as wrong:
                    turn.failed(wrong)
                    raise
                if isinstance(found, Pending):
                    return CodeNeeded(*turn.wait_for_code(name, found))
                turn.succeeded()
                try:
                    return self._stored(found)
                except TokenRefused as refused:
                    faults.append(refused)
            if failed := [fault for fault in faults if not isinstance(fault, TokenRefused)]:
                turn.failed(*failed)
        # How long to wait is worth more than what else was tried.
        raise next((fault for fault in faults if isinstance(fault, RateLimited)), faults[-1])

    def with_code(self, state: SecretStr, code: str) -> SignedIn:
        """The second step. Raises `SignInEnded`, `CodeRejected` (another code may be sent), and what `with_password`
        raises."""
        with self._attempts.turn() as turn:
            waiting = turn.waiting(state)
            try:
                token = LIBRARIES[waiting.library].finish_sign_in(waiting.pending, code.strip(), self._where)
            except WrongCode as wrong:
                turn.wrong_code(waiting, wrong.pending)
                raise
            except (SignInRejected, GarminRefused, RateLimited) as fault:
                turn.failed(fault)
                raise
            turn.succeeded()
            return self._stored(token)

    @property
    def browser_page(self) -> str:
        """The page on which a person signs in with their own browser, for `with_ticket`."""
        return garth.sign_in_page(self._settings.garmin_domain)

    def with_ticket(self, pasted: SecretStr) -> SignedIn:
        """The address at which a person's own browser ended, or the ticket in it. Has never to wait, and a failure
        does not count: no password is sent. Raises `TicketRejected`, and what `with_password` raises."""
        with self._attempts.turn() as turn:
            token = garth.exchange_ticket(pasted.get_secret_value(), self._where)
            turn.succeeded()
            return self._stored(token)

    def with_token(self, token: Token) -> SignedIn:
        """A token of another program. Raises `TokenRefused`, `SignInNeeded` if it has ended, and what a read raises."""
        self.lifetime(token)  # one that has ended needs no request
        return self._stored(token)

    def sign_out(self) -> None:
        """Delete the token, here. Raises `TokenStoreUnusable` or `Busy`."""
        with self._attempts.turn() as turn:
            turn.succeeded()
            self._store.forget()
            SignIn(self._store.state_path, self._now).signed_in("")

    # -- what is known -----------------------------------------------------------------------------------------

    def connection(self) -> Connection:
        """Asks nobody, and writes nothing. Raises `TokenStoreUnusable`."""
        try:
            self._session(self._store).token_days_left()
            token = self._store.read()
            if token is None:
                return Connection(detail="Nobody has signed in.")
            self.lifetime(token)
        except SignInNeeded as ended:
            return Connection(detail=str(ended))
        return Connection(SignIn(self._store.state_path, self._now).signed_in_as(), _until(token))

    def left_s(self) -> int:
        """How long the next attempt with a password has to wait."""
        return self._attempts.left_s()

    def lifetime(self, token: Token) -> str:
        """How long the sign-in lasts, as a sentence. Raises `SignInNeeded` if it has ended."""
        if token.refresh_expires_at is None:
            return "Garmin did not say when the sign-in ends; usually after 30 days without use."
        days = (token.refresh_expires_at - self._now()) / 86_400
        if days <= 0:
            raise SignInNeeded(f"This token has already ended. Sign in again: {self._store.sign_in}.")
        return f"The sign-in ends in {days:.0f} days. Each renewal of the token extends it."

    # -- a new token -------------------------------------------------------------------------------------------

    def _session(self, store: Any) -> Any:
        return token_session(token_library(self._settings), self._settings, store)

    def _stored(self, token: Token) -> SignedIn:
        """Store this token, or what its renewal made of it, after one read of today's weigh-ins.

        Raises `TokenRefused`, `GarminUnreachable` if it cannot be known, or `TokenStoreUnusable`.
        """
        if obstacle := self._store.obstacle():
            raise TokenStoreUnusable(obstacle)  # before a renewal, whose token would be lost
        is_due = token.expires_at - self._now() < REFRESH_BEFORE_EXPIRY_S
        candidate = Candidate(token, self._store, is_due=is_due)
        session = self._session(candidate)
        today = datetime.fromtimestamp(self._now(), UTC).date()
        try:
            GarminConnect(session, name=token_library(self._settings), confirm_s=0).entries(today, today)
        except (SignInNeeded, GarminRefused, GarminUnreachable, RateLimited) as fault:
            # Its advice is to sign in again, which has just been done.
            why = str(fault).removesuffix(session.sign_in_again).strip()
            if isinstance(fault, SignInNeeded) or (isinstance(fault, GarminRefused) and candidate.token == token):
                raise TokenRefused(f"Garmin refused the new token, so it was not stored. {why}") from None
            if candidate.token == token:
                raise GarminUnreachable(f"The new token could not be tried, so it was not stored. {why}") from None
            # The copy that was given is worthless now, so this one must not be lost.
            self._store.save(candidate.token)
            raise GarminUnreachable(
                f"The token was renewed and stored, but could not be tried. {why} To try it: "
                f"{command('doctor', self._settings.token_name)}"
            ) from None
        name = _name_of_account(session)
        self._store.save(candidate.token)
        SignIn(self._store.state_path, self._now).signed_in(name)
        return SignedIn(candidate.token, name)


def _is_here(library: str) -> bool:
    try:
        LIBRARIES[library].check()
    except SettingsInvalid:
        return False
    return True


def _until(token: Token) -> datetime | None:
    return None if token.refresh_expires_at is None else datetime.fromtimestamp(token.refresh_expires_at, UTC)


def _name_of_account(session: Session) -> str:
    """The name that Garmin shows for the account; "" if it does not say. Nothing depends on it."""
    profile: Any = None
    with contextlib.suppress(WeighbridgeError, ValueError, RecursionError):
        answer = session.request("GET", PROFILE)
        profile = json.loads(answer.body) if answer.status == 200 else None
    names = [profile.get(key) for key in ("fullName", "displayName")] if isinstance(profile, dict) else []
    name = next((name for name in names if isinstance(name, str) and name.strip()), "")
    return "".join(letter for letter in name if letter.isprintable()).strip()[:LONGEST_NAME]
