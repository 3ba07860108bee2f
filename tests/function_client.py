"""The function as functions-framework serves it: in this process (fast) or in its own (real)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
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
    """A client of a new function that has only these settings."""
    for name in list(os.environ):
        if name.startswith(("WEIGHBRIDGE_", "GARMIN_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    client: FlaskClient = functions_framework.create_app("handle", str(MAIN), "http").test_client()
    return client


class Running:
    """A functions-framework process. Its log goes to a file, so it never waits for a reader."""

    def __init__(self, environment: Mapping[str, object], port: int, log: Path) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_"))}
        command = [
            Path(sys.executable).with_name("functions-framework"),
            *("--source", MAIN, "--target", "handle", "--host", "127.0.0.1", "--port", str(port)),
        ]
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                env=clean | {name: str(value) for name, value in environment.items()},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that the server and its workers can be killed together
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        """Ask it to stop, as a container's host does, and wait until it has stopped."""
        self._process.terminate()
        self._process.wait()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def process(environment: Mapping[str, object], *, port: int = 0) -> Iterator[tuple[str, Running]]:
    """The address of a running function with only these settings, and its process."""
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        running = Running(environment, port, Path(folder, "log"))
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_answering(address, running)
            yield address, running
        finally:
            running.kill()


def wait_until_answering(address: str, running: Running) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if running.ended:
            raise RuntimeError(f"the function ended: {running.log()}")
        try:
            urllib.request.urlopen(f"{address}/health", timeout=30).close()
        except urllib.error.HTTPError as e:
            e.close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("the function did not answer within 60 s")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
