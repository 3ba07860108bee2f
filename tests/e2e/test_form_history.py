"""A history on the page, in a real Chromium: its questions, its mapping file, its outliers, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.e2e.parts.form import form
from tests.e2e.test_form_page import (
    AXE,
    DESKTOP,
    PHONE,
    FormSite,
    axe,
    button,
    chromium,
    click,
    findings,
    settle,
    site,
)
from tests.function_client import process
from weighbridge_history import answers
from weighbridge_history.read import Choices

__all__ = ["AXE", "axe", "chromium", "site"]  # fixtures of the page
ALL_OF_THEM = "Save all 24 weigh-ins as FIT files"
WITHOUT = "Save 22 weigh-ins that are in line"


def days(count: int = 24) -> bytes:
    """Dates alone in an unclear order, 80 kg, and a muscle without a unit: the eighth in pounds, the tenth of Ben."""
    rows = ["date,weight (kg),Muscle,Zzz"]
    for number in range(count):
        kg = {7: 176.8, 9: 61.2}.get(number, 80 + number % 4 / 10)
        rows.append(f"{number % 12 + 1:02}/{1 + number // 12:02}/2025,{kg:.1f},{kg * 0.7:.1f},good")
    return "\n".join(rows).encode()


@pytest.fixture
def pages(tmp_path: Path, chromium: Browser) -> Iterator[ExitStack]:
    expect.set_options(timeout=30_000)
    with ExitStack() as stack:
        yield stack


def open_page(stack: ExitStack, folder: Path, browser: Browser, **context: object) -> Page:
    """The page around a function that keeps files in a folder."""
    settings = {"WEIGHBRIDGE_DELIVERY": "folder", "WEIGHBRIDGE_FOLDER": folder / "kept"}
    address, _ = stack.enter_context(process(settings))
    served = stack.enter_context(form(folder, address))
    opened = browser.new_context(**{"viewport": DESKTOP, "timezone_id": "Europe/Berlin", **context})  # type: ignore[arg-type]
    stack.callback(opened.close)
    opened.set_default_timeout(30_000)
    page = opened.new_page()
    page.goto(served.address)
    expect(page.get_by_test_id("stFileUploaderDropzoneInput").first).to_be_attached()
    return page


def upload(page: Page, name: str, content: bytes, place: int = 0) -> None:
    file = FilePayload(name=name, mimeType="text/plain", buffer=content)
    page.get_by_test_id("stFileUploaderDropzoneInput").nth(place).set_input_files(file)
    settle(page)


def answer_dates(page: Page) -> None:
    page.get_by_role("radio", name="day first").click()
    settle(page)
    field = page.get_by_label("One time for all of them")
    field.fill("6:30")
    field.press("Enter")
    settle(page)


def answer_all(page: Page) -> None:
    """Answer the questions of `days`."""
    answer_dates(page)
    expect(page.get_by_text("Muscle (56.0, 56.1, 56.1): kg or %?")).to_be_visible()
    page.get_by_role("radio", name="kg", exact=True).last.click()
    settle(page)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_questions_picture_and_outliers(
    viewport: object, pages: ExitStack, tmp_path: Path, chromium: Browser, axe: str
) -> None:
    """Each question is asked once, the outliers are marked with their reason, and one button leaves them out."""
    page = open_page(pages, tmp_path, chromium, viewport=viewport)
    upload(page, "days.csv", days())
    expect(page.get_by_text("Is the day or the month first in '02/01/2025'?")).to_be_visible()
    answer_all(page)
    expect(page.get_by_text("24 of 24 weigh-ins can be sent.")).to_be_visible()
    expect(page.get_by_text("Not recognized, so left out: Zzz.")).to_be_visible()
    expect(page.get_by_label("Weight (kg): 22 weigh-ins from 80 to 80.3").first).to_be_visible()
    expect(page.get_by_text("2 weigh-ins out of line with the others")).to_be_visible()
    expect(page.get_by_text("176.8 kg among 80.2 kg: pounds read as kilograms?")).to_be_visible()
    expect(page.get_by_text("61.2 kg among 80.2 kg: another person on the scale?")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
    assert findings(page, axe) == []
    with page.expect_download() as download:
        click(page, "Save these answers")
    kept = answers.parse(Path(download.value.path()).read_bytes())
    assert download.value.suggested_filename == "days.answers.toml"
    assert kept._replace(timezone=None) == Choices({}, "day first", None, "", "06:30:00", {"Muscle": "kg"})
    expect(page.get_by_role("button", name=ALL_OF_THEM)).to_be_visible()
    click(page, WITHOUT)
    expect(page.get_by_text("22 of 22: 22 kept as files.")).to_be_visible()
    page.get_by_role("radio", name="All").click()
    expect(button(page, "Show 10 more")).to_be_visible()


def test_answers_are_used_again(pages: ExitStack, tmp_path: Path, chromium: Browser) -> None:
    """An uploaded mapping file answers all questions; one with an unknown key, or for another file, says so."""
    page = open_page(pages, tmp_path, chromium)
    upload(page, "days.csv", days())
    page.get_by_text("Answers of an earlier import").click()
    upload(page, "wrong.toml", b'"Muscle" = "muscle mass"', place=1)
    expect(page.get_by_text("The key 'Muscle' is unknown. Expected: order")).to_be_visible()
    upload(page, "other.toml", b'order = "dmy"\ntime_of_day = "06:30"\n[columns]\nMasse = "weight"\n', place=1)
    expect(page.get_by_text("names a column 'Masse'")).to_be_visible()
    said = Choices({"Zzz": "visceral fat"}, "day first", None, "", "06:30:00", {"Muscle": "kg"})
    upload(page, "days.toml", answers.write(said), place=1)
    expect(page.get_by_text("24 weigh-ins can be sent.")).to_be_visible()
    expect(page.get_by_text("One time for all of them")).to_have_count(0)
    page.get_by_text("Columns: 4 of 4 recognized").click()
    expect(page.get_by_label("Zzz: visceral fat, recognized by your mapping")).to_be_visible()


def test_column_chosen_before_a_question_stays(pages: ExitStack, tmp_path: Path, chromium: Browser) -> None:
    """A meaning that was chosen for a column is still chosen after a question that it led to."""
    page = open_page(pages, tmp_path, chromium)
    upload(page, "days.csv", days().replace(b"weight (kg)", b"Ballast (kg)").replace(b"Muscle", b"xy"))
    expect(page.get_by_text("No column is recognized as the weight.")).to_be_visible()
    field = page.get_by_label("Ballast (kg): left out").first
    field.click()
    field.fill("weight")
    field.press("Enter")
    settle(page)
    answer_dates(page)
    expect(page.get_by_text("24 weigh-ins can be sent.")).to_be_visible()


def test_all_that_is_left_out_is_listed(pages: ExitStack, tmp_path: Path, chromium: Browser) -> None:
    """Every row that cannot be sent is on the page, with its reason."""
    rows = [f"2026-01-01 07:{minute:02},{81.4 if minute % 2 else 8140}" for minute in range(60)]
    page = open_page(pages, tmp_path, chromium)
    upload(page, "a.csv", "\n".join(["date,weight (kg)", *rows]).encode())
    page.get_by_text("30 rows cannot be sent").click()
    expect(page.get_by_role("row").filter(has_text="The weight must be 2 to 400 kg")).to_have_count(30)


def test_refused_row_is_in_the_language_of_the_page(pages: ExitStack, tmp_path: Path, chromium: Browser) -> None:
    """On a German page, what is wrong with a row or doubtful in it is said in German, with a comma in its numbers."""
    page = open_page(pages, tmp_path, chromium, locale="de-DE")
    rows = (
        "date,weight (kg),visceral fat\n"
        "2026-04-23 07:30,81.4,\n2026-04-23 07:40,8140,\n,81.4,\n2026-04-24 07:30,81.5,95\n"
    )
    upload(page, "a.csv", rows.encode())
    expect(page.get_by_text("2 von 4 Messungen können gesendet werden.")).to_be_visible()
    row = page.get_by_role("row")
    expect(row.filter(has_text="Gewicht '8140 kg': Erwartet: Gewicht von 2 bis 400 kg.")).to_have_count(1)
    expect(row.filter(has_text="die Zeit fehlt")).to_have_count(1)
    doubt = "Als zweifelhaft weggelassen: 'Viszeralfett'. Erwartet: Viszeralfett von 0,5 bis 59. Erhalten: 95."
    expect(row.filter(has_text=doubt)).to_have_count(1)


def test_file_is_spoken_of_in_the_language_of_the_page(pages: ExitStack, tmp_path: Path, chromium: Browser) -> None:
    """On a Portuguese page, the question about a file, what is wrong with its answers, and why another file cannot be
    read, are in Portuguese alone."""
    page = open_page(pages, tmp_path, chromium, locale="pt-BR")
    upload(page, "days.csv", days())
    expect(page.get_by_text("Em '02/01/2025', vem primeiro o dia ou o mês?")).to_be_visible()
    page.get_by_text("Respostas de uma importação anterior").click()
    upload(page, "wrong.toml", b"order = 7", place=1)
    expect(page.get_by_text('order: esperado "dmy", "mdy" ou "ymd", recebido 7.')).to_be_visible()
    expect(page.get_by_text("expected")).to_have_count(0)
    page.reload()
    upload(page, "damaged.xlsx", b"PK\x03\x04 not an archive")
    expect(page.get_by_text("Não foi possível ler a planilha.")).to_be_visible()
    expect(page.get_by_text("spreadsheet")).to_have_count(0)


def test_unit_is_asked(site: FormSite) -> None:
    """Weights without a unit that could be kilograms or pounds are asked about before any is sent, and the answer
    counts: another one changes what is sent."""
    page = site.open()
    rows = [f"2026-04-{day} 07:30,{kg}" for day, kg in ((21, "171.6"), (22, "172.2"), (23, "171.9"))]
    upload(page, "a.csv", "\n".join(["date,weight", *rows]).encode())
    question = page.get_by_role("radiogroup", name="Which unit is the column 'weight' in?")
    expect(question).to_be_visible()
    expect(page.get_by_text("weigh-ins can be sent")).to_have_count(0)
    for unit, first in (("kg", "171.6"), ("lb", "77.8")):
        question.get_by_role("radio", name=unit, exact=True).click()
        expect(page.get_by_label(f"Weight (kg): 3 weigh-ins from {first}").first).to_be_visible()
        expect(page.get_by_text("3 of 3 weigh-ins can be sent.")).to_be_visible()
    assert site.weights() == []
    click(page, "Send 3 weigh-ins to Garmin")
    expect(page.get_by_text("3 of 3: 3 confirmed in Garmin Connect.")).to_be_visible()
    assert [round(kg / 0.45359237, 1) for kg in sorted(site.weights())] == [171.6, 171.9, 172.2]


def test_sending_goes_on_whatever_is_done_meanwhile(site: FormSite) -> None:
    """While an import waits for Garmin, the page says for how long, in its language. Whoever uses the page meanwhile
    stops nothing, nor does a second tap begin again: each weigh-in arrives, once."""
    site.open()
    page = site.on(DESKTOP, "light", "de-DE")
    rows = [f"2026-01-{day:02} 07:30,{80 + day / 10}" for day in range(1, 25)]
    upload(page, "a.csv", "\n".join(["date,weight (kg)", *rows]).encode())
    expect(page.get_by_text("Eine Tabelle: 24 von 24 Messungen können gesendet werden.")).to_be_visible()
    site.garmin.faults.add("upload", "429", retry_after=4)
    button(page, "24 Messungen an Garmin senden").click()
    expect(page.get_by_text("0 von 24 · Garmin bittet, zu warten. Nächster Versuch in 4 s.")).to_be_visible()
    page.get_by_role("radio", name="1 Jahr").click()
    button(page, "24 Messungen an Garmin senden").click()
    expect(page.get_by_text("24 von 24: 24 in Garmin Connect bestätigt.")).to_be_visible()
    assert len(site.weights()) == 24


def test_person_is_asked(pages: ExitStack, tmp_path: Path, chromium: Browser) -> None:
    """With one account and rows of two people, the page asks whose weigh-ins to send."""
    page = open_page(pages, tmp_path, chromium)
    rows = "date,weight (kg),User\n2026-04-23 07:30,81.4,Anna\n2026-04-23 07:40,62.4,Ben\n"
    upload(page, "a.csv", rows.encode())
    page.get_by_role("radio", name="Ben").click()
    settle(page)
    expect(page.get_by_text("1 of 2 weigh-ins can be sent.")).to_be_visible()
    expect(page.get_by_text("this is a weigh-in of Anna")).to_be_visible()
