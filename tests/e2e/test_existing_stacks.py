"""The small Compose files, as people copy them: from an empty folder, and next to the Postgres, the broker and the
cloudflared of a stack that exists already. A real engine runs them; the repository is not there.

Weakness: cloudflared itself cannot be had here. A container in its place takes the same command, token and user, and
sends what it sends; and a check of the configuration follows the rules of its own validator (cloudflare/cloudflared,
ingress/ingress.go).
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from playwright.sync_api import expect, sync_playwright
from procrastinate.schema import SchemaManager

from tests.e2e.parts import find_program, is_listening, wait_until
from tests.e2e.parts.access import AUDIENCE, AccessStandIn
from tests.e2e.parts.docker import GATEWAY, ROOT, Engine, documented, engine
from tests.e2e.parts.fitdays_cloud import EMAIL, PASSWORD, FitdaysCloud
from tests.e2e.test_base_images import registry
from tests.e2e.test_containers import ADDITION, GARMIN_PORT, copy_with_secrets, name_server
from tests.e2e.test_form_page import choose_time, click, expect_arrived, launch, type_in
from tests.e2e.test_home_assistant_app import sign_in
from tests.garmin.server import SERVICES, GarminStandIn
from weighbridge import __version__
from weighbridge.client import Client, Reply, Target
from weighbridge.secret import SecretStr
from weighbridge_outbox.commands import GENERATION

STACKS = ROOT / "integrations/containers/stacks"
#: The images of the small files, and where those look for them.
PUBLISHED, REGISTRY = ("weighbridge", "weighbridge-form"), "ghcr.io/weighbridge"
#: What a person does, besides waiting.
STEPS = (
    "10 steps: one folder, two files by curl, chmod, two secrets, three lines of compose.yaml, up, "
    "password of the page, sign in to Garmin, type a weight"
)
OURS = "planted-ours-0a1b2c3d4e"
OF_THE_STACK = "planted-of-the-stack-0a1b"
FOREIGN = """
name: mine
services:
  db:
    image: postgres:17-trixie
    user: postgres
    environment: {POSTGRES_USER: admin, POSTGRES_PASSWORD: "${POSTGRES_PASSWORD}", POSTGRES_DB: admin}
    networks: [backend]
  mosquitto:
    image: eclipse-mosquitto:2.0.22
    user: "1883:1883"
    entrypoint: [sh, -c]
    command:
      - |
        printf 'listener 1883\\npassword_file /tmp/passwords\\n' > /tmp/mosquitto.conf
        mosquitto_passwd -b -c /tmp/passwords scale ${POSTGRES_PASSWORD} && exec mosquitto -c /tmp/mosquitto.conf
    networks: [iot]
networks:
  backend: {name: backend}
  iot: {name: iot}
"""
#: A program that refuses what cloudflared refuses at its start: other words, and a token that is not the base64 of a
#: JSON object with account, tunnel and secret (cloudflare/cloudflared, cmd/cloudflared/tunnel/subcommands.go).
TUNNEL = """\
#!/usr/bin/python3
import base64, json, os, signal, sys
assert sys.argv[1:] == ["tunnel", "--no-autoupdate", "run"], sys.argv
token = json.loads(base64.b64decode(os.environ["TUNNEL_TOKEN"], validate=True))
assert token.keys() == {"a", "t", "s"}, "Provided Tunnel token is not valid."
print("Registered tunnel connection", flush=True)
signal.sigwait([signal.SIGTERM])
"""
#: The engine has no BuildKit, so the program is not in a here-document.
TUNNEL_IMAGE = f"""
FROM python:3.13-slim-trixie
RUN echo {base64.b64encode(TUNNEL.encode()).decode()} | base64 -d > /usr/local/bin/cloudflared
RUN chmod 755 /usr/local/bin/cloudflared
ENTRYPOINT ["cloudflared"]
"""
#: What a cloudflared does with one request, as far as the page sees it: it asks the address of its rule for the host.
CLOUDFLARED = """
import http.client, json, sys
address, headers = json.loads(sys.argv[1])
connection = http.client.HTTPConnection(address, timeout=20)
connection.request("GET", "/", headers=headers)
print(connection.getresponse().status)
"""


class Stack:
    """A folder with the small files in `weighbridge/`, and Compose in it."""

    def __init__(self, docker: Engine, garmin: GarminStandIn, name: str) -> None:
        self.docker, self.garmin = docker, garmin
        self.folder = docker.folder / name
        (self.folder / "weighbridge").mkdir(parents=True)

    def compose(self, *words: object, **options: Any) -> str:
        return self.docker.docker("compose", *words, cwd=self.folder, **options)

    def include(self, *files: str, text: str = "", more: str = "", **settings: object) -> None:
        """What a person does: copy the files, fill in the settings, and name the files in compose.yaml."""
        for file in files:
            shutil.copy(STACKS / file, self.folder / "weighbridge")
        ours = self.folder / "weighbridge" / "weighbridge.env"
        shutil.copy(STACKS / "weighbridge.env.example", ours)
        fill_in(ours, **settings)
        (self.folder / "weighbridge" / "test.yaml").write_text(self.addition() + more)
        paths = ", ".join(f"weighbridge/{file}" for file in (*files, "test.yaml"))
        (self.folder / "compose.yaml").write_text(
            f"{text}\ninclude:\n  - path: [{paths}]\n    env_file: weighbridge/weighbridge.env\n"
        )

    def addition(self) -> str:
        """Where the test's Garmin is, and whose certificate to trust."""
        hosts = ["garmin.test", *(f"{service}.garmin.test" for service in SERVICES)]
        names = ", ".join(f'"{host}:host-gateway"' for host in hosts)
        return "services:" + "".join(
            ADDITION.format(service=service, ca_bundle=self.garmin.ca_bundle, hosts=names, gateway=GATEWAY)
            for service in ("weighbridge-function", "weighbridge-refresh", "weighbridge-doctor")
        )

    def run(self, commands: str, **settings: object) -> str:
        """Run the commands of a document in the folder."""
        return self.docker.shell(commands, cwd=self.folder, **settings)

    def up(self) -> None:
        self.compose("up", "--detach", "--wait")

    def sign_in(self) -> None:
        self.garmin.write_token(self.folder)
        token = (self.folder / "default.json").read_text()
        login = ("exec", "-T", "weighbridge-function", "weighbridge", "login", "--import", "-")
        assert "Stored in /data/tokens/default.json." in self.compose(*login, said=token)

    def doctor(self) -> dict[str, str]:
        """Link -> what the service `weighbridge-doctor` says of it."""
        run = ("run", "--rm", "-T", "weighbridge-doctor", "weighbridge", "doctor", "--json")
        said = self.compose(*run)
        document = json.loads(said[said.index("{") :])
        assert document["ok"], document
        return {link["link"]: link["outcome"] for link in document["links"]}

    def container(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker.docker("inspect", self.compose("ps", "-aq", service).strip()))[0]
        return found


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    context = tmp_path_factory.mktemp("context") / "weighbridge"
    copy_with_secrets(context)
    with engine(context, targets=PUBLISHED) as docker, name_server():
        # As `make images` names them. Nothing else can be had: this network leads nowhere.
        for image in PUBLISHED:
            docker.docker("tag", f"{image}:{__version__}", f"{REGISTRY}/{image}:{__version__}")
        yield docker


@pytest.fixture(scope="module")
def garmin(docker: Engine) -> Iterator[GarminStandIn]:
    with GarminStandIn(port=GARMIN_PORT, host_name="garmin.test", address="0.0.0.0") as garmin:
        yield garmin


@contextmanager
def published(docker: Engine, folder: Path) -> Iterator[str]:
    """A registry, as the value of WEIGHBRIDGE_REGISTRY, from which alone the images can be had meanwhile."""
    with registry(folder) as there:
        prefix = f"{there.host}/weighbridge"
        for image in PUBLISHED:
            source, target = f"{image}:{__version__}", f"{prefix}/{image}:{__version__}"
            docker.docker("tag", source, target)
            docker.docker("push", "--quiet", target)
            docker.docker("rmi", source, f"{REGISTRY}/{source}", target)
        try:
            yield prefix
        finally:
            for image in PUBLISHED:
                source, target = f"{image}:{__version__}", f"{prefix}/{image}:{__version__}"
                docker.docker("pull", "--quiet", target)
                docker.docker("tag", target, source)
                docker.docker("tag", target, f"{REGISTRY}/{source}")


def test_page_from_an_empty_folder(
    docker: Engine, garmin: GarminStandIn, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """From an empty folder, without the repository and without an image, the commands of the documents are enough:
    somebody signs in on the page, and a weigh-in typed there arrives in Garmin Connect. So does one of Fitdays, and
    what was kept while Garmin was away, after a restart of what looks once a day. The backup of the documents brings
    all of it back."""
    find_program("curl", package="curl")
    stack = Stack(docker, garmin, "empty")
    (stack.folder / "weighbridge").rmdir()
    fetch, start, fitdays = documented("The page alone")
    (included,) = documented("The page alone", "yaml")
    with published(docker, tmp_path) as prefix:
        started = time.monotonic()
        stack.run(fetch.replace("https://github.com/weighbridge/weighbridge/raw/main", ROOT.as_uri()))
        settings = stack.folder / "weighbridge" / "weighbridge.env"
        assert settings.stat().st_mode & 0o077 == 0
        fill_in(settings, WEIGHBRIDGE_KEY=f"{OURS}-key", WEIGHBRIDGE_FORM_PASSWORD=f"{OURS}-form")
        (stack.folder / "compose.yaml").write_text(included)
        # The surroundings of the test.
        fill_in(settings, GARMIN_DOMAIN=garmin.domain, WEIGHBRIDGE_REGISTRY=prefix)
        (stack.folder / "compose.override.yaml").write_text(stack.addition())
        stack.run(start)
    with sync_playwright() as playwright:
        page = launch(playwright).new_page()
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        page.goto("http://127.0.0.1:8501")
        field = page.get_by_label("Password of this page", exact=True)
        field.fill(f"{OURS}-form")
        field.press("Enter")
        sign_in(page, garmin)
        choose_time(page, "2025-02-01T06:30:00")
        type_in(page, {"Weight (kg)": "81,4", "Body fat (%)": "18.2"})
        click(page, "Send to Garmin")
        expect_arrived(page)
    assert len(garmin.weights.entries) == 1
    figure(f"from an empty folder to a weigh-in in Garmin: {time.monotonic() - started:.0f} s, {STEPS}")
    found = stack.doctor()
    assert {found[link] for link in ("token", "renewal", "reading", "function")} == {"ok"}
    assert {found[link] for link in ("outbox", "broker")} == {"skipped"}, "there is none"

    with FitdaysCloud(GATEWAY) as cloud:
        cloud.weigh(1)
        fill_in(settings, FITDAYS_EMAIL=EMAIL, FITDAYS_PASSWORD=PASSWORD, FITDAYS_API=cloud.address)
        stack.run(fitdays)
        wait_until("the weigh-in of Fitdays is at Garmin", lambda: len(garmin.weights.entries) == 2, 60)
        assert cloud.invalid_requests == []

    garmin.faults.add("weight", "503", times=None)
    assert posted("2025-02-02", 81.6).status == "kept"
    garmin.faults.clear()
    assert len(garmin.weights.entries) == 2
    stack.compose("restart", "weighbridge-refresh")
    wait_until("what was kept is at Garmin", lambda: len(garmin.weights.entries) == 3, 60)

    garmin.faults.add("weight", "503", times=None)
    assert posted("2025-02-03", 81.7).status == "kept"
    garmin.faults.clear()
    back_up, restore = documented("Update, back up, restore")[:2]
    stack.run(back_up)
    assert (stack.folder / "house.tar").stat().st_mode & 0o077 == 0
    stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
    assert "were restored" in stack.run(restore)
    stack.run(start)
    # It looks at its start, too.
    wait_until("what waited in the backup is at Garmin", lambda: len(garmin.weights.entries) == 4, 60)
    assert stack.doctor()["token"] == "ok"
    stack.compose("down", "--volumes", "--timeout", "5")


def fill_in(path: Path, **settings: object) -> None:
    """Set these in a file of settings, in their lines or below."""
    text = path.read_text()
    for name, value in settings.items():
        text, found = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        text += "" if found else f"{name}={value}\n"
    path.write_text(text)


def posted(day: str, weight: float) -> Reply:
    with Client(Target("http://127.0.0.1:8080", SecretStr(f"{OURS}-key"))) as client:
        return client.post(json.dumps({"weight": weight, "measured_at": f"{day}T06:30:00Z"}))


def test_every_setting_reaches_the_function_alone(docker: Engine, garmin: GarminStandIn) -> None:
    """Whatever is in weighbridge.env reaches the function, with `$` and `#` as the example explains; secrets of other
    services do not. A setting that is missing is named."""
    stack = Stack(docker, garmin, "settings")
    files = ("page.yaml", "own-postgres.yaml", "own-broker.yaml")
    stack.include(*files)
    with pytest.raises(RuntimeError, match=r"Set WEIGHBRIDGE_KEY in weighbridge\.env"):
        stack.compose("config")
    stack.include(
        *files,
        WEIGHBRIDGE_KEY=f"{OURS}-key",
        WEIGHBRIDGE_API_KEYS=f"scale:send={OURS}-scale",
        WEIGHBRIDGE_POSTGRES_NETWORK="backend",
        WEIGHBRIDGE_POSTGRES_PASSWORD=f"{OURS}-postgres",
        WEIGHBRIDGE_RELAY_PASSWORD=f"{OURS}-relay",
        WEIGHBRIDGE_WORKER_PASSWORD=f"{OURS}-worker",
        WEIGHBRIDGE_MQTT_NETWORK="iot",
        WEIGHBRIDGE_MQTT_URL=f"mqtt://scale:{OURS}-mqtt@mosquitto:1883",
        WEIGHBRIDGE_NOTIFY="'ntfys://ntfy.sh/a$b'",
        WEIGHBRIDGE_PING_URL='"https://hc-ping.com/a #b"',
        GARMIN_PERSONAL_API_KEY="a$$b#c",
    )
    services = json.loads(stack.compose("config", "--format", "json"))["services"]
    function = services["weighbridge-function"]["environment"]
    # `config` shows $ as $$, so that its output can be read again.
    assert function["WEIGHBRIDGE_NOTIFY"].replace("$$", "$") == "ntfys://ntfy.sh/a$b"
    assert function["WEIGHBRIDGE_PING_URL"] == "https://hc-ping.com/a #b"
    assert function["GARMIN_PERSONAL_API_KEY"].replace("$$", "$") == "a$b#c"
    assert function["WEIGHBRIDGE_API_KEYS"].endswith(f"{OURS}-key,scale:send={OURS}-scale")
    secrets = {f"{OURS}-{name}" for name in ("postgres", "relay", "worker", "mqtt")}
    held = {name: {secret for secret in secrets if secret in str(service)} for name, service in services.items()}
    assert {name: {secret.rpartition("-")[2] for secret in found} for name, found in held.items() if found} == {
        # Its profile is not asked for, so `weighbridge-doctor` is not among them.
        "weighbridge-migrate": {"postgres", "relay", "worker"},
        "weighbridge-worker": {"worker"},
        "weighbridge-relay": {"relay", "mqtt"},
    }


def test_next_to_an_existing_stack(docker: Engine, garmin: GarminStandIn) -> None:
    """With the Postgres, the broker and the cloudflared of a stack that exists already: a message at its broker arrives
    in Garmin Connect once; who comes through the tunnel with a token of Access sees the page, and nobody else; no
    secret of the stack is in our containers; and the backup is restored into an empty stack."""
    before = len(garmin.weights.entries)
    stack = Stack(docker, garmin, "mine")
    (stack.folder / ".env").write_text(f"POSTGRES_PASSWORD={OF_THE_STACK}\n")
    (stack.folder / "compose.yaml").write_text(FOREIGN)
    stack.compose("up", "--detach")
    docker.docker("network", "create", "edge")
    psql = ("exec", "-T", "db", "psql", "--username", "admin", "--set", "ON_ERROR_STOP=1")
    wait_for_postgres(stack)
    stack.compose(*psql, said=sql_of_the_page().replace("PASSWORD_OF_YOURS", f"{OURS}-postgres"))
    with AccessStandIn(GATEWAY) as team:
        trust = (
            "  weighbridge-form:\n    environment: {SSL_CERT_FILE: /access.pem}\n"
            f'    volumes: ["{team.ca_bundle}:/access.pem:ro"]\n'
        )
        stack.include(
            *("page.yaml", "own-postgres.yaml", "own-broker.yaml", "own-tunnel.yaml"),
            text=FOREIGN,
            more=trust,
            WEIGHBRIDGE_KEY=f"{OURS}-key",
            WEIGHBRIDGE_DELIVERY="garth,folder",
            GARMIN_DOMAIN=garmin.domain,
            WEIGHBRIDGE_ADDRESS=GATEWAY,
            WEIGHBRIDGE_PORT=8081,
            WEIGHBRIDGE_FORM_ADDRESS=GATEWAY,
            WEIGHBRIDGE_FORM_PORT=8502,
            WEIGHBRIDGE_FORM_HOSTS="weigh.example.org",
            WEIGHBRIDGE_FORM_ACCESS_TEAM=team.domain,
            WEIGHBRIDGE_FORM_ACCESS_AUDIENCE=AUDIENCE,
            WEIGHBRIDGE_TUNNEL_NETWORK="edge",
            WEIGHBRIDGE_POSTGRES_NETWORK="backend",
            WEIGHBRIDGE_POSTGRES_HOST="db",
            WEIGHBRIDGE_POSTGRES_PASSWORD=f"{OURS}-postgres",
            WEIGHBRIDGE_RELAY_PASSWORD=f"{OURS}-relay",
            WEIGHBRIDGE_WORKER_PASSWORD=f"{OURS}-worker",
            WEIGHBRIDGE_MQTT_NETWORK="iot",
            WEIGHBRIDGE_MQTT_URL=f"mqtt://scale:{OF_THE_STACK}@mosquitto:1883",
        )
        stack.up()
        stack.sign_in()
        logs = ("logs", "--no-color", "weighbridge-relay")
        wait_until("the relay listens", lambda: "connected to the broker" in stack.compose(*logs), 60)
        weigh_in = '{"measured_at": "2024-05-01T06:30:00Z", "weight_kg": 80.5}'
        publish = ("mosquitto_pub", "-u", "scale", "-P", OF_THE_STACK, "-q", "1", "-t", "scale/anna", "-m", weigh_in)
        stack.compose("exec", "-T", "mosquitto", *publish)
        wait_until("it is at Garmin", lambda: len(garmin.weights.entries) == before + 1, 60)

        with Client(Target(f"http://{GATEWAY}:8081", SecretStr(f"{OURS}-key"))) as client:
            assert client.health().ok, "at the address that was set"
        assert is_listening(8502, GATEWAY)
        assert not any(map(is_listening, (8081, 8502))), "and at no other"

        found = stack.doctor()
        assert {found[link] for link in ("token", "reading", "outbox", "broker", "function")} == {"ok"}
        (rule,) = [rule for rule in cloudflared()["ingress"] if "hostname" in rule]
        come = {"Host": rule["hostname"], "Cf-Connecting-Ip": "203.0.113.7", "X-Forwarded-Proto": "https"}
        assert through_tunnel(docker, rule, come | {"Cf-Access-Jwt-Assertion": team.token()}) == 200
        assert through_tunnel(docker, rule, come) == 403
    edge = json.loads(docker.docker("network", "inspect", "edge"))[0]["Containers"]
    assert [each["Name"] for each in edge.values()] == ["mine-weighbridge-form-1"], "and not the function"
    for name in ("function", "refresh", "form", "worker", "migrate"):
        assert OF_THE_STACK not in str(stack.container(f"weighbridge-{name}")["Config"])
    back_up, restore = documented("Update, back up, restore")[2:]
    stack.run(back_up)
    stack.compose("down", "--volumes", "--timeout", "5")
    stack.compose("up", "--detach", "db")
    wait_for_postgres(stack)
    stack.compose(*psql, said=sql_of_the_page().replace("PASSWORD_OF_YOURS", f"{OURS}-postgres"))
    assert "were restored" in stack.run(restore)
    backup = ("run", "--rm", "-T", "weighbridge-backup")
    assert "2024-05-01T06:30:00" in stack.compose(*backup, "weighbridge", "outbox", "dump")
    assert "default.json" in stack.compose(*backup, "ls", "/data/tokens")
    stack.compose("down", "--volumes", "--timeout", "5")


def test_tunnel_of_its_own_and_the_network_of_home_assistant(docker: Engine, garmin: GarminStandIn) -> None:
    """Whoever has no cloudflared gets one that sees the page alone. A Home Assistant in a network of its own sees the
    function alone, and sends with the key."""
    docker.docker("build", "--quiet", "--tag", "cloudflared-stand-in", "-", said=TUNNEL_IMAGE)
    docker.docker("network", "create", "home-assistant")
    stack = Stack(docker, garmin, "tunnel")
    files = ("page.yaml", "tunnel.yaml", "own-home-assistant.yaml")
    settings = {
        "WEIGHBRIDGE_KEY": f"{OURS}-key",
        "WEIGHBRIDGE_FORM_PASSWORD": f"{OURS}-form",
        "WEIGHBRIDGE_FORM_HOSTS": "weigh.example.org",
        "WEIGHBRIDGE_DELIVERY": "folder",
        "WEIGHBRIDGE_HOME_ASSISTANT_NETWORK": "home-assistant",
    }
    more = "  weighbridge-tunnel: {image: cloudflared-stand-in}\n"
    stack.include(*files, more=more, **settings)
    with pytest.raises(RuntimeError, match=r"Set WEIGHBRIDGE_TUNNEL_TOKEN in weighbridge\.env"):
        stack.compose("config")
    token = base64.b64encode(json.dumps({"a": "account", "t": "tunnel", "s": OURS}).encode()).decode()
    stack.include(*files, more=more, **settings, WEIGHBRIDGE_TUNNEL_TOKEN=token)
    stack.up()
    come = {"Host": "weigh.example.org", "Cf-Connecting-Ip": "203.0.113.7", "X-Forwarded-Proto": "https"}
    inside = ("exec", "-T", "weighbridge-tunnel", "python3", "-c", CLOUDFLARED)
    asked = stack.compose(*inside, json.dumps(["weighbridge-form:8501", come]))
    assert asked.split()[-1] == "401", "it asks for its password"
    with pytest.raises(RuntimeError, match=NO_SUCH_NAME):
        stack.compose(*inside, json.dumps(["weighbridge-function:8080", {}]))
    send = ("run", "--rm", "--network", "home-assistant", "python:3.13-slim-trixie", "python3", "-c", SEND)
    address = "http://weighbridge-function:8080/readings"
    assert docker.docker(*send, address, f"{OURS}-key").strip() == "202 kept"
    assert docker.docker(*send, address, "another").strip() == "401"
    with pytest.raises(RuntimeError, match=NO_SUCH_NAME):
        docker.docker(*send, "http://weighbridge-form:8501", f"{OURS}-key")
    for name in ("function", "form", "refresh"):
        assert token not in str(stack.container(f"weighbridge-{name}")["Config"])
    stack.compose("down", "--volumes", "--timeout", "5")


NO_SUCH_NAME = r"Name or service not known|name resolution"
#: What a Home Assistant in another network sends: ADDRESS KEY.
SEND = """
import json, sys, urllib.error, urllib.request
address, key = sys.argv[1:]
body = json.dumps({"weight": 81.4, "measured_at": "2024-07-01T06:30:00Z"}).encode()
request = urllib.request.Request(address, body, {"X-API-Key": key, "Content-Type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=20) as answer:
        print(answer.status, json.load(answer)["status"])
except urllib.error.HTTPError as error:
    print(error.code)
"""

#: The tables of an earlier version, and what it left in them: a reading that waits, and one that has arrived.
EARLIER = Path(__file__).with_name("outbox_0_1") / "schema.sql"
LEFT = """
INSERT INTO readings (source, payload) VALUES ('former', '{"weight": 81.1, "measured_at": "2024-06-01T06:30:00Z"}');
INSERT INTO readings (source, payload) VALUES ('former', '{"weight": 81.2, "measured_at": "2024-06-02T06:30:00Z"}');
UPDATE readings SET state = 'confirmed' WHERE id = 2;
"""
#: No image of an earlier version can be pulled here. This is the present one, with other tables: it is `0.1.9`, and as
#: `0.1.0`, it does not know the generation of the present tables.
FORMER = """
FROM weighbridge:{version}
USER 0
RUN cd /weighbridge/lib/python3*/site-packages/weighbridge_outbox && echo '-- other tables' >> bounds.sql \\
    && sed -i 's/^GENERATION = .*/GENERATION = {generation}/' commands.py && rm -f __pycache__/commands.*
USER 10001:10001
"""


def test_update_and_back(docker: Engine, garmin: GarminStandIn) -> None:
    """What an earlier version left is sent by this one, once. WEIGHBRIDGE_VERSION leads back to a version that can use
    the tables; one that cannot says so in one sentence, touches nothing, and the way forward is open. No reading is
    lost or doubled."""
    before = len(garmin.weights.entries)
    for version, generation in (("0.1.9", GENERATION), ("0.1.0", GENERATION - 1)):
        dockerfile = FORMER.format(version=__version__, generation=generation)
        docker.docker("build", "--quiet", "--tag", f"{REGISTRY}/weighbridge:{version}", "-", said=dockerfile)
        docker.docker("tag", f"weighbridge-form:{__version__}", f"{REGISTRY}/weighbridge-form:{version}")
    stack = Stack(docker, garmin, "versions")
    database = FOREIGN[: FOREIGN.index("  mosquitto:")] + "networks:\n  backend: {name: versions}\n"
    settings = {
        "WEIGHBRIDGE_KEY": f"{OURS}-key",
        "WEIGHBRIDGE_FORM_PASSWORD": f"{OURS}-form",
        "WEIGHBRIDGE_DELIVERY": "garth,folder",
        "GARMIN_DOMAIN": garmin.domain,
        "WEIGHBRIDGE_POSTGRES_NETWORK": "versions",
        "WEIGHBRIDGE_POSTGRES_HOST": "db",
        "WEIGHBRIDGE_POSTGRES_PASSWORD": f"{OURS}-postgres",
        "WEIGHBRIDGE_RELAY_PASSWORD": f"{OURS}-relay",
        "WEIGHBRIDGE_WORKER_PASSWORD": f"{OURS}-worker",
    }

    def up(version: str = __version__) -> None:
        stack.include("page.yaml", "own-postgres.yaml", text=database, **settings, WEIGHBRIDGE_VERSION=version)
        stack.up()

    def arrived(count: int) -> None:
        wait_until("it is at Garmin", lambda: len(garmin.weights.entries) == before + count, 60)

    (stack.folder / ".env").write_text(f"POSTGRES_PASSWORD={OF_THE_STACK}\n")
    (stack.folder / "compose.yaml").write_text(database)
    stack.compose("up", "--detach")
    psql = ("exec", "-T", "db", "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--username")
    wait_for_postgres(stack)
    stack.compose(*psql, "admin", said=sql_of_the_page().replace("PASSWORD_OF_YOURS", f"{OURS}-postgres"))
    ours = (*psql, "weighbridge", "weighbridge")
    stack.compose(*ours, said=SchemaManager.get_schema() + EARLIER.read_text() + LEFT)

    stack.include("page.yaml", "own-postgres.yaml", text=database, **settings)
    stack.compose("up", "--detach", "--wait", "weighbridge-function")
    stack.sign_in()
    up()
    arrived(1)
    up("0.1.9")
    stack.compose(*ours, said=WEIGH_IN.format(weight=81.3, day=3))
    arrived(2)
    assert stack.doctor()["outbox"] == "ok"
    with pytest.raises(RuntimeError, match="weighbridge-migrate"):
        up("0.1.0")
    said = stack.compose("logs", "--no-color", "--no-log-prefix", "weighbridge-migrate")
    assert f"A newer version has changed the tables (generation {GENERATION}; this one knows {GENERATION - 1})" in said
    stack.compose(*ours, said=WEIGH_IN.format(weight=81.4, day=4))
    up()
    arrived(3)
    assert stack.compose(*ours, "-Atc", "SELECT state, count(*) FROM readings GROUP BY state") == "confirmed|4\n"
    assert len({entry.instant_s for entry in garmin.weights.entries[before:]}) == 3
    stack.compose("down", "--volumes", "--timeout", "5")


WEIGH_IN = """
INSERT INTO readings (source, payload)
VALUES ('test', '{{"weight": {weight}, "measured_at": "2024-06-0{day}T06:30:00Z"}}');
"""


def wait_for_postgres(stack: Stack) -> None:
    """By TCP: the server that sets up the image listens at its socket only, and then goes away."""
    ready = ("exec", "-T", "db", "pg_isready", "--quiet", "--host", "127.0.0.1")
    wait_until("the stack's Postgres answers", lambda: answers(stack, *ready), 60)


def answers(stack: Stack, *words: object) -> bool:
    try:
        stack.compose(*words)
    except RuntimeError:
        return False
    return True


def sql_of_the_page() -> str:
    """What docs/docker.md has the superuser of a foreign Postgres run."""
    (found,) = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/docker.md").read_text(), re.DOTALL)
    return str(found)


def through_tunnel(docker: Engine, rule: dict[str, Any], headers: dict[str, str]) -> int:
    """The status that a container in the network of cloudflared gets from the service of this rule."""
    said = json.dumps([urlsplit(rule["service"]).netloc, headers])
    run = ("run", "--rm", "--network", "edge", "python:3.13-slim-trixie", "python3", "-c", CLOUDFLARED, said)
    return int(docker.docker(*run))


def cloudflared() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((STACKS / "cloudflared.yml").read_text())
    return found
