"""Announce the function in the local network, by DNS-SD over mDNS (RFC 6762, 6763), so that Home Assistant finds it.

Rule: it is announced only if other machines can reach it. Everybody in the network can read what is announced: the
address, the version and the id of this process. So no key, no name of a person and no setting is in it. A network in
which nothing can be announced does not stop the server.

Strategy: a thread announces it, because a look whether the name is free takes a second.

Weakness: mDNS does not leave the network of a container. There, the address has to be typed.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from .. import __version__
from ..http.instance import instance_id

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

SERVICE = "_weighbridge._tcp.local."


@contextmanager
def announced(host: str, port: int) -> Iterator[None]:
    """Announce a function that listens on this address, if the library is here, until the end of the block."""
    try:
        import zeroconf  # noqa: F401  # the extra `announce`
    except ModuleNotFoundError:
        yield
        return
    addresses = reachable_addresses(host)
    if not addresses:
        yield
        return
    announcer = _Announcer(_service(addresses, port))
    announcer.start()
    try:
        yield
    finally:
        announcer.end()


class _Announcer(threading.Thread):
    def __init__(self, service: ServiceInfo) -> None:
        super().__init__(name="announce", daemon=True)
        self._service = service
        self._network: Zeroconf | None = None

    def run(self) -> None:
        from zeroconf import Error, Zeroconf

        try:
            self._network = Zeroconf()
            # Two functions of one machine get different names.
            self._network.register_service(self._service, allow_name_change=True)
        except (OSError, Error) as e:
            print(f"  not announced in the local network ({type(e).__name__})", file=sys.stderr, flush=True)

    def end(self) -> None:
        self.join(5)
        if self._network is not None:
            self._network.close()


def _service(addresses: list[IPv4Address | IPv6Address], port: int) -> ServiceInfo:
    from zeroconf import ServiceInfo

    # RFC 6763 section 4.1.1: the name of an instance has at most 63 bytes; a host name has ASCII letters.
    machine = socket.gethostname().partition(".")[0][:40] or "machine"
    return ServiceInfo(
        SERVICE,
        f"Weighbridge on {machine}.{SERVICE}",
        port=port,
        addresses=[address.packed for address in addresses],
        properties={"version": __version__, "id": instance_id()},
        server=f"{machine}.local.",
    )


def reachable_addresses(host: str) -> list[IPv4Address | IPv6Address]:
    """The addresses at which other machines reach a server that listens on this one; none if it is a loopback one."""
    family, *_, address = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)[0]
    listens = ip_address(str(address[0]).partition("%")[0])
    if not listens.is_unspecified:
        return [] if listens.is_loopback else [listens]
    # ifaddr comes with zeroconf.
    import ifaddr

    found = [
        ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]
    # A server on 0.0.0.0 does not answer on IPv6. An address of a link is of no use without the name of the link.
    return [
        ip
        for ip in found
        if not (ip.is_loopback or ip.is_link_local) and (ip.version == 4 or family == socket.AF_INET6)
    ]
