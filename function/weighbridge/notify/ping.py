"""Pings a monitor after each delivery, so that it raises an alarm when the pings stop. One for Healthchecks.

Facts (healthchecks.io/docs/http_api, November 2026): a GET of the address means success, of the address with `/fail` a
failure, which raises the alarm at once. The address may have a query, such as `?create=1`.

Rule: the address is a secret: who knows it can keep the monitor quiet. A redirect is not followed, and what is
answered is not kept.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from ..secret import SecretStr

LONGEST_S = 10.0


class Ping:
    def __init__(self, address: SecretStr) -> None:
        self._address = address

    def send(self, *, success: bool) -> str:
        """Why the monitor did not take it; "" if it did."""
        # Imported when needed: it takes longer than the rest of a start.
        from curl_cffi import requests

        parts = urlsplit(self._address.get_secret_value())
        path = parts.path.rstrip("/") + ("" if success else "/fail")
        try:
            answer = requests.get(
                urlunsplit(parts._replace(path=path or "/", fragment="")),
                timeout=LONGEST_S,  # of everything, to the last byte
                allow_redirects=False,
                content_callback=lambda _: None,
            )
        except requests.exceptions.RequestException as e:
            return f"no answer ({type(e).__name__})"  # its text names the address
        if 200 <= answer.status_code < 300:
            return ""
        redirect = ", a redirect, which is not followed" if 300 <= answer.status_code < 400 else ""
        return f"HTTP {answer.status_code}{redirect}"
