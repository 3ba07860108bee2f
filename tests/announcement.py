"""What `weighbridge serve` announces in the local network: one record for the test that sees it there, and for the one
that gives it to Home Assistant."""

from __future__ import annotations

from typing import NamedTuple


class Announcement(NamedTuple):
    """A service of DNS-SD."""

    type: str
    name: str
    server: str
    port: int
    addresses: list[str]
    properties: dict[str, str]


def announcement(machine: str, address: str, port: int, *, version: str, instance: str) -> Announcement:
    """That of the function on this machine."""
    type_ = "_weighbridge._tcp.local."
    properties = {"version": version, "id": instance}
    return Announcement(type_, f"Weighbridge on {machine}.{type_}", f"{machine}.local.", port, [address], properties)
