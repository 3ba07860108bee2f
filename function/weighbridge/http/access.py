"""Who may call, and what for.

Rule: every caller needs a key; without configured keys, that of this machine (`local_key`). Where a request came from
never lets it in: a proxy, a tunnel, a web page and another user of the machine all reach a loopback address. What holds
a password of Garmin's needs more: a key that names the right to administer, and a way on which nobody can read it.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from ..errors import Forbidden, Unauthorized
from ..secret import SecretStr
from ..settings import Key, Network, Right

#: A caller without a key.
ANONYMOUS = Key("", SecretStr(""), frozenset())

#: For wrong keys from one address.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 3.0
FORGOTTEN_AFTER = timedelta(minutes=15)
MOST_ADDRESSES = 1_000
#: For the addresses of a private caller.
LOOK_UP_S = 2


def admit(keys: Sequence[Key], headers: Mapping[str, str]) -> Key:
    """The key that a caller sent. `headers`: by lower-case name, decoded as Latin-1. Raises `Unauthorized`."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    sent = (headers.get("x-api-key", "") or bearer).encode("latin-1", "replace")
    if not sent:
        raise Unauthorized("Send the key as Authorization: Bearer or X-API-Key.", sent=False)
    # Every key is compared, each in constant time, so that the duration reveals nothing.
    found = [key for key in keys if hmac.compare_digest(key.secret.get_secret_value().encode(), sent)]
    if not found:
        raise Unauthorized("This is not a configured key.", sent=True)
    return found[0]


def check(key: Key, right: Right) -> None:
    """Raises `Forbidden` if the key lacks this right."""
    if right not in key.rights:
        raise Forbidden(f"The key {key.name!r} lacks the right to {right}.")


async def check_guarded(
    key: Key,
    scope: Mapping[str, Any],
    headers: Mapping[str, str],
    trusted: Sequence[Network],
    private: Sequence[Network | str],
) -> None:
    """Raises `Forbidden` unless the key names the right to administer, and nobody on the way could read the request."""
    if not key.is_explicit:
        raise Forbidden(
            f"Signing in to Garmin is off for the key {key.name!r}: its rights are not named. Name them in "
            f"WEIGHBRIDGE_API_KEYS, {key.name}:send+read+delete+administer=…, or sign in with `weighbridge login`."
        )
    if not _is_private(scope, headers, trusted) and not await _is_private_caller(scope, headers, private):
        raise Forbidden(
            "Signing in to Garmin needs HTTPS, or a caller on the same machine. Behind a proxy with HTTPS, name its "
            "address in WEIGHBRIDGE_TRUSTED_PROXIES and let it set X-Forwarded-Proto. On a network that nobody else "
            "can read, name the caller in WEIGHBRIDGE_PRIVATE_CALLERS. Or sign in with `weighbridge login`."
        )


#: What proxies and tunnels add to a request.
FORWARDED = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-connecting-ip",
    "via",
)


def _is_private(scope: Mapping[str, Any], headers: Mapping[str, str], trusted: Sequence[Network]) -> bool:
    peer = (scope.get("client") or ("",))[0].removeprefix("::ffff:")
    if scope.get("scheme") == "https":
        return True
    if _is_in(peer, trusted) and (schemes := headers.get("x-forwarded-proto")):
        return {scheme.strip().lower() for scheme in schemes.split(",")} == {"https"}
    # A proxy on this machine that nobody has named may have got the request in the clear.
    return _is_address(peer) and ip_address(peer).is_loopback and not any(name in headers for name in FORWARDED)


async def _is_private_caller(
    scope: Mapping[str, Any], headers: Mapping[str, str], private: Sequence[Network | str]
) -> bool:
    peer = (scope.get("client") or ("",))[0].removeprefix("::ffff:")
    if not private or not _is_address(peer) or any(name in headers for name in FORWARDED):
        return False
    # Looked up each time: a container that starts again has another address.
    found = await asyncio.gather(*(_addresses_of(caller) for caller in private if isinstance(caller, str)))
    named = {address for addresses in found for address in addresses}
    return peer in named or _is_in(peer, [caller for caller in private if not isinstance(caller, str)])


async def _addresses_of(name: str) -> set[str]:
    """The addresses of a machine; none if it is not there, or nobody says so in time."""
    try:
        async with asyncio.timeout(LOOK_UP_S):
            found = await asyncio.get_running_loop().getaddrinfo(name, None)
    except (OSError, UnicodeError, TimeoutError):
        return set()
    return {str(address[0]) for *_, address in found}


def check_person(key: Key, person: str | None) -> None:
    """Raises `Forbidden` if the key is not for this person's weigh-ins."""
    if key.people and person not in key.people:
        raise Forbidden(f"The key {key.name!r} is not for this person's weigh-ins.")


class WrongKeys:
    """How long the answer to a wrong key waits: longer with each one from the same address.

    Weakness: each process counts by itself. An address with very many others behind it makes them wait too, but only
    those with a wrong key.
    """

    def __init__(self) -> None:
        #: The address -> how many wrong keys came from there, and when the last one did.
        self._seen: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def pause_s(self, address: str, now: datetime) -> float:
        """How long to wait before the answer to another wrong key from this address."""
        count, last = self._seen.pop(address, (0, now))
        count = 1 if now - last > FORGOTTEN_AFTER else count + 1
        self._seen[address] = count, now
        while len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)
        return min(FIRST_PAUSE_S * (1 << min(count - 1, 10)), LONGEST_PAUSE_S)


def address_of(peer: str, headers: Mapping[str, str], trusted: Sequence[Network]) -> str:
    """The address that a request came from: the last one in X-Forwarded-For that no trusted proxy has, and only if the
    peer is a trusted proxy."""
    hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",")]
    address = peer.removeprefix("::ffff:")
    while hops and _is_in(address, trusted):
        if not _is_address(hops[-1]):
            break
        address = hops.pop()
    return address


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
