"""The function as functions-framework serves it, in this process (fast) or in one of its own (real)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import functions_framework
import pytest
from flask.testing import FlaskClient

ROOT = Path(__file__).parent.parent
MAIN = ROOT / "function" / "main.py"


def client(monkeypatch: pytest.MonkeyPatch, **environment: object) -> FlaskClient:
    """A client of a fresh function that sees just these settings."""
    for name in list(os.environ):
        if name.startswith(("WEIGHBRIDGE_", "GARMIN_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    return functions_framework.create_app("handle", str(MAIN), "http").test_client()


@contextmanager
def process(environment: Mapping[str, object], *, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A functions-framework process of its own: its address, and the process (stdout is its log)."""
    port = port or free_port()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_"))}
    command = [
        Path(sys.executable).with_name("functions-framework"),
        *("--source", MAIN, "--target", "handle", "--host", "127.0.0.1", "--port", str(port)),
    ]
    running = subprocess.Popen(
        [str(part) for part in command],
        env=clean | {name: str(value) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that the server and its workers can be killed together
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_answering(address, running)
        yield address, running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        if running.stdout:
            running.stdout.close()


def wait_until_answering(address: str, running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise RuntimeError(f"the function ended: {running.stdout.read() if running.stdout else ''}")
        try:
            urllib.request.urlopen(f"{address}/openapi.json", timeout=5).close()
        except urllib.error.HTTPError as e:
            e.close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("the function did not answer within 30 s")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
