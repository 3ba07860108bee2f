"""Takes the READMEs' screenshots of Home Assistant's card and Node-RED's flow from the real programs.

    python -m tests.e2e.pictures      (needs Debian's chromium)

A weigh-in is published and reaches the stand-in for Garmin. The screenshots show what a person then sees.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml
from playwright.sync_api import Page, sync_playwright

from tests.e2e.parts import free_port, wait_until
from tests.e2e.parts.mosquitto import mosquitto
from tests.e2e.parts.node_red import node_red
from tests.e2e.test_home_assistant import NINE, House

ROOT = Path(__file__).parents[2]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@contextmanager
def browser(width: int, height: int) -> Iterator[Page]:
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path="/usr/bin/chromium", headless=True, args=ARGUMENTS)
        try:
            yield chromium.new_page(viewport={"width": width, "height": height}, device_scale_factor=2)
        finally:
            chromium.close()


def picture_card(target: Path) -> None:
    readme = (ROOT / "integrations" / "home_assistant" / "README.md").read_text()
    found = re.search(r"<!-- card -->\n```yaml\n(.*?)```", readme, re.DOTALL)
    assert found
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        house = House(Path(folder), stack)
        at = "2026-11-22T06:31:00+00:00"
        house.publish(NINE | {"time": at})
        house.wait_until_delivered(at)
        wait_until("the card shows the values", lambda: house.home.state("sensor.weighbridge_weight") == "81.4")
        house.home.ask(
            type="lovelace/config/save",
            config={"views": [{"title": "Home", "panel": True, "cards": [yaml.safe_load(found[1])]}]},
        )
        with browser(480, 900) as page:
            tokens = house.home.tokens | {
                "hassUrl": house.home.address,
                "clientId": f"{house.home.address}/",
                "expires": 9e15,
            }
            page.add_init_script(f"localStorage.setItem('hassTokens', {json.dumps(json.dumps(tokens))})")
            page.goto(f"{house.home.address}/lovelace/0?kiosk")
            card = page.locator("hui-vertical-stack-card").first
            card.wait_for()
            page.get_by_text("Visceral fat").wait_for()
            page.wait_for_load_state("networkidle")
            box, last = card.bounding_box(), card.locator("hui-glance-card").bounding_box()
            assert box
            assert last
            page.screenshot(path=target, clip={**box, "height": last["y"] + last["height"] - box["y"]})


def picture_flow(target: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        mosquitto() as broker,
        node_red(
            Path(folder),
            WEIGHBRIDGE_URL=f"http://127.0.0.1:{free_port()}",
            WEIGHBRIDGE_KEY="-",
            WEIGHBRIDGE_TOPIC="scale/#",
            MQTT_HOST="127.0.0.1",
            MQTT_PORT=str(broker.port),
        ) as red,
        browser(1800, 900) as page,
    ):
        page.goto(red.address)
        page.get_by_text("confirmed in Garmin").first.wait_for()
        page.keyboard.press("Escape")
        page.wait_for_load_state("networkidle")
        box = page.locator("#red-ui-workspace-chart svg").first.bounding_box()
        assert box
        page.screenshot(path=target, clip={"x": box["x"], "y": box["y"], "width": 1290, "height": 420})


if __name__ == "__main__":
    picture_flow(ROOT / "integrations" / "node_red" / "flow.png")
    picture_card(ROOT / "integrations" / "home_assistant" / "card.png")
