"""What the outbox stores of a message: its JSON to the last digit, or its text and a reason. Never an exception."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge_outbox.message import read, read_message


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_become_json_or_text(payload: bytes) -> None:
    """Any bytes become either unchanged JSON or text with a reason."""
    contents = read(payload)
    held = json.loads(contents.json)
    if contents.fault is None:
        assert contents.json.encode() == payload.removeprefix(b"\xef\xbb\xbf")
        assert isinstance(held, dict)
    else:
        assert held == payload.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none()))
def test_every_storable_object_is_taken(values: dict[str, object]) -> None:
    """Every JSON object is taken, unless Postgres cannot store it."""
    text = json.dumps(values, ensure_ascii=False)
    storable = "\0" not in "".join([*values, *(value for value in values.values() if isinstance(value, str))])
    if "\\u0000" not in text or not storable:
        assert (read(text.encode("utf-8", "surrogatepass")).fault is None) == storable


@pytest.mark.parametrize("number", ["81.4", "81.40", "-0.0", "1e3", "1.7e9", "123456789012345678901234567890"])
def test_number_stays_as_written(number: str) -> None:
    """A number keeps its digits and its notation."""
    assert read(f'{{"weight": {number}}}'.encode()).json == f'{{"weight": {number}}}'


@pytest.mark.parametrize(
    "number",
    [
        "1e999999",
        "1e301",
        "-1e400",
        "1e-999999",
        "1e99999999999999999999",
        "0." + "1" * 50,
        "NaN",
        "-Infinity",
        "9" * 5000,
    ],
)
def test_number_out_of_range_is_stored_as_text(number: str) -> None:
    """JSON with a number that Postgres cannot store is stored as text."""
    contents = read(f'{{"weight": {number}}}'.encode())
    assert contents.fault
    assert json.loads(contents.json) == f'{{"weight": {number}}}'


@pytest.mark.parametrize(
    ("topic", "payload", "scale", "row"),
    [
        ("scale/sensor/weight/state", b"81.40", "scale/sensor/state", '{"weight": 81.40}'),
        ("scale/sensor/body_fat/state", b"18.2 %", "scale/sensor/state", '{"body_fat": "18.2 %"}'),
        ("scale/sensor/impedance/state", b"503", "scale/sensor/state", '{"impedance": 503}'),
        ("zigbee/weight", b'"81,4 kg"', "zigbee", '{"weight": "81,4 kg"}'),
        ("scale/weight/state", b"nan", "scale/state", '{"weight": "nan"}'),
        ("weight/scale/bone_mass", b"null", "weight/scale", '{"bone_mass": null}'),
    ],
)
def test_value_alone_is_named_by_its_topic(topic: str, payload: bytes, scale: str, row: str) -> None:
    """A value alone is the value that its topic names, of the scale that the rest of the topic names."""
    rows = read_message(topic, payload)
    assert (rows.scale, [each.json for each in rows.rows]) == (scale, [row])
    assert rows.rows[0].state == "waiting"
    assert not rows.rows[0].once


@pytest.mark.parametrize("topic", ["scale/anna", "scale/uptime", "scale/target_weight/state", "state"])
def test_value_without_a_name_is_parked(topic: str) -> None:
    """A number on a topic that names no value is parked with the reason."""
    (row,) = read_message(topic, b"81.4").rows
    assert row.state == "parked"
    assert row.fault
    assert "needs a topic that names it" in row.fault["detail"]


@pytest.mark.parametrize("payload", [b"on", b"true", b"[81.4]", b"2026-11-22", b""])
def test_other_message_is_parked(payload: bytes) -> None:
    """A message that is neither an object nor a number is parked, whatever its topic."""
    (row,) = read_message("scale/weight", payload).rows
    assert row.state == "parked"


def test_backslash_before_u0000_is_text() -> None:
    """A text with a backslash before u0000 can be stored; a NUL cannot."""
    assert read(rb'{"weight": 81.4, "note": "\\u0000"}').fault is None
    assert read(rb'{"weight": 81.4, "note": "\u0000"}').fault
    assert read(rb'{"weight": 81.4, "note": "\\\u0000"}').fault


def test_whole_body_becomes_rows() -> None:
    """A body of another program becomes one row an item; what it asks for is in the row."""
    measurement = {"date": "2026-11-22T06:31:00Z", "weight": 81.4}
    for event, action, state in (
        ("insert", "weigh_in", "waiting"),
        ("update", "replace", "waiting"),
        ("delete", "take_back", "waiting"),
        ("test", "weigh_in", "nothing"),
    ):
        document = json.dumps({"event": event, **measurement})
        rows = read_message("scale/phone", document.encode())
        assert rows.received == document
        assert [(row.action, row.state) for row in rows.rows] == [(action, state)]
        assert rows.rows[0].once == (event == "insert")
    batch = {"event": "insert", "measurements": [measurement, {"weight": 60.2}]}
    rows = read_message("scale/phone", json.dumps(batch).encode())
    assert [row.once for row in rows.rows] == [True, False]


def test_events_of_one_program_are_of_one_scale() -> None:
    """The topics of openScale-sync, one for each event, are one scale, so that its messages keep their order."""
    body = b'{"date": "2026-11-22T06:31:00Z", "weight": 81.4}'
    rows = [read_message(f"openScaleSync/measurements/{event}", body) for event in ("insert", "update", "delete")]
    assert {each.scale for each in rows} == {"openScaleSync/measurements"}
    assert [row.action for each in rows for row in each.rows] == ["weigh_in", "replace", "take_back"]


def test_unknown_event_goes_to_the_function() -> None:
    """An event that is not known is one row as it came: the function says why it is rejected."""
    (row,) = read_message("scale/phone", b'{"event": "explode", "weight": 81.4}').rows
    assert (row.state, json.loads(row.json)) == ("waiting", {"event": "explode", "weight": 81.4})
