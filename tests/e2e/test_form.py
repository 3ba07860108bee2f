"""The form without a browser: Streamlit's AppTest runs the page against a real function."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from tests.commands import weighbridge
from tests.e2e.parts import histories, wait_for_another_second
from tests.e2e.parts.form import function
from tests.function_client import ROOT
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge_form.cli import OPTIONS, set_options
from weighbridge_form.page import PERSON
from weighbridge_form.settings import VARIABLES, people_of
from weighbridge_form.values import (
    NINE,
    Point,
    as_typed,
    differences,
    label_of,
    moving_average,
    pasted_reading,
    read_share_screen,
    reading_of,
)

FOLDER = ROOT / "integrations" / "web_form"
APP = FOLDER / "weighbridge_form" / "app.py"
BERLIN = ZoneInfo("Europe/Berlin")
VALUES = ("81,4", "18.2", "14.8", "66.6", "63.2", "3.4", "45.9", "16.1", "7")
AT = "2026-11-22T06:31:00+00:00"


@pytest.fixture
def open_page(
    garmin: GarminStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., AppTest]]:
    # As `weighbridge form` does.
    set_options(OPTIONS, {})
    with ExitStack() as stack:

        def open_(**settings: object) -> AppTest:
            address = stack.enter_context(function(garmin, tmp_path, **settings))
            monkeypatch.setenv("WEIGHBRIDGE_URL", address)
            page = AppTest.from_file(str(APP), default_timeout=60)
            for folded in ("paste instead", "what was sent", "what Garmin shows"):
                page.session_state[folded] = True  # AppTest cannot open them
            return page.run()

        yield open_


Open = Callable[..., AppTest]


def fill(page: AppTest, values: tuple[str, ...] = VALUES, at: str = AT) -> AppTest:
    for field, value in zip(NINE, values, strict=False):
        page.text_input(key=field.key).set_value(value)
    return choose_time(page, at)


def choose_time(page: AppTest, at: str) -> AppTest:
    """Choose a time with the pickers, in the zone of the browser: UTC."""
    page.segmented_control(key="when").set_value("Another time").run()
    moment = datetime.fromisoformat(at)
    page.date_input(key="day").set_value(moment.date())
    page.time_input(key="clock").set_value(moment.time())
    return page.run()


def chosen_time(page: AppTest) -> datetime:
    day, clock = page.date_input(key="day").value, page.time_input(key="clock").value
    return datetime.fromisoformat(f"{day}T{clock}+00:00")


def shown(page: AppTest) -> str:
    kinds = ("error", "warning", "info", "success", "markdown", "header", "subheader", "caption")
    return "\n".join(str(getattr(element, "value", "")) for kind in kinds for element in page.get(kind))


def open_preview(page: AppTest) -> AppTest:
    """Open "What would be sent", which is drawn only then."""
    page.session_state["what would be sent"] = True
    return page.run()


def button(page: AppTest, label: str) -> Button:
    (found,) = [b for b in page.button if b.label.startswith(label)]
    return found


# -- pure --------------------------------------------------------------------------------------------------


def test_unit_is_added_only_if_none_was_typed() -> None:
    """Values are sent as typed; a unit is added only if none was typed."""
    texts = {"weight": "12 st 11.5 lb", "fat mass": "32,6", "body fat": "18.2", "visceral fat": "7", "bone mass": " "}
    assert reading_of(texts, "lb", "Europe/Berlin", {}) == {
        "weight": "12 st 11.5 lb",
        "fat mass": "32,6 lb",
        "body fat": "18.2 %",
        "visceral fat": "7",
    }


@pytest.mark.parametrize("text", ["2026-11-22 06:31", "2026-11-22T06:31:00Z", "yesterday"])
def test_time_is_sent_with_the_zone(text: str) -> None:
    """A time is sent as it was typed, with the name of the browser's zone; the function reads both."""
    sent = reading_of({"time": f" {text} "}, "kg", "Europe/Berlin", {})
    assert sent == {"time": text, "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('{"weight": 81.40, "weight": 82}', '{"timezone": "Europe/Berlin", "weight": 81.40, "weight": 82}'),
        (" {}\n", '{"timezone": "Europe/Berlin"}'),
        ('{"Timezone": "UTC", "weight": 81}', '{"Timezone": "UTC", "weight": 81}'),
        ("{", "{"),
        ("[1]", "[1]"),
        ('{"tz": "UTC", "weight": 81}', '{"tz": "UTC", "weight": 81}'),
        ("Weight 81.4kg", '{"Weight": "81.4kg", "timezone": "Europe/Berlin"}'),
    ],
)
def test_paste_is_sent_with_the_zone(text: str, sent: str) -> None:
    """A pasted reading is sent as it is, with the browser's zone if it names none."""
    assert pasted_reading(text, "Europe/Berlin") == sent


def test_conflict_names_each_value() -> None:
    """A conflict names what would be added, changed and removed, with the labels and units of the values."""
    ours = {"measured_at": AT, "weight_kg": 81.4, "body_fat_percent": 18.1, "visceral_fat_rating": 7}
    theirs = [{"id": "x", "measured_at": AT, "weight_kg": 81.4, "body_fat_percent": 18.2, "bmi": 24.6}]
    found = differences(ours, theirs, ["visceral_fat_rating"], ["body_fat_percent"])
    assert found == (["visceral fat 7"], ["body fat 18.2 % → 18.1 %"], ["body mass index 24.6 kg/m²"])
    assert differences(ours, theirs, ["visceral_fat_rating"], []) == (["visceral fat 7"], [], [])


def test_values_have_the_function_labels() -> None:
    """A value's label and unit are those of the function's table."""
    assert label_of("body_fat_percent") == "body fat (%)"
    assert label_of("visceral_fat_rating") == "visceral fat"
    assert label_of("person") == "person"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 06:31\nWeight 81.4kg Standard\nBody fat 18.2% High\nVisceral fat 7 Standard",
        "Weight: 81.4kg\nBody fat: 18.2%\nVisceral fat: 7\n\n2026-11-22 06:31",
        "Weight\n81.4kg\nBody fat\n18.2%\nVisceral fat\n7\n2026-11-22 06:31",
    ],
)
def test_share_screen_in_one_line_or_two(text: str) -> None:
    """A share screen is read with name and value on one line or on two."""
    expected = {"Weight": "81.4kg", "Body fat": "18.2%", "Visceral fat": "7", "time": "2026-11-22 06:31"}
    assert read_share_screen(text) == expected


def test_stones_and_pounds_stay_one_value() -> None:
    """Stones and pounds of a share screen stay one value."""
    assert read_share_screen("Weight 12st 11.5lb") == {"Weight": "12st 11.5lb"}


def test_values_without_a_field_are_kept() -> None:
    """An entry in Garmin fills the fields, and its values without a field are kept."""
    filled = as_typed(
        {"weight_kg": 81.4, "body_water_percent": 56.39, "bmi": 24.6, "metabolic_age_years": 40, "id": "x"}
    )
    assert filled.texts == {"weight": "81.4 kg", "water weight": "56.39 %", "height": "181.9 cm"}
    assert filled.more == {"metabolic_age_years": 40}


def test_average_covers_only_its_days() -> None:
    """The moving average covers the given days before a point and nothing older."""
    weights = {1: 80, 2: 82, 8: 84, 9: 90}
    points = [Point(datetime(2026, 11, day, 6, tzinfo=BERLIN), value) for day, value in weights.items()]
    assert [p.value for p in moving_average(points, 7)] == [80, 81, 83, 87]


def test_each_person_may_have_an_address() -> None:
    """WEIGHBRIDGE_URL is one address, or one for each person."""
    assert people_of("http://a:1/") == {"": "http://a:1"}
    assert people_of("Anna=http://a:1, Ben=http://b:2/") == {"Anna": "http://a:1", "Ben": "http://b:2"}
    assert people_of("http://a:1/x=1") == {"": "http://a:1/x=1"}


@pytest.mark.parametrize("text", ["nowhere", "Anna=http://a:1, http://b:2", "Anna=http://a:1, Anna=http://b:2", ","])
def test_unusable_address_stops_the_form(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unusable WEIGHBRIDGE_URL ends the command with a message, and the page shows it without fields."""
    expected = "WEIGHBRIDGE_URL must be an http:// or https:// address, or name=address pairs"
    done = weighbridge("form", folder=tmp_path, WEIGHBRIDGE_URL=text)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(expected)
    monkeypatch.setenv("WEIGHBRIDGE_URL", text)
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert page.error[0].value.startswith(expected)
    assert not page.text_input


def test_address_may_be_in_a_file(open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address may be in the file that WEIGHBRIDGE_URL_FILE names."""
    open_page()
    (tmp_path / "url").write_text(f"{os.environ['WEIGHBRIDGE_URL']}\n")
    monkeypatch.delenv("WEIGHBRIDGE_URL")
    monkeypatch.setenv("WEIGHBRIDGE_URL_FILE", str(tmp_path / "url"))
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.error
    assert page.text_input


# -- the page ----------------------------------------------------------------------------------------------


def test_empty_page_shows_no_problem(open_page: Open, garmin: GarminStandIn) -> None:
    """An empty page shows the nine fields and no problem."""
    page = open_page()
    assert not page.exception
    assert not page.error
    assert [t.label for t in page.text_input][:9] == [
        *("Weight (kg)", "Body fat (%)", "Fat mass (kg)", "Fat free body weight (kg)", "Muscle mass (kg)"),
        *("Bone mass (kg)", "Water weight (kg)", "Subcutaneous fat (%)", "Visceral fat"),
    ]


def test_preview_sends_nothing(open_page: Open, garmin: GarminStandIn) -> None:
    """The preview shows nine values as they would be sent, and sends nothing."""
    page = open_preview(fill(open_page()))
    assert not page.exception
    assert not page.error
    (table,) = page.table
    assert list(table.value["sent as"])[:2] == ["weight 81.4", "percent_fat 18.2"]
    assert "100 × body water kg ÷ weight kg" in list(table.value["derived"])
    assert "Garmin has no field for subcutaneous fat." in shown(page)
    assert not garmin.weights.visible()


def test_mistake_is_shown_and_blocks_sending(open_page: Open, garmin: GarminStandIn) -> None:
    """A mistake is shown in the function's words, and nothing can be sent."""
    page = fill(open_page(), ("814", "18.2"))
    button(page, "Send to Garmin").click().run()
    assert [e.value for e in page.error] == ["The weight must be 2 to 400 kg."]
    assert "Nothing was sent. Correct the marked fields first." in shown(page)
    assert not garmin.weights.visible()


def test_doubtful_value_is_named_before_sending(open_page: Open) -> None:
    """A value that would be left out is named before the weight is sent without it."""
    page = open_preview(fill(open_page(), ("81.4", "182")))
    assert not page.error
    (warning,) = page.warning
    assert "Left out as doubtful: 'body fat'." in warning.value
    assert "The body fat must be 0.1 to 90 %." in warning.value
    assert list(page.table[0].value["sent as"]) == ["weight 81.4"]
    assert button(page, "Send to Garmin")


def test_pounds_and_stones_give_the_same_weight(open_page: Open) -> None:
    """The same weight in pounds and in stones is sent as the same value."""
    page = open_page()
    page.segmented_control(key="unit").set_value("lb")
    page = open_preview(fill(page, ("179.5",)))
    assert list(page.table[0].value["sent as"]) == ["weight 81.42"]
    page = fill(page, ("12 st 11.5 lb",))
    assert list(page.table[0].value["sent as"]) == ["weight 81.42"]


def test_sent_reading_is_confirmed(open_page: Open, garmin: GarminStandIn) -> None:
    """A sent reading is confirmed with the values from Garmin; sending it again makes no second entry."""
    page = fill(open_page())
    button(page, "Send to Garmin").click().run()
    assert "**Arrived in Garmin**  \n81.4 kg, 18.2 % fat · 22 Nov 2026, 06:31" in shown(page)
    assert "81.4" in list(page.table[0].value["in Garmin"])
    assert len(garmin.weights.visible()) == 1
    button(page, "New weigh-in").click().run()
    button(fill(page), "Send to Garmin").click().run()
    assert "**Garmin has it already**" in shown(page)
    assert len(garmin.weights.visible()) == 1


def test_conflict_names_values_before_replacing(open_page: Open, garmin: GarminStandIn) -> None:
    """If Garmin has other values at the same instant, the page says what would be added, changed and removed, and a
    button replaces the entry."""
    page = fill(open_page(), ("81.4", "18.2"))
    button(page, "Send to Garmin").click().run()
    button(page, "New weigh-in").click().run()
    page = fill(page, ("80.4", "", "", "", "", "3.4"))
    button(page, "Send to Garmin").click().run()
    for title, value in (
        ("Would be added", "bone mass 3.4 kg"),
        ("Would be changed", "weight 81.4 kg → 80.4 kg"),
        ("Would be removed, because this reading does not have it", "body fat 18.2 %"),
    ):
        assert f"**{title}**\n\n- {value}" in shown(page)
    assert [entry.raw["weight"] for entry in garmin.weights.visible()] == [8140]
    button(page, "Replace the entry in Garmin").click().run()
    assert "**Arrived in Garmin**  \n80.4 kg" in shown(page)
    assert [(entry.raw["weight"], entry.raw["bone_mass"]) for entry in garmin.weights.visible()] == [(8040, 340)]


def test_time_is_now_until_chosen(open_page: Open, garmin: GarminStandIn) -> None:
    """The time is that of sending until a person chooses another one, and is so again for the next weigh-in."""
    page = open_page()
    for weight in ("81.4", "95.2"):
        page.text_input(key="weight").set_value(weight).run()
        before = datetime.now(UTC).timestamp()
        button(page, "Send to Garmin").click().run()
        assert "**Arrived in Garmin**" in shown(page)
        assert (
            int(before) <= max(entry.instant_s for entry in garmin.weights.visible()) <= datetime.now(UTC).timestamp()
        )
        button(page, "New weigh-in").click().run()
        assert page.segmented_control(key="when").value == "Now"
        wait_for_another_second()


def test_same_values_sent_again_are_the_same_weigh_in(open_page: Open, garmin: GarminStandIn) -> None:
    """The same values, sent again after a fault, keep the time of their first try; other values get a new one."""
    page = open_page()
    page.text_input(key="weight").set_value("81.4").run()
    garmin.faults.add("upload", "503", times=9)
    button(page, "Send to Garmin").click().run()
    first = page.session_state["sent"].at
    wait_for_another_second()
    garmin.faults.clear()
    button(page, "Send to Garmin").click().run()
    assert page.session_state["sent"].at == first
    assert [entry.instant_s for entry in garmin.weights.visible()] == [datetime.fromisoformat(first).timestamp()]


def test_cleared_picker_becomes_now(open_page: Open) -> None:
    """A time that was cleared becomes that of now, which the person sees and can change."""
    page = fill(open_page(), ("81.4",))
    page.time_input(key="clock").set_value(None).run()
    page.date_input(key="day").set_value(None).run()
    assert abs(datetime.now(UTC) - chosen_time(page)) < timedelta(minutes=2)


def test_missing_weight_is_named(open_page: Open) -> None:
    """Values without a weight, and an empty paste, are not passed over in silence."""
    page = fill(open_page(), ("", "18.2"))
    assert ["weight" in error.value for error in page.error] == [True]
    page = fill(page, ("", ""))
    assert not page.error
    assert "Type at least a weight" in shown(page)
    button(page, "Fill the fields").click().run()
    assert "Paste a reading first" in shown(page)


def test_key_is_asked_for_when_needed(open_page: Open) -> None:
    """The page asks for a key only if the function requires one."""
    page = open_page(WEIGHBRIDGE_API_KEYS="home=a-key-for-the-function")
    assert "The function needs a key." in shown(page)
    page.text_input[0].set_value("wrong").run()
    assert page.error
    page.text_input[0].set_value("a-key-for-the-function").run()
    assert not page.error
    page = fill(page, ("81.4",))
    button(page, "Send to Garmin").click().run()
    assert "**Arrived in Garmin**" in shown(page)


def test_key_of_the_server_is_used(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """With WEIGHBRIDGE_KEY nobody types a key; if the function rejects it, the page asks for another."""
    monkeypatch.setenv("WEIGHBRIDGE_KEY", "a-key-for-the-function")
    page = open_page(WEIGHBRIDGE_API_KEYS="home=a-key-for-the-function")
    assert not page.error
    assert "Key of the function" not in [field.label for field in page.text_input]
    button(fill(page, ("81.4",)), "Send to Garmin").click().run()
    assert "**Arrived in Garmin**" in shown(page)
    monkeypatch.setenv("WEIGHBRIDGE_KEY", "an-older-key-of-the-function")
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert page.error
    page.text_input[0].set_value("a-key-for-the-function").run()
    assert not page.error


@pytest.mark.parametrize("key", ["schlüssel", "two words"])
def test_key_unfit_for_a_header_is_refused(open_page: Open, key: str) -> None:
    """A key that does not fit in an HTTP header is refused with a message and not sent."""
    page = open_page(WEIGHBRIDGE_API_KEYS="home=a-key-for-the-function")
    page.text_input[0].set_value(key).run()
    assert not page.exception
    assert "Expected a key of plain letters, digits and punctuation, without spaces." in shown(page)


def test_broken_sign_in_offers_the_file(open_page: Open, garmin: GarminStandIn, tmp_path: Path) -> None:
    """If the sign-in is broken, the page says so and offers the file for download."""
    page = open_page(WEIGHBRIDGE_TOKENS=tmp_path / "missing")
    page = fill(page)
    assert not page.exception
    assert "Connect to Garmin" in shown(page)
    assert "https://connect.garmin.com/app/import-data" in shown(page)
    assert [b.proto.label for b in page.get("download_button")] == ["Download the FIT file"]


@pytest.mark.parametrize("fault", ["412", "429-retry-after", "drop-before"])
def test_garmin_failure_offers_the_file(open_page: Open, garmin: GarminStandIn, fault: str) -> None:
    """If Garmin fails, the page offers the file for import by hand."""
    page = fill(open_page(), ("81.4",))
    garmin.faults.add("upload", fault, times=9)
    button(page, "Send to Garmin").click().run()
    # A function that Garmin asks to wait is not ready, so the page says it at its top, too.
    assert any("Until then, download the file and import it by hand" in error.value for error in page.error)
    assert [b.proto.label for b in page.get("download_button")] == ["Download the FIT file"]


def test_folder_delivery_names_the_file(open_page: Open) -> None:
    """With the folder delivery, the page names the kept file."""
    page = fill(open_page(WEIGHBRIDGE_DELIVERY="folder"))
    assert "Connect to Garmin" in shown(page)
    button(page, "Save the FIT file").click().run()
    assert "**Saved as a file to import**" in shown(page)
    assert "weigh-in_2026-11-22T06-31-00Z_" in shown(page)


def test_unreachable_function_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the function does not run, the page says how to start it and shows no fields."""
    monkeypatch.setenv("WEIGHBRIDGE_URL", f"http://127.0.0.1:{free_port()}")
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert "weighbridge serve" in page.error[0].value
    assert not page.text_input


def test_unusable_paste_changes_no_field(open_page: Open) -> None:
    """A paste of several readings or of unusable text changes no field."""
    page = open_page()
    for text, words in (
        ('[{"weight": 80}, {"weight": 81}]', "Expected one reading, got 2."),
        ("{", "JSON"),
        ("Weight: 8100 kg", "The weight must be 2 to 400 kg."),
    ):
        page.text_area(key="pasted").set_value(text)
        button(page, "Fill the fields").click().run()
        assert words in shown(page)
        assert page.text_input(key="weight").value == ""


@pytest.mark.parametrize("more", [{}, {"measured_at": AT}, {"received_at": AT}])
def test_pasted_reading_without_time_gets_now(open_page: Open, more: dict[str, str]) -> None:
    """A pasted reading without a time gets the time of the page; otherwise it keeps its own."""
    page = open_page()
    page.text_area(key="pasted").set_value(json.dumps({"weight": 80} | more))
    button(page, "Fill the fields").click().run()
    chosen = page.segmented_control(key="when").value
    assert chosen == ("Another time" if more else "Now")
    if more:
        assert chosen_time(page) == datetime.fromisoformat(AT)


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ('{"event": "test"}', "The test arrived."),
        ('{"event": "delete", "date": "2026-11-22T06:31:00Z"}', "would be deleted"),
    ],
)
def test_pasted_event_is_answered(open_page: Open, pasted: str, words: str) -> None:
    """A pasted event without values is answered in the function's words, and changes no field."""
    page = open_page()
    page.text_area(key="pasted").set_value(pasted)
    button(page, "Fill the fields").click().run()
    assert not page.exception
    assert words in shown(page)
    assert "The fields below are filled." not in shown(page)


def test_history_file_is_drawn_and_sent(open_page: Open, garmin: GarminStandIn) -> None:
    """A history file is drawn, its refused rows are named, and a button sends the others."""
    page = open_page()
    days = [{"measured_at": f"2026-10-{day:02}T06:31:00Z", "weight": 80 + day / 10} for day in range(1, 20)]
    lines = "\n".join(json.dumps(day) for day in [*days, {"measured_at": "2026-10-20T06:31:00Z", "weight": 8000}])
    page.file_uploader[0].set_value(("history.ndjson", lines.encode(), "application/x-ndjson")).run()
    assert "JSON lines: 19 of 20 weigh-ins can be sent." in shown(page)
    (refused,) = page.table
    assert refused.value["row"].tolist() == ["20"]
    assert refused.value["why"][0].replace("\\", "").startswith("weight 8000: The weight must be 2 to 400 kg")
    (chart,) = page.get("vega_lite_chart")
    assert "19 weigh-ins from 80.1 to 81.9, the last is 81.9" in str(chart.proto)
    assert not garmin.weights.visible()
    for expected in ("19 of 19: 19 confirmed in Garmin Connect.", "19 of 19: 19 already there."):
        button(page, "Send 19 weigh-ins to Garmin").click().run()
        assert expected in shown(page)
        assert len(garmin.weights.visible()) == 19


def test_unknown_language_is_recognized(open_page: Open) -> None:
    """An export in an unknown language is recognized, and each column can be corrected."""
    page = open_page()
    excel = "application/vnd.ms-excel"
    page.file_uploader[0].set_value(("Fitdays.csv", histories.fitdays("unknown"), excel)).run()
    assert "A table: 8 of 8 weigh-ins can be sent." in shown(page)
    (visceral,) = [
        box for box in page.selectbox if box.label.startswith("xy5: visceral fat, recognized by its position")
    ]
    visceral.set_value("(left out)").run()
    assert "xy5: left out" in [box.label for box in page.selectbox]
    page.file_uploader[0].set_value(("other.csv", b"Zeit;Masse (kg)\n2022-11-22 07:31;81,4\n", "text/csv")).run()
    assert "No column is recognized as the weight. Choose it below." in shown(page)
    for header, word in (("Zeit", "time"), ("Masse (kg)", "weight")):
        (box,) = [box for box in page.selectbox if box.label.startswith(header)]
        box.set_value(word).run()
    assert "A table: 1 of 1 weigh-ins can be sent." in shown(page)


def test_unclear_dates_are_asked_about(open_page: Open) -> None:
    """If the day or the month may come first, the page asks which."""
    page = open_page()
    page.file_uploader[0].set_value(("us.csv", b"date,weight (kg)\n03/04/2022 07:31,81.4\n", "text/csv")).run()
    (question,) = [control for control in page.segmented_control if "day or the month first" in control.label]
    question.set_value("month first").run()
    assert "A table: 1 of 1 weigh-ins can be sent." in shown(page)
    page.run()
    assert "A table: 1 of 1 weigh-ins can be sent." in shown(page)  # the answer is still there


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 not an archive", "The spreadsheet cannot be read."),
        (b"<html/>", "Expected an Apple Health export"),
    ],
)
def test_unreadable_file_says_why(open_page: Open, data: bytes, words: str) -> None:
    """A file that cannot be read shows the reason."""
    page = open_page()
    page.file_uploader[0].set_value(("file.xls", data, "application/octet-stream")).run()
    assert words in shown(page)


def test_choice_that_a_browser_lost(open_page: Open, garmin: GarminStandIn, tmp_path: Path) -> None:
    """A busy browser may report that nothing is chosen. Then the unit, the time and the person are those that the page
    remembers, the weigh-in arrives, and nothing that was typed is lost."""
    for token in ("anna", "ben"):
        garmin.write_token(tmp_path / "tokens", token)
    page = open_page(WEIGHBRIDGE_PEOPLE=ROOT / "examples" / "people.toml")
    page.segmented_control(key=PERSON).set_value("Ben").run()
    page.segmented_control(key="unit").set_value("lb").run()
    page.text_input(key="weight").set_value("180")
    for key in ("unit", "when", PERSON):
        page.segmented_control(key=key).set_value(None).run()
        assert not page.exception, key
    assert [page.segmented_control(key=key).value for key in ("unit", "when", PERSON)] == ["lb", "Now", "Ben"]
    assert page.text_input(key="weight").value == "180"
    button(page, "Send to Garmin").click().run()
    assert not page.exception
    assert [entry.raw["weight"] for entry in garmin.weights_of["ben"].visible()] == [pytest.approx(8165, abs=1)]


def test_people_of_one_function_stay_apart(open_page: Open, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Each person of one function sees and changes only their own account."""
    for token in ("anna", "ben"):
        garmin.write_token(tmp_path / "tokens", token)
    page = open_page(WEIGHBRIDGE_PEOPLE=ROOT / "examples" / "people.toml")
    for name, weight in (("Ben", "90"), ("Anna", "60")):
        page.segmented_control(key="person of the function").set_value(name).run()
        assert "Garmin has no weigh-ins in this period." in shown(page)
        button(fill(page, (weight,)), "Send to Garmin").click().run()
        assert "**Arrived in Garmin**" in shown(page)
        assert button(page, "22 Nov 2026").label.endswith(f"**{weight} kg**")
    held = {name: [entry.raw["weight"] for entry in garmin.weights_of[name].visible()] for name in ("anna", "ben", "")}
    assert held == {"anna": [6000], "ben": [9000], "": []}
    days = "\n".join(f'{{"time": "2026-10-{day:02}T06:31:00Z", "weight": 69}}' for day in range(1, 4))
    page.file_uploader[0].set_value(("history.jsonl", days.encode(), "application/x-ndjson")).run()
    button(page, "Send 3 weigh-ins to Garmin").click().run()
    assert [len(garmin.weights_of[name].visible()) for name in ("anna", "ben")] == [4, 1]


def test_pasted_reading_of_several_people(open_page: Open, garmin: GarminStandIn, tmp_path: Path) -> None:
    """A pasted reading that may be several people's, or nobody's, is asked about, and the answer chooses the person;
    another person's fills no field."""
    for token in ("anna", "ben"):
        garmin.write_token(tmp_path / "tokens", token)
    page = open_page(WEIGHBRIDGE_PEOPLE=ROOT / "examples" / "people.toml")
    page.segmented_control(key="person of the function").set_value("Ben").run()
    for pasted, said in (
        ({"weight": 60}, "This weigh-in is Anna's. Choose Anna at the top, and fill the fields again."),
        ({"weight": 68}, "This weight fits several people: Anna, Ben."),
        ({"weight": 178}, "This weight fits nobody who is known here."),
    ):
        page.text_area(key="pasted").set_value(json.dumps(pasted))
        button(page, "Fill the fields").click().run()
        assert said in shown(page)
        assert page.text_input(key="weight").value == ""
    for name, weight in (("Anna", "67"), ("Ben", "68")):
        page.text_area(key="pasted").set_value(json.dumps({"weight": weight}))
        button(page, "Fill the fields").click().run()
        button(page, name).click().run()
        assert "The fields above are filled." in shown(page)
        assert page.segmented_control(key="person of the function").value == name
        assert page.text_input(key="weight").value == f"{weight} kg"
        button(page, "Send to Garmin").click().run()
        assert "**Arrived in Garmin**" in shown(page)
    held = [[entry.raw["weight"] for entry in garmin.weights_of[name].visible()] for name in ("anna", "ben")]
    assert held == [[6700], [6800]]


def test_typed_weigh_in_of_several_people(open_page: Open, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Where the key of the page may only send, a weigh-in that fits two is asked about, and the answer sends it; what
    the answer brings to light is shown first."""
    for token in ("anna", "ben"):
        garmin.write_token(tmp_path / "tokens", token)
    key = "page:send=a-key-for-the-function"
    page = open_page(WEIGHBRIDGE_PEOPLE=ROOT / "examples" / "people.toml", WEIGHBRIDGE_API_KEYS=key)
    page.text_input(key="key ").set_value("a-key-for-the-function").run()
    for name, values, taps in (("Anna", ("68",), 1), ("Ben", ("178", "182"), 2)):
        page = fill(page, values)
        assert "Whose weigh-in is this?" in shown(page)
        assert "Send to Garmin" not in [each.label for each in page.button]
        button(page, name).click().run()
        if taps == 2:
            assert "Left out as doubtful: 'body fat'." in page.warning[0].value
            button(page, "Send to Garmin").click().run()
        assert f"**Arrived in Garmin**  \n{name} · {values[0]} kg" in shown(page)
        button(page, "New weigh-in").click().run()
    held = [[entry.raw["weight"] for entry in garmin.weights_of[name].visible()] for name in ("anna", "ben")]
    assert held == [[6800], [17800]]


def test_banner_warns_before_the_sign_in_ends(open_page: Open, garmin: GarminStandIn) -> None:
    """A banner says when the sign-in ends soon."""
    garmin.sign_in.refresh_token_lifetime_s = 3.04 * 86_400
    assert "The sign-in to Garmin ends in 3 days." in shown(open_page())


def test_readme_names_buttons_and_address() -> None:
    """The README names each button and the default address."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    page = "".join(file.read_text(encoding="utf-8") for file in APP.parent.glob("*.py"))
    for words in ("Download the FIT file", "Send to Garmin", "Save the correction", "Delete", "Undo"):
        assert words in readme
        assert words in page
    (address,) = [variable for variable in VARIABLES if variable.name == "WEIGHBRIDGE_URL"]
    assert f"| `{address.name}` | `{address.default}` |" in readme
