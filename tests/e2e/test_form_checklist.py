"""The set-up on the page, and the code for a phone: in a real Chromium, around a real function."""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect
from streamlit.testing.v1 import AppTest

from tests.e2e.parts.form import function
from tests.e2e.test_form import APP, button, shown
from tests.e2e.test_form_connect import texts_in
from tests.e2e.test_form_page import (
    DESKTOP,
    PHONE,
    FormSite,
    axe,
    box,
    chromium,
    click,
    expect_arrived,
    findings,
    settle,
    site,
    type_in,
)
from tests.function_client import ROOT
from tests.garmin.server import GarminStandIn
from weighbridge.client import Reply
from weighbridge_form.checklist import Facts, State, steps_of

__all__ = ["axe", "chromium", "site"]  # fixtures

HOME, PHONE_KEY = "home-key-of-sixteen-letters", "phone-key-of-sixteen-letters"
KEYS = f"home:send+read+delete+administer={HOME},phone:send={PHONE_KEY}"
#: The settings of a function with a key for a phone, and of its page.
FOR_A_PHONE = {
    "WEIGHBRIDGE_API_KEYS": KEYS,
    "WEIGHBRIDGE_KEY": HOME,
    "WEIGHBRIDGE_FORM_PHONE_URL": "{function}",
    "WEIGHBRIDGE_FORM_PHONE_KEY": PHONE_KEY,
}
OpenApp = Callable[..., AppTest]
BOTH_SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])


def line(page: Page) -> str:
    """What the closed set-up says."""
    return page.locator("summary", has_text="Set-up").inner_text().rpartition("\n")[2]


def step(page: Page, title: str) -> str:
    return page.locator(".st-key-set-up p", has=page.locator("strong", has_text=title)).inner_text()


@BOTH_SIZES
def test_steps_of_a_fresh_install(site: FormSite, tmp_path: Path, viewport: ViewportSize, axe: str) -> None:
    """A fresh install shows each step with its state and what is next; each is done as soon as it is."""
    page = site.open(viewport, WEIGHBRIDGE_DELIVERY="folder", WEIGHBRIDGE_TOKENS=tmp_path / "nobody",
                     WEIGHBRIDGE_TIMEZONE="America/New_York")  # fmt: skip
    settle(page)
    assert line(page) == "Set-up: 0 of 4 steps done"
    assert "To do" in step(page, "Delivery")
    assert "WEIGHBRIDGE_DELIVERY=garmin,folder" in step(page, "Delivery")
    assert "Look at this" in step(page, "Time zone")
    assert "WEIGHBRIDGE_TIMEZONE=Europe/Berlin" in step(page, "Time zone")
    assert "Connect to Garmin" in step(page, "Sign-in to Garmin")
    assert "The page has seen none yet." in step(page, "First weigh-in")
    assert "phone:send=KEY" in step(page, "An app of your phone")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert findings(page, axe) == [], scheme
    type_in(page, {"Weight (kg)": "81.4"})
    click(page, "Save the FIT file")
    expect(page.get_by_text("Saved as a file to import")).to_be_visible()
    expect(page.locator("summary", has_text="Set-up: 1 of 4 steps done")).to_be_visible()
    settle(page)
    expect(page.locator(".st-key-set-up")).to_be_hidden()


def test_set_up_that_is_done_is_one_line(site: FormSite) -> None:
    """When each step is done, the set-up is a line at the end of the page, and the first field is where it was."""
    page = site.open(PHONE, WEIGHBRIDGE_TIMEZONE="Europe/Vienna")
    type_in(page, {"Weight (kg)": "81.4"})
    click(page, "Send to Garmin")
    expect_arrived(page)
    page.reload()
    expect(page.get_by_text("Set-up", exact=True)).to_be_visible()
    settle(page)
    assert box(page.get_by_label("Weight (kg)", exact=True))["y"] < 200
    set_up = page.locator("summary", has_text="Set-up")
    assert box(set_up)["y"] > box(page.get_by_role("heading", name="Import a file"))["y"]
    expect(page.locator(".st-key-set-up")).to_be_hidden()
    set_up.click()
    assert "show the same time (Europe/Berlin)" in step(page, "Time zone")
    assert "Until" in step(page, "Sign-in to Garmin")
    assert "The last one:" in step(page, "First weigh-in")


@BOTH_SIZES
def test_code_sets_up_a_phone(site: FormSite, viewport: ViewportSize, axe: str) -> None:
    """The code is drawn when asked for, holds what a recipe needs, and a weigh-in that is sent with it arrives. Its key
    is in no address, no log and nothing that the browser keeps."""
    page = site.open(viewport, "light", **FOR_A_PHONE)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    settle(page)
    assert PHONE_KEY not in page.content()
    click(page, "Show the code")
    code = page.get_by_role("img", name="A QR code")
    expect(code).to_be_visible()
    held = read_code(page)
    assert held == {"address": f"{site.function}/readings", "authorization": f"Bearer {PHONE_KEY}"}
    expect(page.get_by_text("This page does not reach")).to_have_count(0)
    assert findings(page, axe) == []
    page.emulate_media(color_scheme="dark")
    assert findings(page, axe) == [], "in the dark"
    assert read_code(page) == held, "in the dark"

    sent = urllib.request.Request(
        held["address"], b'{"weight": "81.4 kg"}', {"Authorization": held["authorization"]}, method="POST"
    )
    with urllib.request.urlopen(sent, timeout=30) as answer:
        assert json.load(answer)["status"] == "confirmed"

    assert site.form
    stored = page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    for trace in (site.form.log.read_text(), "\n".join([*asked, page.url]), stored):
        assert PHONE_KEY not in trace
    click(page, "Hide the code")
    expect(code).to_have_count(0)
    settle(page)
    assert PHONE_KEY not in page.content()
    assert HOME not in page.content()


def read_code(page: Page) -> dict[str, str]:
    """What a phone reads."""
    code = page.get_by_role("img", name="A QR code")
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(code.screenshot())))
    return dict(json.loads(found.text))


# -- without a browser -------------------------------------------------------------------------------------


@pytest.fixture
def open_app(
    garmin: GarminStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., AppTest]]:
    for token in ("anna", "ben"):
        garmin.write_token(tmp_path / "tokens", token)
    with ExitStack() as stack:

        def open_(phone_key: str, keys: str = KEYS) -> AppTest:
            people = ROOT / "examples" / "people.toml"
            settings = {"WEIGHBRIDGE_API_KEYS": keys, "WEIGHBRIDGE_PEOPLE": people}
            address = stack.enter_context(function(garmin, tmp_path, **settings))
            for name, value in FOR_A_PHONE.items():
                monkeypatch.setenv(name, value.format(function=address))
            monkeypatch.setenv("WEIGHBRIDGE_URL", address)
            monkeypatch.setenv("WEIGHBRIDGE_FORM_PHONE_KEY", phone_key)
            page = AppTest.from_file(str(APP), default_timeout=60).run()
            return button(page, "Show the code").click().run()

        yield open_


@pytest.mark.parametrize(
    ("phone_key", "keys", "words"),
    [
        (HOME, KEYS, "may do more than send"),
        ("an-unknown-key-of-a-phone", KEYS, "does not know the key"),
        (PHONE_KEY, f"home={HOME},phone:send@Ben={PHONE_KEY}", "is not for weigh-ins of Anna"),
    ],
    ids=["more rights", "unknown", "another person"],
)
def test_other_keys_are_not_drawn(open_app: OpenApp, phone_key: str, keys: str, words: str) -> None:
    """A key that may do more than send, is unknown, or is another person's is not drawn; the page says what to do."""
    page = open_app(phone_key, keys)
    assert words in shown(page)
    assert not page.code
    assert phone_key not in str(page)


def test_session_holds_no_key_of_a_phone(open_app: OpenApp) -> None:
    """While the code is shown, the session does not hold its key; with several people, the address names the person."""
    page = open_app(PHONE_KEY)
    address, header = (code.value for code in page.code)
    assert address.endswith("/readings?person=Anna")
    assert header == f"Authorization: Bearer {PHONE_KEY}"
    assert not [text for text in texts_in(page.session_state._state, set()) if PHONE_KEY in text]


@pytest.mark.parametrize(
    ("there", "here", "state"),
    [
        ("Europe/Berlin", "Europe/Berlin", State.DONE),
        ("Europe/Berlin", "Europe/Vienna", State.DONE),
        ("UTC", "Europe/London", State.LOOK),
        ("UTC", "Europe/Berlin", State.LOOK),
        ("the zone of /etc/localtime", "UTC", State.UNKNOWN),
        (None, "UTC", State.UNKNOWN),
    ],
)
def test_zones_are_compared_over_the_year(there: str | None, here: str, state: State) -> None:
    """Two zones are the same if their clocks are, in summer and in winter; one that is not known is not judged."""
    health = {"key": {"rights": ["read"]}} | ({"timezone": there} if there else {})
    delivery = {"name": "garth", "ready": True}
    now = datetime(2026, 11, 27, tzinfo=UTC)
    steps = steps_of(Facts(health, delivery, Reply({"type": "urn:weighbridge:forbidden"}), "", ZoneInfo(here), now))
    assert steps[1].state is state
