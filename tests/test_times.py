"""A time, however it is written, is one instant or is rejected; without one, the receipt or the arrival is used."""

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
def test_instant_in_any_form(written: object) -> None:
    """An instant is understood in any of these forms."""
    assert instant({"weight": 81.4, "time": written}) == SIX_THIRTY_ONE


@pytest.mark.parametrize(
    "key", [key for dialect in DIALECTS.values() for key, meaning in dialect.items() if meaning is Role.TIME]
)
def test_every_time_key(key: str) -> None:
    """Each key that a dialect has for the time is understood."""
    assert instant({"weight": 81.4, key: 1795239060}) == SIX_THIRTY_ONE


@pytest.mark.parametrize("date", ["2026-11-21", "20261121", "2026-W47-6", "2026-W47"])
def test_date_without_a_time(date: str) -> None:
    """A date without a time of day is rejected."""
    assert only_error({"weight": 81.4, "date": date}).message == "The time of day is missing; Garmin needs the instant."


@pytest.mark.parametrize(
    "written",
    ["noon", "06:31", "31/12/2026", "25:31 21/11/2026", "2026-13-01T00:00", "2026-11-21T06:31+99:00",
     "0001-01-01T00:00", "x" * 10**6, True, [1], {}, 10**30, 10**5000, float("nan"), Decimal("1E+999999999"),
     "99999999999999"],
    ids=short,
)  # fmt: skip
def test_invalid_instant(written: object) -> None:
    """A value that is not an instant is rejected under the caller's key."""
    assert only_error({"weight": 81.4, "Time": written}).field == "Time"


def test_no_time_means_arrival() -> None:
    """Without a time, the time of arrival is used, and a note says so."""
    for payload in ({"weight": 81.4}, {"weight": 81.4, "time": None}, {"weight": 81.4, "time": "unknown"}):
        interpreted = understood(payload)
        assert interpreted.reading.measured_at == NOW
        assert notes(interpreted) == [ARRIVAL]


# -- received_at -----------------------------------------------------------------------------------------

EARLIER = "2026-11-21T05:31:00Z"


@pytest.mark.parametrize("own", [{}, {"time": None}, {"Date": "unknown"}], ids=["none", "null", "unknown"])
@pytest.mark.parametrize("key", ["received_at", "Received At", "receivedAt"])
def test_received_at_without_a_time(own: dict[str, object], key: str) -> None:
    """Without a time, `received_at` is used, and a note says so."""
    interpreted = understood({"weight": 81.4, key: EARLIER} | own)
    assert interpreted.reading.measured_at.isoformat() == SIX_THIRTY_ONE
    assert notes(interpreted) == [(Code.TIME_OF_RECEIPT, f"No time was given, so {key!a} is used.")]


@pytest.mark.parametrize(
    "received", [EARLIER, "2026-11-20T05:31:00Z", "soon", "2999-01-01T00:00:00Z", "2026-11-21", 7, None, [EARLIER]]
)
def test_received_at_next_to_a_time(received: object) -> None:
    """Next to a time, `received_at` has no effect, so a caller may always add it: a retry is the same file."""
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
def test_invalid_received_at(received: object, words: str) -> None:
    """An invalid `received_at` is rejected if it would be used."""
    error = only_error({"weight": 81.4, "received_at": received})
    assert (error.field, error.input) == ("received_at", received)
    assert words in error.message


def test_invalid_time_is_not_replaced() -> None:
    """A time that is not understood is rejected, and `received_at` does not replace it."""
    assert only_error({"weight": 81.4, "time": "noon", "received_at": EARLIER}).field == "time"


def test_missing_received_at() -> None:
    """Without a time and with an unknown `received_at`, the time of arrival is used."""
    assert notes(understood({"weight": 81.4, "received_at": "unknown"})) == [ARRIVAL]


# -- limits ----------------------------------------------------------------------------------------------


def test_time_in_the_future() -> None:
    """A time five minutes in the future is accepted, and one second more is rejected."""
    ahead = NOW + timedelta(minutes=5)
    assert understood({"weight": 81.4, "time": ahead.isoformat()}).reading.measured_at == ahead
    error = only_error({"weight": 81.4, "time": (ahead + timedelta(seconds=1)).isoformat()})
    assert error.message.startswith("This is 2026-11-23T07:05:01Z, which is before the year 2000 or more than five min")


def test_year_2000_is_the_first() -> None:
    """A time before the year 2000 is rejected."""
    assert instant({"weight": 81.4, "time": "2000-01-01T00:00:00Z"}) == "2000-01-01T00:00:00+00:00"
    assert only_error({"weight": 81.4, "time": "1999-12-31T23:59:59Z"}).field == "time"
    assert only_error({"weight": 81.4, "time": 0}).field == "time"


def test_two_times() -> None:
    """Two times must be the same instant."""
    same = {"weight": 81.4, "timestamp": 1795239060, "time": "2026-11-21T05:31:00.5Z"}
    assert instant(same) == SIX_THIRTY_ONE
    error = only_error(same | {"time": "2026-11-21T05:32:00Z"})
    assert (error.field, error.message) == ("time", "'timestamp' is another instant.")


@pytest.mark.parametrize(
    ("local", "utc", "note"),
    [
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59+00:00", None),
        (
            "2026-03-29T02:30:00",
            "2026-03-29T01:30:00+00:00",
            (
                Code.HOUR_SKIPPED,
                "'time': This hour does not exist in Europe/Berlin; 03:30 was used. Send the time with an offset.",
            ),
        ),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00+00:00", None),
        ("2026-10-25T01:59:59", "2026-10-24T23:59:59+00:00", None),
        (
            "2026-10-25T02:30:00",
            "2026-10-25T00:30:00+00:00",
            (
                Code.HOUR_TWICE,
                "'time': This hour occurs twice in Europe/Berlin; the first one was used. "
                "Send the time with an offset.",
            ),
        ),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00+00:00", None),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00+00:00", None),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00+00:00", None),
    ],
)
def test_clock_change(local: str, utc: str, note: tuple[Code, str] | None) -> None:
    """On the day of a clock change the rule for the hour is applied, and a note says so."""
    interpreted = understood({"weight": 81.4, "time": local})
    assert interpreted.reading.measured_at.isoformat() == utc
    assert notes(interpreted) == ([note] if note else [])


def test_configured_time_zone() -> None:
    """A time without an offset is in the configured zone."""
    payload = {"weight": 81.4, "time": "2026-11-21T06:31:00"}
    assert instant(payload, ZoneInfo("UTC")) == "2026-11-21T06:31:00+00:00"
    assert instant(payload, ZoneInfo("Asia/Kolkata")) == "2026-11-21T01:01:00+00:00"
