"""The form's logic without a browser: Streamlit's own AppTest runs the page against a real function."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from tests.commands import weighbridge
from tests.e2e.parts import free_port, histories
from tests.e2e.parts.form import function
from tests.function_client import ROOT
from tests.garmin.server import GarminStandIn
from weighbridge_form.settings import VARIABLES, people_of
from weighbridge_form.values import NINE, Point, moving_average, reading_of, shared, typed

FOLDER = ROOT / "integrations" / "web_form"
APP = FOLDER / "weighbridge_form" / "app.py"
BERLIN = ZoneInfo("Europe/Berlin")
VALUES = ("81,4", "18.2", "14.8", "66.6", "63.2", "3.4", "45.9", "16.1", "7")
AT = "2026-11-22T06:31:00+00:00"


@pytest.fixture
def open_page(
    garmin: GarminStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., AppTest]]:
    with ExitStack() as stack:

        def open_(**settings: object) -> AppTest:
            address = stack.enter_context(function(garmin, tmp_path, **settings))
            monkeypatch.setenv("WEIGHBRIDGE_URL", address)
            return AppTest.from_file(str(APP), default_timeout=60).run()

        yield open_


Open = Callable[..., AppTest]


def fill(page: AppTest, values: tuple[str, ...] = VALUES, at: str = AT) -> AppTest:
    for field, value in zip(NINE, values, strict=False):
        page.text_input(key=field.key).set_value(value)
    page.text_input(key="time").set_value(at)
    return page.run()


def said(page: AppTest) -> str:
    kinds = ("error", "warning", "info", "success", "markdown", "header")
    return "\n".join(str(element.value) for kind in kinds for element in page.get(kind))


def button(page: AppTest, label: str) -> Button:
    (found,) = [b for b in page.button if b.label.startswith(label)]
    return found


# -- pure --------------------------------------------------------------------------------------------------


def test_what_is_typed_goes_as_it_was_typed_with_a_unit_only_where_there_was_none() -> None:
    texts = {"weight": "12 st 11.5 lb", "fat mass": "32,6", "body fat": "18.2", "visceral fat": "7", "bone mass": " "}
    assert reading_of(texts, "lb", BERLIN, {}) == {
        "weight": "12 st 11.5 lb",
        "fat mass": "32,6 lb",
        "body fat": "18.2 %",
        "visceral fat": "7",
    }


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2026-11-22 06:31", "2026-11-22T06:31:00+01:00"),
        ("2026-07-01T06:31:00", "2026-07-01T06:31:00+02:00"),
        ("2026-11-22T06:31:00Z", "2026-11-22T06:31:00Z"),
        ("yesterday", "yesterday"),
        ("2026-11-22", "2026-11-22"),
    ],
)
def test_a_time_gets_the_offset_of_the_person_clock_and_anything_else_is_the_function_to_judge(
    text: str, sent: str
) -> None:
    assert reading_of({"time": text}, "kg", BERLIN, {}) == {"time": sent}


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 06:31\nWeight 81.4kg Standard\nBody fat 18.2% High\nVisceral fat 7 Standard",
        "Weight: 81.4kg\nBody fat: 18.2%\nVisceral fat: 7\n\n2026-11-22 06:31",
        "Weight\n81.4kg\nBody fat\n18.2%\nVisceral fat\n7\n2026-11-22 06:31",
    ],
)
def test_a_share_screen_is_read_in_one_line_or_two(text: str) -> None:
    expected = {"Weight": "81.4kg", "Body fat": "18.2%", "Visceral fat": "7", "time": "2026-11-22 06:31"}
    assert shared(text) == expected


def test_stones_are_not_taken_apart() -> None:
    assert shared("Weight 12st 11.5lb") == {"Weight": "12st 11.5lb"}


def test_what_garmin_holds_fills_the_fields_and_what_has_no_field_goes_along() -> None:
    taken = typed({"weight_kg": 81.4, "body_water_percent": 56.39, "bmi": 24.6, "metabolic_age_years": 40, "id": "x"})
    assert taken.texts == {"weight": "81.4 kg", "water weight": "56.39 %", "height": "181.9 cm"}
    assert taken.more == {"metabolic_age_years": 40}


def test_the_average_is_that_of_the_days_before_and_no_older() -> None:
    weights = {1: 80, 2: 82, 8: 84, 9: 90}
    points = [Point(datetime(2026, 11, day, 6, tzinfo=BERLIN), value) for day, value in weights.items()]
    assert [p.value for p in moving_average(points, 7)] == [80, 81, 83, 87]


def test_each_person_has_a_function_of_their_own() -> None:
    assert people_of("http://a:1/") == {"": "http://a:1"}
    assert people_of("Anna=http://a:1, Ben=http://b:2/") == {"Anna": "http://a:1", "Ben": "http://b:2"}
    assert people_of("http://a:1/x=1") == {"": "http://a:1/x=1"}


@pytest.mark.parametrize("text", ["nowhere", "Anna=http://a:1, http://b:2", "Anna=http://a:1, Anna=http://b:2", ","])
def test_addresses_that_cannot_be_used_are_named_before_a_page_is_served(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = "WEIGHBRIDGE_URL must be an http:// or https:// address, or name=address pairs"
    done = weighbridge("form", folder=tmp_path, WEIGHBRIDGE_URL=text)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(expected)
    monkeypatch.setenv("WEIGHBRIDGE_URL", text)
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert page.error[0].value.startswith(expected)
    assert not page.text_input


def test_the_address_may_be_in_a_file(open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_page()
    (tmp_path / "url").write_text(f"{os.environ['WEIGHBRIDGE_URL']}\n")
    monkeypatch.delenv("WEIGHBRIDGE_URL")
    monkeypatch.setenv("WEIGHBRIDGE_URL_FILE", str(tmp_path / "url"))
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.error
    assert page.text_input


# -- the page ----------------------------------------------------------------------------------------------


def test_an_empty_page_asks_for_nothing_and_blames_nobody(open_page: Open, garmin: GarminStandIn) -> None:
    page = open_page()
    assert not page.exception
    assert not page.error
    assert [t.label for t in page.text_input][:9] == [
        *("Weight", "Body fat (%)", "Fat mass", "Fat free body weight", "Muscle mass", "Bone mass"),
        *("Water weight", "Subcutaneous fat (%)", "Visceral fat"),
    ]


def test_nine_values_are_shown_as_they_would_be_sent_and_nothing_is(open_page: Open, garmin: GarminStandIn) -> None:
    page = fill(open_page())
    assert not page.exception
    assert not page.error
    (table,) = page.table
    assert list(table.value["sent as"])[:2] == ["weight 81.4", "percent_fat 18.2"]
    assert "100 × body water kg ÷ weight kg" in list(table.value["derived"])
    assert "Garmin has no field for subcutaneous fat." in said(page)
    assert not garmin.weights.visible()


def test_a_mistake_is_told_in_the_function_own_words_and_nothing_can_be_sent(open_page: Open) -> None:
    page = fill(open_page(), ("81.4", "182"))
    assert [e.value for e in page.error] == ["A body fat of 0.1 to 90 % was expected."]
    assert not [b for b in page.button if b.label == "Send to Garmin"]


def test_pounds_and_stones_are_the_same_weight(open_page: Open) -> None:
    page = open_page()
    page.segmented_control(key="unit").set_value("lb")
    page = fill(page, ("179.5",))
    assert list(page.table[0].value["sent as"]) == ["weight 81.42"]
    page = fill(page, ("12 st 11.5 lb",))
    assert list(page.table[0].value["sent as"]) == ["weight 81.42"]


def test_sent_it_is_confirmed_with_the_values_read_back(open_page: Open, garmin: GarminStandIn) -> None:
    page = fill(open_page())
    button(page, "Send to Garmin").click().run()
    assert "**confirmed** · 81.4 kg, 18.2 % fat: confirmed in Garmin Connect." in said(page)
    assert "81.4" in list(page.table[0].value["in Garmin"])
    assert len(garmin.weights.visible()) == 1
    button(page, "Send to Garmin").click().run()
    assert "**present**" in said(page)
    assert len(garmin.weights.visible()) == 1


def test_other_values_at_the_same_instant_are_shown_side_by_side_before_they_replace(
    open_page: Open, garmin: GarminStandIn
) -> None:
    page = fill(open_page(), ("81.4",))
    button(page, "Send to Garmin").click().run()
    page = fill(page, ("80.4",))
    button(page, "Send to Garmin").click().run()
    assert "This reading: weight (kg) 80.4" in said(page)
    assert "What Garmin holds: weight (kg) 81.4" in said(page)
    button(page, "Replace what Garmin holds").click().run()
    assert "**confirmed** · 80.4 kg" in said(page)
    assert [entry.raw["weight"] for entry in garmin.weights.visible()] == [8040]


def test_one_is_corrected_at_its_own_instant_and_keeps_what_has_no_field(
    open_page: Open, garmin: GarminStandIn
) -> None:
    page = open_page()
    page.text_area(key="pasted").set_value(
        json.dumps({"weight_kg": 81.4, "bmi": 24.6, "metabolic_age_years": 40, "measured_at": AT})
    )
    button(page, "Take over").click().run()
    button(page, "Send to Garmin").click().run()
    button(page, "Correct").click().run()
    assert page.text_input(key="time").disabled
    page.text_input(key="weight").set_value("80,9").run()
    button(page, "Replace it in Garmin").click().run()
    assert "**confirmed** · 80.9 kg" in said(page)
    (entry,) = garmin.weights.visible()
    assert entry.raw["weight"] == 8090
    assert entry.instant_s == datetime.fromisoformat(AT).timestamp()


def test_one_is_taken_back_only_when_asked_twice(open_page: Open, garmin: GarminStandIn) -> None:
    page = fill(open_page(), ("81.4",))
    button(page, "Send to Garmin").click().run()
    button(page, "Take back").click().run()
    button(page, "Keep it").click().run()
    assert garmin.weights.visible()
    button(page, "Take back").click().run()
    button(page, "Yes, take it back").click().run()
    assert not garmin.weights.visible()
    assert "was taken back." in said(page)


def test_a_key_is_asked_for_only_where_the_function_asks(open_page: Open) -> None:
    page = open_page(WEIGHBRIDGE_API_KEYS="house=a-key-of-the-house")
    assert "A key is needed" in said(page)
    page.text_input[0].set_value("wrong").run()
    assert page.error
    page.text_input[0].set_value("a-key-of-the-house").run()
    assert not page.error
    page = fill(page, ("81.4",))
    button(page, "Send to Garmin").click().run()
    assert "**confirmed**" in said(page)


@pytest.mark.parametrize("key", ["schlüssel", "two words"])
def test_a_key_that_no_header_can_carry_is_said_and_not_sent(open_page: Open, key: str) -> None:
    page = open_page(WEIGHBRIDGE_API_KEYS="house=a-key-of-the-house")
    page.text_input[0].set_value(key).run()
    assert not page.exception
    assert "Expected a key of plain letters, digits and signs, without spaces." in said(page)


def test_a_broken_sign_in_is_said_and_the_file_is_handed_out_instead(
    open_page: Open, garmin: GarminStandIn, tmp_path: Path
) -> None:
    page = open_page(WEIGHBRIDGE_TOKENS=tmp_path / "nobody")
    page = fill(page)
    assert "https://connect.garmin.com/app/import-data" in page.error[0].value
    assert [b.proto.label for b in page.get("download_button")] == ["Download the FIT file"]


@pytest.mark.parametrize("fault", ["412", "429-retry-after", "drop-before"])
def test_when_garmin_fails_the_file_is_offered_to_be_brought_in_by_hand(
    open_page: Open, garmin: GarminStandIn, fault: str
) -> None:
    page = fill(open_page(), ("81.4",))
    garmin.faults.add("upload", fault, times=9)
    button(page, "Send to Garmin").click().run()
    (error,) = page.error
    assert "Until then, download the file and bring it in by hand" in error.value
    assert [b.proto.label for b in page.get("download_button")] == ["Download the FIT file"]


def test_title_and_detail_of_a_problem_never_run_together(open_page: Open) -> None:
    page = open_page(WEIGHBRIDGE_DELIVERY="folder")
    assert "Garmin Connect is not set up here. This function keeps files" in page.error[0].value


def test_a_folder_as_delivery_says_where_the_file_lies(open_page: Open) -> None:
    page = fill(open_page(WEIGHBRIDGE_DELIVERY="folder"))
    button(page, "Send to Garmin").click().run()
    assert "**kept**" in said(page)
    assert "weigh-in_2026-11-22T06-31-00Z_" in said(page)


def test_a_function_that_does_not_run_is_named_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_URL", f"http://127.0.0.1:{free_port()}")
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert "weighbridge serve" in page.error[0].value
    assert not page.text_input


def test_a_paste_of_more_than_one_or_of_nonsense_changes_no_field(open_page: Open) -> None:
    page = open_page()
    for text, words in (
        ('[{"weight": 80}, {"weight": 81}]', "more than one reading"),
        ("{", "JSON"),
        ("Weight: 8100 kg", "A weight of 2 to 400 kg was expected."),
    ):
        page.text_area(key="pasted").set_value(text)
        button(page, "Take over").click().run()
        assert words in said(page)
        assert page.text_input(key="weight").value == ""


@pytest.mark.parametrize(
    ("more", "time"),
    [
        ({}, None),
        ({"measured_at": AT}, "2026-11-22 06:31:00+00:00"),
        ({"received_at": AT}, "2026-11-22 06:31:00+00:00"),
    ],
)
def test_a_pasted_reading_without_a_time_gets_that_of_the_page(
    open_page: Open, more: dict[str, str], time: str | None
) -> None:
    page = open_page()
    before = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    page.text_area(key="pasted").set_value(json.dumps({"weight": 80} | more))
    button(page, "Take over").click().run()
    taken = page.text_input(key="time").value
    assert taken == time if time else before <= taken <= f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"


def test_a_history_file_is_drawn_and_what_is_refused_is_told_and_a_button_sends_it(
    open_page: Open, garmin: GarminStandIn
) -> None:
    page = open_page()
    days = [{"measured_at": f"2026-10-{day:02}T06:31:00Z", "weight": 80 + day / 10} for day in range(1, 20)]
    lines = "\n".join(json.dumps(day) for day in [*days, {"measured_at": "2026-10-20T06:31:00Z", "weight": 8000}])
    page.file_uploader[0].set_value(("history.ndjson", lines.encode(), "application/x-ndjson")).run()
    assert "JSON lines: 19 of 20 weigh-ins are understood." in said(page)
    assert "Row 20: weight 8000: A weight of 2 to 400 kg" in said(page)
    (chart,) = page.get("vega_lite_chart")
    assert "19 weigh-ins from 80.1 to 81.9, the last is 81.9" in str(chart.proto)
    assert not garmin.weights.visible()
    for expected in ("19 of 19: 19 confirmed in Garmin Connect.", "19 of 19: 19 already there."):
        button(page, "Send 19 weigh-ins to Garmin").click().run()
        assert expected in said(page)
        assert len(garmin.weights.visible()) == 19


def test_an_export_of_the_app_in_an_unknown_language_is_recognised_and_can_be_put_right(open_page: Open) -> None:
    page = open_page()
    excel = "application/vnd.ms-excel"
    page.file_uploader[0].set_value(("Fitdays.csv", histories.fitdays("of nobody"), excel)).run()
    assert "A table: 8 of 8 weigh-ins are understood." in said(page)
    (visceral,) = [box for box in page.selectbox if box.label.startswith("xy5: visceral fat, known by its place")]
    visceral.set_value("(left out)").run()
    assert "xy5: left out" in [box.label for box in page.selectbox]
    page.file_uploader[0].set_value(("other.csv", b"Zeit;Masse\n2022-11-22 07:31;81,4\n", "text/csv")).run()
    assert "No column is recognised as the time or the weight." in said(page)
    for header, word in (("Zeit", "time"), ("Masse", "weight")):
        (box,) = [box for box in page.selectbox if box.label.startswith(header)]
        box.set_value(word).run()
    assert "A table: 1 of 1 weigh-ins are understood." in said(page)


def test_dates_that_could_be_read_in_two_ways_are_asked_about(open_page: Open) -> None:
    page = open_page()
    page.file_uploader[0].set_value(("us.csv", b"date,weight\n03/04/2022 07:31,81.4\n", "text/csv")).run()
    assert "the day may come first, or the month" in page.warning[0].value
    page.segmented_control(key="order").set_value("month first").run()
    assert "A table: 1 of 1 weigh-ins are understood." in said(page)
    assert page.run().warning  # and the answer stays


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"PK\x03\x04 no archive", "The spreadsheet cannot be read."), (b"<html/>", "not an export of Apple")],
)
def test_a_file_that_cannot_be_read_says_why(open_page: Open, data: bytes, words: str) -> None:
    page = open_page()
    page.file_uploader[0].set_value(("file.xls", data, "application/octet-stream")).run()
    assert words in said(page)


def test_the_people_of_one_function_each_see_and_reach_their_own_account(
    open_page: Open, garmin: GarminStandIn, tmp_path: Path
) -> None:
    for token in ("anna", "ben"):
        garmin.write_token(tmp_path / "tokens", token)
    page = open_page(WEIGHBRIDGE_PEOPLE=ROOT / "examples" / "people.toml")
    for name, weight in (("Ben", "90"), ("Anna", "60")):
        page.segmented_control(key="of the house").set_value(name).run()
        assert "Garmin holds no weigh-in of these days." in said(page)
        button(fill(page, (weight,)), "Send to Garmin").click().run()
        assert "**confirmed**" in said(page)
        assert f"· {weight} kg" in said(page)
    held = {name: [entry.raw["weight"] for entry in garmin.weights_of[name].visible()] for name in ("anna", "ben", "")}
    assert held == {"anna": [6000], "ben": [9000], "": []}
    days = "\n".join(f'{{"time": "2026-10-{day:02}T06:31:00Z", "weight": 69}}' for day in range(1, 4))
    page.file_uploader[0].set_value(("history.jsonl", days.encode(), "application/x-ndjson")).run()
    button(page, "Send 3 weigh-ins to Garmin").click().run()
    button(page, "Take back").click().run()
    button(page, "Yes, take it back").click().run()
    assert [len(garmin.weights_of[name].visible()) for name in ("anna", "ben")] == [3, 1]


def test_a_banner_says_when_the_sign_in_ends_soon(open_page: Open, garmin: GarminStandIn) -> None:
    garmin.sign_in.refresh_token_lifetime_s = 3.04 * 86_400
    assert "The sign-in to Garmin ends in 3 days." in open_page().warning[0].value


def test_the_readme_names_each_button_and_the_default_address() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    page = APP.with_name("page.py").read_text(encoding="utf-8")
    for words in ("Download the FIT file", "Send to Garmin", "Correct", "Take back"):
        assert words in readme
        assert words in page
    (variable,) = VARIABLES
    assert f"| `{variable.name}` | `{variable.default}` |" in readme
