"""Any bytes give payloads or a `CallerFault`, and numbers stay exactly as they were written."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import CallerFault, MediaTypeUnsupported, NotJson, TooLarge
from weighbridge.http.body import LARGEST_BODY_BYTES, Payloads, parse_json, read_body
from weighbridge.reading.bodies import Item

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
MEDIA_TYPES = st.sampled_from(
    ["application/json", "application/x-ndjson", "application/cloudevents+json", "text/plain", FORM, MULTIPART]
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
        assert (payloads.items, payloads.occurred_at or None) == ([Item({"weight": 81})], occurred_at)


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


# -- forms -------------------------------------------------------------------------------------------------


def only(payloads: Payloads) -> object:
    """The one payload of a body that is not a list."""
    assert not payloads.many
    (item,) = payloads.items
    assert len(payloads.documents) == 1
    return item.payload


FIELDS = {"weight": "81,4 kg", "body fat": "18.2 %", "time": "2026-11-21T06:31:00+01:00", "name": "Jörg & Ben"}


def multipart(fields: dict[str, str], boundary: str = "x") -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return f"{''.join(parts)}--{boundary}--\r\n".encode()


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (urlencode(FIELDS).encode(), FORM),
        (urlencode(FIELDS).replace("%2B", "+").encode(), FORM),
        (urlencode(FIELDS).encode() + b"\n", f"{FORM}; charset=UTF-8"),
        (multipart(FIELDS), MULTIPART),
        (multipart(FIELDS, "----A b'c"), 'Multipart/Form-Data; charset=utf-8; boundary="----A b\'c"'),
        (json.dumps(FIELDS).encode(), FORM),
        (json.dumps(FIELDS).encode(), "text/plain; charset=utf-8"),
    ],
    ids=["form", "plus not escaped", "line break", "multipart", "quoted boundary", "JSON as a form", "JSON as text"],
)
def test_form(body: bytes, media_type: str) -> None:
    """The fields of a form are the reading, as the same JSON is."""
    assert only(read_body(body, media_type, {})) == FIELDS


@pytest.mark.parametrize(
    ("body", "media_type", "sentence"),
    [
        (b"", FORM, "The body is empty"),
        (b"hello", FORM, "The body is not valid JSON"),
        (b'{"weight": 81.4', FORM, "The body is not valid JSON"),
        (b"weight=81.4&weight=81.5", FORM, "Duplicate key 'weight'"),
        (b"weight=%ff", FORM, "not valid UTF-8"),
        (b"weight=\xff", FORM, "not valid UTF-8"),
        (b"{}", MULTIPART, "The form has no fields"),
        (multipart(FIELDS)[:-6], MULTIPART, "ends too early"),
        (
            multipart({"weight": "81.4"}).replace(b'"weight"', b'"weight"; filename="a.json"'),
            MULTIPART,
            "without files",
        ),
        (multipart({"weight": "81.4"}), "multipart/form-data", "The form has no fields"),
    ],
)
def test_bad_form(body: bytes, media_type: str, sentence: str) -> None:
    """A form that cannot be read is a `NotJson` that says why."""
    with pytest.raises(NotJson, match=sentence):
        read_body(body, media_type, {})


@pytest.mark.parametrize("media_type", [FORM, MULTIPART])
def test_form_with_too_many_fields(media_type: str) -> None:
    """A form has at most as many fields as an object has names."""
    fields = {str(n): "" for n in range(501)}
    with pytest.raises(TooLarge):
        read_body(urlencode(fields).encode() if media_type == FORM else multipart(fields), media_type, {})


# -- content encodings ---------------------------------------------------------------------------------------

GZIP = {"content-encoding": "gzip"}


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " x-gzip "])
def test_gzip(encoding: str) -> None:
    """A body encoded as gzip is the same body."""
    body = gzip.compress(json.dumps(FIELDS).encode())
    assert only(read_body(body, None, {"content-encoding": encoding})) == FIELDS


def test_gzip_up_to_the_limit() -> None:
    """The limit holds for the inflated body, exactly."""
    fits = json.dumps(FIELDS).encode().ljust(LARGEST_BODY_BYTES)
    assert only(read_body(gzip.compress(fits), None, GZIP)) == FIELDS
    with pytest.raises(TooLarge, match="when it is inflated"):
        read_body(gzip.compress(fits + b" "), None, GZIP)


def test_bomb_is_not_inflated() -> None:
    """A small body that would be 64 MiB takes no more memory than the limit allows."""
    bomb = gzip.compress(bytes(1 << 26), compresslevel=9)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            read_body(bomb, None, GZIP)
        assert tracemalloc.get_traced_memory()[1] < 4 * LARGEST_BODY_BYTES + len(bomb)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        zlib.compress(b"{}"),
        gzip.compress(b"{}")[:-1],
        gzip.compress(b"{}") + b"more",
        gzip.compress(b"{}") * 2,
        gzip.compress(b"{}")[:-5] + b"00000",
    ],
    ids=["empty", "JSON", "zlib", "short", "long", "twice", "wrong checksum"],
)
def test_bad_gzip(body: bytes) -> None:
    """A body that is not gzip, though its header says so, is a `NotJson`."""
    with pytest.raises(NotJson, match="gzip"):
        read_body(body, None, GZIP)


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x" * 500])
def test_other_encodings(encoding: str) -> None:
    """Another content encoding is refused, with the one that is understood."""
    with pytest.raises(MediaTypeUnsupported, match="as gzip") as fault:
        read_body(b"{}", None, {"content-encoding": encoding})
    assert len(str(fault.value)) < 200


# -- documents -> items ----------------------------------------------------------------------------------------


def test_order_of_items_and_faults() -> None:
    """Each document has one entry, in order: the result of its item, those of several, or its fault."""
    batch = {"event": "insert", "measurements": [{"weight": 1}, {"weight": 2}]}
    lines = [batch, {"event": "?"}, {"weight": 3}]
    body = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n{"
    payloads = read_body(body, "application/x-ndjson", {})
    results = payloads.results([item.payload for item in payloads.items])
    kinds = [type(result).__name__ if isinstance(result, CallerFault) else result for result in results]
    assert kinds == [[{"weight": 1}, {"weight": 2}], "ReadingRejected", {"weight": 3}, "NotJson"]


def test_body_with_too_many_weigh_ins() -> None:
    """The limit of readings holds for what is in a body, too."""
    rows = [{"samplePk": 1, "weight": 1}] * 10_001
    with pytest.raises(TooLarge, match="10001 readings"):
        read_body(json.dumps({"dateWeightList": rows}).encode(), None, {})


def test_payloads_that_make_a_file() -> None:
    """A test in a list is left out of a file, and a deletion is refused."""
    test, reading = {"event": "test"}, {"weight": 81.4}
    body = json.dumps([test, reading]).encode()
    assert read_body(body, None, {}).weigh_ins() == [{"weight": Decimal("81.4")}]
    deletion = json.dumps({"event": "delete", "date": "2026-11-21T05:31:00Z"}).encode()
    with pytest.raises(CallerFault):
        read_body(deletion, None, {}).weigh_ins()
