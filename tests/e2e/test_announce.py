"""`weighbridge serve` announces itself in the local network: seen by another program, in a network of the test."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.announcement import Announcement, announcement
from tests.commands import clean, with_sources
from tests.skips import NOT_HERE, unavailable
from weighbridge import __version__
from weighbridge.operate.announce import SERVICE, announced, reachable_addresses

KEY = "planted-key-of-the-house"

#: A network with one interface, whose multicast comes back.
NETWORK = """
ip link set lo up
ip link add house type veth peer name neighbor
ip link set neighbor up
ip address add 192.0.2.9/24 dev house
ip link set house up
ip route add 224.0.0.0/4 dev house
exec "$@"
"""

#: Starts the function, looks for it as Home Assistant does, stops it, and prints what was seen.
LOOK = """
import json, signal, subprocess, sys, threading, urllib.request
from zeroconf import ServiceBrowser, ServiceListener, Zeroconf

service, key, *command = sys.argv[1:]
came, went, seen = threading.Event(), threading.Event(), {}

class Listener(ServiceListener):
    def add_service(self, network, kind, name):
        info = network.get_service_info(kind, name)
        seen.update(type=kind, name=name, server=info.server, port=info.port, addresses=info.parsed_addresses())
        seen["properties"] = {k.decode(): v.decode() for k, v in info.properties.items()}
        came.set()
    def update_service(self, *_): ...
    def remove_service(self, *_):
        went.set()

function = subprocess.Popen(command)
network = Zeroconf()
browser = ServiceBrowser(network, service, Listener())
seen["came"] = came.wait(60)
request = urllib.request.Request("http://192.0.2.9:8080/health", headers={"X-API-Key": key})
try:
    health = urllib.request.urlopen(request, timeout=30).read()
except urllib.error.HTTPError as e:
    health = e.read()
seen["instance"] = json.loads(health)["instance"]
function.send_signal(signal.SIGTERM)
seen["exit_code"] = function.wait(60)
seen["went"] = went.wait(30) if seen["came"] else False
network.close()
print(json.dumps(seen))
"""


def look(folder: Path, *words: str) -> dict[str, object]:
    """What another program of the network sees of `weighbridge serve WORDS`."""
    if find_spec("zeroconf") is None:
        unavailable("zeroconf is not installed: pip install -r requirements-dev.txt")
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        unavailable(f"{NOT_HERE}a network of its own needs root, unshare and ip")
    script = folder / "look.py"
    script.write_text(LOOK)
    serve = [sys.executable, "-m", "weighbridge", "serve", *words]
    made = subprocess.run(
        ["unshare", "-n", "sh", "-euc", NETWORK, "sh", sys.executable, script, SERVICE, KEY, *serve],
        env=with_sources(clean({"WEIGHBRIDGE_API_KEYS": f"home={KEY}", "WEIGHBRIDGE_DELIVERY": "folder"})),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr
    assert KEY not in made.stderr
    (line,) = (line for line in made.stdout.splitlines() if '"came"' in line)
    found: dict[str, object] = json.loads(line)
    return found


def test_announced(tmp_path: Path) -> None:
    """A function that others can reach is announced with its address, its version and the id of its process, and with
    nothing else; when it ends, so does the announcement."""
    seen = look(tmp_path, "--host", "0.0.0.0")
    assert (seen["came"], seen["went"], seen["exit_code"]) == (True, True, 0)
    machine = socket.gethostname().partition(".")[0][:40]
    wanted = announcement(machine, "192.0.2.9", 8080, version=__version__, instance=str(seen["instance"]))
    assert {name: seen[name] for name in Announcement._fields} == wanted._asdict()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost"])
def test_loopback_is_not_announced(host: str) -> None:
    """A function that only this machine can reach is not announced."""
    assert reachable_addresses(host) == []


def test_one_address() -> None:
    """Who listens on one address announces this one."""
    assert [str(address) for address in reachable_addresses("192.0.2.7")] == ["192.0.2.7"]


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra, the function serves as ever, and says nothing of it."""
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with announced("0.0.0.0", 8080):
        served = True
    assert served
    assert capsys.readouterr() == ("", "")
