"""The shipped compose.yaml, run by a real Docker engine: a message at its broker is one weigh-in at Garmin."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
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
import paho.mqtt.subscribe as subscribe
import pytest
from packaging.utils import canonicalize_name
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import expect, sync_playwright

from scripts.sbom import IMAGES, pins_of
from tests.e2e.parts import family, is_listening, wait_until
from tests.e2e.parts.docker import GATEWAY, ROOT, TARGETS, Engine, documented, engine, run
from tests.e2e.parts.fitdays_cloud import FitdaysCloud
from tests.e2e.parts.supervisor import Supervisor, supervisor
from tests.e2e.test_form_page import choose_time, click, expect_arrived, launch, settle, type_in
from tests.e2e.test_home_assistant_app import FITDAYS, panel, sign_in
from tests.garmin.server import SERVICES, GarminStandIn
from weighbridge import __version__
from weighbridge.client import Client, Target
from weighbridge.secret import SecretStr

SECRETS = {
    "WEIGHBRIDGE_KEY": "planted-key-0a1b2c3d4e5f",
    "POSTGRES_PASSWORD": "planted-postgres-0a1b2c",
    "POSTGRES_RELAY_PASSWORD": "planted-relay-0a1b2c",
    "POSTGRES_WORKER_PASSWORD": "planted-worker-0a1b2c",
    "MQTT_PASSWORD": "planted-mqtt-0a1b2c3d4e",
    "WEIGHBRIDGE_FORM_PASSWORD": "planted-form-0a1b2c3d4e",
}
IN_THE_FOLDER = "planted-in-the-folder-0a1b2c3d"
LONG_RUNNING = ("broker", "relay", "postgres", "worker", "function", "refresh")
#: What was measured, and a few MB more: Chromium grows every other month. The goals were 90, 700 and 300 MB.
MOST_MB = {"weighbridge": 92, "weighbridge-browser": 715, "weighbridge-form": 290, "weighbridge-app": 335}
#: Wheels without the text of their license. This one is under Apache-2.0, whose text comes with others.
WITHOUT_A_TEXT = {"streamlit"}
FIRST = datetime(2024, 3, 1, 6, 30, tzinfo=UTC)
GARMIN_PORT = 8443
#: What a person does after *Install*, which takes as long as the download.
APP_STEPS = "3 steps: start, sign in, type a weight"
#: The app of Home Assistant, and where its Supervisor always is.
APP, SUPERVISOR = "app_local_weighbridge", "172.30.32.2"

#: The test's addition to a service: where its Garmin is, and whose certificate to trust.
ADDITION = """
  {service}:
    environment: {{GARMIN_CA_BUNDLE: /garmin-ca.pem, WEIGHBRIDGE_CONFIRM_SECONDS: 2}}
    volumes: ["{ca_bundle}:/garmin-ca.pem:ro"]
    extra_hosts: [{hosts}]
    dns: [{gateway}]
"""


class NoSuchName(socketserver.BaseRequestHandler):
    """A name server that knows no name and answers at once. Docker's own asks it for names in no hosts file."""

    def handle(self) -> None:
        query, answer_to = self.request
        # RFC 1035 4.1.1: a response, recursion available, no such name, one question.
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
        """Post to the container's own port, as the tunnel does, with the key if there is one."""
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
    with engine(context, (*TARGETS, "weighbridge-app")) as docker, garmin, name_server():
        garmin_for(docker, garmin, "function", "doctor")
        docker.compose("up", "--wait", "--no-build", "--pull", "never")
        # What is published before the relay has subscribed for the first time, no broker keeps for it.
        wait_until("the relay listens", lambda: "connected to the broker" in docker.compose("logs", "relay"), 60)
        yield House(docker, garmin)


def garmin_for(docker: Engine, garmin: GarminStandIn, *services: str, **settings: str) -> None:
    """Write the settings, point the services to their Garmin, and import the function's token."""
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
def gateway() -> Iterator[Callable[..., None]]:
    """A function that publishes as a scale's bridge does: it repeats a message until the broker has it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="gateway", clean_session=False)
    client.username_pw_set("weighbridge", SECRETS["MQTT_PASSWORD"])
    client.reconnect_delay_set(1, 1)
    client.connect_async("127.0.0.1", 1883)
    client.loop_start()
    wait_until("the scale is connected to the broker", client.is_connected, 60)

    def publish(topic: str, reading: Mapping[str, Any], *, retain: bool = False) -> None:
        message = client.publish(topic, json.dumps(reading), qos=1, retain=retain)
        wait_until("the broker has taken the weigh-in", message.is_published)

    try:
        yield publish
    finally:
        client.disconnect()
        client.loop_stop()


def copy_with_secrets(context: Path) -> None:
    """Make a folder as users have it when they build: the sources, and secrets next to them."""
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


def test_message_becomes_one_weigh_in_at_garmin(house: House) -> None:
    """A message at the broker becomes one weigh-in at Garmin."""
    house.weigh()
    house.all_arrived()


def test_doctor_sees_all_of_it(house: House) -> None:
    """`docker compose run --rm doctor` checks every link, from the broker to Garmin. In the container of one service,
    it checks what that service has, and what is not there is no fault."""
    found = doctor(house, "run", "--rm", "doctor")
    assert {found[link] for link in ("token", "renewal", "reading", "outbox", "broker", "function")} == {"ok"}
    worker = doctor(house, "exec", "worker")
    assert {link for link in ("outbox", "function") if worker[link] == "ok"} == {"outbox", "function"}
    assert worker["token"] == worker["broker"] == "skipped"


def doctor(house: House, verb: str, *words: str) -> dict[str, str]:
    """Link -> its outcome. It holds no secret, and none fails."""
    said = house.engine.compose(verb, "-T", *words, "weighbridge", "doctor", "--json")
    assert [secret for secret in SECRETS.values() if secret in said] == []
    document = json.loads(said[said.index("{") :])
    assert document["ok"], document
    return {link["link"]: link["outcome"] for link in document["links"]}


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_services_are_confined(house: House, service: str) -> None:
    """Each service runs as an unprivileged user, on a read-only file system, without capabilities."""
    is_confined(house.engine.container(service))


def is_confined(container: Mapping[str, Any]) -> None:
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


def test_images_are_small_and_have_no_secret(house: House, figure: Callable[[str], None]) -> None:
    """No secret is in a layer of an image, and each is at most as large as it was meant to be."""
    sizes = []
    for target, most_mb in MOST_MB.items():
        archive = house.engine.folder / f"{target}.tar"
        found = subprocess.run(["grep", "-c", "-a", "-F", IN_THE_FOLDER, archive], stdout=subprocess.PIPE, check=False)
        assert found.stdout == b"0\n"
        history = json.loads(house.engine.docker("inspect", f"{target}:{__version__}"))[0]
        layers = json.loads(house.engine.docker("inspect", "python:3.13-slim-trixie"))[0]
        ours_mb = (history["Size"] - layers["Size"]) / 1e6
        assert ours_mb < most_mb
        sizes.append(f"{target} {ours_mb:.0f} MB")
    figure(f"images, without their Python base: {', '.join(sizes)}")


@pytest.mark.parametrize("name", IMAGES)
def test_images_hold_what_their_bills_name(house: House, name: str) -> None:
    """The packages of Python in an image are exactly those that its bill of materials names, and Weighbridge."""
    program = "from importlib.metadata import distributions as d; print(*{f'{one.name}=={one.version}' for one in d()})"
    installed = house.engine.docker("run", "--rm", f"{name}:{__version__}", "python3", "-c", program).split()
    named = {f"{pin.name}{pin.specifier}" for pin, _ in pins_of(IMAGES[name])}
    assert {normal(one) for one in installed} == named | {f"weighbridge=={__version__}"}


LICENSES = """
from importlib.metadata import distributions
for one in distributions():
    texts = [file for file in one.files if ".dist-info" in file.parts[0] and file.locate().exists()]
    if not any(word in str(file).lower() for file in texts for word in ("licen", "copying")):
        print(one.name)
"""


@pytest.mark.parametrize("name", IMAGES)
def test_images_hold_the_licenses(house: House, name: str) -> None:
    """Each package in an image has the text of its license there, if its wheel has one. None forbids to pass it on."""
    run = ("run", "--rm", f"{name}:{__version__}", "python3", "-c", LICENSES)
    assert set(house.engine.docker(*run).split()) <= WITHOUT_A_TEXT
    assert {pin.name for pin, _ in pins_of(IMAGES[name])} & {"garmin-fit-sdk"} == set()


# The app's is started by Home Assistant, as root.
@pytest.mark.parametrize("name", [name for name in IMAGES if name != "weighbridge-app"])
@pytest.mark.parametrize(
    ("user", "volume"), [("12345:0", True), ("12345:0", False), ("12345:12345", True), ("12345:12345", False)]
)
def test_any_user_can_run_an_image(house: House, tmp_path: Path, name: str, user: str, *, volume: bool) -> None:
    """Each image starts as any user on a read-only file system, and answers. Without a volume, it says so."""
    confined = ("--user", user, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
    if volume:
        tmp_path.chmod(0o777)
        confined += ("--volume", f"{tmp_path}:/data")
    settings = {
        "WEIGHBRIDGE_API_KEYS": f"home={SECRETS['WEIGHBRIDGE_KEY']}",
        "WEIGHBRIDGE_FORM_PASSWORD": SECRETS["WEIGHBRIDGE_FORM_PASSWORD"],
        "WEIGHBRIDGE_FORM_HOSTS": "scales.example",
    }
    given = [word for setting, value in settings.items() for word in ("--env", f"{setting}={value}")]
    identifier = house.engine.docker("run", "--detach", *confined, *given, f"{name}:{__version__}").strip()
    try:
        address = json.loads(house.engine.docker("inspect", identifier))[0]["NetworkSettings"]["IPAddress"]
        port, path = (8501, "/_stcore/health") if name == "weighbridge-form" else (8080, "/health")
        expected = 200 if volume or port == 8501 else 503
        wait_until("it answers", lambda: status_of(address, port, path) == expected, 60)
        if port == 8080:
            reading = b'{"weight_kg": 81.4}'
            status, receipt = house.call(reading, SECRETS["WEIGHBRIDGE_KEY"], "/?dry_run=true", address=address)
            assert (status, receipt["status"]) == (200, "checked")
    finally:
        house.engine.docker("rm", "--force", identifier)


def status_of(address: str, port: int, path: str) -> int:
    with contextlib.suppress(OSError), closing(http.client.HTTPConnection(address, port, timeout=5)) as connection:
        connection.request("GET", path, headers={"Host": "scales.example"})
        return connection.getresponse().status
    return 0


def test_openssl_is_the_one_of_the_base_image(house: House) -> None:
    """Postgres' client uses the OpenSSL of the base image, which is updated with it, and no other."""
    program = "import psycopg, ssl; print(*{s.split()[-1] for s in open('/proc/self/maps') if 'libcrypto' in s})"
    found = house.engine.docker("run", "--rm", f"weighbridge:{__version__}", "python3", "-c", program).split()
    assert [Path(one).parts[:3] for one in found] == [("/", "usr", "lib")]


def normal(pin: str) -> str:
    name, equals, version = pin.partition("==")
    return canonicalize_name(name) + equals + version


DRIVEN = """
import os
from playwright.sync_api import sync_playwright
from weighbridge.garmin.sessions.garth import import_garth

print(import_garth().__name__)
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path="/usr/bin/chromium", args=os.environ["WEIGHBRIDGE_BROWSER_ARGS"].split()
    )
    page = browser.new_page()
    page.goto("data:text/html,<h1>Here</h1>")
    print(page.text_content("h1"))
    browser.close()
"""


def test_confined_browser_image_opens_a_page(house: House) -> None:
    """The image with a browser opens a page as an unprivileged user on a read-only file system."""
    confined = ("--read-only", "--tmpfs", "/tmp:exec", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    page = "data:text/html,<h1>Here</h1>"
    program = f"exec chromium --headless $WEIGHBRIDGE_BROWSER_ARGS --user-data-dir=/tmp/profile --dump-dom '{page}'"
    run = ("run", "--rm", *confined, f"weighbridge-browser:{__version__}")
    assert "<h1>Here</h1>" in house.engine.docker(*run, "sh", "-c", program)
    assert house.engine.docker(*run, "id", "-u").strip() == "10001"
    assert house.engine.docker(*run, "python3", "-c", DRIVEN).split() == ["garth", "Here"]


@pytest.mark.parametrize("service", LONG_RUNNING)
@pytest.mark.parametrize("command", ["restart", "kill"])
def test_nothing_is_lost_or_doubled(house: House, service: str, command: str) -> None:
    """When any service is restarted or killed, no weigh-in is lost or doubled."""
    house.weigh(2)
    house.engine.compose(command, service)
    if command == "kill":
        house.engine.compose("start", service)
    house.weigh(2)
    house.all_arrived()


def test_stopping_function_answers_open_request(house: House) -> None:
    """A request in progress is answered before the function stops."""
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
    assert took_s < 30, "the grace period is 40 s"
    house.published += 1
    house.engine.compose("up", "--detach", "--wait", "--no-build", "--pull", "never", "function")


def test_bad_key_and_large_body_are_refused(house: House) -> None:
    """A missing key, a wrong key and a large body are refused."""
    reading = b'{"weight_kg": 81.4}'
    assert house.call(reading)[0] == 401
    assert house.call(reading, "not-the-key-0a1b2c3d4e")[0] == 401
    with closing(http.client.HTTPConnection(house.address("function"), 8080, timeout=40)) as connection:
        connection.putrequest("POST", "/")
        connection.putheader("Authorization", f"Bearer {SECRETS['WEIGHBRIDGE_KEY']}")
        connection.putheader("Content-Length", str((1 << 20) + 1))
        # The function answers without waiting for the rest.
        connection.endheaders(reading)
        assert connection.getresponse().status == 413


def test_stalled_connections_block_nobody(house: House) -> None:
    """A caller is served while 200 other connections stall."""
    head = (
        b"POST / HTTP/1.1\r\nHost: function\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer " + SECRETS["WEIGHBRIDGE_KEY"].encode() + b"\r\n"
    )
    parts = (b"", head, head + b"Content-Length: 100\r\n\r\n", head + b'Content-Length: 100\r\n\r\n{"weight_kg"')
    address = house.address("function")
    with ExitStack() as stack:
        for n in range(200):
            connection = stack.enter_context(socket.create_connection((address, 8080), timeout=30))
            connection.sendall(parts[n % len(parts)])
        started = time.monotonic()
        status, receipt = house.call(b'{"weight_kg": 81.4}', SECRETS["WEIGHBRIDGE_KEY"], "/?dry_run=true")
        took_s = time.monotonic() - started
        assert (status, receipt["status"]) == (200, "checked")
        assert took_s < 9, "a stalled connection is closed after 10 s, so whoever waited for that took longer"
        connection.settimeout(60)
        assert connection.recv(64).startswith(b"HTTP/1.1 408")


def test_200_callers_at_once_are_all_answered(house: House) -> None:
    """200 callers at once are all answered."""
    address = house.address("function")
    with ThreadPoolExecutor(200) as pool:
        gate = threading.Barrier(200)

        def call(_: int) -> int:
            gate.wait()
            return house.call(b'{"weight_kg": 81.4}', SECRETS["WEIGHBRIDGE_KEY"], "/?dry_run=true", address=address)[0]

        assert set(pool.map(call, range(200))) == {200}


def test_form_profile_sends_a_weigh_in(house: House) -> None:
    """The page of the profile `form` asks for its password, and sends a weigh-in with the key of `.env`."""
    house.engine.compose("--profile", "form", "up", "--wait", "--no-build", "--pull", "never", "form")
    is_confined(house.engine.container("form"))
    with sync_playwright() as playwright:
        page = launch(playwright).new_page()
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        page.goto("http://127.0.0.1:8501")
        field = page.get_by_label("Password of this page", exact=True)
        field.fill(SECRETS["WEIGHBRIDGE_FORM_PASSWORD"])
        field.press("Enter")
        expect(page.get_by_role("heading", name="Trend")).to_be_visible()
        settle(page)
        choose_time(page, "2025-02-01T06:30:00")
        type_in(page, {"Weight (kg)": "81,4", "Body fat (%)": "18.2"})
        click(page, "Send to Garmin")
        expect_arrived(page)
        # Shown to who may administer alone: the function takes the page for private.
        expect(page.get_by_text("Signed in to Garmin as")).to_be_visible()
    house.published += 1
    house.all_arrived()


def test_fitdays_profile_sends_a_weigh_in(house: House) -> None:
    """The poller of the profile `fitdays` sends a weigh-in of the account in `.env`."""
    with FitdaysCloud(GATEWAY) as cloud:
        cloud.weigh(1)
        account = {**{name.upper(): value for name, value in FITDAYS.items()}, "FITDAYS_API": cloud.address}
        with (house.engine.folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in account.items())
        house.engine.compose("--profile", "fitdays", "up", "--wait", "--no-build", "--pull", "never", "fitdays")
        is_confined(house.engine.container("fitdays"))
        house.published += 1
        house.all_arrived()
        assert cloud.invalid_requests == []
        house.engine.compose("stop", "fitdays")


def test_app_of_home_assistant(house: House, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """The image of the app, started as the Supervisor does, with an empty /data of root: somebody signs in on the page
    behind ingress, and a weigh-in typed there is in Garmin. Nobody else reaches the page. Its programs run as a user
    without rights. It stops in time. With other options and a read-only file system, it keeps the key and the sign-in,
    knows the people, and publishes weigh-ins of Fitdays at the broker that the Supervisor names."""
    broker = f"mqtt://weighbridge:{SECRETS['MQTT_PASSWORD']}@broker:1883"
    with hassio(house.engine), supervisor(tmp_path, {}, broker=broker, host=SUPERVISOR, port=80) as it:
        (tmp_path / "config").mkdir()
        started = time.monotonic()
        start(house, it, tmp_path / "config")
        container = json.loads(house.engine.docker("inspect", APP))[0]
        address = container["NetworkSettings"]["Networks"]["hassio"]["IPAddress"]
        wait_until("it is announced", lambda: bool(it.messages), 60)
        message = it.messages["weighbridge"]
        assert (message["config"]["host"], message["config"]["port"]) == ("local-weighbridge", 8080)
        key = message["config"]["key"]
        wait_until("the page listens", lambda: is_listening(8099, address), 60)
        assert asked(address, 8099, {"Host": "localhost", "X-Ingress-Path": "/"}) == 403, "not from ingress"
        with sync_playwright() as playwright:
            expect.set_options(timeout=30_000)
            with panel(f"http://{address}:8099", tmp_path, launch(playwright), SUPERVISOR) as page:
                sign_in(page, house.garmin)
                type_in(page, {"Weight (kg)": "81,4"})
                click(page, "Send to Garmin")
                expect_arrived(page)
        house.published += 1
        house.all_arrived()
        took_s = time.monotonic() - started
        figure(f"from an app without data to a weigh-in in Garmin: {took_s:.0f} s, {APP_STEPS}")
        _, *programs = family(container["State"]["Pid"])
        assert len(programs) >= 4
        for pid in programs:
            status = Path(f"/proc/{pid}/status").read_text()
            assert "Uid:\t10001\t10001\t10001\t10001" in status
            assert "CapEff:\t0000000000000000" in status
        for path in (it.data, *it.data.rglob("*")):
            assert path.stat().st_uid == 10001, path
        house.engine.docker("stop", "--time", "10", APP)
        assert json.loads(house.engine.docker("inspect", APP))[0]["State"]["ExitCode"] == 0, "it was not killed"
        said = house.engine.docker("logs", APP)

        # The Supervisor starts a new container each time.
        house.engine.docker("rm", APP)
        (tmp_path / "config/people.toml").write_text('[[person]]\nname = "Ann"\ntoken = "default"\n')
        it.set_options(FITDAYS | {"fitdays_people": "7=Ann", "fitdays_topic": "fitdays", "timezone": "Europe/Lisbon"})
        with FitdaysCloud(GATEWAY) as cloud:
            cloud.weigh(2)
            start(house, it, tmp_path / "config", "--read-only", "--tmpfs", "/tmp", FITDAYS_API=cloud.address)
            container = json.loads(house.engine.docker("inspect", APP))[0]
            assert container["HostConfig"]["ReadonlyRootfs"]
            address = container["NetworkSettings"]["Networks"]["hassio"]["IPAddress"]
            wait_until("it is signed in", lambda: asked(address, 8080, {"Authorization": f"Bearer {key}"}) == 200, 60)
            with Client(Target(f"http://{address}:8080", SecretStr(key))) as client:
                assert client.health().body["timezone"] == "Europe/Lisbon"
                reading = b'{"weight": 81.4, "measured_at": "2025-03-01T06:30:00Z"}'
                assert client.post(reading, person="Ann").status == "confirmed"
            house.published += 1
            house.all_arrived()
            wait_until("the page listens", lambda: is_listening(8099, address), 60)
            wait_until("Fitdays is published", lambda: "published" in house.engine.docker("logs", APP), 60)
            assert cloud.invalid_requests == []
        user = {"username": "weighbridge", "password": SECRETS["MQTT_PASSWORD"]}
        assert b"81400" in subscribe.simple("fitdays/+", hostname="127.0.0.1", auth=user).payload
        house.all_arrived()  # and it was not sent as well
        assert it.messages["weighbridge"] == message
        said += house.engine.docker("logs", APP)
        for planted in (key, it.token, house.garmin.account.password, SECRETS["MQTT_PASSWORD"], "81.4"):
            assert planted not in said


@contextmanager
def hassio(docker: Engine) -> Iterator[None]:
    """The network of the Supervisor, which has an address of its own there."""
    network = ("--subnet", "172.30.32.0/23", "--gateway", "172.30.32.1", "--ip-range", "172.30.33.0/24")
    docker.docker("network", "create", *network, "--opt", "com.docker.network.bridge.name=hassio", "hassio")
    run("ip", "address", "add", f"{SUPERVISOR}/32", "dev", "hassio")
    broker = docker.container("broker")["Id"]
    docker.docker("network", "connect", "--alias", "broker", "hassio", broker)
    try:
        yield
    finally:
        docker.docker("rm", "--force", APP)
        docker.docker("network", "disconnect", "hassio", broker)
        docker.docker("network", "rm", "hassio")


def start(house: House, it: Supervisor, config: Path, *confined: str, **settings: str) -> None:
    """Start the app as supervisor/docker/app.py does, and say where its Garmin is."""
    garmin = ["garmin.test", *(f"{service}.garmin.test" for service in SERVICES)]
    hosts = {"supervisor": SUPERVISOR, "hassio": SUPERVISOR, **dict.fromkeys(garmin, GATEWAY)}
    environment = {
        "SUPERVISOR_TOKEN": it.token,
        "HASSIO_TOKEN": it.token,
        "TZ": "Europe/Berlin",
        "GARMIN_DOMAIN": house.garmin.domain,
        "GARMIN_CA_BUNDLE": "/garmin-ca.pem",
        "WEIGHBRIDGE_CONFIRM_SECONDS": "2",
        **settings,
    }
    house.engine.docker(
        *("run", "--detach", "--init", "--name", APP, "--hostname", "local-weighbridge", "--network", "hassio"),
        *(f"--add-host={name}:{address}" for name, address in hosts.items()),
        *(f"--env={name}={value}" for name, value in environment.items()),
        *("--dns", GATEWAY, "--tmpfs", "/dev/shm", *confined),
        *("--volume", f"{it.data}:/data", "--volume", f"{config}:/config:ro"),
        *("--volume", f"{house.garmin.ca_bundle}:/garmin-ca.pem:ro", f"weighbridge-app:{__version__}"),
    )


def asked(address: str, port: int, headers: Mapping[str, str]) -> int:
    """The status of `GET /health`; 0 if there is no answer."""
    try:
        with closing(http.client.HTTPConnection(address, port, timeout=40)) as connection:
            connection.request("GET", "/health", headers=headers)
            return connection.getresponse().status
    except OSError:
        return 0


def test_logs_have_no_secret_and_no_measurement(house: House) -> None:
    """No secret and no measurement is in the logs of the services."""
    said = re.sub(r'"duration_ms":[\d.]+', "", house.engine.compose("logs", "--no-color"))
    assert "POST" in said
    for planted in (*SECRETS.values(), IN_THE_FOLDER, "81.4", "80.01"):
        assert planted not in said


def test_missing_secrets_are_named(house: House, tmp_path: Path) -> None:
    """Without its secrets nothing starts, and the message names the fix."""
    (tmp_path / ".env").write_text("")
    with pytest.raises(RuntimeError, match=r"Set \w+ in \.env, see \.env\.example"):
        house.engine.docker("compose", "-f", ROOT / "compose.yaml", "--env-file", tmp_path / ".env", "config")


def test_wrong_setting_fails_up(house: House, tmp_path: Path) -> None:
    """A wrong setting makes `up` fail, and the function's log says why."""
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


def test_backup_is_restored(house: House, tmp_path: Path) -> None:
    """The commands of the documents write a backup that only its owner can read, and after everything was deleted, they
    bring back the sign-in and the outbox: what had arrived is not sent again, and the next weigh-in arrives."""
    (back_up,), (restore,) = documented("Back up"), documented("Restore")
    build, restore, start = restore.splitlines()
    # An engine without a network builds nothing.
    assert (build, start) == ("docker compose build function", "make up")
    shipped = {
        "COMPOSE_FILE": ":".join(map(str, house.engine.files)),
        "COMPOSE_ENV_FILES": house.engine.folder / ".env",
    }
    house.weigh()
    house.all_arrived()
    wait_until("all are settled", lambda: states(house).keys() == {"confirmed"}, 60)
    before = states(house)
    house.engine.shell(back_up, cwd=tmp_path, **shipped)
    assert (tmp_path / "house.tar").stat().st_mode & 0o077 == 0
    house.engine.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
    assert "were restored" in house.engine.shell(restore, cwd=tmp_path, **shipped)
    house.engine.compose("--profile", "form", "up", "--wait", "--no-build", "--pull", "never")
    assert states(house) == before
    wait_until("the relay listens", lambda: "connected to the broker" in house.engine.compose("logs", "relay"), 60)
    house.weigh()
    house.all_arrived()


def states(house: House) -> dict[str, int]:
    """How many readings of the outbox are in each state."""
    query = "SELECT json_object_agg(state, n) FROM (SELECT state, count(*) AS n FROM readings GROUP BY state) AS found"
    psql = ("exec", "-T", "postgres", "psql", "--username", "weighbridge", "-Atc", query)
    found: dict[str, int] = json.loads(house.engine.compose(*psql))
    return found


def test_down_is_fast(house: House, figure: Callable[[str], None]) -> None:
    """`down` takes less than five seconds per service."""
    started = time.monotonic()
    house.engine.compose("--profile", "form", "down")
    took_s = time.monotonic() - started
    assert took_s < 5 * (len(LONG_RUNNING) + 1)
    figure(f"down: {took_s:.1f} s for {len(LONG_RUNNING) + 1} services")
