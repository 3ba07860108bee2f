"""The form in a real Chromium, on a desktop and on a phone, around a real function and a stand-in for Garmin."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, FilePayload, Page, Playwright, ViewportSize, expect, sync_playwright

from tests.e2e.parts import find_program, histories, unavailable, wait_for_another_second
from tests.e2e.parts.form import Form, form, function
from tests.function_client import local_headers
from tests.garmin.server import GarminStandIn

AXE = Path(__file__).with_name("axe_package")
KEY = "the-secret-key-of-the-function"
Scheme = Literal["light", "dark"]
DESKTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
#: A size and a colour scheme. Each flow is seen in two of the four, a morning and each look of axe in all.
View = tuple[ViewportSize, Scheme]
VIEWS = pytest.mark.parametrize("view", [(PHONE, "light"), (DESKTOP, "dark")], ids=["phone-light", "desktop-dark"])
OTHER_VIEWS = pytest.mark.parametrize(
    "view", [(PHONE, "dark"), (DESKTOP, "light")], ids=["phone-dark", "desktop-light"]
)
NINE = {
    "Weight (kg)": "81,4",
    "Body fat (%)": "18.2",
    "Fat mass (kg)": "14.8",
    "Fat free body weight (kg)": "66.6",
    "Muscle mass (kg)": "63.2",
    "Bone mass (kg)": "3.4",
    "Water weight (kg)": "45.9",
    "Subcutaneous fat (%)": "16.1",
    "Visceral fat": "7",
}
AT = "2026-11-22T06:31:00Z"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the module. Its Playwright loop ends with the module and cannot disturb the next one."""
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


def _is_of_form(setting: str) -> bool:
    return setting.startswith("WEIGHBRIDGE_FORM_") or setting == "WEIGHBRIDGE_KEY"


class FormSite:
    def __init__(self, garmin: GarminStandIn, folder: Path, stack: ExitStack, chromium: Browser) -> None:
        self.garmin, self._folder, self._stack, self._chromium = garmin, folder, stack, chromium
        self.function = ""
        self.form: Form | None = None

    def open(self, viewport: ViewportSize = DESKTOP, scheme: Scheme = "light", **settings: object) -> Page:
        """The page, with these settings of the function and of the page; `{function}` is the function's address."""
        self.function = self._stack.enter_context(function(self.garmin, self._folder, **settings))
        of_form = {
            name: str(value).format(function=self.function) for name, value in settings.items() if _is_of_form(name)
        }
        self.form = self._stack.enter_context(form(self._folder, self.function, **of_form))
        return self.on(viewport, scheme)

    def on(self, viewport: ViewportSize, scheme: Scheme, locale: str = "en-US") -> Page:
        """The page in another browser profile."""
        assert self.form
        page = self.open_in(self.form.address, viewport, scheme, locale)
        expect(page.get_by_role("heading", name="Weighbridge")).to_be_visible(timeout=20_000)
        return page

    def open_in(self, address: str, viewport: ViewportSize, scheme: Scheme, locale: str = "en-US") -> Page:
        context = self._chromium.new_context(
            viewport=viewport,
            timezone_id="Europe/Berlin",
            accept_downloads=True,
            color_scheme=scheme,
            locale=locale,
        )
        self._stack.callback(context.close)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.goto(address)
        return page

    def weights(self) -> list[float]:
        return [entry.raw["weight"] / 100 for entry in self.garmin.weights.visible()]


@pytest.fixture
def site(garmin: GarminStandIn, tmp_path: Path, chromium: Browser) -> Iterator[FormSite]:
    expect.set_options(timeout=20_000)
    with ExitStack() as stack:
        yield FormSite(garmin, tmp_path, stack, chromium)


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name)


def click(page: Page, name: str) -> None:
    settle(page)  # a button that is drawn again during the click may belong to another row
    button(page, name).click()


def type_in(page: Page, values: dict[str, str]) -> None:
    """Fill field after field and leave each with Tab, which makes Streamlit read it."""
    for label, value in values.items():
        # Behind an open dialog, those of a weigh-in that arrived are disabled.
        field = page.get_by_role("textbox", name=label, exact=True, disabled=False)
        field.fill(value)
        field.press("Tab")
    settle(page)


def settle(page: Page) -> None:
    """Wait until Streamlit has processed the last action."""
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    expect(page.locator('[data-stale="true"]')).to_have_count(0)


def expect_arrived(page: Page) -> None:
    expect(page.get_by_text("Arrived in Garmin")).to_be_visible()


def fill_nine(page: Page, at: str = AT) -> None:
    choose_time(page, at)
    type_in(page, NINE)
    expect(page.get_by_text("What would be sent")).to_be_visible()


def choose_time(page: Page, at: str) -> None:
    """Type a time into the pickers. With an offset, it is shown in the zone of the browser."""
    moment = datetime.fromisoformat(at)
    here = moment.astimezone(ZoneInfo("Europe/Berlin")) if moment.tzinfo else moment
    # On a busy machine, a choice made while the page still fills may be shown without its pickers.
    settle(page)
    page.get_by_text("Another time", exact=True).click()
    settle(page)
    for label, digits in (("Day", f"{here:%Y%m%d}"), ("Time", f"{here:%H%M}")):
        type_digits(page, label, digits)


def type_digits(page: Page, label: str, digits: str) -> None:
    """Type into a picker, whose parts move the focus on when they are full. Streamlit may draw it again meanwhile and
    lose a digit; whoever sees that types it again."""
    parts = page.get_by_role("group", name=label, exact=True).get_by_role("spinbutton")
    for _ in range(3):
        parts.first.click()
        page.keyboard.type(digits)
        page.keyboard.press("Tab")
        settle(page)
        if "".join(parts.all_inner_texts()) == digits:
            return
    raise AssertionError(f"{label} shows {parts.all_inner_texts()} instead of {digits}")


@OTHER_VIEWS
def test_whole_life_of_a_weigh_in(site: FormSite, view: View) -> None:
    """A weigh-in is typed, previewed, sent, confirmed, drawn, corrected and deleted."""
    page = site.open(*view)
    fill_nine(page)
    page.get_by_text("What would be sent").click()
    expect(page.get_by_text("percent_hydration 56.39")).to_be_visible()
    expect(page.get_by_text("Garmin has no field for subcutaneous fat.")).to_be_visible()
    assert site.weights() == []

    click(page, "Send to Garmin")
    expect_arrived(page)
    expect(page.get_by_text("What Garmin shows now")).to_be_visible()
    assert site.weights() == [81.4]

    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(3)
    for title in ("Weight (kg)", "Body fat (%)", "Muscle mass (kg)"):
        expect(page.get_by_label(f"{title}: 1 weigh-in ").first).to_be_visible()

    click(page, "22 Nov 2026, 07:31")
    type_in(page, {"Weight (kg)": "81,3"})
    click(page, "Save the correction")
    expect(page.get_by_text("The weigh-in of 22 Nov 2026, 07:31 was corrected.")).to_be_visible()
    assert [(e.raw["weight"], e.raw["visceral_fat_rating"]) for e in site.garmin.weights.visible()] == [(8130, 7)]

    click(page, "22 Nov 2026, 07:31")
    click(page, "Delete")
    expect(page.get_by_text("Deleted: 22 Nov 2026, 07:31")).to_be_visible()
    assert site.weights() == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"


#: What the browser itself says of each tap that is not on a field.
COUNT_TAPS = """() => {
    window.taps = 0;
    addEventListener("click", (it) => { if (it.isTrusted && !it.target.closest("input")) window.taps += 1; }, true);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_morning_takes_one_tap(site: FormSite, viewport: ViewportSize, scheme: Scheme) -> None:
    """The first field is at the top, its keyboard has digits, one tap after the numbers sends them, and the outcome is
    in sight where the tap was."""
    page = site.open(viewport, scheme)
    weight, fat = (page.get_by_label(label, exact=True) for label in ("Weight (kg)", "Body fat (%)"))
    settle(page)
    first, second = box(weight), box(fat)
    assert first["y"] < 200
    assert (second["y"], second["x"] > first["x"]) == (first["y"], True), "two columns"
    for label in NINE:
        expect(page.get_by_label(label, exact=True)).to_have_attribute("inputmode", "decimal")
    page.evaluate(COUNT_TAPS)
    for field, number in ((weight, "81,4"), (fat, "18.2")):
        field.click()
        page.keyboard.type(number)
    tapped = box(button(page, "Send to Garmin"))
    button(page, "Send to Garmin").click()
    expect_arrived(page)
    assert page.evaluate("taps") == 1
    settle(page)
    assert box(button(page, "New weigh-in")) == tapped
    assert box(weight) == first
    outcome = box(page.get_by_text("Arrived in Garmin"))
    assert 0 < outcome["y"] < viewport["height"] - outcome["height"]
    assert site.weights() == [81.4]


def box(it: Any) -> dict[str, float]:
    found: dict[str, float] = it.bounding_box()
    return found


#: Of every shift, also of those right after a click, which the browser's own score leaves out.
SHIFTS = """
(window.shifted = 0, new PerformanceObserver(list => list.getEntries().forEach(it => window.shifted += it.value))
  .observe({ type: "layout-shift" }))
"""


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_jumps_after_send(site: FormSite, viewport: ViewportSize) -> None:
    """From Send to the drawn outcome, what is in sight keeps its place: a layout shift of less than 0.1."""
    page = site.open(viewport)
    type_in(page, {"Weight (kg)": "81,4", "Body fat (%)": "18.2"})
    page.evaluate(SHIFTS)
    click(page, "Send to Garmin")
    expect_arrived(page)
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(2)
    settle(page)
    assert page.evaluate("window.shifted") < 0.1
    page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').style.paddingTop = '300px'")
    page.wait_for_function("window.shifted > 0.1")  # it does count


@VIEWS
def test_two_mornings_in_one_tab(site: FormSite, view: View) -> None:
    """A tab that was left open sends today's weigh-in with today's time, and shows the last one's values meanwhile."""
    page = site.open(*view)
    for weight in ("81.4", "95.2"):
        field = page.get_by_label("Weight (kg)", exact=True)
        field.fill(weight)
        before = int(time.time())
        click(page, "Send to Garmin")
        expect_arrived(page)
        assert max(entry.instant_s for entry in site.garmin.weights.visible()) >= before
        expect(field).to_be_disabled()
        click(page, "New weigh-in")
        expect(field).to_have_value("")
        expect(field).to_have_attribute("placeholder", f"last {weight}")
        wait_for_another_second()
    assert sorted(site.weights()) == [81.4, 95.2]


@pytest.mark.parametrize("when", ["Now", "Another time"])
def test_morning_after_the_phone_slept(site: FormSite, tmp_path: Path, when: str) -> None:
    """A tab whose session has ended overnight, with the connection, is ready for a new weigh-in: it is empty, and its
    time is that of sending, whatever was chosen the day before."""
    with ExitStack() as stack:
        site.function = stack.enter_context(function(site.garmin, tmp_path))
        evening = stack.enter_context(ExitStack())
        site.form = evening.enter_context(form(tmp_path, site.function))
        page = site.on(PHONE, "light")
        type_in(page, {"Weight (kg)": "81.4", "Body fat (%)": "18.2"})
        if when == "Another time":
            choose_time(page, "2026-11-22T07:31")
        click(page, "Send to Garmin")
        expect_arrived(page)
        settle(page)
        evening.close()
        expect(page.get_by_test_id("stApp")).not_to_have_attribute("data-test-connection-state", "CONNECTED")
        before = int(time.time())
        stack.enter_context(form(tmp_path, site.function, port=int(site.form.address.rpartition(":")[2])))
        field = page.get_by_label("Weight (kg)", exact=True)
        expect(field).to_be_enabled(timeout=60_000)
        expect(field).to_have_value("")
        expect(field).to_have_attribute("placeholder", "last 81.4")
        expect(page.get_by_label("Body fat (%)", exact=True)).to_have_value("")
        expect(page.get_by_role("radio", name="Now")).to_be_checked()
        type_in(page, {"Weight (kg)": "95.2"})
        click(page, "Send to Garmin")
        expect_arrived(page)
        (new,) = [entry for entry in site.garmin.weights.visible() if entry.raw["weight"] == 9520]
        assert (new.instant_s >= before, "percent_fat" in new.raw) == (True, False)


#: Types into the first field as a person would, in the first frame in which it takes anything.
TYPE_AT_ONCE = """
const at_each_frame = () => {
    const field = document.querySelector(".st-key-weight input");
    if (!field || field.disabled) return requestAnimationFrame(at_each_frame);
    field.focus();
    window.typed = document.execCommand("insertText", false, "81,4");
};
requestAnimationFrame(at_each_frame);
"""


def test_what_is_typed_at_once_stays(site: FormSite) -> None:
    """What is typed in the first frame in which the first field takes anything stays while the page settles, and is
    what is sent."""
    page = site.open(PHONE)
    type_in(page, {"Weight (kg)": "95.2"})
    click(page, "Send to Garmin")
    expect_arrived(page)
    wait_for_another_second()
    page.add_init_script(TYPE_AT_ONCE)
    page.reload()
    field = page.get_by_label("Weight (kg)", exact=True)
    expect(field).to_have_attribute("placeholder", "last 95.2")  # the last part of the page that is drawn
    settle(page)
    assert page.evaluate("window.typed") is True
    expect(field).to_have_value("81,4")
    expect(field).to_be_focused()
    click(page, "Send to Garmin")
    expect_arrived(page)
    assert sorted(site.weights()) == [81.4, 95.2]


def test_sending_is_seen(site: FormSite) -> None:
    """While a weigh-in is on its way, the button spins and cannot be pressed again. Then a toast and the outcome say
    what became of it, and it was sent once."""
    page = site.open(PHONE)
    type_in(page, {"Weight (kg)": "81.4"})
    site.garmin.faults.add("upload", "slow")
    click(page, "Send to Garmin")
    sending = page.locator(".st-key-send button")
    expect(sending).to_have_text(re.compile("Sending …"))
    expect(sending).to_be_disabled()
    expect(sending.locator('[data-testid*="pinner"]')).to_be_visible()
    expect(page.get_by_test_id("stToast")).to_contain_text("81.4 kg: done")
    expect_arrived(page)
    expect(button(page, "New weigh-in")).to_be_enabled()
    assert site.weights() == [81.4]
    assert [logged.route for logged in site.garmin.requests].count("upload") == 1


def test_unit_and_height_are_remembered(site: FormSite) -> None:
    """The browser remembers a person's unit and height, and nothing else of a weigh-in."""
    page = site.open(PHONE)
    page.get_by_text("lb", exact=True).click()
    settle(page)
    type_in(page, {"Height (cm)": "180", "Weight (lb)": "179.5"})
    expect(page.get_by_text("For Garmin: weight, body mass index")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Height (cm)", exact=True)).to_have_value("180")
    expect(page.get_by_label("Weight (lb)", exact=True)).to_have_value("")
    stored = json.dumps(page.context.storage_state())
    assert "180" in stored
    assert "179.5" not in stored


def test_fresh_install_has_a_next_step(site: FormSite) -> None:
    """Where nothing is set up, a file is saved, and a card names the next step."""
    page = site.open(PHONE, WEIGHBRIDGE_DELIVERY="folder")
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_visible()
    page.get_by_label("Weight (kg)", exact=True).fill("81.4")
    click(page, "Save the FIT file")
    expect(page.get_by_text("Saved as a file to import")).to_be_visible()
    settle(page)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    with page.expect_download() as download:
        click(page, "Download the FIT file")
    assert download.value.suggested_filename.endswith(".fit")


def test_home_screen(site: FormSite) -> None:
    """A phone can put the page on its home screen, with a name and icons."""
    page = site.open(PHONE)
    assert page.title() == "Weighbridge"
    found = page.context.new_cdp_session(page).send("Page.getAppManifest")
    assert found["errors"] == []
    manifest = json.loads(found["data"])
    icons = [icon["src"] for icon in manifest["icons"]] + [page.get_attribute("link[rel=apple-touch-icon]", "href")]
    for icon in icons:
        answer = page.request.get(f"{page.url}{icon}")
        assert (answer.status, answer.headers["content-type"]) == (200, "image/png")


def test_document_names_what_is_drawn(site: FormSite) -> None:
    """The document names each script of the page, so a browser fetches none of them only when it is needed."""
    page = site.open()
    settle(page)
    document = page.request.get(page.url).text()
    fetched = page.evaluate(
        "performance.getEntriesByType('resource').map(e => e.name).filter(name => name.endsWith('.js'))"
    )
    assert len(fetched) > 50
    assert [name for name in fetched if name.rpartition("/")[2] not in document] == []


def test_files_are_kept_by_the_browser(site: FormSite) -> None:
    """What Streamlit's page is made of is fetched once: it is in one piece, of its type, and kept for a year."""
    page = site.open()
    for name in page.evaluate("performance.getEntriesByType('resource').map(e => e.name)"):
        if "/static/" in name:
            answer = page.request.get(name)
            assert (answer.status, int(answer.headers["content-length"])) == (200, len(answer.body())), name
            assert "immutable" in answer.headers["cache-control"], name
    answer = page.request.get(f"{page.url}static/js/none.js")
    assert "javascript" not in answer.headers["content-type"], "a name that Streamlit does not have is its affair"


def test_mistake_is_shown_at_its_field(site: FormSite) -> None:
    """A mistake is shown at its field in the function's words, and disappears when it is fixed."""
    page = site.open()
    type_in(page, {"Weight (kg)": "814", "Body fat (%)": "18.2"})
    cell = page.locator(".st-key-cell-weight")
    expect(cell.get_by_role("alert")).to_have_text("The weight must be 2 to 400 kg.")
    click(page, "Send to Garmin")
    expect(page.get_by_text("Nothing was sent. Correct the marked fields first.")).to_be_visible()
    assert site.weights() == []
    type_in(page, {"Weight (kg)": "81.4"})
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("For Garmin: weight, body fat")).to_be_visible()


def test_download_equals_post_fit(site: FormSite, tmp_path: Path) -> None:
    """The downloaded file has exactly the bytes of POST /fit."""
    page = site.open()
    fill_nine(page)
    with page.expect_download() as download:
        click(page, "Download the FIT file")
    download.value.save_as(tmp_path / "got.fit")
    reading = {"weight": "81.4 kg", "body fat": "18.2 %", "fat mass": "14.8", "fat free body weight": "66.6"}
    reading |= {"muscle mass": "63.2", "bone mass": "3.4", "water weight": "45.9", "subcutaneous fat": "16.1"}
    reading |= {"visceral fat": "7", "time": AT}
    asked = urllib.request.Request(f"{site.function}/fit", json.dumps(reading).encode(), local_headers(), method="POST")
    with urllib.request.urlopen(asked, timeout=20) as answer:
        assert (tmp_path / "got.fit").read_bytes() == answer.read()
        assert f'"{download.value.suggested_filename}"' in answer.headers["Content-Disposition"]
    assert site.weights() == []


def test_keyboard_alone_is_enough(site: FormSite) -> None:
    """The keyboard alone is enough to type, send and delete a weigh-in."""
    page = site.open()
    page.keyboard.press("Tab")
    walk_to(page, "Weight (kg)")
    page.keyboard.type("81.4")
    walk_to(page, "Now")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.get_by_role("group", name="Time", exact=True)).to_be_visible()
    walk_to(page, "year, Day")
    page.keyboard.type("20261122")
    walk_to(page, "hour, Time")
    page.keyboard.type("0731")
    press(page, "Send to Garmin")
    expect_arrived(page)
    settle(page)
    expect(page.get_by_text("22 Nov 2026, 07:31 · 81.4 kg")).to_be_visible()
    press(page, "22 Nov 2026, 07:31 · 81.4 kg")
    expect(button(page, "Save the correction")).to_be_visible()
    settle(page)
    press(page, "Delete")
    expect(page.get_by_text("Deleted: 22 Nov 2026, 07:31")).to_be_visible()
    assert site.weights() == []


@OTHER_VIEWS
def test_key_field_by_tab(site: FormSite, view: View) -> None:
    """The key of the function is reached with Tab, typed and taken, without a mouse; it is shown as dots."""
    page = site.open(*view, WEIGHBRIDGE_API_KEYS=f"home={KEY}")
    field = page.get_by_label("Key of the function", exact=True)
    expect(field).to_have_attribute("type", "password")
    page.keyboard.press("Tab")
    walk_to(page, "Key of the function")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Garmin has no weigh-ins in this period.")).to_be_visible()
    walk_to(page, "Weight (kg)")
    page.keyboard.type("81.4")
    press(page, "Send to Garmin")
    expect_arrived(page)
    assert site.weights() == [81.4]


FOCUSED = """() => {
    const it = document.activeElement;
    if (it.getAttribute("role") === "dialog") return "";
    return it.getAttribute("aria-label") || it.labels?.[0]?.innerText || it.innerText || "";
}"""


def walk_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on the element with this name."""
    for _ in range(80):
        # An icon is a line of its own.
        lines = [line.strip() for line in str(page.evaluate(FOCUSED)).splitlines()] or [""]
        if name in (lines[0], lines[-1]):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"expected to reach {name!r} with Tab, but 80 presses did not")


def press(page: Page, name: str) -> None:
    walk_to(page, name)
    settle(page)
    page.keyboard.press("Enter")


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, installed from its lock file if it is missing."""
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(site: FormSite, viewport: ViewportSize, scheme: Scheme, axe: str) -> None:
    """axe-core finds nothing in any state of the page, also with the size of what is tapped."""
    page = site.open(viewport, scheme, WEIGHBRIDGE_API_KEYS=f"home={KEY}")
    expect(page.get_by_label("Key of the function", exact=True)).to_be_visible()
    assert findings(page, axe) == [], "asking for a key"
    enter_key(page)
    assert findings(page, axe) == [], "empty"
    type_in(page, {"Weight (kg)": "8140"})
    assert findings(page, axe) == [], "with a mistake"
    page.get_by_text("Paste instead").click()
    fill_nine(page)
    assert findings(page, axe) == [], "with a preview"
    click(page, "Send to Garmin")
    expect_arrived(page)
    settle(page)
    assert findings(page, axe) == [], "confirmed"
    upload(page)
    expect(page.get_by_text("8 of 8 weigh-ins can be sent")).to_be_visible()
    page.get_by_text("Columns: ").click()
    assert findings(page, axe) == [], "with a history"


def upload(page: Page) -> None:
    """Upload an export of the Fitdays app in an unknown language."""
    file = FilePayload(name="export.csv", mimeType="text/csv", buffer=histories.fitdays("unknown"))
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    settle(page)


def test_app_export_is_shown_and_sent(site: FormSite) -> None:
    """An export of the app is shown with its columns, then sent."""
    page = site.open()
    upload(page)
    expect(page.get_by_text("8 of 8 weigh-ins can be sent")).to_be_visible()
    page.get_by_text("Columns: 19 of 34 recognized").click()
    expect(page.get_by_label("xy5: visceral fat, recognized by its position")).to_be_visible()
    assert site.weights() == []
    click(page, "Send 8 weigh-ins to Garmin")
    expect(page.get_by_text("8 of 8: 8 confirmed in Garmin Connect.")).to_be_visible()
    assert sorted(site.weights()) == [w.weight_kg for w in sorted(histories.WEIGH_INS, key=lambda w: w.weight_kg)]


#: What is Streamlit's own and cannot be changed from here: rule, element, and the reason.
STREAMLITS = [
    (
        "presentation-role-conflict",
        '[data-testid="stFileUploaderDropzone"]',
        "The area onto which a file is dropped has a label beside the role of none. Its button and field have labels.",
    ),
]

AXE_RUN = """async (exceptions) => {
    const found = await axe.run({ rules: { "target-size": { enabled: true } }, elementRef: true });
    const excepted = (rule, node) =>
        exceptions.some(([of, selector]) => of === rule && node.element?.matches(selector));
    const nodes = found.violations.flatMap((it) => it.nodes.map((node) => [it, node]));
    return {
        passed: found.passes.map((it) => it.id),
        found: nodes
            .filter(([it, node]) => !excepted(it.id, node))
            .map(([it, node]) => `${it.id} (${it.impact}): ${node.html.slice(0, 160)} ${node.failureSummary}`),
    };
}"""


#: Streamlit lets what it draws again fade in, with colors between two. What is not shown does not matter.
AT_REST = """() => document.getAnimations().every((it) => !(
    it instanceof CSSTransition && it.playState === "running" && it.effect.target.checkVisibility()
))"""


def findings(page: Page, axe: str) -> list[str]:
    """What axe-core finds in the page once it has settled: all of its rules, with WCAG 2.2's size of what is tapped."""
    settle(page)
    page.wait_for_function(AT_REST)
    return audit(page, axe)


def audit(page: Page, axe: str) -> list[str]:
    """The same, in a page as it is."""
    page.evaluate(axe)
    seen = page.evaluate(AXE_RUN, [[rule, element] for rule, element, _ in STREAMLITS])
    assert {"color-contrast", "target-size"} <= {*seen["passed"]}
    found: list[str] = seen["found"]
    return found


def enter_key(page: Page, key: str = KEY) -> None:
    field = page.get_by_label("Key of the function", exact=True)
    field.fill(key)
    field.press("Enter")
    expect(page.get_by_text("Garmin has no weigh-ins in this period.")).to_be_visible()
    settle(page)


def test_log_and_addresses_hold_no_secrets(site: FormSite) -> None:
    """Neither key nor values are in the form's log or in an address."""
    page = site.open(WEIGHBRIDGE_API_KEYS=f"home={KEY}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    enter_key(page)
    fill_nine(page)
    click(page, "Send to Garmin")
    expect_arrived(page)
    assert site.form
    for trace in (site.form.log.read_text(), "\n".join([*asked, page.url])):
        assert KEY not in trace
        assert "81.4" not in trace
        assert "81,4" not in trace


def test_page_calls_only_its_own_server(site: FormSite) -> None:
    """The browser requests nothing from other servers."""
    page = site.open()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    expect(page.get_by_role("heading", name="Trend")).to_be_visible()
    fill_nine(page)
    assert site.form
    outsiders = [url for url in asked if not url.startswith((site.form.address, "data:", "blob:"))]
    assert asked
    assert outsiders == []


def test_two_functions_keep_people_apart(site: FormSite, tmp_path: Path, chromium: Browser) -> None:
    """Two people with a function each see only their own weigh-ins."""
    with ExitStack() as stack:
        ben = stack.enter_context(GarminStandIn())
        (tmp_path / "anna").mkdir()
        (tmp_path / "ben").mkdir()
        addresses = [
            f"{name}={stack.enter_context(function(garmin, tmp_path / name.lower()))}"
            for name, garmin in (("Anna", site.garmin), ("Ben", ben))
        ]
        served = stack.enter_context(form(tmp_path, ",".join(addresses)))
        page = chromium.new_page()
        stack.callback(page.close)
        page.goto(served.address)
        page.get_by_role("radio", name="Ben").click()
        settle(page)
        fill_nine(page)
        click(page, "Send to Garmin")
        expect_arrived(page)
        assert len(ben.weights.visible()) == 1
        assert site.weights() == []
        page.get_by_role("radio", name="Anna").click()
        expect(page.get_by_text("Garmin has no weigh-ins in this period.")).to_be_visible()
        expect(page.get_by_label("Weight (kg)", exact=True)).to_have_value("")
        assert ben.unexpected == []


def test_share_screen_fills_the_fields(site: FormSite) -> None:
    """Pasted text of the share screen fills the fields."""
    page = site.open(PHONE)
    page.get_by_text("Paste instead").click()
    page.get_by_label("A reading").fill(
        "2026-11-22 06:31\nWeight 81.4kg Standard\nBody fat 18.2% High\nBMI 24.6\nMood 7"
    )
    click(page, "Fill the fields")
    expect(page.get_by_label("Weight (kg)", exact=True)).to_have_value("81.4 kg")
    expect(page.get_by_label("Body fat (%)", exact=True)).to_have_value("18.2 %")
    expect(page.get_by_text("'Mood'")).to_be_visible()


@VIEWS
def test_times_are_in_the_browser_zone(site: FormSite, view: View) -> None:
    """A pasted and a chosen time are in the zone of the browser, not in the zone of the function."""
    page = site.open(*view, WEIGHBRIDGE_TIMEZONE="America/New_York")
    page.get_by_text("Paste instead").click()
    for pasted in ('{"weight": 81.4, "time": "2026-11-22 07:31"}', "2026-11-22 07:31\nWeight 81.4kg"):
        page.get_by_text("Now", exact=True).click()
        settle(page)
        page.get_by_label("A reading").fill(pasted)
        click(page, "Fill the fields")
        expect(page.get_by_role("group", name="Time", exact=True)).to_have_text(re.compile("07.*31"))
    type_digits(page, "Time", "0732")
    settle(page)
    click(page, "Send to Garmin")
    expect_arrived(page)
    sent = int(datetime(2026, 11, 22, 6, 32, tzinfo=UTC).timestamp())
    assert [entry.instant_s for entry in site.garmin.weights.visible()] == [sent]
    expect(button(page, "22 Nov 2026, 07:32")).to_be_visible()
