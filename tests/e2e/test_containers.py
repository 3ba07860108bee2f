"""The shipped compose.yaml, run by a real Docker engine: what goes in at its broker comes out at Garmin, once."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import expect, sync_playwright

from tests.e2e.parts import wait_until
from tests.e2e.parts.docker import GATEWAY, ROOT, Engine, engine
from tests.e2e.test_form_page import TIME, click, enter_key, launch, type_in
from tests.garmin.server import SERVICES, GarminStandIn
from weighbridge import __version__

SECRETS = {
    "WEIGHBRIDGE_KEY": "planted-key-0a1b2c3d4e5f",
    "POSTGRES_PASSWORD": "planted-postgres-0a1b2c",
    "MQTT_PASSWORD": "planted-mqtt-0a1b2c3d4e",
}
IN_THE_FOLDER = "planted-in-the-folder-0a1b2c3d"
LONG_RUNNING = ("broker", "relay", "postgres", "worker", "function", "refresh")
FIRST = datetime(2024, 3, 1, 6, 30, tzinfo=UTC)
GARMIN_PORT = 8443

#: What only a test adds to a service: where its Garmin is, and whose certificate to trust.
ADDITION = """
  {service}:
    environment: {{GARMIN_CA_BUNDLE: /garmin-ca.pem, WEIGHBRIDGE_CONFIRM_SECONDS: 2}}
    volumes: ["{ca_bundle}:/garmin-ca.pem:ro"]
    extra_hosts: [{hosts}]
    dns: [{gateway}]
"""


class NoSuchName(socketserver.BaseRequestHandler):
    """A name server that knows nothing, at once. Docker's own asks it for what is in no hosts file, such as AAAA."""

    def handle(self) -> None:
        query, answer_to = self.request
        # RFC 1035 4.1.1: this is a response, recursion is available, there is no such name; one question.
        answer_to.sendto(query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:], self.client_address)


@contextmanager
def name_server() -> Iterator[None]:
    with socketserver.UDPServer((GATEWAY, 53), NoSuchName) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


class House:
    """The running stack, its Garmin, and a scale that publishes one weigh-in a day."""

    def __init__(self, engine: Engine, garmin: GarminStandIn) -> None:
        self.engine, self.garmin = engine, garmin
        self.published = 0

    def weigh(self, times: int = 1) -> None:
        with gateway() as publish:
            for _ in range(times):
                measured_at = (FIRST + timedelta(days=self.published)).isoformat()
                publish("scale/anna", {"measured_at": measured_at, "weight_kg": 80 + self.published / 100})
                self.published += 1

    def all_arrived(self) -> None:
        wait_until("every weigh-in is at Garmin", lambda: len(self.garmin.weights.entries) >= self.published, 60)
        assert len({entry.instant_s for entry in self.garmin.weights.entries}) == self.published
        assert len(self.garmin.weights.entries) == self.published

    def address(self, service: str) -> str:
        (network,) = self.engine.container(service)["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def call(
        self, body: bytes, key: str | None = None, path: str = "/", *, address: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """As the tunnel does: at the container's own port, with the key if there is one."""
        address = address or self.address("function")
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        with closing(http.client.HTTPConnection(address, 8080, timeout=40)) as connection:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    context = tmp_path_factory.mktemp("context") / "weighbridge"
    copy_with_secrets(context)
    garmin = GarminStandIn(port=GARMIN_PORT, host_name="garmin.test", address="0.0.0.0")
    with engine(context) as docker, garmin, name_server():
        garmin_for(docker, garmin, "function")
        docker.compose("up", "--wait", "--no-build", "--pull", "never")
        yield House(docker, garmin)


def garmin_for(docker: Engine, garmin: GarminStandIn, *services: str, **settings: str) -> None:
    """Write the house's settings, tell the services where their Garmin is, and bring the function its token."""
    hosts = ["garmin.test", *(f"{service}.garmin.test" for service in SERVICES)]
    names = ", ".join(f'"{host}:host-gateway"' for host in hosts)
    additions = [
        ADDITION.format(service=service, ca_bundle=garmin.ca_bundle, hosts=names, gateway=GATEWAY)
        for service in services
    ]
    (docker.folder / "test.yaml").write_text("services:" + "".join(additions))
    values = SECRETS | {"WEIGHBRIDGE_DELIVERY": "garth", "GARMIN_DOMAIN": garmin.domain} | settings
    (docker.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    garmin.write_token(docker.folder)
    token = (docker.folder / "default.json").read_text()
    login = ("run", "--rm", "--no-deps", "-T", "function", "weighbridge", "login", "--import", "-")
    assert "Stored in /data/tokens/default.json." in docker.compose(*login, said=token)


@contextmanager
def gateway() -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """Publishes as a scale's bridge does: each message until the broker has taken it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="gateway", clean_session=False)
    client.username_pw_set("weighbridge", SECRETS["MQTT_PASSWORD"])
    client.reconnect_delay_set(1, 1)
    client.connect_async("127.0.0.1", 1883)
    client.loop_start()
    wait_until("the broker takes the scale in", client.is_connected, 60)

    def publish(topic: str, reading: Mapping[str, Any]) -> None:
        message = client.publish(topic, json.dumps(reading), qos=1)
        wait_until("the broker has taken the weigh-in", message.is_published)

    try:
        yield publish
    finally:
        client.disconnect()
        client.loop_stop()


def copy_with_secrets(context: Path) -> None:
    """What a person's folder looks like when they build: the sources, and secrets beside them."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, context / name)
    for name in (".env", "tokens/default.json", "weigh-ins/weigh-in.fit", "function/.env", "scripts/notes.txt"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(IN_THE_FOLDER)


def test_a_message_at_the_broker_becomes_one_weigh_in_at_garmin(house: House) -> None:
    house.weigh()
    house.all_arrived()


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_each_service_is_nobody_in_a_read_only_system_with_no_capability(house: House, service: str) -> None:
    is_nobody_in_a_read_only_system(house.engine.container(service))


def is_nobody_in_a_read_only_system(container: Mapping[str, Any]) -> None:
    host = container["HostConfig"]
    assert container["Config"]["User"] not in ("", "root", "0")
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    status = Path(f"/proc/{container['State']['Pid']}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Uid:\t0\t" not in status


def test_no_secret_is_in_a_layer_and_the_images_are_small(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []
    for target, most_mb in (("weighbridge", 200), ("weighbridge-browser", 1400), ("weighbridge-form", 800)):
        archive = house.engine.folder / f"{target}.tar"
        found = subprocess.run(["grep", "-c", "-a", "-F", IN_THE_FOLDER, archive], stdout=subprocess.PIPE, check=False)
        assert found.stdout == b"0\n"
        history = json.loads(house.engine.docker("inspect", f"{target}:{__version__}"))[0]
        layers = json.loads(house.engine.docker("inspect", "python:3.13-slim-trixie"))[0]
        ours_mb = (history["Size"] - layers["Size"]) / 1e6
        assert ours_mb < most_mb
        sizes.append(f"{target} {ours_mb:.0f} MB")
    with capsys.disabled():
        print(f"\n  images, without the Python that they stand on: {', '.join(sizes)}")


def test_the_image_with_a_browser_opens_a_page_as_nobody_in_a_read_only_system(house: House) -> None:
    confined = ("--read-only", "--tmpfs", "/tmp:exec", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    page = "data:text/html,<h1>Here</h1>"
    program = f"exec chromium --headless $WEIGHBRIDGE_BROWSER_ARGS --user-data-dir=/tmp/profile --dump-dom '{page}'"
    run = ("run", "--rm", *confined, f"weighbridge-browser:{__version__}")
    assert "<h1>Here</h1>" in house.engine.docker(*run, "sh", "-c", program)
    assert house.engine.docker(*run, "id", "-u").strip() == "10001"
    assert "playwright" in house.engine.docker(*run, "python3", "-c", "import garth, playwright; print(playwright)")


@pytest.mark.parametrize("service", LONG_RUNNING)
@pytest.mark.parametrize("blow", ["restart", "kill"])
def test_nothing_is_lost_or_doubled_when_a_service_is_struck(house: House, service: str, blow: str) -> None:
    house.weigh(2)
    house.engine.compose(blow, service)
    if blow == "kill":
        house.engine.compose("start", service)
    house.weigh(2)
    house.all_arrived()


def test_a_request_in_flight_is_answered_when_the_function_is_told_to_stop(house: House) -> None:
    house.garmin.faults.add("upload", "slow", delay_s=2.0)
    reading = json.dumps({"measured_at": "2025-01-01T06:30:00Z", "weight_kg": 81.4}).encode()
    uploads = house.garmin.uploads_received
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(house.call, reading, SECRETS["WEIGHBRIDGE_KEY"])
        wait_until("it is on its way", lambda: house.garmin.uploads_received > uploads)
        started = time.monotonic()
        house.engine.compose("stop", "function")
        took_s = time.monotonic() - started
        assert answer.result()[0] == 201
    assert took_s < 5
    house.published += 1
    house.engine.compose("up", "--detach", "--wait", "--no-build", "--pull", "never", "function")


def test_who_has_no_key_or_a_wrong_one_is_turned_away_and_a_large_body_refused(house: House) -> None:
    reading = b'{"weight_kg": 81.4}'
    assert house.call(reading)[0] == 401
    assert house.call(reading, "not-the-key-0a1b2c3d4e")[0] == 401
    large = b'{"weight_kg": 81.4, "note": "' + b"x" * (1 << 20) + b'"}'
    assert house.call(large, SECRETS["WEIGHBRIDGE_KEY"])[0] == 413


def test_the_honest_caller_is_served_while_200_connections_say_nothing_more(house: House) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: function\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer " + SECRETS["WEIGHBRIDGE_KEY"].encode() + b"\r\n"
    )
    parts = (b"", head, head + b"Content-Length: 100\r\n\r\n", head + b'Content-Length: 100\r\n\r\n{"weight_kg"')
    address = house.address("function")
    with ExitStack() as stack:
        for n in range(200):
            connection = stack.enter_context(socket.create_connection((address, 8080), timeout=5))
            connection.sendall(parts[n % len(parts)])
        started = time.monotonic()
        status, receipt = house.call(b'{"weight_kg": 81.4}', SECRETS["WEIGHBRIDGE_KEY"], "/?dry_run=true")
        took_s = time.monotonic() - started
        assert (status, receipt["status"]) == (200, "checked")
        assert took_s < 5
        connection.settimeout(30)
        assert connection.recv(64).startswith(b"HTTP/1.1 408")


def test_200_callers_at_once_are_all_answered(house: House) -> None:
    address = house.address("function")
    with ThreadPoolExecutor(200) as pool:
        gate = threading.Barrier(200)

        def call(_: int) -> int:
            gate.wait()
            return house.call(b'{"weight_kg": 81.4}', SECRETS["WEIGHBRIDGE_KEY"], "/?dry_run=true", address=address)[0]

        assert set(pool.map(call, range(200))) == {200}


def test_the_page_of_the_form_profile_sends_a_weigh_in_once_it_has_the_key(house: House) -> None:
    house.engine.compose("--profile", "form", "up", "--wait", "--no-build", "--pull", "never", "form")
    is_nobody_in_a_read_only_system(house.engine.container("form"))
    with sync_playwright() as playwright:
        page = launch(playwright).new_page()
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        page.goto("http://127.0.0.1:8501")
        enter_key(page, SECRETS["WEIGHBRIDGE_KEY"])
        type_in(page, {"Weight": "81,4", "Body fat (%)": "18.2", TIME: "2025-02-01T06:30:00Z"})
        click(page, "Send to Garmin")
        expect(page.get_by_text("81.4 kg, 18.2 % fat: confirmed in Garmin Connect")).to_be_visible()
    house.published += 1
    house.all_arrived()


def test_no_secret_and_no_measurement_is_in_what_the_services_say(house: House) -> None:
    said = house.engine.compose("logs", "--no-color")
    assert "POST" in said
    for planted in (*SECRETS.values(), IN_THE_FOLDER, "81.4", "80.01"):
        assert planted not in said


def test_without_its_secrets_nothing_starts_and_the_fix_is_named(house: House, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("")
    with pytest.raises(RuntimeError, match=r"Set \w+ in \.env, see \.env\.example"):
        house.engine.docker("compose", "-f", ROOT / "compose.yaml", "--env-file", tmp_path / ".env", "config")


def test_a_wrong_setting_fails_up_and_the_function_says_why(house: House, tmp_path: Path) -> None:
    settings = SECRETS | {"WEIGHBRIDGE_TIMEZONE": "Nowhere/Town", "WEIGHBRIDGE_PORT": "8081"}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    files = ("-f", ROOT / "compose.yaml", "--env-file", tmp_path / ".env")
    compose = ("compose", "--project-name", "misconfigured", *files)
    try:
        with pytest.raises(RuntimeError, match="misconfigured-function-1"):
            house.engine.docker(*compose, "up", "--wait", "--no-build", "--pull", "never", "function")
        said = house.engine.docker(*compose, "logs", "--no-color", "--no-log-prefix", "--tail", "1", "function")
        assert said == "WEIGHBRIDGE_TIMEZONE must be a time zone such as Europe/Berlin.\n"
    finally:
        house.engine.docker(*compose, "down", "--volumes", "--timeout", "5")


def test_down_takes_less_than_five_seconds_a_service(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    house.engine.compose("--profile", "form", "down")
    took_s = time.monotonic() - started
    assert took_s < 5 * (len(LONG_RUNNING) + 1)
    with capsys.disabled():
        print(f"\n  down: {took_s:.1f} s for {len(LONG_RUNNING) + 1} services")
