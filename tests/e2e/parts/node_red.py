"""A real Node-RED with the shipped flow. Its settings are in the environment, as its README says.

with node_red(folder, MQTT_HOST="127.0.0.1", …) as red:
    red.address              "http://127.0.0.1:PORT"
    red.debugged("kept")     what the debug node of this name has shown, newest last
    red.statuses("verdict")  the texts under the node weighbridge-verdict, each with its color, newest last
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.parts import wait_until
from tests.e2e.parts.npm import installed
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
FLOW = ROOT / "integrations" / "node_red" / "flow.json"
PACKAGE = ROOT / "tests" / "e2e" / "node_red_package"

WEBHOOK_KEY = "the-webhook-key-of-this-test"

SETTINGS = """\
module.exports = {
  flowFile: "flow.json", uiHost: "127.0.0.1", uiPort: PORT, credentialSecret: false, diagnostics: { enabled: false },
  telemetry: { enabled: false, updateNotification: false }, editorTheme: { tours: false },
  contextStorage: { default: { module: "localfilesystem", config: { flushInterval: 1 } } },
  logging: { console: { level: "info", metrics: false, audit: false } },
};
"""


class NodeRed:
    def __init__(self, folder: Path, environment: Mapping[str, str], flow: str) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("WEIGHBRIDGE_")}
        self._environment |= {"WEIGHBRIDGE_WEBHOOK_KEY": WEBHOOK_KEY, **environment}
        self._shown: list[dict[str, Any]] = []
        self._statuses: list[tuple[str, dict[str, str]]] = []
        self._listens = threading.Event()
        self._program = installed(PACKAGE, "node-red")
        (folder / "flow.json").write_text(flow)
        (folder / "output").touch()
        (folder / "settings.js").write_text(SETTINGS.replace("PORT", str(self.port)))

    def start(self) -> None:
        starts = self.log().count("Started flows")
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, "-u", self._folder, "-s", self._folder / "settings.js"],
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until("Node-RED answers", self._is_answering, 60)
        wait_until("Node-RED's flows have started", lambda: self.log().count("Started flows") > starts, 60)
        threading.Thread(target=self._listen, daemon=True).start()
        wait_until("Node-RED shows what is debugged", self._listens.is_set)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)

    def log(self) -> str:
        return (self._folder / "output").read_text(errors="replace")

    def debugged(self, name: str) -> list[dict[str, Any]]:
        """The messages that the debug node of this name has shown in the editor's sidebar."""
        return [shown["msg"] for shown in self._shown if shown.get("name") == name]

    def statuses(self, node: str) -> list[dict[str, str]]:
        """The statuses that the editor has shown under this node: the text, and `fill` for the color."""
        return [status for topic, status in self._statuses if topic == f"status/weighbridge-{node}"]

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> int:
        """The HTTP status of the webhook's response. One that is not 202 must be a problem."""
        headers = {"X-API-Key": WEBHOOK_KEY} if headers is None else headers
        everything = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(f"{self.address}/weigh-in", body, everything, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 202
                return int(answer.status)
        except urllib.error.HTTPError as e:
            with e:
                problem = json.loads(e.read())
            assert e.headers.get_content_type() == "application/problem+json"
            assert problem["status"] == e.code
            assert problem["type"].startswith("urn:weighbridge:")
            assert {"title", "detail", "blame", "again"} <= problem.keys()
            return e.code

    def _is_answering(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"Node-RED ended: {self.log()}")
        try:
            urllib.request.urlopen(f"{self.address}/settings", timeout=30).close()
        except OSError:
            return False
        return True

    def _listen(self) -> None:
        """Collect the sidebar's messages from a WebSocket, as the editor does."""
        try:
            with connect(f"ws://127.0.0.1:{self.port}/comms", max_size=None) as socket:
                socket.send(json.dumps({"subscribe": "debug"}))
                self._listens.set()
                for text in socket:
                    for event in json.loads(text):
                        if event.get("topic") == "debug":
                            data = event["data"]
                            self._shown.append({"name": data.get("name"), "msg": json.loads(data["msg"])})
                        elif event.get("topic", "").startswith("status/"):
                            self._statuses.append((event["topic"], event["data"]))
        except (ConnectionClosed, OSError):
            return


@contextmanager
def node_red(folder: Path, flow: str = "", **environment: str) -> Iterator[NodeRed]:
    """`flow`: the shipped one, with what a user has wired to it."""
    red = NodeRed(folder, environment, flow or FLOW.read_text())
    try:
        red.start()
        yield red
    finally:
        red.stop()
