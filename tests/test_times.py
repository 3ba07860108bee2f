"""A time, however it is written, is one instant or is rejected; without one, the receipt or the arrival counts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.interpreting import ARRIVAL, NOW, instant, notes, only_error, short, understood
from weighbridge.notes import Code
from weighbridge.reading.dialects import DIALECTS, Role

SIX_THIRTY_ONE = "2026-11-21T05:31:00+00:00"


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-21T06:31:00+01:00",
        "2026-11-21T05:31:00Z",
        "2026-11-21t05:31:00z",
        "2026-11-21 05:31:00+00:00",
        "2026-11-21T06:31+0100",
        "2026-11-21T05:31:00.999999Z",
        "20261121T053100Z",
        "2026-11-21T06:31:00",
        "2026-11-21 06:31",
        " 2026-11-21 06:31 ",
        "06:31 21/11/2026",
        "06:31:00 21/11/2026",
        1795239060,
        1795239060000,
        "1795239060",
        "1795239060.75",
        "1795239060999",
        Decimal("1795239060.75"),
        1795239060.75,
    ],
)
def test_an_instant_may_be_written_in_any_of_these_ways(written: object) -> None:
    assert instant({"weight": 81.4, "time": written}) == SIX_THIRTY_ONE


@pytest.mark.parametrize(
    "key", [key for dialect in DIALECTS.values() for key, meaning in dialect.items() if meaning is Role.TIME]
)
def test_every_key_of_a_time_is_one(key: str) -> None:
    assert instant({"weight": 81.4, key: 1795239060}) == SIX_THIRTY_ONE


@pytest.mark.parametrize("date", ["2026-11-21", "20261121", "2026-W47-6", "2026-W47"])
def test_a_date_without_a_time_is_rejected(date: str) -> None:
    assert only_error({"weight": 81.4, "date": date}).message == "The time of day is missing; Garmin needs the instant."


@pytest.mark.parametrize(
    "written",
    ["noon", "06:31", "31/12/2026", "25:31 21/11/2026", "2026-13-01T00:00", "2026-11-21T06:31+99:00",
     "0001-01-01T00:00", "x" * 10**6, True, [1], {}, 10**30, 10**5000, float("nan"), Decimal("1E+999999999"),
     "99999999999999"],
    ids=short,
)  # fmt: skip
def test_what_is_no_instant_is_rejected(written: object) -> None:
    assert only_error({"weight": 81.4, "Time": written}).field == "Time"


def test_without_a_time_the_arrival_counts_and_is_noted() -> None:
    for payload in ({"weight": 81.4}, {"weight": 81.4, "time": None}, {"weight": 81.4, "time": "unknown"}):
        interpreted = understood(payload)
        assert interpreted.reading.measured_at == NOW
        assert notes(interpreted) == [ARRIVAL]


# -- received_at -----------------------------------------------------------------------------------------

EARLIER = "2026-11-21T05:31:00Z"


@pytest.mark.parametrize("own", [{}, {"time": None}, {"Date": "unknown"}], ids=["none", "null", "unknown"])
@pytest.mark.parametrize("key", ["received_at", "Received At", "receivedAt"])
def test_the_time_of_receipt_counts_where_there_is_no_other(own: dict[str, object], key: str) -> None:
    interpreted = understood({"weight": 81.4, key: EARLIER} | own)
    assert interpreted.reading.measured_at.isoformat() == SIX_THIRTY_ONE
    assert notes(interpreted) == [(Code.TIME_OF_RECEIPT, f"No time was given, so {key!a} counts.")]


@pytest.mark.parametrize(
    "received", [EARLIER, "2026-11-20T05:31:00Z", "soon", "2999-01-01T00:00:00Z", "2026-11-21", 7, None, [EARLIER]]
)
def test_a_reading_with_a_time_of_its_own_is_the_same_whatever_was_received_when(received: object) -> None:
    """So a caller may always add it: a retry an hour later is the same file."""
    timed = {"weight": 81.4, "time": EARLIER}
    assert understood(timed | {"received_at": received}) == understood(timed)
    assert understood({"received_at": received} | timed) == understood(timed)


@pytest.mark.parametrize(
    ("received", "words"),
    [
        ("soon", "A time was expected"),
        ("2026-11-21", "The time of day is missing"),
        ("2026-11-23T07:05:01Z", "more than five minutes from now"),
        ("1999-12-31T23:59:59Z", "before the year 2000"),
        (True, "A time was expected"),
    ],
)
def test_a_time_of_receipt_that_cannot_be_is_rejected_where_it_would_count(received: object, words: str) -> None:
    error = only_error({"weight": 81.4, "received_at": received})
    assert (error.field, error.input) == ("received_at", received)
    assert words in error.message


def test_an_own_time_that_is_not_understood_is_rejected_and_not_replaced_by_the_receipt() -> None:
    assert only_error({"weight": 81.4, "time": "noon", "received_at": EARLIER}).field == "time"


def test_a_receipt_that_is_missing_is_the_arrival() -> None:
    assert notes(understood({"weight": 81.4, "received_at": "unknown"})) == [ARRIVAL]


# -- limits ----------------------------------------------------------------------------------------------


def test_five_minutes_ahead_is_a_clock_and_a_second_more_is_rejected() -> None:
    ahead = NOW + timedelta(minutes=5)
    assert understood({"weight": 81.4, "time": ahead.isoformat()}).reading.measured_at == ahead
    error = only_error({"weight": 81.4, "time": (ahead + timedelta(seconds=1)).isoformat()})
    assert error.message.startswith("This is 2026-11-23T07:05:01Z, which is before the year 2000 or more than five min")


def test_the_year_2000_is_the_first() -> None:
    assert instant({"weight": 81.4, "time": "2000-01-01T00:00:00Z"}) == "2000-01-01T00:00:00+00:00"
    assert only_error({"weight": 81.4, "time": "1999-12-31T23:59:59Z"}).field == "time"
    assert only_error({"weight": 81.4, "time": 0}).field == "time"


def test_two_times_must_be_one_instant() -> None:
    same = {"weight": 81.4, "timestamp": 1795239060, "time": "2026-11-21T05:31:00.5Z"}
    assert instant(same) == SIX_THIRTY_ONE
    error = only_error(same | {"time": "2026-11-21T05:32:00Z"})
    assert (error.field, error.message) == ("time", "'timestamp' says another instant.")


@pytest.mark.parametrize(
    ("local", "utc", "note"),
    [
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59+00:00", None),
        (
            "2026-03-29T02:30:00",
            "2026-03-29T01:30:00+00:00",
            (
                Code.HOUR_SKIPPED,
                "'time': This hour did not come in Europe/Berlin; 03:30 was taken. An offset would tell.",
            ),
        ),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00+00:00", None),
        ("2026-10-25T01:59:59", "2026-10-24T23:59:59+00:00", None),
        (
            "2026-10-25T02:30:00",
            "2026-10-25T00:30:00+00:00",
            (
                Code.HOUR_TWICE,
                "'time': This hour came twice in Europe/Berlin; the first one was taken. An offset would tell.",
            ),
        ),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00+00:00", None),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00+00:00", None),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00+00:00", None),
    ],
)
def test_on_a_day_of_clock_change_the_rule_is_applied_and_noted(
    local: str, utc: str, note: tuple[Code, str] | None
) -> None:
    interpreted = understood({"weight": 81.4, "time": local})
    assert interpreted.reading.measured_at.isoformat() == utc
    assert notes(interpreted) == ([note] if note else [])


def test_a_time_without_an_offset_is_in_the_configured_zone() -> None:
    payload = {"weight": 81.4, "time": "2026-11-21T06:31:00"}
    assert instant(payload, ZoneInfo("UTC")) == "2026-11-21T06:31:00+00:00"
    assert instant(payload, ZoneInfo("Asia/Kolkata")) == "2026-11-21T01:01:00+00:00"
