"""Who may call.

Rule: with keys configured, a key is needed. Without any, only this machine is answered, and only when the
request did not pass a proxy or come out of a web page: a tunnel on this host and a page open in a browser
on it both reach 127.0.0.1 too.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from typing import Protocol

from pydantic import SecretStr

from .errors import Forbidden, Unauthorized

#: Headers that a proxy, a tunnel or a browser adds, and that curl, Home Assistant and Node-RED do not.
_FROM_ELSEWHERE = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Real-Ip",
    "Cf-Connecting-Ip",
    "Origin",
    "Sec-Fetch-Site",
)

_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Headers(Protocol):
    """Header names -> values, whatever the case of a name."""

    def get(self, key: str, default: str) -> str: ...

    def __contains__(self, key: str, /) -> bool: ...


def admit(keys: Mapping[str, SecretStr], headers: Headers, remote_address: str | None) -> str | None:
    """The name of the key that the caller holds, or None for this machine without keys.

    Raises `Unauthorized` (no key, or a wrong one) or `Forbidden` (no keys configured, caller elsewhere).
    """
    if keys:
        return _name_of_key(keys, headers)
    if not _is_this_machine(headers, remote_address):
        raise Forbidden(
            "Without a key only this machine is answered. Set WEIGHBRIDGE_API_KEYS to name=key and send the key "
            "as Authorization: Bearer, or as X-API-Key."
        )
    return None


def _name_of_key(keys: Mapping[str, SecretStr], headers: Headers) -> str:
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    sent = headers.get("X-API-Key", "") or (credentials.strip() if scheme.lower() == "bearer" else "")
    if not sent:
        raise Unauthorized("A key is needed: send it as Authorization: Bearer, or as X-API-Key.")
    # Every key is compared, in constant time each, so that the time taken tells nothing.
    names = [
        name
        for name, key in keys.items()
        if hmac.compare_digest(key.get_secret_value().encode(), sent.encode("utf-8", "surrogateescape"))
    ]
    if not names:
        raise Unauthorized("The key is not one of those configured.")
    return names[0]


def _is_this_machine(headers: Headers, remote_address: str | None) -> bool:
    try:
        loopback = ipaddress.ip_address(remote_address or "").is_loopback
    except ValueError:
        loopback = False
    # The name in Host is checked against DNS rebinding: a page's own name that resolves to 127.0.0.1.
    host = headers.get("Host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return loopback and name in _OWN_NAMES and not any(header in headers for header in _FROM_ELSEWHERE)
