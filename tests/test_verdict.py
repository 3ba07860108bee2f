"""What the outbox makes of every answer that the function can give, and of answers that are not the function's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from weighbridge.receipt import WORDS
from weighbridge.http.app import HTTP_STATUS
from weighbridge.http.problems import FAULTS, Fault
from weighbridge_outbox.verdict import HOURLY, RARELY, RECEIPTS, SOON, judge, retry_after_s, unanswered

NOW = datetime(2026, 11, 22, 6, 31, tzinfo=UTC)

#: Only these say that the reading itself is to blame.
PARKING = {"not-json", "query-invalid", "conflict", "too-large", "reading-rejected"}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.slug)
def test_a_reading_is_given_up_only_when_it_is_to_blame_itself(fault: Fault) -> None:
    body = json.dumps({"type": f"urn:weighbridge:{fault.slug}", "title": fault.title, "detail": ""}).encode()
    verdict = judge(fault.status, {"retry-after": "77"}, body, now=NOW)
    if fault.slug in PARKING:
        assert (verdict.state, verdict.pause, verdict.loud) == ("parked", None, True)
    else:
        assert verdict.state == "waiting"
        assert verdict.pause is not None
        assert verdict.retry_after_s == 77
    assert verdict.name == fault.slug
    assert verdict.fault == json.loads(body)


@pytest.mark.parametrize("word", sorted(WORDS.keys() - {"checked"}))
def test_a_receipt_ends_the_work_when_garmin_shows_the_reading_and_else_it_goes_on(word: str) -> None:
    verdict = judge(HTTP_STATUS[word], {}, json.dumps({"status": word}).encode(), now=NOW)
    assert verdict.state == word
    assert (verdict.pause is None) == (word in ("confirmed", "present"))
    assert not verdict.loud


def test_every_word_of_a_receipt_is_known_but_that_of_a_rehearsal() -> None:
    assert RECEIPTS.keys() == WORDS.keys() - {"checked"}
    assert judge(200, {}, b'{"status": "checked"}', now=NOW).state == "waiting"


@pytest.mark.parametrize("body", [b"", b"<html>Welcome to the hotel</html>", b"[]", b"null", b'{"status": 1}', b"\xff"])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 301, 302, 400, 404, 409, 413, 422, 429, 500, 502, 503, 504])
def test_an_answer_of_somebody_else_never_ends_the_work(status: int, body: bytes) -> None:
    verdict = judge(status, {}, body, now=NOW)
    assert verdict.state == "waiting"
    assert verdict.pause in (SOON, RARELY)
    assert verdict.fault
    assert verdict.fault["title"] == "Something else answered"


def test_a_log_gets_no_word_of_an_answer_but_our_own() -> None:
    answer = json.dumps({"type": "urn:weighbridge:weight 77.77", "title": "77.77"}).encode()
    assert judge(422, {}, answer, now=NOW).name == "not understood"
    assert unanswered("ConnectError").name == "unanswered"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("Sun, 22 Nov 2026 06:32:30 GMT", 90),
        ("Sun, 22 Nov 2026 06:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e3", None),
        ("Sun, 22 Nov 2026 06:32:30", None),
        ("99999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_s(text, NOW) == seconds


def test_retry_after_is_understood_as_a_date_in_any_zone() -> None:
    assert retry_after_s("Sun, 22 Nov 2026 07:32:00 +0100", NOW) == timedelta(minutes=1).total_seconds()


def test_pauses_double_up_to_their_bound() -> None:
    assert [SOON.after(n) for n in (0, 1, 2, 3)] == [5, 10, 20, 40]
    assert SOON.after(10_000) == 3_600
    assert {RARELY.after(n) for n in range(9)} == {900}
    assert {HOURLY.after(n) for n in range(9)} == {3_600}
