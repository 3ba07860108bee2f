"""Read-back through Garmin's official Personal API: what Garmin Connect holds, even without a working sign-in.

Rule: it only reads, one request at a time, and waits as long as Garmin asks. The key and the day token that it buys are
sent only to Garmin, and stored nowhere.

Facts (Garmin's Personal API, October 2026): a person issues a key for 30 to 365 days; the key buys a token for 24
hours, which comes as plain text; the token reads, and cannot upload. Twelve parallel calls were answered 429 with
`Retry-After: 14`. Neither key nor token says when the key ends, so its last day is a setting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ..errors import GarminRefused, GarminUnreachable, RateLimited, SignInNeeded
from ..secret import SecretStr
from ..state_file import number
from .answers import fault_of, read_weigh_ins
from .entries import Entry
from .sessions.bounded import TOO_LARGE, TOO_LARGE_CODE, bounded
from .sessions.port import GarminResponse
from .sign_in import ANNOUNCED_DAYS
from .tokens import is_token, jwt_claims

TOKEN_PATH = "/personalapitoken-service/personal-api/personal-api-key/token"  # noqa: S105  # a path
RANGE_PATH = "/weight-service/weight/range"
DAY_TOKEN_S = 24 * 3600
BEFORE_ITS_END_S = 900
PAUSE_S = 0.2  # between two requests: well below what was answered 429

NEW_KEY = "Make a new key with your Garmin account, and set GARMIN_PERSONAL_API_KEY and GARMIN_PERSONAL_API_KEY_ENDS."
KEY_REFUSED = (
    "Garmin's Personal API does not accept GARMIN_PERSONAL_API_KEY: it has ended, was revoked, or is incomplete. "
    f"{NEW_KEY}"
)


class PersonalApi:
    """The weigh-ins of the key's account. Safe to share between threads."""

    def __init__(
        self,
        key: SecretStr,
        *,
        ends: date | None,
        domain: str,
        ca_bundle: Path | None = None,
        timeout_s: float = 30.0,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._key = key
        self._ends = ends
        self._base = f"https://personal.connectapi.{domain}"
        self._verify = str(ca_bundle) if ca_bundle else True
        self._timeout_s = timeout_s
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._day_token = SecretStr("")
        self._day_token_until = 0.0
        self._not_before = 0.0
        self._last_sent = 0.0

    def weigh_ins(self, first: date, last: date) -> Sequence[Entry]:
        """What Garmin holds from `first` to `last` (the account's calendar days, both included).

        Raises `SignInNeeded` (the key), `RateLimited`, `GarminRefused` or `GarminUnreachable`.
        """
        path = f"{RANGE_PATH}/{first.isoformat()}/{last.isoformat()}"
        with self._lock:
            answer = self._request("GET", path, self._bearer(), {"includeAll": "true"})
            if answer.status == 401:  # the day token may end early: try with a new one
                self._day_token_until = 0.0
                answer = self._request("GET", path, self._bearer(), {"includeAll": "true"})
        if answer.status == 204:
            return []
        if answer.status == 401:
            raise SignInNeeded(KEY_REFUSED)
        if answer.status != 200:
            raise fault_of(answer, "to show the weigh-ins", NEW_KEY)
        return read_weigh_ins(answer).entries

    def health(self) -> Mapping[str, object]:
        """The days that the key has left, if known, and what to do from two weeks before its end."""
        if self._ends is None:
            return {"name": "personal api"}
        days = (self._ends - datetime.fromtimestamp(self._now(), UTC).date()).days
        state: dict[str, object] = {"name": "personal api", "key_days_left": max(days, 0)}
        if days <= ANNOUNCED_DAYS:
            when = f"ends in {days} day(s)" if days >= 0 else "has ended"
            state["detail"] = f"The key of Garmin's Personal API {when}. {NEW_KEY}"
        return state

    def _bearer(self) -> str:
        if self._now() >= self._day_token_until:
            answer = self._request("POST", TOKEN_PATH, f"ApiKey {self._key.get_secret_value()}")
            if answer.status in (400, 401, 403, 404) and answer.body[:1] != b"<":
                raise SignInNeeded(KEY_REFUSED)
            if answer.status != 200:
                raise fault_of(answer, "a token for the Personal API", NEW_KEY)
            token = answer.body.decode("utf-8", "replace").strip().strip('"')
            claims = jwt_claims(token)
            if not claims or not is_token(token):
                raise GarminUnreachable(
                    "Expected a token from Garmin's Personal API, got something else: a firewall or a proxy?"
                )
            until = number(claims.get("exp")) or self._now() + DAY_TOKEN_S
            self._day_token, self._day_token_until = SecretStr(token), until - BEFORE_ITS_END_S
        return f"Bearer {self._day_token.get_secret_value()}"

    def _request(
        self, method: str, path: str, authorization: str, params: Mapping[str, str] | None = None
    ) -> GarminResponse:
        wait_s = self._not_before - self._now()
        if wait_s > 0:
            raise RateLimited("Garmin's Personal API asks to wait before the next request.", round(wait_s) or 1)
        self._sleep(max(0.0, min(PAUSE_S, self._last_sent + PAUSE_S - self._now())))
        self._last_sent = self._now()
        answer = self._send(method, path, authorization, params)
        if answer.status == 429:
            fault = fault_of(answer, "", NEW_KEY)
            self._not_before = self._now() + (fault.retry_after_s if isinstance(fault, RateLimited) else 0)
            raise fault
        return answer

    def _send(self, method: str, path: str, authorization: str, params: Mapping[str, str] | None) -> GarminResponse:
        curl = _import_curl()
        headers = {"Authorization": authorization, "Accept": "application/json, text/plain"}
        try:
            with curl.Session(verify=self._verify, timeout=self._timeout_s) as session:
                request = bounded(session.request, allow_redirects=False)
                response = request(method, self._base + path, params=params, headers=headers)
        except curl.RequestsError as e:
            if e.code == TOO_LARGE_CODE:
                raise GarminUnreachable(TOO_LARGE) from None
            raise GarminUnreachable(
                f"Garmin's Personal API could not be reached (curl error {int(e.code)}). Check the network, "
                "GARMIN_DOMAIN and GARMIN_CA_BUNDLE."
            ) from None
        if 300 <= response.status_code < 400:
            raise GarminRefused("Garmin's Personal API redirected the request; the key was not sent there.")
        headers = {name.lower(): value or "" for name, value in response.headers.items()}
        return GarminResponse(response.status_code, headers, response.content)


def _import_curl() -> Any:
    # Imported on use: only a key needs it.
    from curl_cffi import requests

    return requests
