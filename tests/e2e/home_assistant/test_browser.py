"""From "Add integration" to the first confirmed weigh-in, in a browser: the frontend of a real Home Assistant.

Strategy: the clicks are counted by the page itself. Typing is not a click. WEIGHBRIDGE_PICTURES=folder also stores the
pictures of the docs there.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, sync_playwright

from tests.e2e.parts import wait_until
from tests.e2e.parts.home_assistant import SHIPPED, HomeAssistant, home_assistant
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.garmin.server import GarminStandIn
from tests.home_assistant.running import RunningFunction

PICTURES = os.environ.get("WEIGHBRIDGE_PICTURES", "")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
COUNT = "window.clicks = 0; document.addEventListener('click', event => { if (event.isTrusted) clicks++; }, true);"


class House:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (folder / "function").mkdir()
        (folder / "home").mkdir()
        self.garmin = stack.enter_context(GarminStandIn())
        self.broker: Mosquitto = stack.enter_context(mosquitto())
        self.function = RunningFunction(self.garmin, folder / "function")
        self.function.reset()
        stack.callback(self.function.stop)
        self.home: HomeAssistant = stack.enter_context(
            home_assistant(folder / "home", mqtt_port=self.broker.port, configuration="recorder:\nhistory:\n")
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        house = House(tmp_path_factory.mktemp("house"), stack)
        yield house
        assert "blocking call" not in house.home.log()


@pytest.fixture
def page(house: House) -> Iterator[Page]:
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path="/usr/bin/chromium", headless=True, args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1000, "height": 760})
        page.set_default_timeout(60_000)
        address = house.home.address
        tokens = house.home.tokens | {"hassUrl": address, "clientId": f"{address}/", "expires": 9e15}
        page.add_init_script(f"localStorage.setItem('hassTokens', {json.dumps(json.dumps(tokens))}); {COUNT}")
        yield page
        chromium.close()


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.wait_for_timeout(1000)  # animations
        page.screenshot(path=Path(PICTURES) / f"home-assistant-{name}.png")


def take_more_pictures(house: House, page: Page) -> None:
    """The device of the person, a dashboard with the trend of some weeks, and a repair."""
    if not PICTURES:
        return
    take_picture_of_trend(house, page)
    registry = house.home.ask(type="config/entity_registry/list")
    device = next(row["device_id"] for row in registry if row["entity_id"].endswith("_weight"))
    page.goto(f"{house.home.address}/config/devices/device/{device}")
    page.wait_for_timeout(4000)
    picture(page, "device")
    house.garmin.sign_in.revoke()
    house.garmin.sign_in.expire_access_tokens()
    house.broker.publish("scale/bathroom", b'{"weight": "81.3 kg", "time": "2026-11-23T06:31:00Z"}')
    wait_until("it is to be repaired", lambda: house.home.ask(type="repairs/list_issues")["issues"], 60)
    page.goto(house.home.address + "/config/repairs")
    page.wait_for_timeout(3000)
    picture(page, "repairs")
    house.function.reset()


def take_picture_of_trend(house: House, page: Page) -> None:
    """The trend card of the docs, for a person who has weighed in for a year."""
    now = int(time.time())
    for day in range(365, 0, -1):
        wave = math.sin(day * 2.3) / 3 + math.sin(day / 20)
        kg, fat = 80 + day / 80 + wave, 17.5 + day / 150 + wave / 2
        values = {
            "weight": kg * 100,
            "percent_fat": fat * 100,
            "percent_hydration": (76 - fat) * 100,
            "muscle_mass": 6150,
        }
        raw = {name: round(value) for name, value in values.items()}
        house.garmin.weights.add({"timestamp": now - day * 86_400 + 3_600 - 631_065_600, **raw})
    (entry,) = house.home.ask(type="config_entries/get", domain="weighbridge")
    house.home.call("homeassistant.reload_config_entry", entry_id=entry["entry_id"])
    prefix = next(
        state["entity_id"] for state in house.home.get("/api/states") if state["entity_id"].endswith("_weight")
    )
    name = prefix.removeprefix("sensor.").removesuffix("_weight")
    series = lambda: house.home.ask(type="recorder/list_statistic_ids")  # noqa: E731  (asked again and again)
    wait_until("the history is there", lambda: f"weighbridge:{name}_body_fat" in json.dumps(series()), 120)
    card = yaml.safe_load((SHIPPED / "trend.yaml").read_text().replace("runner", name))
    house.home.ask(type="lovelace/dashboards/create", url_path="weigh-ins", title="Weigh-ins", mode="storage")
    config = {"views": [{"title": "Weight", "cards": [card]}]}
    house.home.ask(type="lovelace/config/save", url_path="weigh-ins", config=config)
    page.set_viewport_size({"width": 1000, "height": 900})
    page.goto(f"{house.home.address}/weigh-ins/0")
    page.wait_for_timeout(6000)
    picture(page, "trend")
    page.set_viewport_size({"width": 1000, "height": 760})


def test_first_weigh_in_takes_ten_clicks(house: House, page: Page) -> None:
    """Ten clicks lead from "Add integration" through the sign-in to Garmin to the first confirmed weigh-in of MQTT."""
    shutil.rmtree(house.function.tokens)
    account = house.garmin.account
    page.goto(f"{house.home.address}/config/integrations/dashboard")
    page.get_by_role("button", name="Add integration").click()
    page.get_by_placeholder(re.compile("Search for a brand")).or_(
        page.locator("input[type=search]").last
    ).first.wait_for()
    page.keyboard.type("Weighbridge")
    page.get_by_text("Weighbridge", exact=True).last.click()
    page.get_by_text("Weighbridge at an address").click()
    fields = page.locator("ha-form input")
    fields.nth(0).fill(house.function.url)
    fields.nth(1).fill(house.function.key)
    picture(page, "add")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("E-mail and password").click()
    page.get_by_text("They are sent to Garmin and not stored").wait_for()
    fields.nth(0).fill(account.email)
    fields.nth(1).fill(account.password)
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("Signed in as").wait_for()
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("button", name=re.compile("Finish|Skip")).first.click()
    page.get_by_role("button", name="Change person").click()
    page.get_by_role("textbox", name="MQTT topic").fill("scale/#")
    picture(page, "person")
    page.get_by_role("button", name="Submit").click()
    wait_until("it listens to the scale", lambda: "\tscale/# (QoS" in house.broker.log(), 60)
    house.broker.publish(
        "scale/bathroom", b'{"weight": "81.4 kg", "body fat": "18.2 %", "time": "2026-11-22T06:31:00Z"}'
    )
    wait_until("Garmin has it", lambda: len(house.function.weights()) == 1, 60)
    states = lambda: {state["state"] for state in house.home.get("/api/states")}  # noqa: E731  (asked again and again)
    wait_until("it is confirmed and shown", lambda: {"confirmed", "81.4"} <= states(), 60)
    assert page.evaluate("clicks") <= 10
    take_more_pictures(house, page)
    assert house.garmin.unexpected == []


def test_blueprints_run(house: House) -> None:
    """An automation of each blueprint for the integration does what its name says: one shows the outcome of a weigh-in,
    one reminds whoever has not weighed in for a while, and nobody else."""
    home = house.home
    registry = home.ask(type="config/entity_registry/list")
    person = next(row["device_id"] for row in registry if row["entity_id"].endswith("_last_weigh_in"))

    def notify(words: str) -> list[dict[str, object]]:
        data = {"notification_id": words.split()[0], "message": words}
        return [{"action": "persistent_notification.create", "data": data}]

    def create(name: str, blueprint: str, **inputs: object) -> None:
        automation = {"alias": name, "use_blueprint": {"path": f"weighbridge/{blueprint}.yaml", "input": inputs}}
        home.request("POST", f"/api/config/automation/config/{name}", json.dumps(automation).encode())
        wait_until(f"{name} is on", lambda: home.state(f"automation.{name}") == "on", 30)

    create("show", "outcome", people=[person], tell=notify("shown {{ trigger.outcome }}: {{ trigger.message }}"))
    create("fresh", "reminder", person=person, remind=notify("fresh"))
    create("stale", "reminder", person=person, within={"seconds": 1}, remind=notify("stale"))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    house.broker.publish("scale/bathroom", json.dumps({"weight": "81.2 kg", "time": now}).encode())
    wait_until("the outcome is shown", lambda: "shown" in home.notifications(), 60)
    assert home.notifications()["shown"] == "shown confirmed: 81.2 kg: confirmed in Garmin Connect."

    def look_at(name: str) -> None:
        """As its time of day would, but now."""
        home.call("automation.trigger", entity_id=f"automation.{name}", skip_condition=False)

    def is_reminded() -> bool:
        look_at("stale")
        return "stale" in home.notifications()

    look_at("fresh")
    wait_until("the reminder is there", is_reminded, 30)
    assert "fresh" not in home.notifications()


@pytest.mark.fault(12)
def test_absence_of_the_function_is_one_line(house: House) -> None:
    """A function that goes away and comes back leaves one line each in the log, and nothing listens beyond this
    machine."""
    entry = house.home.ask(type="config_entries/get", domain="weighbridge")[0]["entry_id"]

    def asked() -> str:
        states = {state["entity_id"]: state["state"] for state in house.home.get("/api/states")}
        house.home.call("homeassistant.update_entity", entity_id=connection)
        return states[connection]

    connection = next(
        row["entity_id"]
        for row in house.home.ask(type="config/entity_registry/list")
        if row["config_entry_id"] == entry
        and row["entity_id"].startswith("binary_sensor.")
        and "connect" in row["entity_id"]
    )
    house.function.stop()
    wait_until("it is away", lambda: asked() == "off", 60)
    for _ in range(2):
        asked()
    house.function.start()
    wait_until("it is back", lambda: asked() == "on", 60)
    lines = [line for line in house.home.log().splitlines() if "custom_components.weighbridge" in line]
    assert len(lines) == 2, lines
    house.home.check_address()
