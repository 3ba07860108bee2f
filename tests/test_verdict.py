"""The outbox's verdict on every answer that the function can give, and on answers from other servers.

The answers are the function's own: its real problems, and receipts with its `final`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from weighbridge import errors
from weighbridge.client import Reply
from weighbridge.client.answers import no_answer, read_reply
from weighbridge.errors import WeighbridgeError
from weighbridge.http.problems import FAULTS, headers_of, kind_of, problem
from weighbridge.http.routes import HTTP_STATUS
from weighbridge.receipt import WORDS
from weighbridge_outbox.verdict import (
    ARRIVED,
    AT_ONCE,
    DONE,
    FOR_ANOTHER,
    HOURLY,
    RARELY,
    SOON,
    NextStep,
    judge,
    judge_again,
)

NOW = datetime(2026, 11, 22, 6, 31, tzinfo=UTC)

#: Only these blame the reading itself.
PARKING = {"not-json", "query-invalid", "conflict", "too-large", "reading-rejected", "person-unclear", "not-found"}
#: These need only time.
WAITING = {"busy", "too-slow", "garmin-unreachable", "rate-limited", "outcome-unknown", "internal-error"}

#: Only a sign-in is answered with these, never a reading.
OF_A_SIGN_IN = (errors.SignInInvalid, errors.SignInRejected, errors.SignInEnded, errors.CoolDown)


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_reply(status, headers or {}, content, expected="receipts", address="http://scale.lan", now=NOW)


def every_fault() -> Iterator[Exception]:
    kinds: list[type[Exception]] = [WeighbridgeError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    more: dict[type[Exception], tuple[object, ...]] = {
        errors.MethodNotAllowed: ("", ["POST"]),
        errors.QueryInvalid: ([],),
        errors.ReadingRejected: ([],),
        errors.PersonUnclear: ([], []),
        errors.Conflict: ("", {}, []),
        errors.RateLimited: ("", 77),
    }
    for kind in kinds:
        if kind is errors.Unauthorized:
            yield errors.Unauthorized("", sent=True)
        elif issubclass(kind, OF_A_SIGN_IN):
            continue
        elif kind in FAULTS or kind is errors.NoSuchAddress:  # the others are only base classes
            yield kind(*more.get(kind, ("",)))
    yield RuntimeError("a bug in the function")


@pytest.mark.parametrize("fault", list(every_fault()), ids=lambda fault: type(fault).__name__)
def test_only_a_bad_reading_is_parked(fault: Exception) -> None:
    """A reading is parked only if the reading itself is to blame; after any other problem it is sent again."""
    kind, body = kind_of(fault), json.loads(json.dumps(problem(fault)))
    reply = answer(kind.status, body, {name.lower(): value for name, value in headers_of(fault).items()})
    verdict = judge(reply)
    if kind.slug in PARKING and not isinstance(fault, errors.NoSuchAddress):
        assert (verdict.state, verdict.pause, verdict.loud) == ("parked", None, True)
    else:
        assert verdict.state == "waiting"
        bug = kind.slug == "internal-error"
        assert (verdict.pause, verdict.loud) == ((SOON, bug) if kind.slug in WAITING else (RARELY, True))
    assert verdict.name == kind.slug
    assert verdict.result.body == body
    assert verdict.result.retry_after_s == body.get("retry_after_s")


@pytest.mark.parametrize("word", sorted((WORDS.keys() | {"taken_back", "nothing"}) - {"checked"}))
def test_receipt_ends_work_once_all_is_done(word: str) -> None:
    """A receipt ends the work once Garmin shows the reading or there is nothing to show."""
    receipt = {"status": word, "final": word != "accepted"}
    verdict = judge(answer(HTTP_STATUS.get(word, 200), receipt))
    assert (verdict.state, verdict.name) == (word, word)
    assert (verdict.pause is None) == (word in DONE)
    assert verdict.pause == {"accepted": SOON, "kept": HOURLY}.get(word)
    assert verdict.result.body == receipt
    assert not verdict.loud


@pytest.mark.parametrize(
    "receipt",
    [
        {"status": "checked", "final": True},
        {"status": "confirmed", "final": False},
        {"status": "accepted", "final": True},
        {"status": "from another release", "final": True},
        {"results": []},
    ],
)
def test_other_receipts_end_nothing(receipt: dict[str, object]) -> None:
    """A receipt that is not a delivery receipt ends nothing."""
    verdict = judge(answer(200, receipt))
    assert (verdict.state, verdict.pause, verdict.loud, verdict.name) == ("waiting", RARELY, True, "not-delivered")


def test_several_receipts_are_one_verdict() -> None:
    """A body with several weigh-ins is done once each of them is; until then, what is left of any decides."""
    done, accepted = {"status": "confirmed", "final": True}, {"status": "accepted", "final": False}
    rejected = {"type": "urn:weighbridge:reading-rejected", "title": "", "again": "never"}
    for results, state in (
        ([done, done], "confirmed"),
        ([done, accepted], "accepted"),
        ([done, rejected], "parked"),
        ([rejected, accepted], "accepted"),
        ([done, {"results": [done, accepted]}], "accepted"),
        ([done, {"results": [done, done]}], "confirmed"),
    ):
        assert judge(answer(207, {"results": results})).state == state


@pytest.mark.parametrize("body", [b"", b"<html>Welcome to the hotel</html>", b"[]", b"null", b'{"status": 1}', b"\xff"])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 301, 302, 400, 404, 409, 413, 422, 429, 500, 502, 503, 504])
def test_other_server_never_ends_the_work(status: int, body: bytes) -> None:
    """An answer from any server but the function never ends the work."""
    verdict = judge(answer(status, body))
    assert verdict.state == "waiting"
    assert verdict.pause in (SOON, RARELY)
    assert verdict.result.body["title"] == "Something else answered"


def test_log_holds_only_our_words() -> None:
    """The name that is logged never repeats a word of the answer."""
    rejected = {"type": "urn:weighbridge:weight 77.77", "title": "77.77", "again": "never"}
    assert judge(answer(422, rejected)).name == "not-the-function"
    assert judge(answer(200, {"status": "77.77", "final": True})).name == "not-delivered"
    assert judge(no_answer("http://scale.lan", "ConnectError.", reached=False)).name == "no-answer"


def test_repeated_reading_waits_for_the_first() -> None:
    """A reading received before is `present` once the earlier one has arrived, and is sent if that one is parked."""
    receipt = answer(201, {"status": "confirmed", "final": True})
    for state in ARRIVED:
        assert judge_again(state, receipt) == NextStep("present", receipt)
    for state in ("waiting", "accepted", "kept"):
        verdict = judge_again(state, receipt)
        assert verdict
        assert (verdict.state, verdict.pause, verdict.name) == ("waiting", FOR_ANOTHER, "received-before")
    for state in ("parked", "taken_back", "nothing"):
        assert judge_again(state, receipt) is None


def conflict(**differences: list[str]) -> Reply:
    problem_ = {"type": "urn:weighbridge:conflict", "title": "", "again": "never", "blame": "caller", **differences}
    return answer(409, problem_)


def test_conflict_that_only_adds_is_sent_again() -> None:
    """A conflict in which the reading only adds values is sent again at once, with `replace`; any other is parked."""
    adds = conflict(added=["bone_mass_kg"], changed=[])
    assert judge(adds) == NextStep("waiting", adds, AT_ONCE, replace=True)
    assert judge(adds, replaced=True).state == "parked"
    for other in (
        conflict(added=["bone_mass_kg"], changed=["weight_kg"]),
        conflict(added=[], changed=["weight_kg"]),
        conflict(added=[], changed=[]),
        conflict(),
    ):
        assert judge(other) == NextStep("parked", other, loud=True)


def test_deletion_that_was_tried_before_is_done() -> None:
    """A deletion that finds nothing is parked, unless an earlier attempt may have deleted the entry."""
    nothing_there = answer(404, {"type": "urn:weighbridge:not-found", "title": "", "again": "never"})
    assert judge(nothing_there).state == "parked"
    assert judge(nothing_there, deleted_before=True) == NextStep("taken_back", nothing_there)


def test_pauses_double_up_to_a_limit() -> None:
    """A pause doubles with each attempt, up to its limit."""
    assert [SOON.after(n) for n in (0, 1, 2, 3)] == [5, 10, 20, 40]
    assert SOON.after(10_000) == 3_600
    assert {RARELY.after(n) for n in range(9)} == {900}
    assert {HOURLY.after(n) for n in range(9)} == {3_600}
