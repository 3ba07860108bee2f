"""Several people at one scale, and whose a weigh-in is: the page asks, in a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.test_form_page import (
    OTHER_VIEWS,
    PHONE,
    VIEWS,
    FormSite,
    Scheme,
    View,
    axe,
    button,
    chromium,
    click,
    expect_arrived,
    findings,
    settle,
    site,
    type_in,
)
from tests.function_client import ROOT

__all__ = ["axe", "chromium", "site"]  # fixtures

PAGE_KEY = "page-key-of-sixteen-letters"


def open_home(site: FormSite, folder: Path, viewport: ViewportSize, scheme: Scheme = "light", **more: Any) -> Page:
    """The page of a function for Anna, who weighs 55 to 70 kg, and Ben, who weighs 65 to 95."""
    for token in ("anna", "ben"):
        site.garmin.write_token(folder / "tokens", token)
    return site.open(viewport, scheme, WEIGHBRIDGE_PEOPLE=ROOT / "examples" / "people.toml", **more)


def held(site: FormSite) -> dict[str, list[float]]:
    return {
        name: [entry.raw["weight"] / 100 for entry in site.garmin.weights_of[name].visible()]
        for name in ("anna", "ben")
    }


def paste(page: Page, text: str) -> None:
    page.get_by_label("A reading").fill(text)
    click(page, "Fill the fields")
    expect(page.get_by_text("Whose weigh-in is this?")).to_be_visible()


def test_unit_and_height_of_each_person(site: FormSite, tmp_path: Path) -> None:
    """The browser remembers the unit and the height of each person, and none is shown for another."""
    page = open_home(site, tmp_path, PHONE)
    type_in(page, {"Height (cm)": "170"})
    page.get_by_role("radio", name="Ben").click()
    settle(page)
    expect(page.get_by_label("Height (cm)", exact=True)).to_have_value("")
    page.get_by_text("lb", exact=True).click()
    settle(page)
    type_in(page, {"Height (cm)": "182"})
    for reload in (False, True):
        for name, unit, height in (("Anna", "kg", "170"), ("Ben", "lb", "182")):
            page.get_by_role("radio", name=name).click()
            expect(page.get_by_label("Height (cm)", exact=True)).to_have_value(height)
            settle(page)
            if reload:
                page.reload()
            expect(page.get_by_role("radio", name=name)).to_be_checked()
            expect(page.get_by_label(f"Weight ({unit})", exact=True)).to_be_visible()
            expect(page.get_by_label("Height (cm)", exact=True)).to_have_value(height)


def test_weight_of_another_person_is_asked_about(site: FormSite, tmp_path: Path) -> None:
    """A weight that is typed for the chosen person and fits another one alone is asked about, and nothing is sent until
    then. The answer counts, and the chosen person is the first button."""
    page = open_home(site, tmp_path, PHONE)
    expect(page.get_by_role("radio", name="Anna")).to_be_checked()
    for answer, kg in (("Anna", 82.0), ("Ben", 83.0)):
        type_in(page, {"Weight (kg)": str(kg)})
        expect(page.get_by_text("This weight fits Ben, and not Anna.")).to_be_visible()
        expect(button(page, "Send to Garmin")).to_have_count(0)
        assert page.locator(".st-key-whose button").all_inner_texts() == ["Anna", "Ben"]
        assert kg not in [weight for weights in held(site).values() for weight in weights]
        page.get_by_role("button", name=answer, exact=True).click()
        expect_arrived(page)
        assert held(site)[answer.lower()] == [kg]
        click(page, "New weigh-in")
    page.context.close()


@VIEWS
def test_pasted_weigh_in_asks_whose_it_is(site: FormSite, tmp_path: Path, view: View, axe: str) -> None:
    """A pasted weigh-in that fits two people, or nobody, is asked about by a button for each; the answer fills the
    fields for that person, whoever was chosen before, and nothing is sent until then."""
    page = open_home(site, tmp_path, *view)
    settle(page)
    page.get_by_text("Paste instead").click()
    paste(page, "Weight 178kg")
    expect(page.get_by_text("This weight fits nobody who is known here.")).to_be_visible()
    paste(page, "Weight 68kg")
    expect(page.get_by_text("This weight fits several people: Anna, Ben.")).to_be_visible()
    assert findings(page, axe) == []
    expect(page.get_by_label("Weight (kg)", exact=True)).to_have_value("")
    expect(page.get_by_role("radio", name="Anna")).to_be_checked()
    page.get_by_role("button", name="Ben", exact=True).click()
    expect(page.get_by_label("Weight (kg)", exact=True)).to_have_value("68 kg")
    expect(page.get_by_role("radio", name="Ben")).to_be_checked()
    assert held(site) == {"anna": [], "ben": []}
    click(page, "Send to Garmin")
    expect_arrived(page)
    assert held(site) == {"anna": [], "ben": [68.0]}
    page.reload()
    expect(page.get_by_role("radio", name="Ben")).to_be_checked()


@OTHER_VIEWS
def test_typed_weigh_in_asks_whose_it_is(site: FormSite, tmp_path: Path, view: View, axe: str) -> None:
    """Where the key of the page may only send, a weigh-in that fits two is asked about in place of the button to send,
    and one tap on the answer sends it to that person. There is no problem in sight."""
    keys = f"page:send={PAGE_KEY}"
    page = open_home(site, tmp_path, *view, WEIGHBRIDGE_API_KEYS=keys, WEIGHBRIDGE_KEY=PAGE_KEY)
    type_in(page, {"Weight (kg)": "68"})
    expect(page.get_by_text("Whose weigh-in is this?")).to_be_visible()
    expect(button(page, "Send to Garmin")).to_have_count(0)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    assert findings(page, axe) == []
    page.get_by_role("button", name="Anna", exact=True).click()
    expect_arrived(page)
    settle(page)
    expect(page.get_by_text("Anna · 68 kg")).to_be_visible()
    assert held(site) == {"anna": [68.0], "ben": []}
