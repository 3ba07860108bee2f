"""A temporary function: a process that serves it on a free port of this machine for as long as it is needed.

Rule: settings and template are checked before the process starts, so that a fault in them is one sentence and not a
server that fails to start.

Weakness: the server needs a port number, so a free port is looked for first. Another program may take it in
between. Then the server does not start, which is reported, and the next run uses another port.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..compose import compose
from ..errors import OwnerFault
from ..local_key import local_key
from ..settings import read_settings

if TYPE_CHECKING:
    from ..client import Target

START_DEADLINE_S = 30


def server_command(host: str, port: int, workers: int = 1) -> list[str]:
    """The command that serves the function at an address, with this Python, without another look at the settings."""
    # -P: do not import a file in the working folder that has the name of a library.
    code = f"from weighbridge.http.server import run; run({host!r}, {port}, workers={workers})"
    return [sys.executable, "-P", "-c", code]


@contextmanager
def function_process(environment: Mapping[str, str], folder: Path, workers: int = 1) -> Iterator[Target]:
    """Run a function with this environment and a key in `folder`; yields where it is once it answers.

    Raises `SettingsInvalid`, `TemplateUnusable`, or `OwnerFault` if it does not start.
    """
    # Imported when needed: the HTTP library takes longer than the rest.
    from ..client import Target

    path = folder / "key"
    key = local_key(path)
    environment = {n: v for n, v in environment.items() if not n.startswith("WEIGHBRIDGE_API_KEYS")}
    environment["WEIGHBRIDGE_LOCAL_KEY"] = str(path.absolute())
    compose(read_settings(environment))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603  # our own command
        server_command("127.0.0.1", port, workers), env=environment, stdout=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_DEADLINE_S
        while not is_answering(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise OwnerFault("The function did not start. To see why: weighbridge serve.")
            time.sleep(0.05)
        yield Target(address, key)
    finally:
        process.terminate()
        process.wait()


def is_answering(address: str) -> bool:
    """Whether a function answers there, ready to deliver or not."""
    try:
        with open_here(f"{address}/health") as answer:
            return b'"delivery"' in answer.read()
    except urllib.error.HTTPError as e:
        with e:
            return b'"delivery"' in e.read()
    except OSError:
        return False


def open_here(request: str | urllib.request.Request, timeout_s: float = 5) -> http.client.HTTPResponse:
    """A request to this machine, without the proxies of the environment."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answer: http.client.HTTPResponse = opener.open(request, timeout=timeout_s)
    return answer


@contextmanager
def function_or_own(environment: Mapping[str, str]) -> Iterator[Target]:
    """The function that the environment names, else the one that runs on this machine, else a temporary one.

    Raises as `function_process` does.
    """
    from ..client import read_target

    target = read_target(environment)
    named = environment.get("WEIGHBRIDGE_URL") or environment.get("WEIGHBRIDGE_URL_FILE")
    if named or is_answering(target.url):
        yield target
        return
    # Two workers, because a dry run of years of readings uses more than one core.
    with tempfile.TemporaryDirectory() as folder, function_process(environment, Path(folder), workers=2) as own:
        yield own
