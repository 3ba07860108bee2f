"""Takes the screenshots in the form's README from the real page, with a real function:

    python -m tests.e2e.form_pictures      (needs Debian's chromium)

Beside each picture is a text with the words that the page showed. test_form_pictures.py makes each state again and
compares them. The weigh-ins of the weeks before are made up.
"""

from __future__ import annotations

import io
import json
import math
import re
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.parts.form import form, function
from tests.e2e.test_form_checklist import FOR_A_PHONE, HOME
from tests.e2e.test_form_connect import CODE, password
from tests.e2e.test_form_history import answer_all, days, upload
from tests.e2e.test_form_page import (
    DESKTOP,
    NINE,
    PHONE,
    FormSite,
    button,
    choose_time,
    click,
    expect_arrived,
    launch,
    settle,
    type_in,
)
from tests.function_client import ROOT, local_headers
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge_form.looks import FILES

FOLDER = ROOT / "integrations" / "web_form" / "pictures"
#: The morning of yesterday: of the newest weigh-in that is there already.
AT = datetime.now(UTC).replace(hour=6, minute=31, second=0, microsecond=0) - timedelta(days=1)
#: What is typed by the keys of the fields, whatever the language.
TYPED = {"weight": "81,4", "body fat": "18,2"}
#: The page, in a state, under the name of its picture.
State = tuple[str, Page]


def states(site: FormSite, folder: Path) -> Iterator[State]:
    """The page in each state, each until the next is asked for."""
    yield from without_garmin(site, folder)
    yield from of_a_refused_sign_in(site, folder)
    yield from before_the_sign_in_ends(site)
    yield from with_garmin(site, folder)
    yield from with_a_phone(site)
    yield from with_people(site, folder)
    yield from without_the_function(site, folder)


def without_garmin(site: FormSite, folder: Path) -> Iterator[State]:
    """A fresh install: the set-up, a file, and signing in with a code."""
    site.garmin.account.mfa_code = CODE
    here = {"WEIGHBRIDGE_TOKENS": folder / "nobody", "WEIGHBRIDGE_TIMEZONE": "Europe/Berlin"}
    page = site.open(PHONE, WEIGHBRIDGE_DELIVERY="folder", WEIGHBRIDGE_FOLDER=folder / "files", **here)
    expect(page.get_by_role("heading", name="Connect to Garmin")).to_be_visible()
    yield "fresh", page
    show(page, page.locator("summary", has_text="Set-up"))
    yield "set-up", page
    show(page, page.get_by_role("heading", name="Connect to Garmin"))
    yield "sign-in", page
    password(page, site)
    expect(page.get_by_label("Code", exact=True)).to_be_visible()
    show(page, page.get_by_role("heading", name="Connect to Garmin"))
    yield "code", page
    page.get_by_label("Code", exact=True).fill("000000")
    click(page, "Continue")
    expect(page.get_by_text("Garmin rejected this code.")).to_be_visible()
    show(page, page.get_by_role("heading", name="Connect to Garmin"))
    yield "wrong-code", page
    type_in(page, {"Weight (kg)": "81,4", "Body fat (%)": "18.2"})
    click(page, "Save the FIT file")
    expect(page.get_by_text("Saved as a file to import")).to_be_visible()
    end_of_toast(page)
    show(page, page.get_by_role("heading", name="Weighbridge"))
    yield "file", page
    site.garmin.account.mfa_code = ""


def of_a_refused_sign_in(site: FormSite, folder: Path) -> Iterator[State]:
    """A wrong password, after which the next try has to wait; and a captcha, which leads to the own browser."""
    for name in ("wrong-password", "own-browser"):
        page = site.open(PHONE, WEIGHBRIDGE_TOKENS=folder / name, WEIGHBRIDGE_TIMEZONE="Europe/Berlin")
        if name == "own-browser":
            site.garmin.faults.add("sso/signin", "400-captcha")
        password(page, site, "wrong" if name == "wrong-password" else "")
        expect(page.get_by_text("You can try a password again in")).to_be_visible()
        show(page, page.get_by_role("heading", name="Connect to Garmin"))
        yield name, page
        page.context.close()


def before_the_sign_in_ends(site: FormSite) -> Iterator[State]:
    """The days in which the page asks for a new sign-in."""
    usual_s, site.garmin.sign_in.refresh_token_lifetime_s = site.garmin.sign_in.refresh_token_lifetime_s, 3.04 * 86_400
    page = site.open(PHONE, WEIGHBRIDGE_TIMEZONE="Europe/Berlin")
    site.garmin.sign_in.refresh_token_lifetime_s = usual_s
    expect(page.get_by_role("heading", name="Sign in again soon")).to_be_visible()
    show(page, page.get_by_role("heading", name="Sign in again soon"))
    yield "ends-soon", page
    page.context.close()


def with_garmin(site: FormSite, folder: Path) -> Iterator[State]:
    """A weigh-in, what became of it, looking back, and an import: in a light and a dark page, in each language."""
    page = site.open(DESKTOP)
    send_weeks_before(site.function)
    page.reload()
    choose_time(page, f"{AT + timedelta(hours=1):%Y-%m-%d %H:%M}")
    type_in(page, NINE)
    expect(page.locator(".st-key-said")).to_contain_text("visceral fat")
    page.get_by_text("What would be sent").click()
    expect(page.get_by_test_id("stTable")).to_be_visible()
    page.set_viewport_size({"width": 900, "height": 1180})
    yield "preview", page
    page.set_viewport_size(DESKTOP)
    upload(page, "days.csv", days())
    answer_all(page)
    expect(page.get_by_text("24 of 24 weigh-ins can be sent.")).to_be_visible()
    page.set_viewport_size({"width": 900, "height": 1180})
    show(page, page.get_by_text("24 of 24 weigh-ins can be sent."))
    yield "import", page

    page = again(site, page, "light")
    type_in(page, NINE)
    click(page, "Send to Garmin")
    expect_arrived(page)
    end_of_toast(page)
    show(page, page.get_by_role("heading", name="Weighbridge"))
    yield "confirmed", page
    show(page, page.get_by_role("heading", name="Trend"))
    yield "trend", page
    page.locator("summary", has_text="Signed in to Garmin").click()
    expect(button(page, "Sign out of Garmin")).to_be_visible()
    settle(page)
    button(page, "Sign out of Garmin").scroll_into_view_if_needed()
    yield "signed-in", page
    page.locator("summary", has_text="Signed in to Garmin").click()
    expect(button(page, "Sign out of Garmin")).to_be_hidden()
    show(page, page.get_by_role("heading", name="Weighbridge"))
    click(page, "New weigh-in")
    expect(page.get_by_label("Weight (kg)", exact=True)).to_have_value("")
    choose_time(page, AT.isoformat())
    type_in(page, {"Weight (kg)": "82", "Body fat (%)": "18.2"})
    click(page, "Send to Garmin")
    expect(button(page, "Replace the entry in Garmin")).to_be_visible()
    yield "conflict", page
    click(page, "Clear the fields")
    expect(page.get_by_text("Type at least a weight.")).to_be_visible()
    # The offer would be gone before a slow machine has its picture.
    page.add_style_tag(content="[class*='st-key-undo-'] { animation: none !important }")
    settle(page)
    page.locator(".st-key-weigh-ins button").first.click()
    expect(button(page, "Save the correction")).to_be_visible()
    settle(page)
    yield "correct", page
    button(page, "Delete").click()
    expect(button(page, "Undo")).to_be_visible()
    show(page, page.get_by_role("heading", name="Weigh-ins"))
    yield "undo", page

    page = again(site, page, "dark")
    type_in(page, {"Weight (kg)": "814", "Body fat (%)": "18.2"})
    click(page, "Send to Garmin")
    expect(page.get_by_text("Nothing was sent. Correct the marked fields first.")).to_be_visible()
    yield "mistake", page
    type_keys(page, TYPED)
    yield "dark", page
    page.set_viewport_size(DESKTOP)
    yield "dark-desktop", page
    for locale, send in (("de-DE", "An Garmin senden"), ("pt-BR", "Enviar ao Garmin")):
        page = again(site, page, "light", locale)
        tag = locale[:2]
        type_keys(page, TYPED)
        yield tag, page
        click(page, send)
        expect(page.locator(".st-key-new")).to_be_visible()
        end_of_toast(page)
        show(page, page.locator("h2").first)
        yield f"{tag}-trend", page


def with_a_phone(site: FormSite) -> Iterator[State]:
    """The page that asks for the key of its function, and the code that sets up an app of the phone."""
    page = site.open(PHONE, WEIGHBRIDGE_TIMEZONE="Europe/Berlin", **(FOR_A_PHONE | {"WEIGHBRIDGE_KEY": ""}))
    key = page.get_by_label("Key of the function", exact=True)
    expect(key).to_be_visible()
    yield "key", page
    key.fill(HOME)
    key.press("Enter")
    expect(page.get_by_text("Garmin has no weigh-ins").or_(page.get_by_role("heading", name="Trend"))).to_be_visible()
    settle(page)
    if page.locator("details", has_text="Set-up").get_attribute("open") is None:
        page.locator("summary", has_text="Set-up").click()
    click(page, "Show the code")
    expect(page.get_by_role("img", name="A QR code")).to_be_visible()
    show(page, page.locator("summary", has_text="Set-up"))
    yield "phone", page
    page.context.close()


def without_the_function(site: FormSite, folder: Path) -> Iterator[State]:
    with form(folder, f"http://127.0.0.1:{free_port()}") as served:
        page = site.open_in(served.address, PHONE, "light")
        expect(
            page.get_by_text("The function does not answer.").or_(page.get_by_text("weighbridge serve"))
        ).to_be_visible()
        yield "no-answer", page
        page.context.close()


def with_people(site: FormSite, folder: Path) -> Iterator[State]:
    """The page that asks for a password, and a weigh-in that may be two people's."""
    for token in ("anna", "ben"):
        site.garmin.write_token(folder / "tokens", token)
    with (
        function(site.garmin, folder, WEIGHBRIDGE_PEOPLE=ROOT / "examples" / "people.toml") as address,
        form(folder, address, WEIGHBRIDGE_FORM_PASSWORD="for the pictures") as served,
    ):
        page = site.open_in(served.address, PHONE, "light")
        yield "password", page
        page.get_by_label("Password of this page").fill("for the pictures")
        button(page, "Sign in").click()
        page.get_by_text("Paste instead").click()
        settle(page)
        page.get_by_label("A reading").fill('{"weight": 68}')
        click(page, "Fill the fields")
        expect(page.get_by_text("Whose weigh-in is this?")).to_be_visible()
        show(page, page.get_by_text("Paste instead"))
        yield "whose", page
        page.context.close()


# -- what a state needs --------------------------------------------------------------------------------------


def send_weeks_before(address: str) -> None:
    readings = []
    for day in range(28):
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


def type_keys(page: Page, values: Mapping[str, str]) -> None:
    """Fill the fields with these keys, in any language."""
    for key, value in values.items():
        field = page.locator(f".st-key-{key.replace(' ', '-')} input")
        field.fill(value)
        field.press("Tab")
    # The names of both values are there.
    expect(page.locator(".st-key-said")).to_contain_text(", ")


def again(site: FormSite, page: Page, scheme: str, locale: str = "en-US") -> Page:
    """The same page, opened on a phone."""
    page.context.close()
    page = site.on(PHONE, scheme, locale)  # type: ignore[arg-type]
    expect(page.locator(".st-key-weight input")).to_have_attribute("placeholder", re.compile("[0-9]"))
    return page


def end_of_toast(page: Page) -> None:
    """The toast goes away by itself."""
    expect(page.get_by_test_id("stToast")).to_be_visible()
    expect(page.get_by_test_id("stToast")).to_have_count(0)


def show(page: Page, it: object) -> None:
    """Scroll this to the top."""
    settle(page)
    it.evaluate("it => it.scrollIntoView()")  # type: ignore[attr-defined]


# -- words and pictures --------------------------------------------------------------------------------------

#: The labels of an axis are left out: they are today's.
_WORDS = """() => {
  document.querySelectorAll("svg .role-axis").forEach(it => it.style.visibility = "hidden");
  const parts = [...document.querySelectorAll("[data-testid=stMain], [role=dialog], body > main")];
  const placeholders = [...document.querySelectorAll("input, textarea")].map(it => it.placeholder);
  const words = [...parts.map(it => it.innerText), ...placeholders].join("\\n");
  document.querySelectorAll("svg .role-axis").forEach(it => it.style.visibility = "");
  return words;
}"""
#: Numbers, times and dates, in any of the languages.
_NUMBERS = re.compile(r"\d{1,2} (?:[A-Z][a-z]{2,4}) \d{4}|\d+(?:[.,:/-]\d+)*")
#: A line without a letter, such as the parts of a picker; and the names of icons, which are text to a browser.
_NO_WORDS = re.compile(r"[^a-zA-Z]*|[a-z]+(_[a-z]+)+|edit|delete|upload|error|help|close")


def words_of(page: Page) -> str:
    """The words on the page, line by line, with # for each number."""
    if page.get_by_test_id("stApp").count():
        settle(page)
    lines = (_NUMBERS.sub("#", line).strip() for line in page.evaluate(_WORDS).splitlines())
    return "".join(f"{line}\n" for line in lines if not _NO_WORDS.fullmatch(line))


def take(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    for chart in page.get_by_test_id("stVegaLiteChart").all():
        expect(chart.locator("canvas, svg").first).to_be_visible()
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # A page has few colors.
    picture.quantize(256, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)


def take_icons(chromium: Browser) -> None:
    """The icons of a home screen, from icon.svg."""
    svg = (FILES / "icon.svg").read_text(encoding="utf-8")
    for size in (180, 192, 512):
        page = chromium.new_page(viewport={"width": size, "height": size})
        page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
        page.screenshot(path=FILES / f"icon-{size}.png")
        page.close()


def each_state(do: Callable[[str, Page], None], chromium: Browser, folder: Path) -> None:
    expect.set_options(timeout=20_000)
    with GarminStandIn() as garmin, ExitStack() as stack:
        for name, page in states(FormSite(garmin, folder, stack, chromium), folder):
            do(name, page)


def main() -> None:
    def picture(name: str, page: Page) -> None:
        (FOLDER / f"{name}.txt").write_text(words_of(page), encoding="utf-8")
        take(page, name)
        print(name)

    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = launch(playwright)
        take_icons(chromium)
        each_state(picture, chromium, Path(folder))


if __name__ == "__main__":
    main()
