"""Takes the README's screenshot of Node-RED's flow from the real program.

python -m tests.e2e.pictures      (needs Debian's chromium)

"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.e2e.parts.mosquitto import mosquitto
from tests.e2e.parts.node_red import node_red
from tests.ports import free_port

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
