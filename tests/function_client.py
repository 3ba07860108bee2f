"""The function as functions-framework serves it: in this process (fast) or in its own (real)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from functions_framework.aio import create_asgi_app
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tests.ports import free_port
from weighbridge.client.settings import Target, local_key_path
from weighbridge.http.app import Shell
from weighbridge.local_key import local_key

ROOT = Path(__file__).parent.parent
MAIN = ROOT / "function" / "main.py"


@dataclass(frozen=True)
class Answer:
    """The response to one request."""

    status_code: int
    headers: Headers
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def text(self) -> str:
        return self.data.decode()

    @property
    def mimetype(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


class FunctionClient:
    """A caller of an ASGI application in this process."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def get(self, path: str, **options: Any) -> Answer:
        return self.open(path, method="GET", **options)

    def post(self, path: str, **options: Any) -> Answer:
        return self.open(path, method="POST", **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.open(path, method="DELETE", **options)

    def open(
        self,
        path: str,
        *,
        method: str = "GET",
        json: object = None,  # as in httpx
        data: str | bytes | Mapping[str, str] = b"",
        content_type: str = "",
        headers: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
        local: bool = True,
    ) -> Answer:
        """The response to a request from this address. `local`: with the key of this machine, unless it has another."""
        if isinstance(data, Mapping):
            data, content_type = as_form(data, content_type)
        body = as_json(json) if json is not None else data.encode() if isinstance(data, str) else data
        sent = {"host": "localhost", "content-length": str(len(body))}
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        if local and not {"authorization", "x-api-key"} & sent.keys():
            sent |= {name.lower(): value for name, value in local_headers().items()}
        if content_type or json is not None:
            sent["content-type"] = content_type or "application/json"
        return asyncio.run(self._call(method, path, body, sent, address))

    async def _call(self, method: str, path: str, body: bytes, headers: Mapping[str, str], address: str) -> Answer:
        parts = urlsplit("//host" + path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": quote(parts.path).encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": (address, 50_000),
            "server": ("127.0.0.1", 8080),
        }
        sent: list[dict[str, Any]] = []
        arrived = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return arrived.pop() if arrived else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._application(scope, receive, send)
        (start, *rest) = sent
        received = Headers(raw=start["headers"])
        return Answer(start["status"], received, b"".join(message.get("body", b"") for message in rest))


def local_headers() -> dict[str, str]:
    """What a program of this user sends to a function without configured keys."""
    key = local_key(local_key_path({}))
    return Target("http://localhost", key).headers()


def client_of(shell: Shell) -> FunctionClient:
    """A client of this shell, without functions-framework around it."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        response = await shell.answer(Request(scope, receive))
        await response(scope, receive, send)

    return FunctionClient(application)


def as_form(fields: Mapping[str, str], content_type: str) -> tuple[bytes, str]:
    """A form as a browser sends it, and its type."""
    request = httpx.Request(
        "POST",
        "http://localhost/",
        **({"files": {n: (None, v) for n, v in fields.items()}} if "multipart" in content_type else {"data": fields}),
    )
    return request.read(), request.headers["content-type"]


def as_json(value: object) -> bytes:
    return json.dumps(value, default=str).encode()


def client(monkeypatch: pytest.MonkeyPatch, **environment: object) -> FunctionClient:
    """A client of a new function that has only these settings."""
    for name in list(os.environ):
        if name.startswith(("WEIGHBRIDGE_", "GARMIN_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    return FunctionClient(create_asgi_app("handle", str(MAIN), "http"))


class Running:
    """A functions-framework process. Its log goes to a file, so it never waits for a reader."""

    def __init__(self, environment: Mapping[str, object], port: int, log: Path) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_"))}
        command = [
            Path(sys.executable).with_name("functions-framework"),
            *("--asgi", "--source", MAIN, "--target", "handle", "--host", "127.0.0.1", "--port", str(port)),
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
