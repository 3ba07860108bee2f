"""The page in German and in Portuguese, in a real Chromium, around one function and one page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from scripts.words import extracted, texts_in
from tests.e2e.parts import wait_for_another_second
from tests.e2e.test_form_page import PHONE, FormSite, chromium, settle
from tests.garmin.server import GarminStandIn
from weighbridge_form.answers import PROBLEMS
from weighbridge_form.words import language_of

__all__ = ["chromium"]  # a fixture


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[FormSite]:
    expect.set_options(timeout=20_000)
    with GarminStandIn() as garmin, ExitStack() as stack:
        site = FormSite(garmin, tmp_path_factory.mktemp("languages"), stack, chromium)
        site.open(PHONE).context.close()
        yield site


@pytest.mark.parametrize(
    ("locale", "typed", "row"),
    [
        ("de-DE", ("81,4", "18.2"), "81,4 kg · 18,2 % Fett"),
        ("pt-BR", ("95,2", "24,5"), "95,2 kg · 24,5% de gordura"),
    ],
)
def test_weigh_in_in_the_language_of_the_browser(site: FormSite, locale: str, typed: tuple[str, str], row: str) -> None:
    """The page speaks the language of the browser, a comma and a point are typed, and the weigh-in arrives: its numbers
    and its time are written in that language, and no text of the page is in English."""
    of = language_of(locale)
    page = site.on(PHONE, "light", locale)
    for key, value in zip(("weight", "body fat"), typed, strict=True):
        label = of.say(key)
        field = page.get_by_label(f"{label[0].upper()}{label[1:]} ({'%' if key == 'body fat' else 'kg'})", exact=True)
        field.fill(value)
        field.press("Tab")
    settle(page)
    page.get_by_role("button", name=of.say("Send to Garmin")).click()
    expect(page.get_by_text(of.say("Arrived in Garmin"))).to_be_visible()
    assert typed[0].replace(",", ".") in map(str, site.weights())
    expect(page.locator(".st-key-weigh-ins button", has_text=row)).to_have_count(1)
    assert page.locator("html").get_attribute("lang") == of.tag
    settle(page)
    lines = set(page.locator("body").inner_text().splitlines())
    english = {text for message in extracted() for text in texts_in(message.id) if text and of.say(text) != text}
    assert english & lines == set()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
    page.context.close()
    wait_for_another_second()


@pytest.mark.parametrize("locale", ["de-DE", "pt-BR"])
def test_problem_in_the_language_of_the_browser(
    garmin: GarminStandIn, tmp_path: Path, chromium: Browser, locale: str
) -> None:
    """What Garmin refuses is said in the language of the browser alone: a wait with its time, and a locked account."""
    of = language_of(locale)
    with ExitStack() as stack:
        site = FormSite(garmin, tmp_path, stack, chromium)
        site.open(PHONE).context.close()
        page = site.on(PHONE, "light", locale)
        garmin.faults.add("upload", "429-retry-after", times=None)
        field = page.get_by_label(f"{of.say('weight').capitalize()} (kg)", exact=True)
        field.fill("81,4")
        field.press("Tab")
        settle(page)
        page.get_by_role("button", name=of.say("Send to Garmin")).click()
        wait = of.say("Garmin asks to wait. Try again in {duration}.").partition("{")[0]
        problem = page.get_by_role("alert").filter(has_text=wait).last
        expect(problem).to_contain_text(re.compile(re.escape(wait) + r"\d"))
        expect(problem).not_to_contain_text("Garmin Connect")
    garmin.sign_in._failures_in_a_row = 5
    with ExitStack() as stack:
        site = FormSite(garmin, tmp_path, stack, chromium)
        site.open(PHONE, WEIGHBRIDGE_TOKENS=tmp_path / "nobody").context.close()
        page = site.on(PHONE, "light", locale)
        page.get_by_label(of.say("Garmin e-mail")).fill(garmin.account.email)
        page.get_by_label(of.say("Garmin password")).fill(garmin.account.password)
        page.get_by_role("button", name=of.say("Sign in to Garmin"), exact=True).click()
        locked = of.say(PROBLEMS["account-locked"].text)
        expect(page.get_by_role("alert").filter(has_text=locked)).to_have_text(locked)
