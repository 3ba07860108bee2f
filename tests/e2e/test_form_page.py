"""The form in a real Chromium, on a desktop and on a phone, around a real function and a stand-in for Garmin."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, FilePayload, Page, Playwright, ViewportSize, expect, sync_playwright

from tests.e2e.parts import find_program, histories, unavailable
from tests.e2e.parts.form import Form, form, function
from tests.garmin.server import GarminStandIn

AXE = Path(__file__).with_name("axe_package")
KEY = "the-secret-key-of-the-house"
DESKTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
NINE = {
    "Weight": "81,4",
    "Body fat (%)": "18.2",
    "Fat mass": "14.8",
    "Fat free body weight": "66.6",
    "Muscle mass": "63.2",
    "Bone mass": "3.4",
    "Water weight": "45.9",
    "Subcutaneous fat (%)": "16.1",
    "Visceral fat": "7",
}
AT = "2026-11-22T06:31:00Z"
TIME = "Time of the weigh-in"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the module; Playwright's loop ends with it, so that no other module's stumbles over it."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def launch(playwright: Playwright) -> Browser:
    program = find_program("chromium", package="chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(
        executable_path=str(program), args=["--disable-gpu", "--disable-quic", "--no-first-run", *sandbox]
    )


class House:
    def __init__(self, garmin: GarminStandIn, folder: Path, stack: ExitStack, chromium: Browser) -> None:
        self.garmin, self._folder, self._stack, self._chromium = garmin, folder, stack, chromium
        self.function = ""
        self.form: Form | None = None

    def open(self, viewport: ViewportSize = DESKTOP, **settings: object) -> Page:
        self.function = self._stack.enter_context(function(self.garmin, self._folder, **settings))
        self.form = self._stack.enter_context(form(self._folder, self.function))
        context = self._chromium.new_context(viewport=viewport, timezone_id="Europe/Berlin", accept_downloads=True)
        self._stack.callback(context.close)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.goto(self.form.address)
        expect(page.get_by_role("heading", name="Weighbridge")).to_be_visible(timeout=20_000)
        return page

    def weights(self) -> list[float]:
        return [entry.raw["weight"] / 100 for entry in self.garmin.weights.visible()]


@pytest.fixture
def house(garmin: GarminStandIn, tmp_path: Path, chromium: Browser) -> Iterator[House]:
    expect.set_options(timeout=20_000)
    with ExitStack() as stack:
        yield House(garmin, tmp_path, stack, chromium)


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name)


def click(page: Page, name: str) -> None:
    settle(page)  # a button that is drawn anew while it is clicked may be another row's by then
    button(page, name).click()


def type_in(page: Page, values: dict[str, str]) -> None:
    """As a person does: field after field, each left with Tab, which is when Streamlit takes it."""
    for label, value in values.items():
        field = page.get_by_label(label, exact=True)
        field.fill(value)
        field.press("Tab")
    settle(page)


def settle(page: Page) -> None:
    """Wait until Streamlit has run what was last done."""
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    expect(page.locator('[data-stale="true"]')).to_have_count(0)


def fill_nine(page: Page, at: str = AT) -> None:
    type_in(page, {**NINE, TIME: at})
    expect(page.get_by_text("What would be sent")).to_be_visible()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_weigh_in_is_typed_seen_sent_confirmed_drawn_corrected_and_taken_back(
    house: House, viewport: ViewportSize
) -> None:
    page = house.open(viewport)
    fill_nine(page)
    expect(page.get_by_text("percent_hydration 56.39")).to_be_visible()
    expect(page.get_by_text("Garmin has no field for subcutaneous fat.")).to_be_visible()
    assert house.weights() == []

    click(page, "Send to Garmin")
    expect(page.get_by_text("confirmed in Garmin Connect")).to_be_visible()
    expect(page.get_by_text("What Garmin shows, read back")).to_be_visible()
    assert house.weights() == [81.4]

    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(4)
    for title in ("Weight (kg)", "Body fat (%)", "Muscle (kg)", "Water (%)"):
        expect(page.get_by_label(f"{title}: 1 weigh-ins").first).to_be_visible()

    click(page, "Correct 22 Nov 2026, 07:31")
    expect(page.get_by_role("heading", name="Correct a weigh-in")).to_be_visible()
    expect(page.get_by_label(TIME)).to_be_disabled()
    type_in(page, {"Weight": "81,3"})
    click(page, "Replace it in Garmin")
    expect(page.get_by_text("81.3 kg, 18.2 % fat: confirmed")).to_be_visible()
    assert house.weights() == [81.3]

    click(page, "Take back 22 Nov 2026, 07:31")
    click(page, "Yes, take it back")
    expect(page.get_by_text("was taken back.")).to_be_visible()
    assert house.weights() == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"


def test_a_mistake_stands_beside_its_field_in_the_function_words_and_goes_when_it_is_mended(house: House) -> None:
    page = house.open()
    type_in(page, {"Weight": "81.4", "Body fat (%)": "182"})
    column = page.get_by_test_id("stColumn").filter(has=page.get_by_label("Body fat (%)", exact=True))
    expect(column.get_by_role("alert")).to_have_text("A body fat of 0.1 to 90 % was expected.")
    expect(button(page, "Send to Garmin")).to_have_count(0)
    type_in(page, {"Body fat (%)": "18.2"})
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(button(page, "Send to Garmin")).to_be_visible()


def test_the_downloaded_file_is_byte_for_byte_that_of_post_fit(house: House, tmp_path: Path) -> None:
    page = house.open()
    fill_nine(page)
    with page.expect_download() as download:
        click(page, "Download the FIT file")
    download.value.save_as(tmp_path / "got.fit")
    reading = {"weight": "81.4 kg", "body fat": "18.2 %", "fat mass": "14.8", "fat free body weight": "66.6"}
    reading |= {"muscle mass": "63.2", "bone mass": "3.4", "water weight": "45.9", "subcutaneous fat": "16.1"}
    reading |= {"visceral fat": "7", "time": AT}
    asked = urllib.request.Request(f"{house.function}/fit", json.dumps(reading).encode(), method="POST")
    with urllib.request.urlopen(asked, timeout=20) as answer:
        assert (tmp_path / "got.fit").read_bytes() == answer.read()
        assert f'"{download.value.suggested_filename}"' in answer.headers["Content-Disposition"]
    assert house.weights() == []


def test_the_keyboard_alone_types_sends_and_takes_back(house: House) -> None:
    page = house.open()
    page.keyboard.press("Tab")
    walk_to(page, "Weight")
    page.keyboard.type("81.4")
    walk_to(page, TIME)
    page.keyboard.press("Control+A")
    page.keyboard.type(AT)
    page.keyboard.press("Enter")
    expect(button(page, "Send to Garmin")).to_be_visible()
    settle(page)
    press(page, "Send to Garmin")
    expect(page.get_by_text("81.4 kg: confirmed in Garmin Connect")).to_be_visible()
    settle(page)
    press(page, "Take back 22 Nov 2026, 07:31")
    expect(button(page, "Yes, take it back")).to_be_visible()
    settle(page)
    press(page, "Yes, take it back")
    expect(page.get_by_text("was taken back.")).to_be_visible()
    assert house.weights() == []


FOCUSED = """() => {
    const it = document.activeElement;
    return it.getAttribute("aria-label") || it.labels?.[0]?.innerText || it.innerText || "";
}"""


def walk_to(page: Page, name: str) -> None:
    """Press Tab until what has the focus is called so."""
    for _ in range(80):
        if str(page.evaluate(FOCUSED)).strip() == name:
            return
        page.keyboard.press("Tab")
    pytest.fail(f"no number of Tabs leads to {name!r}")


def press(page: Page, name: str) -> None:
    walk_to(page, name)
    page.keyboard.press("Enter")


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core itself, installed from its lock file when it is not yet."""
    npm = find_program("npm", package="npm")
    program = AXE / "node_modules" / "axe-core" / "axe.min.js"
    with FileLock(AXE / ".installing"):
        if not program.exists():
            done = subprocess.run(
                [npm, "ci", "--no-audit", "--no-fund"], cwd=AXE, capture_output=True, text=True, check=False
            )
            if done.returncode:
                unavailable(f"npm could not install axe-core; is the network there? {done.stderr}")
    return program.read_text(encoding="utf-8")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious_in_any_state_of_the_page(house: House, viewport: ViewportSize, axe: str) -> None:
    page = house.open(viewport, WEIGHBRIDGE_API_KEYS=f"house={KEY}")
    assert serious(page, axe) == [], "asking for a key"
    enter_key(page)
    assert serious(page, axe) == [], "empty"
    type_in(page, {"Weight": "8140"})
    assert serious(page, axe) == [], "with a mistake"
    page.get_by_text("Paste instead").click()
    fill_nine(page)
    assert serious(page, axe) == [], "with a preview"
    click(page, "Send to Garmin")
    expect(page.get_by_text("confirmed in Garmin Connect")).to_be_visible()
    settle(page)
    assert serious(page, axe) == [], "confirmed"
    click(page, "Correct 22 Nov")
    settle(page)
    click(page, "Take back 22 Nov")
    settle(page)
    assert serious(page, axe) == [], "correcting and taking back"
    upload(page)
    expect(page.get_by_text("8 of 8 weigh-ins are understood")).to_be_visible()
    page.get_by_text("What the columns are").click()
    assert serious(page, axe) == [], "with a history"


def upload(page: Page) -> None:
    """An export of the Fitdays app, in a language that nobody knows."""
    file = FilePayload(name="export.csv", mimeType="text/csv", buffer=histories.fitdays("of nobody"))
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    settle(page)


def test_years_out_of_the_app_export_are_seen_put_right_and_sent(house: House) -> None:
    page = house.open()
    upload(page)
    expect(page.get_by_text("8 of 8 weigh-ins are understood")).to_be_visible()
    page.get_by_text("What the columns are: 19 of 34 are known").click()
    expect(page.get_by_label("xy5: visceral fat, known by its place")).to_be_visible()
    assert house.weights() == []
    click(page, "Send 8 weigh-ins to Garmin")
    expect(page.get_by_text("8 of 8: 8 confirmed in Garmin Connect.")).to_be_visible()
    assert sorted(house.weights()) == [w.weight_kg for w in sorted(histories.WEIGH_INS, key=lambda w: w.weight_kg)]


def serious(page: Page, axe: str) -> list[str]:
    settle(page)
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    assert found["passes"]
    return [
        f"{v['id']}: {node['html'][:160]} {node['failureSummary']}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]


def enter_key(page: Page, key: str = KEY) -> None:
    field = page.get_by_label("Key of the function", exact=True)
    field.fill(key)
    field.press("Enter")
    expect(page.get_by_text("Garmin holds no weigh-in of these days.")).to_be_visible()
    settle(page)


def test_neither_key_nor_values_are_in_the_form_log_or_in_an_address(house: House) -> None:
    page = house.open(WEIGHBRIDGE_API_KEYS=f"house={KEY}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    enter_key(page)
    fill_nine(page)
    click(page, "Send to Garmin")
    expect(page.get_by_text("confirmed in Garmin Connect")).to_be_visible()
    assert house.form
    for trace in (house.form.log.read_text(), "\n".join([*asked, page.url])):
        assert KEY not in trace
        assert "81.4" not in trace
        assert "81,4" not in trace


def test_the_page_calls_nobody_but_its_own_server(house: House) -> None:
    page = house.open()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    expect(page.get_by_role("heading", name="Trend")).to_be_visible()
    fill_nine(page)
    assert house.form
    outsiders = [url for url in asked if not url.startswith((house.form.address, "data:", "blob:"))]
    assert asked
    assert outsiders == []


def test_two_people_have_a_function_each_and_see_only_their_own(
    house: House, tmp_path: Path, chromium: Browser
) -> None:
    with ExitStack() as stack:
        ben = stack.enter_context(GarminStandIn())
        (tmp_path / "anna").mkdir()
        (tmp_path / "ben").mkdir()
        addresses = [
            f"{name}={stack.enter_context(function(garmin, tmp_path / name.lower()))}"
            for name, garmin in (("Anna", house.garmin), ("Ben", ben))
        ]
        served = stack.enter_context(form(tmp_path, ",".join(addresses)))
        page = chromium.new_page()
        stack.callback(page.close)
        page.goto(served.address)
        page.get_by_role("radio", name="Ben").click()
        settle(page)
        fill_nine(page)
        click(page, "Send to Garmin")
        expect(page.get_by_text("confirmed in Garmin Connect")).to_be_visible()
        assert len(ben.weights.visible()) == 1
        assert house.weights() == []
        page.get_by_role("radio", name="Anna").click()
        expect(page.get_by_text("Garmin holds no weigh-in of these days.")).to_be_visible()
        expect(page.get_by_label("Weight", exact=True)).to_have_value("")
        assert ben.unexpected == []


def test_pasted_text_of_the_share_screen_fills_the_fields(house: House) -> None:
    page = house.open(PHONE)
    page.get_by_text("Paste instead").click()
    page.get_by_label("A reading").fill(
        "2026-11-22 06:31\nWeight 81.4kg Standard\nBody fat 18.2% High\nBMI 24.6\nMood 7"
    )
    click(page, "Take over")
    expect(page.get_by_label("Weight", exact=True)).to_have_value("81.4 kg")
    expect(page.get_by_label("Body fat (%)", exact=True)).to_have_value("18.2 %")
    expect(page.get_by_text("Not recognised: Mood.")).to_be_visible()
