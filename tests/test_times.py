"""A time, however it is written, is one instant or is rejected; without one, the receipt or the arrival is used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interpreting import ARRIVAL, BERLIN, NOW, instant, notes, only_error, short, understood
from weighbridge.notes import Code
from weighbridge.reading.dialects import DIALECTS, Role
from weighbridge.reading.quantities import NotUnderstood
from weighbridge.reading.times import read_parts, read_time, zone_of

SIX_THIRTY_ONE = "2026-11-21T05:31:00+00:00"
ASSUMED = (
    Code.ZONE_ASSUMED,
    "'time': This time has no offset, so it was read in Europe/Berlin. Send it with an offset, or set "
    "WEIGHBRIDGE_TIMEZONE.",
)


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
        1795239060000000,
        1795239060000000000,
        "1795239060000000",
        "1795239060999999999",
        1.79523906e18,
        # ISO 8601 with the spaces, zones and digits that programs and people add.
        "2026-11-21 06:31:00 +0100",
        "2026-11-21 06:31:00.123 +01:00",
        "2026-11-21T05:31:00Z[UTC]",
        "2026-11-21T05:31:00Z[Europe/Berlin]",
        "2026-11-21T06:31:00+01:00[Europe/Berlin]",
        "2026-11-21T14:31:00[Asia/Tokyo]",
        "2026-11-21 14:31 Asia/Tokyo",
        "2026-11-21T05:31:00 UTC",
        "2026-11-21 05:31 GMT",
        "2026-11-21 11:01 UTC+5:30",
        "2026-11-21 6:31",
        "2026-11-21 at 06:31",
        "2026/11/21 06:31:00",
        "2026.11.21 06:31",
        "2026年11月21日 06:31",
        "٢٠٢٦-١١-٢١ ٠٦:٣١",
        "\u200e2026-11-21\u00a006:31\u200f",
        # Months by name.
        "Nov 21, 2026 06:31:00",
        "Nov 21, 2026 at 6:31 AM",
        "Nov 21, 2026 at 6:31\u202fAM",
        "Nov 21, 2026, 6:31:00\u202fa.m.",
        "November 21 2026 6:31am",
        "Saturday, November 21, 2026 at 6:31 AM",
        "21 Nov 2026 06:31",
        "21. November 2026, 06:31",
        "21st Nov. 2026 06:31",
        "21-Nov-2026 06:31:00",
        "06:31 21 Nov 2026",
        "Sat, 21 Nov 2026 06:31:00 +0100",
        "Sat, 21 Nov 2026 05:31:00 GMT",
        "Sat, 21 Nov 2026 05:31:00 -0000",
        "Sat Nov 21 06:31:00 2026",
        "Sat Nov 21 2026 06:31:00 GMT+0100 (Central European Standard Time)",
        # Numbers alone.
        "21/11/2026 06:31",
        "21/11/2026, 06:31:00",
        "11/21/2026, 6:31:00 AM",
        "21-11-2026 06:31",
        "21.11.2026 06:31",
        "21.11.2026, 06:31:00",
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


@pytest.mark.parametrize(
    "date", ["2026-11-21", "20261121", "2026-W47-6", "2026-W47", "Nov 21, 2026", "21.11.2026", "2026/11/21"]
)
def test_date_without_a_time(date: str) -> None:
    """A date without a time of day is rejected."""
    assert only_error({"weight": 81.4, "date": date}).message == "The time of day is missing; Garmin needs the instant."


@pytest.mark.parametrize(
    "written",
    ["noon", "06:31", "31/12/2026", "6:31 AM", "21 Nov 06:31", "21/11/26 06:31", "2026-11-21 06:31 07:31",
     "21 novembre 2026 06:31", "Mayo 21, 2026 06:31", "Fri, 21 Nov 2026 06:31:00 GMT", "13:31 PM 21 Nov 2026",
     "21 Nov 2026 13:31 AM", "21 Nov 2026 0:31 PM", "31.02.2026 06:31", "11.21.2026 06:31", "2026:11:21 06:31:00",
     "2026-11-21T06:31:00+02:00[Europe/Berlin]", "2026-11-21 06:31 Mars/Olympus", "2026-11-21 06:31 [right/UTC]",
     "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "21 Nov 2026 24:00", "21 Nov 2026 06:61",
     "²026-11-21T06:31", "1405/09/05 06:31", "2569-11-21 06:31", 10**19, -1, "10000000000000000000",
     "25:31 21/11/2026", "2026-13-01T00:00", "2026-11-21T06:31+99:00",
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
    assert (error.field, error.message) == ("time", "'timestamp' names another instant.")


@pytest.mark.parametrize(
    ("local", "utc", "note"),
    [
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59+00:00", ASSUMED),
        (
            "2026-03-29T02:30:00",
            "2026-03-29T01:30:00+00:00",
            (
                Code.HOUR_SKIPPED,
                "'time': This hour does not exist in Europe/Berlin; 03:30 was used. Send the time with an offset.",
            ),
        ),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00+00:00", ASSUMED),
        ("2026-10-25T01:59:59", "2026-10-24T23:59:59+00:00", ASSUMED),
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
        (
            "2026-10-25T02:30:00 Europe/Berlin",
            "2026-10-25T00:30:00+00:00",
            (
                Code.HOUR_TWICE,
                "'time': This hour occurs twice in Europe/Berlin; the first one was used. "
                "Send the time with an offset.",
            ),
        ),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00+00:00", ASSUMED),
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


@pytest.mark.parametrize(
    "written", ["2026-11-21T06:31:00", "21 Nov 2026 06:31", "06:31 21/11/2026", "21.11.2026 06:31"]
)
def test_note_of_the_zone(written: str) -> None:
    """The zone of a time without an offset is named in a note."""
    assert notes(understood({"weight": 81.4, "time": written})) == [ASSUMED]


@pytest.mark.parametrize(
    "written", ["2026-11-21T06:31:00+01:00", "2026-11-21 06:31 Europe/Berlin", "Sat, 21 Nov 2026 05:31 GMT", 1795239060]
)
def test_no_note_of_the_zone(written: object) -> None:
    """A time with an offset or a zone, and an epoch, need no zone and no note."""
    assert notes(understood({"weight": 81.4, "time": written})) == []


# -- what could be two times -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "03/04/2026 07:12",
            "This is 3 April or 4 March 2026: send 2026-04-03T07:12:00 or 2026-03-04T07:12:00.",
        ),
        (
            "3-4-2026, 7:12:05 PM",
            "This is 3 April or 4 March 2026: send 2026-04-03T19:12:05 or 2026-03-04T19:12:05.",
        ),
        (
            "7:12 12/1/2026 ",
            "This is 12 January or 1 December 2026: send 2026-01-12T07:12:00 or 2026-12-01T07:12:00.",
        ),
    ],
)
def test_ambiguous_day(written: str, message: str) -> None:
    """A day that could be a month is refused, with both readings of it."""
    assert only_error({"weight": 81.4, "time": written}).message == message


@pytest.mark.parametrize("zone", ["CET", "EST", "CST", "IST", "BST"])
def test_abbreviation_of_a_zone(zone: str) -> None:
    """An abbreviation that has several meanings is refused, even where RFC 2822 gives it one."""
    message = only_error({"weight": 81.4, "time": f"Sat, 21 Nov 2026 06:31:00 {zone}"}).message
    assert message.startswith("A time zone was expected")


MOMENTS = st.integers(0, 26 * 365 * 86_400).map(lambda s: datetime(2000, 1, 2, tzinfo=UTC) + timedelta(seconds=s))
PAIRS = [(day, month) for day in range(1, 13) for month in range(1, 13) if day != month]


@given(
    pair=st.sampled_from(PAIRS), moment=MOMENTS, mark=st.sampled_from("/-"), form=st.sampled_from(["{} {}", "{1}, {0}"])
)
def test_ambiguous_day_is_never_read(pair: tuple[int, int], moment: datetime, mark: str, form: str) -> None:
    """No date that could be read in two orders gives an instant, except in the documented form of Fitdays."""
    date = f"{pair[0]}{mark}{pair[1]}{mark}{moment.year}"
    with pytest.raises(NotUnderstood, match=f"send {moment.year}-.* or {moment.year}-"):
        read_time(form.format(date, f"{moment:%H:%M:%S}"), UTC)


#: Forms after which a zone may stand.
FORMS = (
    "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y, %H:%M:%S", "%b %d, %Y %H:%M:%S",
    "%b %d, %Y at %I:%M:%S %p", "%B %d, %Y at %I:%M:%S\u202f%p", "%A, %B %d, %Y %H:%M:%S", "%d %b %Y %H:%M:%S",
    "%d-%b-%Y %H:%M:%S", "%a, %d %b %Y %H:%M:%S", "%a %b %d %Y %H:%M:%S", "%Y年%m月%d日 %H:%M:%S",
)  # fmt: skip
#: Forms that are complete.
COMPLETE = ("%Y%m%dT%H%M%S", "%H:%M:%S %d/%m/%Y", "%H:%M:%S %d.%m.%Y", "%H:%M:%S %b %d, %Y", "%c")
#: What may stand after a time -> its distance from UTC in minutes.
ZONES = {
    "": 0, "Z": 0, " UTC": 0, " GMT": 0, "+05:30": 330, " +0530": 330, " -0800": -480, " GMT+1": 60, "Z[UTC]": 0,
    "[Asia/Kolkata]": 330, " Asia/Kolkata": 330, "+05:30[Asia/Kolkata]": 330, " GMT+0530 (India Standard Time)": 330,
}  # fmt: skip
PRINTED = st.sampled_from([(form, zone) for form in FORMS for zone in ZONES] + [(form, "") for form in COMPLETE])


@given(moment=MOMENTS, printed=PRINTED)
def test_printed_instants_read_back(moment: datetime, printed: tuple[str, str]) -> None:
    """An instant that is printed in any of these forms is read as this instant."""
    form, zone = printed
    expected = moment.replace(tzinfo=timezone(timedelta(minutes=ZONES[zone])))
    space = " " if form.endswith("%p") else ""
    assert read_time(f"{moment:{form}}{space}{zone}", UTC)[0] == expected


@given(instant=st.integers(10**9, 2 * 10**9 - 1), power=st.sampled_from([0, 3, 6, 9]), text=st.booleans())
def test_epochs_read_back(instant: int, power: int, text: bool) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds are each read by their size."""
    number = instant * 10**power
    assert read_time(str(number) if text else number, UTC)[0].timestamp() == instant


@given(st.text(alphabet="0123456789/-.: ,TZapmNovSat+[]\u200e٣年", max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """Any text gives an aware instant in whole seconds, or is refused."""
    try:
        found, _ = read_time(text, UTC)
    except NotUnderstood:
        return
    assert (found.tzinfo, found.microsecond) == (UTC, 0)


# -- the zone and the parts in keys of their own ---------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("Europe/Berlin", BERLIN), (" America/Argentina/Buenos_Aires ", ZoneInfo("America/Argentina/Buenos_Aires")),
        ("Etc/GMT+1", ZoneInfo("Etc/GMT+1")), ("UTC", UTC), ("gmt", UTC), ("Z", UTC),
        ("+01:00", timezone(timedelta(hours=1))), ("-0330", timezone(-timedelta(hours=3, minutes=30))),
        ("GMT+1", timezone(timedelta(hours=1))), ("utc-08", timezone(-timedelta(hours=8))),
        ("\u200e+٠١:٠٠", timezone(timedelta(hours=1))),
    ],
)  # fmt: skip
def test_zone(written: str, zone: tzinfo) -> None:
    """A zone is a name of the database, UTC, GMT, or an offset."""
    assert zone_of(written) == zone


@pytest.mark.parametrize(
    "written",
    ["CET", "EST", "Berlin", "Europe", "Mars/Olympus", "../UTC", "Europe/../UTC", "/etc/localtime",
     "posix/Europe/Berlin", "right/Europe/Berlin", "+15:00", "+100", "1", "", 60, None, True, ["UTC"], "UTC" * 10**5],
    ids=short,
)  # fmt: skip
def test_no_zone(written: object) -> None:
    """What is not one zone is refused."""
    with pytest.raises(NotUnderstood, match="A time zone was expected"):
        zone_of(written)


@pytest.mark.parametrize(
    ("date", "time"),
    [("2026-11-21", "06:31"), ("21/11/2026", "6:31 AM"), ("Nov 21, 2026", "06:31:00"), ("21.11.2026", "06:31"),
     ("2026-11-21", "06:31:00+01:00"), ("2026-11-21", "14:31 Asia/Tokyo"), (" 2026-11-21 ", " 06:31 ")],
)  # fmt: skip
def test_date_and_time_of_day(date: str, time: str) -> None:
    """A date and a time of day in two keys are one instant."""
    assert read_parts(date, time, BERLIN)[0].isoformat() == SIX_THIRTY_ONE


@pytest.mark.parametrize(
    ("date", "time"),
    [("2026-11-21T00:00:00Z", "06:31"), ("2026-11-21", "2026-11-21T06:31"), ("06:31", "2026-11-21 06:31"),
     ("2026-11-21", "noon"), (20261121, "06:31"), ("2026-11-21", 631), ("03/04/2026", "06:31"), (None, "06:31")],
)  # fmt: skip
def test_no_date_and_time_of_day(date: object, time: object) -> None:
    """Two keys that do not make one instant are refused."""
    with pytest.raises(NotUnderstood):
        read_parts(date, time, BERLIN)


def test_ambiguous_date_in_its_own_key() -> None:
    """A date that may be two, next to a time of day, is one error, with both readings at that time."""
    error = only_error({"weight": 81.4, "date": "06/11/2026", "time": "7:12 AM", "timezone": "UTC"})
    assert error.field == "date"
    assert error.message == "This is 6 November or 11 June 2026: send 2026-11-06T07:12:00 or 2026-06-11T07:12:00."


def test_zone_that_was_sent() -> None:
    """A zone from the reading is not assumed, so no note names it."""
    assert read_parts("2026-11-21", "06:31", BERLIN, assumed=False)[1] is None
    assert read_time("2026-11-21 06:31", BERLIN, assumed=False)[1] is None
