"""What the outbox stores of a message: its JSON to the last digit, or its text and a reason. Never an exception."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge_outbox.message import read


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
