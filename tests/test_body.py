"""Any bytes give payloads or a `CallerFault`, and numbers stay exactly as they were written."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import CallerFault, NotJson
from weighbridge.http.body import parse_json, read_body

MEDIA_TYPES = st.sampled_from(
    ["application/json", "application/x-ndjson", "application/cloudevents+json", "application/x-www-form-urlencoded"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(body=st.binary(), media_type=MEDIA_TYPES)
def test_any_bytes(body: bytes, media_type: str) -> None:
    """Any bytes give payloads or a `CallerFault`."""
    try:
        read_body(body, media_type, {})
    except CallerFault as fault:
        assert str(fault)


@given(value=JSON, media_type=MEDIA_TYPES)
def test_any_json(value: object, media_type: str) -> None:
    """Any JSON gives payloads or a `CallerFault`."""
    try:
        read_body(json.dumps(value).encode(), media_type, {})
    except CallerFault as fault:
        assert str(fault)


@given(value=JSON)
def test_json_equals_the_standard_library(value: object) -> None:
    """Valid JSON gives the same value as `json.loads`."""
    assert parse_json(json.dumps(value).encode()) == value


@given(whole=st.integers(0, 10**6), hundredths=st.integers(0, 99))
def test_numbers_are_exact(whole: int, hundredths: int) -> None:
    """A number with decimals is exactly the one that was written."""
    assert parse_json(f"{whole}.{hundredths:02}".encode()) == Decimal(100 * whole + hundredths) / 100


WRAPPED = {"message": {"data": "eyJ3ZWlnaHQiOiA4MX0=", "publishTime": "2026-11-22T07:00:00Z"}}  # {"weight": 81}


@pytest.mark.parametrize(
    ("event", "occurred_at"),
    [
        ({"data": {"weight": 81}}, None),
        ({"data": {"weight": 81}, "time": "2026-11-22T06:31:00Z"}, "2026-11-22T06:31:00Z"),
        ({"data": WRAPPED}, "2026-11-22T07:00:00Z"),
        ({"data": WRAPPED, "time": "2026-11-22T06:31:00Z"}, "2026-11-22T06:31:00Z"),
        ({"data": {"weight": 81}, "time": "soon"}, "soon"),
    ],
)
def test_time_of_an_event(event: dict[str, object], occurred_at: object) -> None:
    """The time of an event is handed on as it came, in both modes: what it means is decided with the reading."""
    structured = read_body(json.dumps(event | {"specversion": "1.0"}).encode(), "application/cloudevents+json", {})
    headers = {"ce-specversion": "1.0"} | ({"ce-time": str(event["time"])} if "time" in event else {})
    binary = read_body(json.dumps(event["data"]).encode(), "application/json", headers)
    for payloads in (structured, binary):
        assert (dict(payloads.items), payloads.occurred_at or None) == ({0: {"weight": 81}}, occurred_at)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is empty"),
        (b"{", "line 1, column 2"),
        (b'{"a": 1, "b": 2, "a": 3}', "Duplicate key 'a'"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b"\xff", "byte 0"),
        (b"1" * 41, "41 characters"),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_fault_names_the_problem(body: bytes, sentence: str) -> None:
    """The message of a `NotJson` says what is wrong with the body."""
    with pytest.raises(NotJson, match=sentence):
        parse_json(body)


DECIMAL_COMMA = 'A decimal comma is not valid JSON: write 81.4, or "81,4" in quotes'


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"weight": 77,6}', f"{DECIMAL_COMMA} (line 1, column 15)."),
        ('{"weight": 77,6, "fat": 18,2}', f"{DECIMAL_COMMA} (line 1, column 15)."),
        ('{\n  "weight": 77,6 kg\n}', f"{DECIMAL_COMMA} (line 2, column 16)."),
        ('[{"weight": 77,6}]', f"{DECIMAL_COMMA} (line 1, column 16)."),
        ("77,6", f"{DECIMAL_COMMA} (line 1, column 3)."),
        ('{"a": 1, 2}', "The body is not valid JSON: a name in double quotes was expected (line 1, column 10)."),
        ('{"a": [1,2}', "The body is not valid JSON: a comma or a closing bracket is missing (line 1, column 11)."),
        ("[1,2", "The body is not valid JSON: a comma or a closing bracket is missing (line 1, column 5)."),
        ('{"a": 1', "The body is not valid JSON: a comma or a closing bracket is missing (line 1, column 8)."),
        ('{"a": 1 "b": 2}', "The body is not valid JSON: a comma or a closing bracket is missing (line 1, column 9)."),
        ('{"a" 1}', "The body is not valid JSON: a colon is missing after a name (line 1, column 6)."),
        ('{"a": }', "The body is not valid JSON: a value is missing (line 1, column 7)."),
        ("weight=77.6", "The body is not valid JSON: a value is missing (line 1, column 1)."),
        ('{"a": 1} {}', "The body is not valid JSON: there is something after the end (line 1, column 10)."),
        ('{"a": "b}', "The body is not valid JSON: a text has no closing quote (line 1, column 7)."),
        ('{"a": ",\n}"}', "The body is not valid JSON: a text contains a line break or another control character"),
    ],
)
def test_syntax_error_in_words(body: str, sentence: str) -> None:
    """A syntax error is explained in plain words, with its place, and without what came."""
    with pytest.raises(NotJson) as fault:
        parse_json(body.encode())
    assert str(fault.value).startswith(sentence)
    assert "77" not in str(fault.value)


@pytest.mark.parametrize(
    ("body", "closing", "line"),
    [('{"a": 1,}', "}", 1), ("[1,]", "]", 1), ('{"a": [{}, ],}', "]", 1), ('{\n "a": 1,\n}\n', "}", None)],
)
def test_trailing_comma_in_words(body: str, closing: str, line: int | None) -> None:
    """A comma before a closing bracket is named as one too many; where exactly depends on Python's release."""
    with pytest.raises(NotJson) as fault:
        parse_json(body.encode())
    assert str(fault.value).startswith(f"A comma too many before {closing} (line {line or ''}")


def test_byte_order_mark_is_ignored() -> None:
    """A byte order mark before the JSON is ignored."""
    assert parse_json("\ufeff{}".encode()) == {}


def test_long_key_makes_a_short_fault() -> None:
    """The message about a duplicate key stays short, however long the key is."""
    with pytest.raises(NotJson) as fault:
        parse_json(b'{"%b": 1, "%b": 2}' % (b"k" * 9000, b"k" * 9000))
    assert len(str(fault.value)) < 200
