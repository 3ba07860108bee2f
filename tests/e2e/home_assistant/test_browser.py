"""From "Add integration" to the first confirmed weigh-in, in a browser: the frontend of a real Home Assistant.

Strategy: the clicks are counted by the page itself. Typing is not a click. WEIGHBRIDGE_PICTURES=folder also stores the
pictures of the docs there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.e2e.parts import wait_until
from tests.e2e.parts.home_assistant import HomeAssistant, home_assistant
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
        self.home: HomeAssistant = stack.enter_context(home_assistant(folder / "home", mqtt_port=self.broker.port))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(tmp_path_factory.mktemp("house"), stack)


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
    """The device of the person, and a repair."""
    if not PICTURES:
        return
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
    assert house.home.listeners() == {f"127.0.0.1:{house.home.port}"}
