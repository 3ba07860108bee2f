"""Pushes of Google Pub/Sub and Eventarc: who may push without a key, and what a push is answered.

Rule: a push is let in by its token alone: signed by Google, valid now, for our audience, and of the one account that
the settings name. It may send readings and nothing else. It is acknowledged if sending it again could not help; `again`
decides, not the status. No token is in a log.

Facts (Pub/Sub, "Authentication for push subscriptions" and "Push subscriptions", November 2026): the token is in
`Authorization: Bearer`, signed with RS256. `iss` is https://accounts.google.com, `aud` what the subscription says,
`email` its account, with `email_verified`. It is up to an hour old. 102, 200, 201, 202 and 204 acknowledge a message.
With anything else, also with 207, it comes again until it is too old, or dead-lettered after 5 to 100 attempts. Cloud
Run that checks the callers itself cuts the signature off, so that nobody behind it can use the token.

Strategy: Google's certificates are fetched again once they are an hour old, or for one that is not among them, but at
most once a minute, so that made-up tokens do not become as many requests. Without any, they are tried again after a few
seconds, and a push is asked to come later: its token was not looked at, so it was not refused.

Weakness: of a message with several readings, the good ones are found in Garmin Connect each time that it comes again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import Any

import requests
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

from ..errors import Busy, Unauthorized
from ..secret import SecretStr
from ..settings import Key, Push, Right

#: The name cannot be that of a key in the settings.
PUSH = Key("pub/sub", SecretStr(""), frozenset({Right.SEND}))
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
ACKNOWLEDGES = (200, 201, 202, 204)
#: How far the clocks may differ.
LEEWAY_S = 30
FRESH_S, PAUSE_S, FETCH_S = 3_600, 60, 10
#: After the certificates could not be fetched, while there are none.
SHORT_PAUSE_S = 5


def is_token(headers: Mapping[str, str]) -> bool:
    """Whether a request carries what may be a token of Google's, and no key."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and credentials.strip().count(".") == 2 and "x-api-key" not in headers


class Pushes:
    """The check of tokens. Safe to share between threads. `clock`: in s."""

    def __init__(self, push: Push, clock: Callable[[], float] = time.monotonic) -> None:
        self._push, self._clock = push, clock
        self._lock = threading.Lock()
        self._certificates: Mapping[str, str] = {}
        self._fetched_at = self._asked_at = -inf

    def admit(self, headers: Mapping[str, str]) -> Key:
        """The key of a push. Raises `Unauthorized`, or `Busy` without certificates. It may wait for Google."""
        token = headers["authorization"].partition(" ")[2].strip()
        try:
            header, algorithm = jwt.decode_header(token), "RS256"
            if header.get("alg") != algorithm or not isinstance(header.get("kid"), str):
                raise _refused(f"a signature with {algorithm} and the name of its key were expected")
            certificate = self._certificate(header["kid"])
            claims = jwt.decode(token, certificate, clock_skew_in_seconds=LEEWAY_S)
        except (GoogleAuthError, ValueError, TypeError, RecursionError):
            # The library's own words quote the token.
            raise _refused("its signature is wrong, or it is not valid now") from None
        if claims.get("iss") not in ISSUERS:
            raise _refused("it is not from accounts.google.com")
        if claims.get("aud") != self._push.audience:
            raise _refused("it is for another audience: see WEIGHBRIDGE_PUSH_AUDIENCE")
        if claims.get("email") != self._push.account or claims.get("email_verified") is not True:
            raise _refused("it is of another account: see WEIGHBRIDGE_PUSH_ACCOUNT")
        return PUSH

    def _certificate(self, name: str) -> str:
        with self._lock:
            now = self._clock()
            is_due = name not in self._certificates or now - self._fetched_at > FRESH_S
            if is_due and now - self._asked_at >= (PAUSE_S if self._certificates else SHORT_PAUSE_S):
                self._asked_at = now
                found = _fetch(self._push.certificates)
                if found:
                    self._certificates, self._fetched_at = found, now
            certificate = self._certificates.get(name)
        if certificate is None:
            if not self._certificates:
                raise Busy("Google's certificates could not be fetched, so this push was not checked. Send it again.")
            raise _refused("it is signed with an unknown key")
        return certificate


def _fetch(address: str) -> dict[str, str]:
    """Google's certificates by name; empty if they cannot be had."""
    try:
        answer = requests.get(address, timeout=FETCH_S)
        answer.raise_for_status()
        found = answer.json()
    except (requests.RequestException, ValueError):
        return {}
    return {str(name): str(pem) for name, pem in found.items()} if isinstance(found, dict) else {}


def _refused(why: str) -> Unauthorized:
    return Unauthorized(f"The token of this push was refused: {why}.", sent=True)


def status_for(status: int, body: object) -> int:
    """The status that a push is answered with, instead of the one that any other caller gets."""
    if status in ACKNOWLEDGES:
        return status
    again = {problem["again"] for problem in _problems(body)}
    if again == {"never"}:
        return 200
    return 503 if status == 207 else status


def _problems(body: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(body, Mapping):
        if "again" in body:
            yield body
        for each in body.get("results", ()):
            yield from _problems(each)


def message_id(headers: Mapping[str, str], content: bytes) -> str:
    """The identifier of the message, for the log; "" if it has none."""
    found: object = headers.get("ce-id", "")
    if not found:
        try:
            found = json.loads(content)["message"]["messageId"]
        except (ValueError, KeyError, TypeError, RecursionError):
            found = ""
    text = str(found)
    return text if text.isascii() and text.isalnum() and len(text) <= 40 else ""
