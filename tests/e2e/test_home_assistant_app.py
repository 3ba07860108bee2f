"""The app of Home Assistant as programs, without its container: a stand-in for the Supervisor, its ingress with a
Chromium before it, and a stand-in for Garmin. tests/e2e/test_containers.py runs the image."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import paho.mqtt.subscribe as subscribe
import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from tests.commands import clean, with_sources
from tests.e2e.parts import family, is_listening, wait_until
from tests.e2e.parts.fitdays_cloud import EMAIL, PASSWORD, FitdaysCloud
from tests.e2e.parts.mosquitto import mosquitto
from tests.e2e.parts.supervisor import Supervisor, supervisor
from tests.e2e.test_form_page import DESKTOP, chromium, click, expect_arrived, settle, type_in
from tests.e2e.test_form_prefix import running
from tests.function_client import ROOT
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge.client import Client, Reply, Target
from weighbridge.secret import SecretStr

__all__ = ["chromium"]  # a fixture of the page

PASSWORD_OF_THE_BROKER = "p@ss/w?rd%"
FITDAYS = {"fitdays_email": EMAIL, "fitdays_password": PASSWORD, "fitdays_every_seconds": 60}


class App:
    """The running app."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, page: str, log: Path) -> None:
        self.process, self.port, self.page, self._log = process, port, page, log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def ask(self, key: str) -> tuple[Reply, Reply]:
        """What the function says of its health, and of the sign-in, to the caller with this key."""
        with Client(Target(f"http://127.0.0.1:{self.port}", SecretStr(key))) as client:
            return client.health(), client.connection()

    def stop(self) -> None:
        """End it as the Supervisor does, which kills what is there after ten seconds by default."""
        children = [pid for pid in family(self.process.pid) if pid != self.process.pid]
        self.process.terminate()
        assert self.process.wait(timeout=10) == 0, self.log
        assert not [pid for pid in children if Path(f"/proc/{pid}").exists()], "it leaves nothing behind"


@contextmanager
def app(it: Supervisor, garmin: GarminStandIn, folder: Path, **more: object) -> Iterator[App]:
    """The app that this Supervisor starts, with the settings that its image has."""
    port, page = free_port(), free_port()
    (folder / "config").mkdir(exist_ok=True)
    settings = {
        "SUPERVISOR_TOKEN": it.token,
        "TZ": "Europe/Berlin",
        "PORT": port,
        "STREAMLIT_SERVER_PORT": page,
        "WEIGHBRIDGE_FORM_INGRESS": "127.0.0.1",
        "WEIGHBRIDGE_FOLDER": it.data / "weigh-ins",
        "WEIGHBRIDGE_TOKENS": it.data / "tokens",
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        **more,
    }
    words = ["app", "--data", it.data, "--config", folder / "config", "--supervisor", it.address]
    log = folder / "app.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "weighbridge", *map(str, words)],
            cwd=ROOT,
            env=with_sources(clean(settings)),
            stdout=output,
            stderr=output,
        )
    this = App(process, port, f"http://127.0.0.1:{page}", log)
    try:
        wait_until("all of it listens", lambda: process.poll() is not None or listens(port, page), 60)
        yield this
    finally:
        if process.poll() is None:
            this.stop()


def listens(*ports: int) -> bool:
    return all(map(is_listening, ports))


@contextmanager
def panel(page_of_app: str, folder: Path, chromium: Browser, *local: str) -> Iterator[Any]:
    """The page of the app, in the frame of Home Assistant's panel."""
    port, token = free_port(), secrets.token_urlsafe(32)
    ingress = [sys.executable, "-m", "tests.e2e.parts.ingress", str(port), token, page_of_app, *local]
    with running(ingress, port, folder):
        page = chromium.new_context(viewport=DESKTOP, timezone_id="Europe/Berlin").new_page()
        try:
            # Where a password may be typed: https, or this machine.
            page.goto(f"http://127.0.0.1:{port}/")
            yield frame_of(page)
        finally:
            page.context.close()


def sign_in(page: Any, garmin: GarminStandIn) -> None:
    page.get_by_label("Garmin e-mail").fill(garmin.account.email)
    page.get_by_label("Garmin password").fill(garmin.account.password)
    click(page, "Sign in to Garmin")
    expect(page.get_by_text("Signed in to Garmin as").first).to_be_visible()
    settle(page)


def frame_of(page: Page) -> Frame:
    frame = page.frame("app")
    assert frame
    return frame


def announced(it: Supervisor, app: App) -> dict[str, Any]:
    wait_until("it is announced", lambda: "offers the integration" in app.log, 60)
    return it.messages["weighbridge"]


def weights(garmin: GarminStandIn, owner: str = "") -> list[float]:
    return sorted(entry.raw["weight"] / 100 for entry in garmin.weights_of[owner].visible())


def test_from_nothing_to_garmin(garmin: GarminStandIn, tmp_path: Path, chromium: Browser) -> None:
    """With an empty /data, somebody signs in on the page behind ingress, and a weigh-in typed there is in Garmin. The
    message to the integration has all that it needs. After a restart and an update of the options, keys and sign-in are
    the same, and the message keeps its id. No secret is in the log, in a list of processes, or with a program that does
    not need it."""
    expect.set_options(timeout=20_000)
    with supervisor(tmp_path, {}) as it:
        with app(it, garmin, tmp_path) as first:
            message = announced(it, first)
            assert message["config"].keys() == {"host", "port", "key"}
            health, connection = first.ask(message["config"]["key"])
            assert health.http_status == 503, "nobody has signed in"
            assert set(health.body["key"]["rights"]) == {"send", "read", "delete", "administer"}
            assert health.body["timezone"] == "Europe/Berlin", "that of the Supervisor"
            assert connection.ok, "it may sign in, too"
            with panel(first.page, tmp_path, chromium) as page:
                sign_in(page, garmin)
                type_in(page, {"Weight (kg)": "81.4"})
                click(page, "Send to Garmin")
                expect_arrived(page)
            assert weights(garmin) == [81.4]
            children = [pid for pid in family(first.process.pid) if pid != first.process.pid]
            for pid in children:
                assert it.token.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            shown = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (first.process.pid, *children))
            first.stop()
        it.set_options({"timezone": "Europe/Lisbon"})
        with app(it, garmin, tmp_path) as second:
            wait_until("it is announced again", lambda: second.log.count("offers the integration") == 2, 60)
            again = it.messages["weighbridge"]
            assert again["uuid"] == message["uuid"]
            assert again["config"]["key"] == message["config"]["key"]
            health, _ = second.ask(message["config"]["key"])
            assert (health.http_status, health.body["timezone"]) == (200, "Europe/Lisbon")
            log = second.log
    for path in it.data.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    for planted in (it.token, message["config"]["key"], garmin.account.password, "81.4"):
        assert planted not in log
        assert planted.encode() not in shown


def test_fitdays_arrives_at_garmin(garmin: GarminStandIn, tmp_path: Path) -> None:
    """With a Fitdays account alone, weigh-ins arrive in Garmin, each with the name of its person in people.toml."""
    garmin.write_token(tmp_path / "data/tokens", "ann")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/people.toml").write_text('[[person]]\nname = "Ann"\ntoken = "ann"\n')
    with FitdaysCloud() as cloud, supervisor(tmp_path, FITDAYS | {"fitdays_people": "7=Ann"}) as it:
        cloud.weigh(1)
        with app(it, garmin, tmp_path, FITDAYS_API=cloud.address) as running:
            wait_until("it has arrived", lambda: weights(garmin, "ann") == [81.4], 60)
            assert PASSWORD not in running.log
        assert cloud.invalid_requests == []


def test_fitdays_arrives_at_the_broker(garmin: GarminStandIn, tmp_path: Path) -> None:
    """With a topic, weigh-ins of Fitdays are at Home Assistant's broker, which the Supervisor names, and not sent."""
    with mosquitto(user="addons", password=PASSWORD_OF_THE_BROKER) as broker, FitdaysCloud() as cloud:
        url = broker.url.replace(PASSWORD_OF_THE_BROKER, quote(PASSWORD_OF_THE_BROKER, safe=""))
        with supervisor(tmp_path, FITDAYS | {"fitdays_topic": "fitdays"}, broker=url) as it:
            cloud.weigh(1)
            with app(it, garmin, tmp_path, FITDAYS_API=cloud.address) as running:
                wait_until("it is published", lambda: "published" in running.log, 60)
        user = {"username": "addons", "password": PASSWORD_OF_THE_BROKER}
        message = subscribe.simple("fitdays/+", hostname="127.0.0.1", port=broker.port, auth=user)
        assert (message.retain, b"81400" in message.payload) == (True, True)
    assert weights(garmin) == []


def test_kept_is_delivered_after_a_restart(garmin: GarminStandIn, tmp_path: Path) -> None:
    """What was kept while Garmin was away is delivered without anybody: at the next start, or within a day."""
    garmin.write_token(tmp_path / "data/tokens")
    with supervisor(tmp_path, {"delivery": "garmin,folder"}) as it:
        with app(it, garmin, tmp_path) as first:
            garmin.faults.add("weight", "503", times=None)
            key = announced(it, first)["config"]["key"]
            with Client(Target(f"http://127.0.0.1:{first.port}", SecretStr(key))) as client:
                assert client.post(b'{"weight": 81.4}').body["status"] == "kept"
            assert weights(garmin) == []
        garmin.faults.clear()
        with app(it, garmin, tmp_path):
            wait_until("it has arrived", lambda: weights(garmin) == [81.4], 60)


def test_missing_broker_is_named(garmin: GarminStandIn, tmp_path: Path) -> None:
    """With a topic but without a broker, the app ends and says what to do."""
    with supervisor(tmp_path, FITDAYS | {"fitdays_topic": "fitdays"}) as it, app(it, garmin, tmp_path) as ended:
        assert ended.process.wait(timeout=30) == 1
        assert ended.log.endswith(
            "fitdays_topic is set, but Home Assistant has no MQTT broker. Install the app Mosquitto broker, or set "
            "mqtt_url, or empty fitdays_topic.\n"
        )


def test_wrong_option_ends_the_app(garmin: GarminStandIn, tmp_path: Path) -> None:
    """A setting that a program refuses ends the whole app, and the log says which."""
    with supervisor(tmp_path, {"timezone": "Nowhere/Town"}) as it, app(it, garmin, tmp_path) as ended:
        assert ended.process.wait(timeout=60) == 1
        assert "WEIGHBRIDGE_TIMEZONE must be a time zone such as Europe/Berlin." in ended.log
        assert "ended with 1, so the app ends." in ended.log


@pytest.mark.parametrize("word", [b"serve", b"form"])
def test_one_ends_all_end(garmin: GarminStandIn, tmp_path: Path, word: bytes) -> None:
    """If one program is killed, all end, the log says which one it was, and the Supervisor sees a failure."""
    with supervisor(tmp_path, {}) as it, app(it, garmin, tmp_path) as killed:
        pids = list(family(killed.process.pid))
        victim = next(pid for pid in pids if word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
        os.kill(victim, signal.SIGKILL)
        assert killed.process.wait(timeout=30) == 1
        assert f"weighbridge {word.decode()}" in killed.log
        assert "ended with -9, so the app ends." in killed.log
        assert not [pid for pid in pids if pid != killed.process.pid and Path(f"/proc/{pid}").exists()]
