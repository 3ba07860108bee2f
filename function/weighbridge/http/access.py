"""Who may call.

Rule: with keys configured, a key is needed. Without any, only this machine is answered, and only when the
request did not pass a proxy or come out of a web page: a tunnel on this host and a page open in a browser
on it both reach 127.0.0.1 too.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from pydantic import SecretStr

from ..errors import Forbidden, Unauthorized

#: Headers that a proxy, a tunnel or a browser adds, and that curl, Home Assistant and Node-RED do not.
_FROM_ELSEWHERE = frozenset(
    {
        "HTTP_FORWARDED",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_REAL_IP",
        "HTTP_CF_CONNECTING_IP",
        "HTTP_ORIGIN",
        "HTTP_SEC_FETCH_SITE",
    }
)

_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


def admit(keys: Mapping[str, SecretStr], environ: Mapping[str, object]) -> str | None:
    """The name of the key that the caller holds, or None for this machine without keys.

    `environ` is the request's, as WSGI has it (PEP 3333). Raises `Unauthorized` (no key, or a wrong one) or
    `Forbidden` (no keys configured, caller elsewhere).
    """
    if keys:
        return _name_of_key(keys, environ)
    if not _is_this_machine(environ):
        raise Forbidden(
            "Without a key only this machine is answered. Set WEIGHBRIDGE_API_KEYS to name=key and send the key "
            "as Authorization: Bearer, or as X-API-Key."
        )
    return None


def _name_of_key(keys: Mapping[str, SecretStr], environ: Mapping[str, object]) -> str:
    scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    sent = str(environ.get("HTTP_X_API_KEY", "")) or bearer
    if not sent:
        raise Unauthorized("A key is needed: send it as Authorization: Bearer, or as X-API-Key.")
    # Every key is compared, in constant time each, so that the time taken tells nothing. WSGI hands over the bytes
    # of a header as Latin-1.
    names = [
        name
        for name, key in keys.items()
        if hmac.compare_digest(key.get_secret_value().encode(), sent.encode("latin-1", "replace"))
    ]
    if not names:
        raise Unauthorized("The key is not one of those configured.")
    return names[0]


def _is_this_machine(environ: Mapping[str, object]) -> bool:
    address = str(environ.get("REMOTE_ADDR", "")).removeprefix("::ffff:")
    # The name in Host is checked against DNS rebinding: a page's own name that resolves to 127.0.0.1.
    host = str(environ.get("HTTP_HOST", "")).lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return (
        (address == "::1" or address.startswith("127.")) and name in _OWN_NAMES and _FROM_ELSEWHERE.isdisjoint(environ)
    )
