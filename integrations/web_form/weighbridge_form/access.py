"""Whether a request carries a valid token of Cloudflare Access, which asks for a sign-in in front of the page.

Rule: nobody is let in unless this module has checked the signature of a token, and that the token is of this team, for
this application, and valid now. Where the keys for that cannot be fetched, nobody is. No token is in a log.

Facts (Cloudflare, "Validate JWTs" and "Application token", May 2026): Access adds the token to each request as
`Cf-Access-Jwt-Assertion`; browsers also send it as the cookie `CF_Authorization`. It is signed with RS256. `iss` is
https://TEAM, `aud` a list with the AUD tag of the application. The public keys are at
https://TEAM/cdn-cgi/access/certs. They change every 6 weeks, and the previous one stays valid for 7 days.

Strategy: the keys are fetched again once they are an hour old, or for a key that is not among them, but at most once a
minute, so that made-up tokens do not become as many requests. If that fails, keys of the last day still count, and the
next try is after a few seconds.

Weakness: a token that Access revokes is valid here until it expires, and a WebSocket stays open beyond that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from math import inf

import httpx
import jwt
from starlette.requests import HTTPConnection

HEADER, COOKIE = "cf-access-jwt-assertion", "CF_Authorization"
ALGORITHM = "RS256"
#: How far the clocks may differ.
LEEWAY_S = 30
FRESH_S, LONGEST_USE_S, PAUSE_S = 3_600, 86_400, 60
#: After the keys could not be fetched.
SHORT_PAUSE_S = 5
FETCH_S, LARGEST_ANSWER_BYTES = 10, 1 << 20

#: For the log. The library's own words may quote the token.
REASONS: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "its token has expired",
    jwt.ImmatureSignatureError: "its token is not valid yet: is the clock of this machine right?",
    jwt.InvalidAudienceError: "its token is for another application: see WEIGHBRIDGE_FORM_ACCESS_AUDIENCE",
    jwt.InvalidIssuerError: "its token is of another team: see WEIGHBRIDGE_FORM_ACCESS_TEAM",
    jwt.InvalidSignatureError: "the signature of its token is wrong",
    jwt.InvalidAlgorithmError: f"its token is not signed with {ALGORITHM}",
    jwt.MissingRequiredClaimError: "its token is incomplete",
}

log = logging.getLogger("weighbridge.form")


class Access:
    """The check for one application of one team. `clock`: in s."""

    def __init__(self, team: str, audience: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._audience, self._clock = f"https://{team}", audience, clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = self._asked_at = -inf
        #: Why the keys could not be fetched the last time, if they could not.
        self._failed = ""
        self._fetching = asyncio.Lock()

    async def refuses(self, request: HTTPConnection) -> HTTPStatus | None:
        """None if the request may pass; FORBIDDEN without a valid token; SERVICE_UNAVAILABLE without keys."""
        try:
            token = _token_of(request)
            # Any other algorithm is refused, also "none", and HS256 with the public key as its secret.
            jwt.decode(
                token,
                await self._key(_key_name(token)),
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except _NoKeys:
            log.error(  # noqa: TRY400  # a traceback would say no more
                "Cloudflare Access: a request was refused, because the keys could not be fetched: %s", self._failed
            )
            return HTTPStatus.SERVICE_UNAVAILABLE
        except _Refused as e:
            log.warning("Cloudflare Access: a request was refused: %s", e)
            return HTTPStatus.FORBIDDEN
        except jwt.PyJWTError as e:
            reason = next((said for kind, said in REASONS.items() if isinstance(e, kind)), "its token cannot be read")
            log.warning("Cloudflare Access: a request was refused: %s", reason)
            return HTTPStatus.FORBIDDEN
        return None

    async def _key(self, name: str) -> jwt.PyJWK:
        if name not in self._keys or self._clock() - self._fetched_at > FRESH_S:
            async with self._fetching:
                await self._fetch()
        if name in self._keys and self._clock() - self._fetched_at <= LONGEST_USE_S:
            return self._keys[name]
        if self._failed:
            raise _NoKeys
        raise _Refused("its token is signed with an unknown key")

    async def _fetch(self) -> None:
        now = self._clock()
        if now - self._asked_at < (SHORT_PAUSE_S if self._failed else PAUSE_S):  # perhaps just now, for another request
            return
        self._asked_at = now
        try:
            async with asyncio.timeout(FETCH_S):
                self._keys = _keys_in(await _get(f"{self._issuer}/cdn-cgi/access/certs"))
        except (httpx.HTTPError, ValueError, OSError) as e:  # OSError: a timeout, or a file of SSL_CERT_FILE
            self._failed = str(e) or type(e).__name__
        else:
            self._fetched_at, self._failed = now, ""


class _Refused(Exception):
    """The request has no token that could be valid; the text says why."""


class _NoKeys(Exception):
    """The keys to check a token with are missing."""


def _token_of(request: HTTPConnection) -> str:
    tokens = request.headers.getlist(HEADER) or list(filter(None, [request.cookies.get(COOKIE)]))
    if len(tokens) != 1:
        raise _Refused("it has two tokens" if tokens else "it has no token")
    return tokens[0]


def _key_name(token: str) -> str:
    name = jwt.get_unverified_header(token).get("kid")
    if not isinstance(name, str):
        raise _Refused("its token names no key")
    return name


async def _get(address: str) -> bytes:
    """The body of an answer 200. Raises `httpx.HTTPError` or `ValueError`."""
    async with httpx.AsyncClient(timeout=FETCH_S) as client, client.stream("GET", address) as answer:
        if answer.status_code != HTTPStatus.OK:
            raise ValueError(f"Expected 200 from {address}, got {answer.status_code}.")
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > LARGEST_ANSWER_BYTES:
                raise ValueError(f"Expected at most {LARGEST_ANSWER_BYTES >> 20} MiB from {address}, got more.")
    return body


def _keys_in(body: bytes) -> dict[str, jwt.PyJWK]:
    """The RSA keys in a set of keys (RFC 7517), by name. Raises `ValueError` if there is none."""
    found: dict[str, jwt.PyJWK] = {}
    try:
        for one in json.loads(body)["keys"]:
            with suppress(jwt.PyJWTError, KeyError):  # one of another kind is not for us
                found[str(one["kid"])] = jwt.PyJWK(one, algorithm=ALGORITHM)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("Expected a set of keys in JSON, got something else.") from None
    if not found:
        raise ValueError("Expected an RSA key, got none.")
    return found
