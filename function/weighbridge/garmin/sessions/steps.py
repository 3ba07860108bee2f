"""What the sign-ins of both libraries have in common: two steps, and the words for what Garmin says.

Rule: the first step ends with a token, or with `Pending` if Garmin asks for a code. Everything that the second step
needs is in `Pending`, as JSON, so that another process can finish. It holds Garmin's cookies, so it is a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http.cookiejar import Cookie, CookieJar
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import CodeRejected
from ...secret import SecretStr


class Pending(NamedTuple):
    """A sign-in whose password is right, and which waits for a code. Its `repr` shows nothing."""

    content: SecretStr

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Pending:
        return cls(SecretStr(json.dumps(content)))

    def read(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.content.get_secret_value())
        return content


class WrongCode(CodeRejected):
    """Garmin rejected the code. `pending`: for another try; None if Garmin does not let this sign-in try again."""

    def __init__(self, pending: Pending | None) -> None:
        super().__init__(WRONG_CODE)
        self.pending = pending


class Where(NamedTuple):
    """Where Garmin is, and how long to wait for it."""

    domain: str
    ca_bundle: Path | None = None
    timeout_s: float = 30.0


WRONG_CREDENTIALS = (
    "Garmin rejected this e-mail or password. Try them in a browser at connect.garmin.com first: repeated failures "
    "lock the account."
)
WRONG_CODE = "Garmin rejected this code. Use the newest one."
LOCKED = (
    "Garmin has locked this account after too many failed sign-ins. Unlock it in a browser at connect.garmin.com, or "
    "wait one to three days. Every further attempt makes the lock longer."
)
CLOUDFLARE = (
    "Cloudflare blocked the sign-in: it wants a browser. Sign in with your own browser, or try from another network, "
    "such as one at home."
)
CAPTCHA = (
    "Garmin asks for a captcha, which no program can answer. Sign in with your own browser, or try again in some hours."
)
UNEXPECTED_PAGE = (
    "Garmin's sign-in page is not as expected; it may have changed, or come from a proxy. Sign in with your own "
    "browser."
)


def cookies_to_json(jar: Iterable[Cookie]) -> list[dict[str, Any]]:
    return [
        {
            "name": cookie.name,
            "value": cookie.value,
            "domain": cookie.domain,
            "domain_specified": cookie.domain_specified,
            "path": cookie.path,
            "secure": cookie.secure,
            "expires": cookie.expires,
        }
        for cookie in jar
    ]


def add_cookies(jar: CookieJar, cookies: Iterable[Mapping[str, Any]]) -> None:
    """Put cookies back as they were: one that was for a single host is still for that host alone."""
    for each in cookies:
        domain = str(each["domain"])
        jar.set_cookie(
            Cookie(
                version=0,
                name=each["name"],
                value=each["value"],
                port=None,
                port_specified=False,
                domain=domain,
                domain_specified=bool(each["domain_specified"]),
                domain_initial_dot=domain.startswith("."),
                path=each["path"],
                path_specified=True,
                secure=bool(each["secure"]),
                expires=each["expires"],
                discard=each["expires"] is None,
                comment=None,
                comment_url=None,
                rest={},
            )
        )
