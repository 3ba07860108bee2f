"""A real Mosquitto with the shipped settings. Only the places differ: the port, the folder, the user.

with mosquitto() as broker:
    broker.url                 "mqtt://127.0.0.1:PORT"
    broker.publish("scale/anna", b"{...}", retain=True)
    broker.restart()
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import paho.mqtt.subscribe as subscribe
import trustme
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.parts import find_program, is_listening, wait_until
from tests.ports import free_port

SHIPPED = Path(__file__).parents[3] / "integrations" / "containers" / "mosquitto.conf"


class Mosquitto:
    def __init__(self, program: Path, folder: Path, user: str, password: str, *, tls: bool) -> None:
        self.port = free_port()
        self.tls = tls
        self.ca_bundle = folder / "ca.pem"
        self._program = program
        self._folder = folder
        self._user, self._password = user, password
        places = {"listener": f"{self.port} 127.0.0.1", "persistence_location": f"{folder}/"}
        if user:
            passwords = folder / "passwords"
            passwords.touch(mode=0o600)
            passwords.write_text(f"{user}:{password}\n")
            tool = find_program("mosquitto_passwd", package="mosquitto")
            subprocess.run([tool, "-U", passwords], check=True, capture_output=True)
            places["password_file"] = str(passwords)
        else:
            places |= {"allow_anonymous": "true", "password_file": ""}
        # Tests wait for lines of the log.
        more = ["log_type all", "connection_messages true"]
        if tls:
            ca = trustme.CA()
            ca.cert_pem.write_to_path(self.ca_bundle)
            certificate = ca.issue_cert("localhost", "127.0.0.1")
            certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
            more += [f"certfile {folder}/server.pem", f"keyfile {folder}/server.pem"]
        if os.getuid() == 0:  # otherwise it runs as the user mosquitto, who cannot read the folder
            more += ["user root"]
        (folder / "mosquitto.conf").write_text(_with_places(SHIPPED.read_text(), places, more))
        self.start()

    @property
    def url(self) -> str:
        credentials = f"{self._user}:{self._password}@" if self._user else ""
        return f"mqtt{'s' if self.tls else ''}://{credentials}127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", self._folder / "mosquitto.conf"], stdout=log, stderr=subprocess.STDOUT
            )
        wait_until("Mosquitto listens", lambda: is_listening(self.port))

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def publish(self, topic: str, *payloads: bytes | str, retain: bool = False, qos: int = 1) -> None:
        """Publish, and wait until the broker has taken all messages."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.max_inflight_messages_set(100)
        if self._user:
            client.username_pw_set(self._user, self._password)
        if self.tls:
            client.tls_set(str(self.ca_bundle))
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            for sent in [client.publish(topic, payload, qos=qos, retain=retain) for payload in payloads]:
                sent.wait_for_publish(timeout=30)
                assert sent.is_published(), "the broker did not take the message within 30 s"
        finally:
            client.disconnect()
            client.loop_stop()

    def retained(self, topic: str) -> bytes:
        """The retained message of this topic."""
        found = subscribe.simple(topic, hostname="127.0.0.1", port=self.port, qos=1)
        assert isinstance(found, mqtt.MQTTMessage)
        return found.payload


def _with_places(shipped: str, places: Mapping[str, str], more: Sequence[str]) -> str:
    """The shipped settings with other values; without those whose value is empty."""
    lines = [line for line in shipped.splitlines() if not line.startswith("connection_messages")]
    for name, value in places.items():
        (number,) = (n for n, line in enumerate(lines) if line.startswith(f"{name} "))
        lines[number] = f"{name} {value}" if value else ""
    return "\n".join([*lines, *more, ""])


@contextmanager
def mosquitto(*, user: str = "", password: str = "", tls: bool = False) -> Iterator[Mosquitto]:
    """A broker on a free local port. With a user, only that user may connect; with TLS, trust `ca_bundle`."""
    program = find_program("mosquitto", Path("/usr/sbin"), package="mosquitto")
    with tempfile.TemporaryDirectory(prefix="mosquitto-") as folder:
        broker = Mosquitto(program, Path(folder), user, password, tls=tls)
        try:
            yield broker
        finally:
            broker.stop()
