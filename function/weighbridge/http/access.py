"""Who may call.

Rule: if keys are configured, a key is needed. Otherwise only requests from this machine are answered, and only
those that did not pass a proxy or come from a web page: a tunnel on this host and a page open in its browser reach
127.0.0.1 too.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from pydantic import SecretStr

from ..errors import Forbidden, Unauthorized

#: Headers that a proxy, a tunnel or a browser adds, and that curl, Home Assistant and Node-RED do not.
_FROM_ELSEWHERE = frozenset(
    {
        "forwarded",
        "x-forwarded-for",
        "x-real-ip",
        "cf-connecting-ip",
        "origin",
        "sec-fetch-site",
    }
)

_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


def admit(keys: Mapping[str, SecretStr], address: str, headers: Mapping[str, str]) -> str | None:
    """The name of the caller's key, or None for this machine without keys.

    `address`: the caller's IP address. `headers`: by lower-case name, decoded as Latin-1.
    Raises `Unauthorized` (no key, or a wrong one) or `Forbidden` (no keys configured, caller elsewhere).
    """
    if keys:
        return _name_of_key(keys, headers)
    if not _is_this_machine(address, headers):
        raise Forbidden(
            "Without a key, only requests from this machine are answered. Set WEIGHBRIDGE_API_KEYS to name=key and "
            "send the key as Authorization: Bearer or X-API-Key."
        )
    return None


def _name_of_key(keys: Mapping[str, SecretStr], headers: Mapping[str, str]) -> str:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    sent = headers.get("x-api-key", "") or bearer
    if not sent:
        raise Unauthorized("A key is needed. Send it as Authorization: Bearer or X-API-Key.")
    # Every key is compared, each in constant time, so that the duration reveals nothing.
    names = [
        name
        for name, key in keys.items()
        if hmac.compare_digest(key.get_secret_value().encode(), sent.encode("latin-1", "replace"))
    ]
    if not names:
        raise Unauthorized("This is not a configured key.")
    return names[0]


def _is_this_machine(address: str, headers: Mapping[str, str]) -> bool:
    address = address.removeprefix("::ffff:")
    # The name in Host is checked because of DNS rebinding: the name of a web page that resolves to 127.0.0.1.
    host = headers.get("host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return (
        (address == "::1" or address.startswith("127.")) and name in _OWN_NAMES and _FROM_ELSEWHERE.isdisjoint(headers)
    )
