"""Looking back on the page, in a real Chromium: the trend, and a weigh-in that is corrected, moved or deleted."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.e2e.parts.form import form
from tests.e2e.test_form_page import (
    AXE,
    DESKTOP,
    OTHER_VIEWS,
    PHONE,
    VIEWS,
    FormSite,
    View,
    axe,
    button,
    chromium,
    click,
    findings,
    settle,
    site,
)
from tests.function_client import local_headers, process

__all__ = ["AXE", "axe", "chromium", "site"]  # fixtures of the page

NOW = datetime.now(UTC).replace(hour=6, minute=31, second=23, microsecond=0) - timedelta(days=1)
#: 20 and 21 November: in winter, Berlin is an hour before UTC.
FIRST, SECOND = "2026-11-20T06:31:23Z", "2026-11-21T06:31:00Z"
BOTH_SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])


def send(address: str, readings: Sequence[Mapping[str, object]]) -> None:
    asked = urllib.request.Request(f"{address}/readings", json.dumps(readings).encode(), local_headers(), method="POST")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert all("status" in result for result in json.load(answer)["results"])


def held(address: str) -> list[dict[str, Any]]:
    """What the function lists, oldest first, without what identifies it."""
    query = "from=2020-01-01&to=2030-01-01"
    asked = urllib.request.Request(f"{address}/readings?{query}", headers=local_headers())
    with urllib.request.urlopen(asked, timeout=60) as answer:
        listed = json.load(answer)["readings"]
    return [{name: value for name, value in row.items() if name not in ("id", "calendar_date")} for row in listed]


def days(count: int) -> list[dict[str, object]]:
    """The weigh-ins of this many days up to yesterday."""
    return [
        {
            "measured_at": (NOW - timedelta(days=day)).isoformat(),
            "weight_kg": 80 + day / 10,
            "body_fat_percent": 20,
            "muscle_mass_kg": 60,
        }
        for day in range(count)
    ]


class Kept:
    """The page around a function that keeps files in a folder."""

    def __init__(self, stack: ExitStack, folder: Path, browser: Browser) -> None:
        self._stack, self._folder, self._browser = stack, folder, browser
        settings = {"WEIGHBRIDGE_DELIVERY": "folder", "WEIGHBRIDGE_FOLDER": folder / "kept"}
        self.function, _ = stack.enter_context(process(settings))

    def open(self, viewport: ViewportSize = DESKTOP) -> Page:
        served = self._stack.enter_context(form(self._folder, self.function))
        context = self._browser.new_context(viewport=viewport, timezone_id="Europe/Berlin")
        self._stack.callback(context.close)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.goto(served.address)
        expect(page.get_by_role("heading", name="Import a file")).to_be_visible()
        settle(page)
        return page


@pytest.fixture
def kept(tmp_path: Path, chromium: Browser) -> Iterator[Kept]:
    expect.set_options(timeout=20_000)
    with ExitStack() as stack:
        yield Kept(stack, tmp_path, chromium)


def open_dialog(page: Page, name: str) -> None:
    settle(page)
    button(page, name).click()
    expect(button(page, "Save the correction")).to_be_visible()
    settle(page)


def type_in(page: Page, values: Mapping[str, str]) -> None:
    """Fill fields of the dialog."""
    for label, value in values.items():
        field = page.get_by_role("dialog").get_by_label(label, exact=True)
        field.fill(value)
        field.press("Tab")
        settle(page)


def set_time(page: Page, hour: str, minute: str) -> None:
    for name, value in (("hour", hour), ("minute", minute)):
        page.get_by_role("dialog").get_by_role("spinbutton", name=name).last.press_sequentially(value)
    page.keyboard.press("Tab")
    settle(page)


# -- the trend ---------------------------------------------------------------------------------------------


@BOTH_SIZES
def test_trend_from_kept_files(kept: Kept, viewport: ViewportSize) -> None:
    """Where Garmin is not connected, the trend and the list are those of the kept files."""
    send(kept.function, days(3))
    page = kept.open(viewport)
    expect(page.get_by_text("From the files that are kept for import.")).to_be_visible()
    expect(page.get_by_label("Weight (kg): 3 weigh-ins from 80 to 80.2, the last is 80").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
    open_dialog(page, f"{NOW.day} {NOW:%b %Y}")
    click(page, "Delete")
    expect(page.get_by_label("Weight (kg): 2 weigh-ins").first).to_be_visible()
    assert [row["weight_kg"] for row in held(kept.function)] == [80.2, 80.1]


@BOTH_SIZES
def test_rows_are_compact(kept: Kept, viewport: ViewportSize) -> None:
    """Ten rows are shown at first, each 40 to 60 px high; a button shows ten more."""
    send(kept.function, days(25))
    page = kept.open(viewport)
    rows = page.locator('[class*="st-key-open-"]')
    expect(rows).to_have_count(10)
    heights = [row.bounding_box() for row in rows.all()]
    assert all(box and 40 <= box["height"] <= 60 for box in heights), heights
    click(page, "Show 10 more")
    expect(rows).to_have_count(20)
    click(page, "Show 5 more")
    expect(rows).to_have_count(25)


def test_page_is_short_on_a_phone(site: FormSite) -> None:
    """With ten weigh-ins, the page is at most 2,200 px high on a phone."""
    page = site.open(PHONE)
    send(site.function, days(10))
    page.reload()
    expect(page.locator('[class*="st-key-open-"]')).to_have_count(10)
    settle(page)
    assert page.get_by_test_id("stMain").evaluate("it => it.scrollHeight") <= 2_200


def test_values_are_chosen_and_remembered(kept: Kept) -> None:
    """Other values can be drawn; the choice stays for another period, and a value that nobody has is named."""
    send(kept.function, [*days(3), {"measured_at": "2024-01-01T06:00:00Z", "weight_kg": 90, "body_fat_percent": 25}])
    page = kept.open()
    charts = page.get_by_test_id("stVegaLiteChart")
    expect(charts).to_have_count(3)
    click(page, "Values")
    for name in ("Muscle mass (kg)", "Fat mass (kg)", "Bone mass (kg)"):
        page.get_by_test_id("stPopoverBody").get_by_role("button", name=name).click()
        settle(page)
    expect(page.get_by_label("Fat mass (kg): 3 weigh-ins from 16 to 16.04").first).to_be_visible()
    expect(page.get_by_text("Not there in this period: bone mass.")).to_be_visible()
    click(page, "Values")
    page.get_by_role("radio", name="All").click()
    expect(page.get_by_label("Weight (kg): 4 weigh-ins from 80 to 90").first).to_be_visible()
    expect(page.get_by_label("Fat mass (kg): 4 weigh-ins").first).to_be_visible()
    expect(charts).to_have_count(3)


def test_each_period(kept: Kept) -> None:
    """Each period has the weigh-ins of its days, neither more nor fewer, in the charts and in the list."""
    ages = [1, 2, 3, 40, 60, 200, 300, 800]
    send(kept.function, [{"measured_at": (NOW - timedelta(days=age)).isoformat(), "weight_kg": 80} for age in ages])
    page = kept.open(PHONE)
    for period, count in (("1 month", 3), ("3 months", 5), ("1 year", 7), ("All", 8), ("1 month", 3)):
        page.get_by_role("radio", name=period, exact=True).click()
        expect(page.get_by_label(f"Weight (kg): {count} weigh-ins from 80 to 80").first).to_be_visible()
        expect(page.locator('[class*="st-key-open-"]')).to_have_count(count)


# -- correcting --------------------------------------------------------------------------------------------


@OTHER_VIEWS
def test_correct_values_and_time(site: FormSite, view: View) -> None:
    """A correction in the dialog changes values and the time; what has no field stays, and the old one is deleted."""
    page = site.open(*view)
    values = {"weight_kg": 81.4, "body_fat_percent": 18.2, "metabolic_age_years": 40}
    send(site.function, [{"measured_at": FIRST, **values}])
    page.reload()
    open_dialog(page, "20 Nov 2026, 07:31")
    type_in(page, {"Weight (kg)": "81,3", "Visceral fat": "8"})
    set_time(page, "08", "45")
    click(page, "Save the correction")
    expect(page.get_by_text("The weigh-in of 20 Nov 2026, 08:45 was corrected.")).to_be_visible()
    expect(button(page, "20 Nov 2026, 08:45")).to_be_visible()
    new = {"measured_at": "2026-11-20T07:45:00Z", **values, "weight_kg": 81.3, "visceral_fat_rating": 8}
    assert held(site.function) == [new]


def test_unchanged_time_is_exact(kept: Kept) -> None:
    """A correction of values alone keeps the instant to the second."""
    send(kept.function, [{"measured_at": FIRST, "weight_kg": 81.4}])
    page = kept.open()
    open_dialog(page, "20 Nov 2026, 07:31")
    type_in(page, {"Weight (kg)": "80"})
    click(page, "Save the correction")
    expect(button(page, "80 kg")).to_be_visible()
    assert held(kept.function) == [{"measured_at": FIRST, "weight_kg": 80}]


@pytest.mark.parametrize("garmin_or_folder", ["garmin", "folder"])
def test_value_left_empty_is_named(site: FormSite, kept: Kept, garmin_or_folder: str) -> None:
    """If a value was left empty in a correction and is still there, the page says how to remove it."""
    page, address = (site.open(), site.function) if garmin_or_folder == "garmin" else (kept.open(), kept.function)
    send(address, [{"measured_at": FIRST, "weight_kg": 81.4, "body_fat_percent": 18.2}])
    page.reload()
    open_dialog(page, "20 Nov 2026, 07:31")
    type_in(page, {"Body fat (%)": ""})
    click(page, "Save the correction")
    expect(page.get_by_text("It still has body fat, which you left empty.")).to_be_visible()
    assert held(address)[0]["body_fat_percent"] == 18.2


def test_mistake_cannot_be_saved(kept: Kept) -> None:
    """A mistake in the dialog is shown in the function's words, and nothing can be saved."""
    send(kept.function, [{"measured_at": FIRST, "weight_kg": 81.4}])
    page = kept.open()
    open_dialog(page, "20 Nov 2026, 07:31")
    type_in(page, {"Weight (kg)": "814"})
    expect(page.get_by_role("dialog").get_by_text("The weight must be 2 to 400 kg.")).to_be_visible()
    expect(button(page, "Save the correction")).to_be_disabled()


@pytest.mark.parametrize("garmin_or_folder", ["garmin", "folder"])
def test_nothing_is_lost_by_a_near_time(site: FormSite, kept: Kept, garmin_or_folder: str) -> None:
    """A time within WEIGHBRIDGE_JOIN_SECONDS counts as the same weigh-in; then the page says so and deletes nothing."""
    page, address = (site.open(), site.function) if garmin_or_folder == "garmin" else (kept.open(), kept.function)
    send(address, [{"measured_at": FIRST, "weight_kg": 81.4}])
    page.reload()
    open_dialog(page, "20 Nov 2026, 07:31")
    set_time(page, "07", "32")
    click(page, "Save the correction")
    expect(page.get_by_text("Nothing was moved: the new time is so near")).to_be_visible()
    assert held(address) == [{"measured_at": FIRST, "weight_kg": 81.4}]


def test_time_of_another_weigh_in(site: FormSite) -> None:
    """A weigh-in is not moved onto another one: the dialog says what is there, and both stay."""
    page = site.open()
    readings = [{"measured_at": FIRST, "weight_kg": 81.4}, {"measured_at": "2026-11-20T08:00:00Z", "weight_kg": 80}]
    send(site.function, readings)
    page.reload()
    open_dialog(page, "20 Nov 2026, 07:31")
    set_time(page, "09", "00")
    click(page, "Save the correction")
    expect(page.get_by_role("dialog").get_by_text("weight 80 kg → 81.4 kg")).to_be_visible()
    assert held(site.function) == readings


def test_old_one_stays_until_the_new_is_shown(site: FormSite) -> None:
    """If Garmin took a moved weigh-in and does not show it yet, the old one is not deleted."""
    page = site.open(WEIGHBRIDGE_CONFIRM_SECONDS=0)
    send(site.function, [{"measured_at": FIRST, "weight_kg": 81.4}])
    page.reload()
    open_dialog(page, "20 Nov 2026, 07:31")
    set_time(page, "09", "00")
    click(page, "Save the correction")
    expect(page.get_by_text("So the one of 20 Nov 2026, 07:31 was not deleted")).to_be_visible()
    assert [row["measured_at"] for row in held(site.function)] == [FIRST, "2026-11-20T08:00:00Z"]


# -- deleting ----------------------------------------------------------------------------------------------


@VIEWS
def test_delete_and_undo(site: FormSite, view: View) -> None:
    """A weigh-in is deleted in its dialog, and comes back with the same values and instant."""
    page = site.open(*view)
    readings = [
        {"measured_at": FIRST, "weight_kg": 81.4, "body_fat_percent": 18.2, "metabolic_age_years": 40},
        {"measured_at": SECOND, "weight_kg": 81.2},
    ]
    send(site.function, readings)
    page.reload()
    open_dialog(page, "20 Nov 2026, 07:31")
    click(page, "Delete")
    expect(page.get_by_text("Deleted: 20 Nov 2026, 07:31")).to_be_visible()
    assert held(site.function) == readings[1:]
    click(page, "Undo")
    expect(page.get_by_text("The weigh-in of 20 Nov 2026, 07:31 is back.")).to_be_visible()
    expect(button(page, "20 Nov 2026, 07:31")).to_be_visible()
    expect(button(page, "Undo")).to_have_count(0)
    assert held(site.function) == readings


COLOR = """(it) => getComputedStyle(it).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"""
#: How long after the tap on Delete the browser hides the offer to undo, as its animation says.
OFFERED = """() => {
    let pressed;
    window.offered_ms = 0;
    window.hiding = () => document.querySelector("[class*='st-key-undo-']")?.getAnimations()[0];
    addEventListener("click", (it) => { if (it.target.closest(".st-key-delete")) pressed = performance.now(); }, true);
    const at_each_frame = () => {
        const hiding = window.hiding();
        if (hiding?.playState === "running" && hiding.currentTime !== null) {
            window.offered_ms = performance.now() - pressed + hiding.effect.getTiming().delay - hiding.currentTime;
        }
        requestAnimationFrame(at_each_frame);
    };
    at_each_frame();
}"""


def test_undo_goes_by_itself(kept: Kept) -> None:
    """The offer to undo stays for ten seconds, whatever is opened meanwhile, and is gone then. Nothing wakes the server
    for it, and an open dialog stays open."""
    send(kept.function, [{"measured_at": at, "weight_kg": 81.4} for at in (FIRST, SECOND)])
    page = kept.open()
    open_dialog(page, "21 Nov 2026, 07:31")
    red, *others = button(page, "Delete").evaluate(COLOR)
    assert red > 3 * max(others), "red says what it does"
    page.evaluate(OFFERED)
    click(page, "Delete")
    expect(button(page, "Undo")).to_be_visible()
    page.wait_for_function("window.hiding()?.currentTime > 4000")
    open_dialog(page, "20 Nov 2026, 07:31")
    page.evaluate(
        """() => {
            window.sent = 0;
            const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (data) { window.sent += 1; return send.call(this, data); };
        }"""
    )
    expect(page.get_by_test_id("stElementContainer").get_by_text("Undo", exact=True)).not_to_be_visible()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("window.sent") == 0
    assert page.evaluate("window.offered_ms") > 9_900


def test_undo_can_be_tried_again(site: FormSite) -> None:
    """If Garmin does not take the weigh-in back, it is not lost: the page says why and offers to try again, also after
    another one was deleted."""
    page = site.open()
    readings = [{"measured_at": at, "weight_kg": 81.4} for at in (FIRST, SECOND)]
    send(site.function, readings)
    page.reload()
    open_dialog(page, "20 Nov 2026, 07:31")
    click(page, "Delete")
    expect(button(page, "Undo")).to_be_visible()
    site.garmin.faults.add("upload", "412")
    click(page, "Undo")
    expect(page.get_by_text("The weigh-in could not be sent again.")).to_be_visible()
    site.garmin.faults.clear()
    open_dialog(page, "21 Nov 2026, 07:31")
    click(page, "Delete")
    expect(button(page, "Undo")).to_be_visible()
    click(page, "Try again")
    expect(page.get_by_text("The weigh-in of 20 Nov 2026, 07:31 is back.")).to_be_visible()
    assert held(site.function) == readings[:1]


# -- for everyone ------------------------------------------------------------------------------------------


@BOTH_SIZES
def test_axe_finds_nothing(kept: Kept, viewport: ViewportSize, axe: str) -> None:
    """axe-core finds nothing at all in the list, the choice of values, the dialog and the offer to undo."""
    send(kept.function, days(12))
    page = kept.open(viewport)
    assert findings(page, axe) == [], "the list"
    click(page, "Values")
    assert findings(page, axe) == [], "the choice of values"
    click(page, "Values")
    open_dialog(page, f"{NOW.day} {NOW:%b %Y}")
    assert findings(page, axe) == [], "the dialog"
    type_in(page, {"Weight (kg)": "814"})
    assert findings(page, axe) == [], "a mistake in the dialog"
    click(page, "Delete")
    expect(button(page, "Undo")).to_be_visible()
    assert findings(page, axe) == [], "the offer to undo"
