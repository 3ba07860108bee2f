"""The form as `weighbridge form` serves it, and the function that it asks.

with function(garmin, folder) as address, form(folder, address) as served:
    served.address      "http://127.0.0.1:PORT"
    served.log          what the form prints
"""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.commands import with_sources
from tests.e2e.parts import wait_until
from tests.function_client import ROOT, process
from tests.garmin.server import GarminStandIn
from tests.ports import free_port


@contextmanager
def function(garmin: GarminStandIn, folder: Path, port: int = 0, /, **more: object) -> Iterator[str]:
    """The address of a function that is signed in to this stand-in for Garmin."""
    garmin.write_token(folder / "tokens")
    environment = {
        "WEIGHBRIDGE_DELIVERY": "garth",
        "WEIGHBRIDGE_FOLDER": folder / "weigh-ins",
        "WEIGHBRIDGE_TOKENS": folder / "tokens",
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        **more,
    }
    with process(environment, port=port) as (address, _):
        yield address


class Form(NamedTuple):
    address: str
    log: Path
    pid: int


@contextmanager
def form(folder: Path, people: str, *options: str, port: int = 0, **more: str) -> Iterator[Form]:
    """The page for this WEIGHBRIDGE_URL, with more of Streamlit's options and settings, in a separate process."""
    with streamlit(["weighbridge", "form", *options], folder, people, port=port, **more) as served:
        yield served


@contextmanager
def streamlit(module: list[str], folder: Path, people: str, *, port: int = 0, **more: str) -> Iterator[Form]:
    """A Streamlit page, started with `python -m`, once it responds."""
    port, log = port or free_port(), folder / "form.log"
    environment: Mapping[str, str] = os.environ | {"WEIGHBRIDGE_URL": people} | more
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *module, "--server.port", str(port)],
            cwd=ROOT,
            env=with_sources(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until("the form responds", lambda: _healthy(port) or running.poll() is not None)
        assert running.poll() is None, log.read_text()
        yield Form(f"http://127.0.0.1:{port}", log, running.pid)
    finally:
        running.terminate()
        running.wait(10)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=30) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
