"""A function for a command that needs one: the one that answers, or one of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..client import Client, Target, read_target
from ..errors import SettingsInvalid
from ..resources import TARGET

START_DEADLINE_S = 30


@contextmanager
def function_or_own(environment: Mapping[str, str]) -> Iterator[Target]:
    """The function at WEIGHBRIDGE_URL or the default address if one answers there, else one that ends with the block.

    Raises `SettingsInvalid`.
    """
    target = read_target(environment)
    if environment.get("WEIGHBRIDGE_URL") or environment.get("WEIGHBRIDGE_URL_FILE") or _is_answering(target):
        yield target
        return
    # Two workers, because a rehearsal of years keeps more than one core busy.
    with _process(dict(environment) | {"WORKERS": "2"}) as address:
        yield target._replace(url=address)


@contextmanager
def _process(environment: Mapping[str, str]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("functions-framework")), "--source", str(TARGET)]
    command += ["--target", "handle", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603  # fixed arguments
    try:
        target = Target(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + START_DEADLINE_S
        while not _is_answering(target):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SettingsInvalid("The function did not start; run weighbridge serve to see why.")
            time.sleep(0.05)
        yield target.url
    finally:
        process.terminate()
        process.wait()


def _is_answering(target: Target) -> bool:
    with Client(target) as client:
        return client.health().ok
