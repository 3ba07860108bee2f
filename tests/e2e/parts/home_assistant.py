"""A real, current Home Assistant with the integration, and with the package as its README says to install it.

with home_assistant(folder, mqtt_port=broker.port, weighbridge_readings_url="http://…") as home:
    home.state("sensor.weighbridge_health")
    home.notifications()
    home.call("input_number.set_value", entity_id="…", value=81.4)
    home.restart()

Rule: nothing of it listens beyond this machine. Its address is in `.storage/http`: from `http:` in configuration.yaml
it would make a trial, and restart after five minutes on all addresses, unless a person confirms it.
Strategy: an account is created as at a first start (onboarding). Everything else uses the REST and WebSocket interfaces
of the frontend. It is stopped and started as a process, and keeps its folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.e2e.parts import wait_until
from tests.listening import check_address
from tests.ports import free_port
from tests.skips import NOT_HERE

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "integrations" / "home_assistant"
#: A folder with a Debian and a current Home Assistant (make test-home-assistant).
HOME_ASSISTANT_ROOT = os.environ.get("HOME_ASSISTANT_ROOT", "")

#: What a Debian root without a camera, and a custom integration, always lead to.
UNNEEDED = re.compile(
    r"\[(haffmpeg\.\w+|aiohttp_fast_zlib|homeassistant\.components\.camera\.img_util)\]"
    r"|Skipping pip installation|We found a custom integration"
)
IN_ROOT = ROOT / "tests" / "e2e" / "in_root.sh"

CONFIGURATION = """\
homeassistant:
  name: Home
  time_zone: Europe/Berlin
  unit_system: metric
  packages: !include_dir_named packages
frontend:
config:
lovelace:
notify:
api:
automation: !include automations.yaml
logger:
  default: warning
  logs:
    custom_components.weighbridge: info
    weighbridge: info
"""

BROKER_ENTRY: Mapping[str, Any] = {
    "entry_id": "broker",
    "version": 1,
    "minor_version": 1,
    "domain": "mqtt",
    "title": "mqtt",
    "options": {},
    "pref_disable_new_entities": False,
    "pref_disable_polling": False,
    "source": "user",
    "unique_id": None,
    "disabled_by": None,
}


class Frontend:
    """What a person can see and do in the Home Assistant at this address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._token = ""

    def is_answering(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/manifest.json", timeout=30).close()
        except (OSError, urllib.error.URLError):
            return False
        return True

    def has_started(self) -> bool:
        return bool(self.get("/api/config")["state"] == "RUNNING")

    def sign_in(self) -> None:
        client_id = f"{self.address}/"
        person = {"name": "Ann", "username": "ann", "password": "a password", "language": "en", "client_id": client_id}
        code = self.request("POST", "/api/onboarding/users", json.dumps(person).encode())["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": client_id}
        body = urllib.parse.urlencode(form).encode()
        self.tokens = self.request("POST", "/auth/token", body, "application/x-www-form-urlencoded")
        self._token = str(self.tokens["access_token"])

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def state(self, entity: str) -> str:
        try:
            return str(self.get(f"/api/states/{entity}")["state"])
        except urllib.error.HTTPError as e:
            e.close()
            return "absent"

    def attribute(self, entity: str, name: str) -> Any:
        return self.get(f"/api/states/{entity}")["attributes"].get(name)

    def set_state(self, entity: str, state: object, **attributes: object) -> None:
        """Create or change an entity, as an integration would."""
        body = {"state": str(state), "attributes": attributes}
        self.request("POST", f"/api/states/{entity}", json.dumps(body).encode())

    def call(self, service: str, **data: object) -> None:
        self.request("POST", f"/api/services/{service.replace('.', '/')}", json.dumps(data).encode())

    def fire(self, event: str) -> None:
        self.request("POST", f"/api/events/{event}", b"{}")

    def ask(self, **command: object) -> Any:
        """The result of a command of the WebSocket interface."""
        return self.answer(**command)["result"]

    def answer(self, **command: object) -> dict[str, Any]:
        """What the WebSocket interface answers to a command: its result or its error."""
        with connect(f"{self.address.replace('http', 'ws')}/api/websocket", max_size=None) as socket:
            socket.recv()
            socket.send(json.dumps({"type": "auth", "access_token": self._token}))
            socket.recv()
            socket.send(json.dumps({"id": 1, **command}))
            found: dict[str, Any] = json.loads(socket.recv())
            return found

    def add(self, integration: str, *answers: Mapping[str, object]) -> str:
        """Add an integration by its dialog, with these answers. The id of its entry."""
        path = "/api/config/config_entries/flow"
        step = self.request("POST", path, json.dumps({"handler": integration}).encode())
        for typed in answers:
            step = self.request("POST", f"{path}/{step['flow_id']}", json.dumps(typed).encode())
        assert step["type"] == "create_entry", step
        return str(step["result"]["entry_id"])

    def take_readings_from(self, topic: str, entry_id: str) -> None:
        """Change the only person of the integration: this is the topic of their scale."""
        (person,) = self.ask(type="config_entries/subentries/list", entry_id=entry_id)
        self.change_person(person["title"], entry_id, name=person["title"], topic=topic)

    def change_person(self, title: str, entry_id: str, **typed: str) -> None:
        """Change a person of the integration by their dialog."""
        people = self.ask(type="config_entries/subentries/list", entry_id=entry_id)
        (id_,) = (person["subentry_id"] for person in people if person["title"] == title)
        path = "/api/config/config_entries/subentries/flow"
        begin = {"handler": [entry_id, "person"], "subentry_id": id_}
        step = self.request("POST", path, json.dumps(begin).encode())
        step = self.request("POST", f"{path}/{step['flow_id']}", json.dumps(typed).encode())
        assert step["reason"] == "reconfigure_successful", step

    def notifications(self) -> dict[str, str]:
        """Notifications: notification_id -> message."""
        return {n["notification_id"]: n["message"] for n in self.ask(type="persistent_notification/get")}

    def titles(self) -> dict[str, str]:
        """Notifications: notification_id -> title."""
        return {n["notification_id"]: n["title"] for n in self.ask(type="persistent_notification/get")}

    def request(
        self, method: str, path: str, body: bytes | None = None, media_type: str = "application/json"
    ) -> dict[str, Any]:
        headers = {"Content-Type": media_type}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.address + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
            return found


class HomeAssistant(Frontend):
    def __init__(self, folder: Path, *, mqtt_port: int, secrets: Mapping[str, str], **more: Any) -> None:
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        self._folder = folder
        self._set_up(mqtt_port, **more)
        if secrets:
            self._install(secrets)

    def _install(self, secrets: Mapping[str, str]) -> None:
        """Install as the README says: the package, and the lines of secrets.yaml with these values."""
        shutil.copy(SHIPPED / "weighbridge.yaml", self._folder / "packages" / "weighbridge.yaml")
        lines = []
        for line in (SHIPPED / "secrets.yaml").read_text().splitlines():
            name = line.partition(":")[0]
            lines.append(f"{name}: {json.dumps(secrets[name])}" if name in secrets else line)
        (self._folder / "secrets.yaml").write_text("\n".join(lines))

    def _set_up(
        self, mqtt_port: int, *, automations: str, configuration: str, others: Mapping[Path, Mapping[str, Any]]
    ) -> None:
        """Prepare a Home Assistant with the integration and the blueprints, a broker and its owner's files."""
        (self._folder / "packages").mkdir()
        (self._folder / "automations.yaml").write_text(automations)
        (self._folder / "configuration.yaml").write_text(CONFIGURATION + configuration)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "custom_components", self._folder / "custom_components", ignore=ignored)
        for other in others:
            shutil.copytree(other, self._folder / "custom_components" / other.name, ignore=ignored)
        shutil.copytree(SHIPPED / "blueprints", self._folder / "blueprints")
        storage = self._folder / ".storage"
        storage.mkdir()
        # In the format of its first version, which Home Assistant brings up to date itself.
        http = {"server_host": ["127.0.0.1"], "server_port": self.port}
        (storage / "http").write_text(json.dumps({"version": 1, "minor_version": 1, "key": "http", "data": http}))
        all_entries = [
            {**BROKER_ENTRY, "data": {"broker": "127.0.0.1", "port": mqtt_port, "discovery": True}},
            *({**BROKER_ENTRY, "entry_id": p.name, "domain": p.name, "data": {}, **e} for p, e in others.items()),
        ]
        entries = {"version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": all_entries}}
        (storage / "core.config_entries").write_text(json.dumps(entries))
        # The first start only has to create an account.
        done = {"done": ["core_config", "analytics", "integration"]}
        (storage / "onboarding").write_text(json.dumps({"version": 4, "key": "onboarding", "data": done}))

    # -- life --------------------------------------------------------------------------------------------

    def start(self) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_"))}
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                (IN_ROOT, HOME_ASSISTANT_ROOT, "/ha/bin/hass", "--skip-pip", "-c", "/config", "--log-no-color"),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=inherited | {"CONFIG": str(self._folder)},
            )
        wait_until("Home Assistant answers", self.is_answering, 120)
        if not self._token:
            self.sign_in()
        wait_until("Home Assistant has started", self.has_started, 120)

    def stop(self) -> None:
        """Ask it to stop, as its host does. It then saves what it restores later."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=60)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def check_address(self) -> None:
        """Fail unless it listens on this machine only, and for good."""
        check_address(self._process.pid, self.port, self._folder)

    def complaints(self) -> list[str]:
        """The entries of its log that are warnings or errors, except about what this machine has no need of."""
        entries = re.split(r"^(?=\d{4}-\d\d-\d\d )", self.log(), flags=re.MULTILINE)
        return [entry for entry in entries if re.search("WARNING|ERROR|CRITICAL", entry) and not UNNEEDED.search(entry)]

    def log(self) -> str:
        return (self._folder / "output").read_text(errors="replace")

    def is_answering(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"Home Assistant ended: {self.log()}")
        return super().is_answering()


@contextmanager
def home_assistant(
    folder: Path,
    *,
    mqtt_port: int,
    automations: str = "[]",
    configuration: str = "",
    others: Mapping[Path, Mapping[str, Any]] = {},
    **secrets: str,
) -> Iterator[HomeAssistant]:
    """A Home Assistant in this folder. With `secrets`, values for the lines of secrets.yaml, it has the package.

    `others`: the folders of other custom integrations, each with what its entry has besides the usual.
    """
    if not HOME_ASSISTANT_ROOT:
        pytest.skip(f"{NOT_HERE}Home Assistant is in the Debian root that make test-home-assistant builds")
    home = HomeAssistant(
        folder,
        mqtt_port=mqtt_port,
        secrets=secrets,
        automations=automations,
        configuration=configuration,
        others=others,
    )
    try:
        home.start()
        yield home
    finally:
        home.kill()
