"""Takes the screenshots in the form's README from the real page, with a real function:

    python -m tests.e2e.form_pictures      (needs Debian's chromium)

The weigh-ins of the weeks before are made up.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.test_form_page import (
    DESKTOP,
    NINE,
    PHONE,
    FormSite,
    Scheme,
    click,
    expect_arrived,
    fill_nine,
    launch,
    settle,
    type_in,
)
from tests.function_client import local_headers
from tests.garmin.server import GarminStandIn
from weighbridge_form.looks import FILES

FOLDER = Path(__file__).parents[2] / "integrations" / "web_form"
AT = datetime(2026, 11, 22, 6, 31, tzinfo=UTC)


def send_weeks_before(address: str) -> None:
    readings = []
    for day in range(1, 28):
        weight = round(81.4 + day * 0.06 + 0.5 * math.sin(day * 2.1), 1)
        fat = round(18.2 + day * 0.03 + 0.3 * math.sin(day * 1.3), 1)
        readings.append(
            {
                "measured_at": (AT - timedelta(days=day, minutes=7 * day % 50)).isoformat(),
                "weight_kg": weight,
                "body_fat_percent": fat,
                "muscle_mass_kg": round(weight * (1 - fat / 100) - 3.4, 1),
                "bone_mass_kg": 3.4,
                "body_water_percent": round(68.9 * (1 - fat / 100), 1),
                "visceral_fat_rating": 7,
            }
        )
    asked = urllib.request.Request(f"{address}/readings", json.dumps(readings).encode(), local_headers(), method="POST")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        results = json.load(answer)["results"]
    assert [result["status"] for result in results] == ["confirmed"] * len(readings)


def take_icons(chromium: Browser) -> None:
    """The icons of a home screen, from icon.svg."""
    svg = (FILES / "icon.svg").read_text(encoding="utf-8")
    for size in (180, 192, 512):
        page = chromium.new_page(viewport={"width": size, "height": size})
        page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
        page.screenshot(path=FILES / f"icon-{size}.png")
        page.close()


def main() -> None:
    expect.set_options(timeout=20_000)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        chromium = launch(stack.enter_context(sync_playwright()))
        take_icons(chromium)
        garmin = stack.enter_context(GarminStandIn())
        site = FormSite(garmin, Path(folder), stack, chromium)
        page = site.open(DESKTOP)
        send_weeks_before(site.function)
        fill_nine(page, f"{AT + timedelta(hours=1):%Y-%m-%d %H:%M}")
        page.get_by_text("What would be sent").click()
        page.set_viewport_size({"width": 900, "height": 1180})
        take(page, "preview")
        click(page, "Send to Garmin")
        expect_arrived(page)

        page = again(site, page, "light")
        type_in(page, NINE)
        click(page, "Send to Garmin")
        expect_arrived(page)
        # The toast goes away by itself.
        expect(page.get_by_test_id("stToast")).to_be_visible()
        expect(page.get_by_test_id("stToast")).to_have_count(0)
        page.get_by_test_id("stMain").evaluate("it => it.scrollTo(0, 0)")
        take(page, "confirmed")
        page.get_by_role("heading", name="Trend").evaluate("it => it.scrollIntoView()")
        take(page, "trend")
        click(page, "New weigh-in")
        page = again(site, page, "dark")
        type_in(page, {"Weight (kg)": "81.2", "Body fat (%)": "18.1"})
        take(page, "dark")


def again(site: FormSite, page: Page, scheme: Scheme) -> Page:
    """The same page, opened on a phone."""
    page.context.close()
    assert site.form
    page = site.on(PHONE, scheme)
    expect(page.get_by_label("Weight (kg)", exact=True)).to_have_attribute("placeholder", re.compile("last"))
    return page


def take(page: Page, name: str) -> None:
    settle(page)
    page.mouse.move(0, 0)
    for chart in page.get_by_test_id("stVegaLiteChart").all():
        expect(chart.locator("canvas, svg").first).to_be_visible()
    page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
