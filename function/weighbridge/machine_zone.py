"""The time zone of this machine: the one in which its clock is shown.

Rule: a TZ that is not understood is refused. UTC is used only where no zone is found, as in most containers.

Facts: the C library reads TZ, then /etc/localtime, which is a link into the database of zones, or a file of it that
was mounted into a container. Debian also writes the name to /etc/timezone.

Weakness: a TZ with rules of its own, such as CET-1CEST, is refused. Windows has none of this, so UTC is used there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import SettingsInvalid

NOT_FOUND = "this machine has no zone"


def machine_zone(environment: Mapping[str, str], root: Path = Path("/")) -> tuple[ZoneInfo, str]:
    """The zone, and what it was read from. `root` is the file system. Raises `SettingsInvalid`."""
    text = environment.get("TZ", "").removeprefix(":")
    if text and text != "/etc/localtime":
        if zone := _named(text):
            return zone, "TZ"
        raise SettingsInvalid("TZ is not the name of a time zone. Set WEIGHBRIDGE_TIMEZONE, such as Europe/Berlin.")
    for name, read in (("etc/localtime", _linked), ("etc/localtime", _file), ("etc/timezone", _line)):
        try:
            if zone := read(root / name):
                return zone, f"/{name}"
        except (OSError, ValueError):
            continue
    return ZoneInfo("UTC"), NOT_FOUND


def _linked(path: Path) -> ZoneInfo | None:
    return _named(str(path.readlink()))


def _file(path: Path) -> ZoneInfo:
    with path.open("rb") as file:
        return ZoneInfo.from_file(file, key=f"the zone of /etc/{path.name}")


def _line(path: Path) -> ZoneInfo | None:
    return _named(path.read_text(encoding="utf-8").strip())


def _named(text: str) -> ZoneInfo | None:
    """The zone of a name, or of a path in the database of zones."""
    name = text.rpartition("zoneinfo/")[2]
    if re.fullmatch(r"(?:Etc/)?(?:UTC|GMT)[+-]?0?", name):
        name = "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
