"""Where a process listens.

Facts: Linux shows the sockets of a process as links, and all that listen in /proc/net/tcp and tcp6, each address as
32-bit words in the order of the machine (proc(5)).
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LISTENS = "0A"


def listeners(pid: int) -> set[str]:
    """The addresses with ports at which this process listens, such as 127.0.0.1:8123."""
    own = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            own.add(str(link.readlink()))
    return {address for address, inode in _all() if f"socket:[{inode}]" in own}


def _all() -> Iterator[tuple[str, str]]:
    for family, name in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        with suppress(FileNotFoundError):  # this machine has no IPv6
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == _LISTENS:
                    host, _, port = local.partition(":")
                    words = struct.unpack(f">{len(host) // 8}I", bytes.fromhex(host))
                    packed = struct.pack(f"={len(words)}I", *words)
                    yield f"{socket.inet_ntop(family, packed)}:{int(port, 16)}", inode


def check_address(pid: int, port: int, configuration: Path) -> None:
    """Fail unless this Home Assistant listens at this port of 127.0.0.1 alone, and no trial of its address is pending,
    after which it would restart on all addresses."""
    assert listeners(pid) == {f"127.0.0.1:{port}"}
    http = json.loads((configuration / ".storage" / "http").read_text())["data"]
    assert http["stable"]["server_host"] == ["127.0.0.1"]
    assert http["pending"] is None
