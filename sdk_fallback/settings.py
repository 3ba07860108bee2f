"""The settings of the machine on which FitCSVTool runs, as tables that `weighbridge.settings` reads.

Rule: an unusable setting raises `RunnerUnusable`. Its message says what was expected, never what came.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from weighbridge import settings as reader
from weighbridge.errors import SettingsInvalid
from weighbridge.secret import SecretStr
from weighbridge.settings import Variable

from .errors import RunnerUnusable

WINRM_PORT = 5986
PROXMOX_PORT = 8006
PAGE = "sdk_fallback/windows/README.md"


class ProxmoxToken(NamedTuple):
    user: str
    name: str
    value: SecretStr


def read(
    variables: Iterable[Variable], environment: Mapping[str, str], *, needed: Collection[str] = ()
) -> dict[str, Any]:
    """Attribute -> value. Raises `RunnerUnusable`, which names each variable that is missing or cannot be used."""
    try:
        return reader.read_variables(variables, environment, needed=needed)
    except SettingsInvalid as fault:
        raise RunnerUnusable(f"{fault} See {PAGE}.") from None


def text_of(name: str, environment: Mapping[str, str]) -> str:
    """See `weighbridge.settings.text_of`. Raises `RunnerUnusable`."""
    try:
        return reader.text_of(name, environment)
    except SettingsInvalid as fault:
        raise RunnerUnusable(str(fault)) from None


def _address(usual_port: int, text: str) -> tuple[str, int]:
    where = urlsplit(f"//{text}")
    if not where.hostname or where.path:
        raise ValueError
    return where.hostname, where.port or usual_port


def _token(text: str) -> ProxmoxToken:
    parts = re.fullmatch(r"([^\s!=]+@[^\s!=]+)!([^\s!=]+)=(\S+)", text)
    if not parts:
        raise ValueError
    return ProxmoxToken(parts[1], parts[2], SecretStr(parts[3]))


def _machine_number(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{2,8}", text):
        raise ValueError
    return int(text)


def _certificate(name: str, origin: str, text: str) -> Path | None:
    if not text:
        return None
    try:
        ssl.create_default_context(cafile=text)
    except OSError as e:
        why = "not a PEM file" if isinstance(e, ssl.SSLError) else e.strerror
        raise SettingsInvalid(f"{name} ({text}) cannot be used ({why}). It must name a copy of {origin}.") from None
    return Path(text)


_AN_ADDRESS = "a name or an address, with or without :port"

WINRM = (
    Variable(
        "WINRM_HOST",
        "address",
        "",
        f"the Windows machine, `name` or `name:port` ({WINRM_PORT}); setting it chooses WinRM",
        lambda text: _address(WINRM_PORT, text),
        _AN_ADDRESS,
    ),
    Variable("WINRM_USER", "user", "", "the account that `setup.ps1` created"),
    Variable("WINRM_PASSWORD", "password", "", "the password of that account", SecretStr),
    Variable(
        "WINRM_CA",
        "certificate",
        "",
        "the file `winrm.pem` that `setup.ps1` wrote",
        lambda text: _certificate("WINRM_CA", "the winrm.pem that setup.ps1 wrote there", text),
    ),
)

PROXMOX = (
    Variable(
        "PROXMOX_HOST",
        "address",
        "",
        f"Proxmox, `name` or `name:port` ({PROXMOX_PORT}); setting it without `WINRM_HOST` chooses the guest agent",
        lambda text: _address(PROXMOX_PORT, text),
        _AN_ADDRESS,
    ),
    Variable(
        "PROXMOX_TOKEN",
        "token",
        "",
        "an API token, `user@realm!name=value`",
        _token,
        "an API token as Proxmox shows it, user@realm!name=value",
    ),
    Variable("PROXMOX_NODE", "node", "", "the node that the machine is on"),
    Variable("PROXMOX_VM", "vm", "", "the machine's number", _machine_number, "the number of the machine, such as 105"),
    Variable(
        "PROXMOX_CA",
        "certificate",
        "",
        "a copy of `/etc/pve/pve-root-ca.pem`; without it, the certificate must be one that this computer already "
        "trusts",
        lambda text: _certificate("PROXMOX_CA", "/etc/pve/pve-root-ca.pem from Proxmox", text),
    ),
)
