"""The page's settings from the environment: the functions by person, their key, and who may open the page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from weighbridge.client.settings import VARIABLES as OF_A_CALLER
from weighbridge.errors import SettingsInvalid
from weighbridge.secret import SecretStr
from weighbridge.settings import (
    LOOPBACK,
    Network,
    Variable,
    header_text,
    http_url,
    networks_of,
    read_variables,
    split_url,
)

#: Below that, a password can be guessed over the network in reasonable time.
SHORTEST_PASSWORD = 12


class FormSettings(NamedTuple):
    #: The address of each person's function, by name. The name is "" if one function serves everyone.
    people: Mapping[str, str]
    #: What the functions want; empty: that of this machine, or what a person types.
    key: SecretStr
    #: The file of the key of this machine.
    local_key: Path
    #: What the page asks for, if it does.
    password: SecretStr | None
    #: Under which names the page is opened, beside those of this machine.
    hosts: tuple[str, ...]
    #: Whether a proxy in front of the page asks for a sign-in.
    behind_proxy: bool
    #: The team domain of Cloudflare Access and the AUD tag of the page there; both are "" without it.
    access_team: str
    access_audience: str
    #: Where a phone reaches the function of each person, and the key for it; for the code of the set-up.
    phone_urls: Mapping[str, str]
    phone_key: SecretStr
    #: Where Home Assistant's ingress comes from.
    ingress: tuple[Network, ...]


def people_of(text: str) -> dict[str, str]:
    """The addresses by name: one without a name, or "Anna=http://…, Ben=http://…". Raises `ValueError`."""
    people: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, address = part.partition("=")
        named = bool(equals) and "://" not in name
        name = name.strip() if named else ""
        if name in people or "" in people:
            raise ValueError
        people[name] = http_url((address if named else part).strip())
    if not people or (len(people) > 1 and "" in people):
        raise ValueError
    return people


def hosts_of(text: str) -> tuple[str, ...]:
    """The names in "192.168.1.10, scales.example", in lower case. Raises `ValueError`."""
    names = tuple(part.strip().lower().rstrip(".").strip("[]") for part in text.split(",")) if text.strip() else ()
    for name in names:
        if ":" in name:
            ip_address(name)  # raises ValueError for a name with a port
        elif not re.fullmatch(r"[a-z0-9._-]+", name):
            raise ValueError
    return names


def _password(text: str) -> SecretStr | None:
    if not text:
        return None
    if not SHORTEST_PASSWORD <= len(text) <= 200 or not text.isprintable() or text != text.strip():
        raise ValueError
    return SecretStr(text)


def _is_proxy(text: str) -> bool:
    if text not in ("", "proxy"):
        raise ValueError
    return text == "proxy"


def _team(text: str) -> str:
    if text:
        split_url(f"https://{text}", ("https",))
        # A dot: the name of the team alone is not its domain.
        if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]+)?", text):
            raise ValueError
    return text


def _audience(text: str) -> str:
    if text and not re.fullmatch(r"[0-9a-f]{32,128}", text):
        raise ValueError
    return text


VARIABLES = (
    Variable(
        "WEIGHBRIDGE_URL",
        "people",
        "http://127.0.0.1:8080",
        "the address of the function; or one address for each person: `Anna=http://…, Ben=http://…`",
        people_of,
        "an http:// or https:// address, or name=address pairs separated by commas, each name once",
    ),
    *(variable for variable in OF_A_CALLER if variable.name != "WEIGHBRIDGE_URL"),
    Variable(
        "WEIGHBRIDGE_FORM_PASSWORD",
        "password",
        "",
        "the password that the page asks for; needed if it listens beyond this machine",
        _password,
        f"a password of {SHORTEST_PASSWORD} to 200 characters, without spaces around it",
    ),
    Variable(
        "WEIGHBRIDGE_FORM_HOSTS",
        "hosts",
        "",
        "names under which the page is opened, beside those of this machine, such as `192.168.1.10,scales.example`",
        hosts_of,
        "names or addresses separated by commas, without http:// and ports, such as 192.168.1.10,scales.example",
    ),
    Variable(
        "WEIGHBRIDGE_FORM_SIGN_IN",
        "behind_proxy",
        "",
        "`proxy`: instead of a password, a proxy asks for a sign-in (such as Authelia), and nothing but the proxy can "
        "reach the port of the page",
        _is_proxy,
        "proxy, or not set",
    ),
    Variable(
        "WEIGHBRIDGE_FORM_ACCESS_TEAM",
        "access_team",
        "",
        "instead of a password, Cloudflare Access asks for a sign-in, and the page checks its token: your team domain, "
        "such as `example.cloudflareaccess.com`",
        _team,
        "a team domain such as example.cloudflareaccess.com, in lower case and without https://",
    ),
    Variable(
        "WEIGHBRIDGE_FORM_ACCESS_AUDIENCE",
        "access_audience",
        "",
        "the Application Audience (AUD) tag of the page there",
        _audience,
        "the AUD tag of an application: 64 digits and letters from a to f",
    ),
    Variable(
        "WEIGHBRIDGE_FORM_PHONE_URL",
        "phone_urls",
        "",
        "the address at which a phone reaches the function, such as `http://192.168.1.10:8080`; for the QR code with "
        "which an app of the phone is set up",
        lambda text: people_of(text) if text else {},
        "an http:// or https:// address, or name=address pairs as in WEIGHBRIDGE_URL",
    ),
    Variable(
        "WEIGHBRIDGE_FORM_PHONE_KEY",
        "phone_key",
        "",
        "the key in that code, one of the function's WEIGHBRIDGE_API_KEYS that may only send: `phone:send=…`",
        lambda text: SecretStr(header_text(text)),
        "a key without spaces, of characters that an HTTP header can carry",
    ),
    Variable(
        "WEIGHBRIDGE_FORM_INGRESS",
        "ingress",
        "",
        "the address from which Home Assistant's ingress reaches the page (`172.30.32.2`). Who is signed in there "
        "needs no password here, and may open the page under every name and in Home Assistant's frame",
        networks_of,
        "addresses or networks separated by commas, such as 172.30.32.2",
    ),
)


def read_settings(environment: Mapping[str, str]) -> FormSettings:
    """Raises `SettingsInvalid`."""
    values: dict[str, Any] = read_variables(VARIABLES, environment)
    settings = FormSettings(**values)
    if bool(settings.access_team) is not bool(settings.access_audience):
        raise SettingsInvalid("Set both WEIGHBRIDGE_FORM_ACCESS_TEAM and WEIGHBRIDGE_FORM_ACCESS_AUDIENCE, or neither.")
    if bool(settings.phone_urls) is not bool(settings.phone_key):
        raise SettingsInvalid("Set both WEIGHBRIDGE_FORM_PHONE_URL and WEIGHBRIDGE_FORM_PHONE_KEY, or neither.")
    if settings.phone_urls and settings.phone_urls.keys() != settings.people.keys():
        raise SettingsInvalid(
            "Expected the names of WEIGHBRIDGE_URL in WEIGHBRIDGE_FORM_PHONE_URL, each with its address."
        )
    return settings


def names_of(settings: FormSettings, address: str) -> tuple[str, ...]:
    """The names under which a page that listens on this address may be opened, beside those of this machine.

    Raises `SettingsInvalid` if others would reach the page without a sign-in, or under no name.
    """
    sign_ins = sum(map(bool, (settings.password, settings.behind_proxy, settings.access_team)))
    if sign_ins > 1:
        raise SettingsInvalid(
            "Expected one of WEIGHBRIDGE_FORM_PASSWORD, WEIGHBRIDGE_FORM_ACCESS_TEAM and "
            f"WEIGHBRIDGE_FORM_SIGN_IN=proxy, got {sign_ins}."
        )
    bare = address.strip("[]").lower()
    everywhere = bare in ("0.0.0.0", "::")  # noqa: S104  # only a comparison
    if not is_loopback(bare):
        if not sign_ins and not settings.ingress:
            raise SettingsInvalid(
                f"Others can reach a page that listens on {address}. Set WEIGHBRIDGE_FORM_PASSWORD "
                f"({SHORTEST_PASSWORD} characters or more), or WEIGHBRIDGE_FORM_ACCESS_TEAM for Cloudflare Access, or "
                "WEIGHBRIDGE_FORM_SIGN_IN=proxy if another proxy asks for a sign-in."
            )
        if everywhere and sign_ins and not settings.hosts:
            raise SettingsInvalid(
                "WEIGHBRIDGE_FORM_HOSTS is not set. Set it to the names under which the page is opened, such as "
                "192.168.1.10,scales.example."
            )
    return settings.hosts if everywhere else (*settings.hosts, bare)


def is_loopback(address: str) -> bool:
    if address in LOOPBACK:
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
