"""A `Session` with the token of a store, over whichever library sends the requests.

Rule: a token is renewed behind this line, before it ends or once Garmin refuses it, by one process at a time, and saved
before it is used. A token that Garmin does not renew any more is not asked about again: that could lock the account.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from ...errors import GarminUnreachable, SignInNeeded, WeighbridgeError
from ..answers import fault_of
from ..tokens import Store, Token
from .port import Answer

REFRESH_BEFORE_EXPIRY_S = 900  # as garminconnect does: an upload must not meet the end of its token
SECONDS_PER_DAY = 86_400

#: libcurl errors that happen before a byte of the request has left (curl/curl.h): 5 and 6 name resolution,
#: 7 connect, 35, 58, 59, 60, 77, 83, 91 TLS. Everything else may have reached Garmin.
NOTHING_SENT_CODES = frozenset({5, 6, 7, 35, 58, 59, 60, 77, 83, 91})
CERTIFICATE_CODES = frozenset({60, 77})

REFRESH_BROKEN = (
    "The Garmin token could not be renewed, so nothing was uploaded. Send the same again; if the renewal was lost "
    "on its way, the next one is refused and a new sign-in is needed: make login."
)
REFRESH_REFUSED = (
    "Garmin does not renew the token any more: it has ended, another program has renewed it, or the answer to an "
    "earlier renewal was lost. Sign in anew: make login."
)
WRONG_CREDENTIALS = (
    "Garmin did not take this e-mail and password. Try them in a browser at connect.garmin.com first: repeated "
    "failures lock the account."
)
WRONG_CODE = "Garmin did not take this code. Sign in again, and use the newest code."
CLOUDFLARE = (
    "A firewall in front of Garmin's sign-in (Cloudflare) wants a browser. Sign in with your own: make login "
    "WAY=browser. Or try from another network, such as one at home."
)
LOCKED = (
    "Garmin has locked this account after too many failed sign-ins. Unlock it in a browser at connect.garmin.com, or "
    "wait one to three days; every further attempt makes it longer."
)
NOT_TRUSTED = (
    "The certificate of Garmin Connect is not trusted{detail}. Behind a proxy that reads along, or with a stand-in, "
    "set GARMIN_CA_BUNDLE to its certificates."
)
NOT_REACHED = "Garmin Connect could not be reached{detail}; nothing was sent. Check the network and GARMIN_DOMAIN."


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
        self._refused: Token | None = None

    def warm(self) -> None:  # noqa: B027  # most have nothing to begin
        """Begin what the first request would have to wait for."""

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> Answer:
        """See `port.Session`."""
        token = self._token()
        if token.expires_at - self._now() < REFRESH_BEFORE_EXPIRY_S:
            token = self._store.refreshed(token, self._refresh)
        answer = self._send(token, method, path, params, file)
        if answer.status == 401:
            token = self._store.refreshed(token, self._refresh)
            answer = self._send(token, method, path, params, file)
        return answer

    def token_days_left(self) -> float | None:
        """See `port.Session`. Raises `SignInNeeded` when there is no token, or `TokenStoreUnusable`."""
        token = self._token()
        if token.refresh_expires_at is None:
            return None
        return (token.refresh_expires_at - self._now()) / SECONDS_PER_DAY

    def renew(self) -> Token:
        """Make a new token of the stored one now, whether it is due or not, and save it. Raises as `request` does."""
        return self._store.refreshed(self._token(), self._refresh)

    def _token(self) -> Token:
        token = self._store.read()
        if token is None:
            raise SignInNeeded(f"There is no Garmin token in {self._store.place}. Sign in once: make login.")
        return token

    def _refresh(self, token: Token) -> Token:
        if token == self._refused:
            raise SignInNeeded(REFRESH_REFUSED)
        try:
            return self._renewed(token)
        except SignInNeeded:
            self._refused = token
            raise

    @abstractmethod
    def _send(
        self,
        token: Token,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        file: tuple[str, bytes] | None,
    ) -> Answer:
        """One request, once, with this token. Raises `GarminUnreachable` (nothing was sent) or `ConnectionDropped`."""

    @abstractmethod
    def _renewed(self, token: Token) -> Token:
        """The token that follows. Raises `SignInNeeded`, `RateLimited`, `GarminRefused` or `GarminUnreachable`."""


def refusal_of(answer: Answer) -> WeighbridgeError:
    """What an answer to a renewal that is no token comes to."""
    # invalid_grant is a 400 (RFC 6749 section 5.2), invalid_client a 401.
    if answer.status in (400, 401):
        return SignInNeeded(REFRESH_REFUSED)
    return fault_of(answer, "to renew the token")


def unreachable(detail: str = "", *, certificate: bool = False) -> GarminUnreachable:
    text = NOT_TRUSTED if certificate else NOT_REACHED
    return GarminUnreachable(text.format(detail=f" ({detail})" if detail else ""))
