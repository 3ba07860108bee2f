"""A `Session` with the token of a store; a subclass sends the requests with its library.

Rule: a token is renewed here, before it ends or once Garmin refuses it, by one process at a time, and saved before it
is used. When Garmin has refused to renew a token, it is not asked again: that could lock the account. Nor is it asked
with a new token that it has refused, or before the time that it has named (`sign_in.py`).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path

from ...delivery.last_outcome import LastOutcome
from ...delivery.port import Outcome
from ...errors import GarminUnreachable, RateLimited, SignInNeeded, TokenStoreUnusable, WeighbridgeError
from ...secret import SecretStr
from ..answers import REFUSALS, fault_of, retry_after_s
from ..sign_in import SignIn
from ..tokens import Store, Token
from .port import GarminResponse

REFRESH_BEFORE_EXPIRY_S = 900  # as garminconnect does: an upload must not meet the end of its token
SECONDS_PER_DAY = 86_400

#: libcurl errors that happen before a byte of the request has left (curl/curl.h): 5 and 6 name resolution,
#: 7 connect, 35, 58, 59, 60, 77, 83, 91 TLS. Everything else may have reached Garmin.
NOTHING_SENT_CODES = frozenset({5, 6, 7, 35, 58, 59, 60, 77, 83, 91})
CERTIFICATE_CODES = frozenset({60, 77})

REFRESH_REFUSED = (
    "Garmin no longer renews the token: it has ended, another program has renewed it, or the answer to an earlier "
    "renewal was lost."
)
NOT_TRUSTED = (
    "The certificate of Garmin Connect is not trusted{detail}. Behind a proxy that decrypts traffic, or with a "
    "stand-in, set GARMIN_CA_BUNDLE to its certificates."
)
NOT_REACHED = "Garmin Connect could not be reached{detail}; nothing was sent. Check the network and GARMIN_DOMAIN."


class RenewalLost(GarminUnreachable):
    """A renewal has no answer: the new token may be lost."""


class TokenSession(ABC):
    """Authenticated requests with the token of a store. Safe to share between threads."""

    def __init__(
        self,
        store: Store,
        *,
        domain: str,
        ca_bundle: Path | None = None,
        timeout_s: float = 30.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._domain = domain
        self._ca_bundle = ca_bundle
        self._timeout_s = timeout_s
        self._now = now
        self._sign_in = SignIn(store.state_path, now)

    @property
    def sign_in_again(self) -> str:
        """See `port.Session`."""
        return f"Sign in again: {self._store.sign_in}."

    def warm(self) -> None:  # noqa: B027  # most have nothing to prepare
        """Start what the first request would otherwise wait for."""

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> GarminResponse:
        """See `port.Session`."""
        with self._sign_in.turn():
            token = self._token()
            self._refuse_dead(token, access=True)
            if token.expires_at - self._now() < REFRESH_BEFORE_EXPIRY_S:
                token = self._renew(token)
            answer = self._send(token, method, path, params, file)
            if answer.status == 401:
                try:
                    token = self._renew(token)
                except SignInNeeded:
                    self._sign_in.refuse(token.access_token)
                    raise
                answer = self._send(token, method, path, params, file)
                if answer.status == 401:
                    self._sign_in.refuse(token.access_token)
            if answer.status == 429:
                self._sign_in.wait(retry_after_s(answer))
            return answer

    def token_days_left(self) -> float | None:
        """See `port.Session`."""
        token = self._token()
        self._refuse_dead(token, access=True)
        self._refuse_dead(token)
        if token.refresh_expires_at is None:
            return None
        return (token.refresh_expires_at - self._now()) / SECONDS_PER_DAY

    def renew(self) -> Token:
        """Renew the stored token now, due or not, and save it. Raises as `request` does."""
        with self._sign_in.turn():
            return self._renew(self._token())

    def _token(self) -> Token:
        token = self._store.read()
        if token is None:
            raise SignInNeeded(f"There is no Garmin token in {self._store.place}. Sign in once: {self._store.sign_in}.")
        return token

    def _refresh(self, token: Token) -> Token:
        self._refuse_dead(token)
        try:
            return self._renewed(token)
        except SignInNeeded:
            self._sign_in.refuse(token.refresh_token)
            raise
        except RateLimited as fault:
            self._sign_in.wait(fault.retry_after_s)
            raise

    def renewal_failure(self) -> str:
        """See `port.Session`."""
        return self._sign_in.failure(self._token().refresh_token) or self._store.obstacle()

    def ended(self, delivery: str, outcomes: Collection[Outcome]) -> None:
        """See `port.Session`."""
        if token := self._access_token():  # else there is nothing to keep it beside, and `token_days_left` says why
            self._sign_in.ended(delivery, outcomes, token)

    def last_outcome(self, delivery: str) -> LastOutcome:
        """See `port.Session`."""
        return self._sign_in.last_outcome(delivery, self._access_token())

    def last_success_at(self) -> datetime | None:
        """See `port.Session`."""
        return self._sign_in.last_success_at()

    def _access_token(self) -> SecretStr | None:
        try:
            return self._token().access_token
        except (SignInNeeded, TokenStoreUnusable):
            return None

    def _renew(self, token: Token) -> Token:
        """A token newer than this one, saved. What a person may have to repair is noted."""
        try:
            return self._store.refreshed(token, self._refresh)
        except (SignInNeeded, TokenStoreUnusable, RenewalLost) as fault:
            self._sign_in.renewal_failed(token.refresh_token, str(fault))
            raise

    def _refuse_dead(self, token: Token, *, access: bool = False) -> None:
        """Raises `SignInNeeded` for a token that Garmin has refused to renew, or (`access`) to take."""
        if not access or self._sign_in.is_refused(token.access_token):
            if self._sign_in.is_refused(token.refresh_token):
                raise SignInNeeded(f"{REFRESH_REFUSED} {self.sign_in_again}")
            if access:
                raise SignInNeeded(f"{REFUSALS[401]} {self.sign_in_again}")

    @abstractmethod
    def _send(
        self,
        token: Token,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        file: tuple[str, bytes] | None,
    ) -> GarminResponse:
        """One request, once, with this token. Raises `GarminUnreachable` (nothing was sent) or `ConnectionDropped`."""

    @abstractmethod
    def _renewed(self, token: Token) -> Token:
        """The next token. Raises `SignInNeeded`, `RateLimited`, `GarminRefused` or `GarminUnreachable`."""

    def _refusal_of(self, answer: GarminResponse) -> WeighbridgeError:
        """The fault for an answer to a renewal that is not a token."""
        # invalid_grant is a 400 (RFC 6749 section 5.2), invalid_client a 401.
        if answer.status in (400, 401):
            return SignInNeeded(f"{REFRESH_REFUSED} {self.sign_in_again}")
        return fault_of(answer, "to renew the token", self.sign_in_again)

    def _renewal_broken(self, how: str) -> RenewalLost:
        return RenewalLost(
            "The Garmin token could not be renewed, so nothing was uploaded. Send the same again. If the new token was "
            f"lost on its way, the next renewal is refused. {self.sign_in_again} {how}"
        )


def unreachable(detail: str = "", *, certificate: bool = False) -> GarminUnreachable:
    text = NOT_TRUSTED if certificate else NOT_REACHED
    return GarminUnreachable(text.format(detail=f" ({detail})" if detail else ""))
