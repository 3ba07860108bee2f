"""A stand-in for the Supervisor of Home Assistant: what an app may ask, and the options that it gives the app.

    python -m tests.e2e.parts.supervisor HOST PORT TOKEN FILE BROKER

What is announced is written to FILE. BROKER is the address of an MQTT broker, or empty.

with supervisor(folder, options) as it:
    it.address, it.token    what the app is given
    it.messages             what it has announced: service -> message
    it.data                 its folder, with options.json

Facts: as supervisor/api and supervisor/apps/options.py of 2026 do it. An answer is {"result": "ok", "data": …} or
{"result": "error", "message": …}. A request without a token is 401, with another one 403, as is a service that the
config.yaml of the app does not name. A body may have no key that is not known. The same message keeps its uuid. Options
that the schema does not know are left out, and a missing or wrong one stops the app before it starts.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from aiohttp import web

from tests.e2e.parts import is_listening, wait_until
from tests.function_client import ROOT
from tests.ports import free_port

APP = ROOT / "integrations/home_assistant_app"
CONFIG: Mapping[str, Any] = yaml.safe_load((APP / "config.yaml").read_text(encoding="utf-8"))

_RANGE = r"(?:\((-?[\d.]+)?,(-?[\d.]+)?\))?"
ELEMENT = re.compile(
    rf"(?P<kind>bool|email|url|port|str{_RANGE}|password{_RANGE}|int{_RANGE}|float{_RANGE}|match\(.*\)|list\(.+\))\??"
)
#: As voluptuous checks an address, roughly.
KINDS = {
    "email": lambda value: re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value),
    "url": lambda value: urlsplit(value).scheme and urlsplit(value).netloc,
    "port": lambda value: 1 <= int(value) <= 65_535,
    "str": lambda value: isinstance(value, str),
    "password": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
}


def valid_options(given: Mapping[str, Any], config: Mapping[str, Any] = CONFIG) -> dict[str, Any]:
    """The options that the app gets. Raises ValueError where the app would not start."""
    schema = config["schema"]
    options = {name: value for name, value in {**config["options"], **given}.items() if name in schema}
    for name, value in options.items():
        if value is None or not _is_valid(schema[name], value):
            raise ValueError(f"{name} is not {schema[name]}")
    if missing := {name for name, kind in schema.items() if not kind.endswith("?")} - options.keys():
        raise ValueError(f"{missing} are missing")
    return options


def _is_valid(kind: str, value: Any) -> bool:
    if not ELEMENT.fullmatch(kind):
        raise ValueError(f"{kind} is not a kind of option")
    kind = kind.removesuffix("?")
    name, _, inside = kind.removesuffix(")").partition("(")
    if name == "list":
        return value in inside.split("|")
    if name == "match":
        return re.match(inside, str(value)) is not None
    if name in ("int", "float"):
        low, _, high = inside.partition(",")
        return isinstance(value, int | float) and float(low or "-inf") <= value <= float(high or "inf")
    return bool(KINDS[name](value))


def app_of(token: str, seen: Path, broker: str) -> web.Application:
    """What is announced is written to the file `seen`."""
    messages: dict[str, dict[str, Any]] = {}

    @web.middleware
    async def checked(request: web.Request, handler: Any) -> web.StreamResponse:
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        if not sent:
            return web.Response(status=401, text="401: Unauthorized")
        if scheme != "Bearer" or not secrets.compare_digest(sent, token):
            return web.Response(status=403, text="403: Forbidden")
        answer: web.StreamResponse = await handler(request)
        return answer

    def ok(data: Mapping[str, Any]) -> web.Response:
        return web.json_response({"result": "ok", "data": data})

    def error(status: int, message: str) -> web.Response:
        return web.json_response({"result": "error", "message": message}, status=status)

    async def discovery(request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            return error(400, "Invalid json")
        if not isinstance(body, dict) or body.keys() != {"service", "config"} or not isinstance(body["config"], dict):
            return error(400, "expected service and config")
        service = body["service"]
        if service not in CONFIG.get("discovery", []):
            return error(403, "Apps must list services they provide via discovery in their config!")
        known = messages.get(service)
        messages[service] = {"uuid": known["uuid"] if known else uuid.uuid4().hex, **body}
        draft = seen.with_suffix(".part")
        draft.write_text(json.dumps(messages))
        draft.replace(seen)
        return ok({"uuid": messages[service]["uuid"]})

    async def services(request: web.Request) -> web.Response:
        service = request.match_info["service"]
        if not any(entry.startswith(f"{service}:") for entry in CONFIG.get("services", [])):
            return error(403, f"No access to {service} service!")
        if not broker:
            return error(400, "Service not enabled")
        parts = urlsplit(broker)
        user = (
            {"username": unquote(parts.username), "password": unquote(parts.password or "")} if parts.username else {}
        )
        found = {"addon": "core_mosquitto", "host": parts.hostname, "port": parts.port, "protocol": "3.1.1", **user}
        return ok({**found, "ssl": parts.scheme == "mqtts"})

    app = web.Application(middlewares=[checked], client_max_size=16 << 20)
    app.add_routes([web.post("/discovery", discovery), web.get("/services/{service}", services)])
    return app


class Supervisor:
    def __init__(self, folder: Path, address: str) -> None:
        self.address, self.token = address, secrets.token_hex(56)
        self.data = folder / "data"
        self.data.mkdir(exist_ok=True)
        self._seen = folder / "announced.json"

    @property
    def messages(self) -> dict[str, dict[str, Any]]:
        return dict(json.loads(self._seen.read_text())) if self._seen.exists() else {}

    def set_options(self, options: Mapping[str, Any]) -> None:
        path = self.data / "options.json"
        path.write_text(json.dumps(valid_options(options)))
        path.chmod(0o600)


@contextmanager
def supervisor(
    folder: Path, options: Mapping[str, Any], *, broker: str = "", host: str = "127.0.0.1", port: int = 0
) -> Iterator[Supervisor]:
    port = port or free_port()
    this = Supervisor(folder, f"http://{host}:{port}")
    this.set_options(options)
    words = [
        sys.executable,
        "-m",
        "tests.e2e.parts.supervisor",
        host,
        port,
        this.token,
        folder / "announced.json",
        broker,
    ]
    with (folder / "supervisor.log").open("wb") as log:
        process = subprocess.Popen([str(word) for word in words], cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until("the Supervisor listens", lambda: process.poll() is not None or is_listening(port, host))
        assert process.poll() is None, (folder / "supervisor.log").read_text()
        yield this
    finally:
        process.terminate()
        process.wait(timeout=30)


if __name__ == "__main__":
    web.run_app(
        app_of(sys.argv[3], Path(sys.argv[4]), sys.argv[5]), host=sys.argv[1], port=int(sys.argv[2]), print=None
    )
