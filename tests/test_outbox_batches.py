"""Which readings are one request, and what its reply means for each of them."""

from __future__ import annotations

from typing import Any

import pytest

from weighbridge.client import Reply, problem
from weighbridge.client.answers import no_answer
from weighbridge_outbox.verdict import is_about_contents, is_shared, judge, judge_each
from weighbridge_outbox.worker import MOST_BYTES, MOST_READINGS, requests

RECEIPT = {"status": "confirmed", "final": True}


def reading(reading_id: int, text: str = "{}", *, replace: bool = False, kind: str = "object") -> dict[str, Any]:
    return {"id": reading_id, "text": text, "replace": replace, "person": "", "kind": kind}


def ids(readings: list[dict[str, Any]]) -> list[list[int]]:
    return [[each["id"] for each in group] for group in requests(readings)]


def test_readings_are_one_request() -> None:
    """Up to the most readings are one request, in their order."""
    assert ids([]) == []
    assert ids([reading(n) for n in range(MOST_READINGS)]) == [[*range(MOST_READINGS)]]
    assert [len(group) for group in ids([reading(n) for n in range(MOST_READINGS + 1)])] == [MOST_READINGS, 1]


def test_replacement_and_list_go_alone() -> None:
    """A reading that may replace an entry goes alone; so does a list, which has an answer of its own."""
    readings = [reading(1), reading(2), reading(3, replace=True), reading(4), reading(5, "[{}]", kind="array")]
    assert ids(readings) == [[1, 2], [3], [4], [5]]


def test_bodies_are_small() -> None:
    """No body of several readings is larger than the limit; the length of a text is that of its UTF-8."""
    long = '"' + "é" * (MOST_BYTES // 6) + '"'
    groups = requests([reading(n, long) for n in range(7)])
    assert [len(group) for group in groups] == [2, 2, 2, 1]
    bodies = [b"\n".join(each["text"].encode() for each in group) for group in groups]
    assert max(map(len, bodies)) <= MOST_BYTES
    assert ids([reading(1), reading(2, "x" * MOST_BYTES), reading(3)]) == [[1], [2], [3]]


def test_each_document_has_its_result() -> None:
    """Each document has the result in its place; one with several weigh-ins has all of theirs."""
    rejected = problem("reading-rejected", "", "", blame="caller", again="never")
    reply = Reply({"results": [RECEIPT, rejected, {"results": [RECEIPT, RECEIPT]}]}, 207)
    assert [judge(result).state for result in judge_each(reply, 3)] == ["confirmed", "parked", "confirmed"]


@pytest.mark.parametrize("results", [[], [RECEIPT], [RECEIPT] * 3])
def test_reply_with_another_number_delivers_nothing(results: list[object]) -> None:
    """A reply with more or fewer results than documents ends nothing."""
    for result in judge_each(Reply({"results": results}, 200), 2):
        assert judge(result).name == "not-delivered"
    assert len(judge_each(Reply(RECEIPT, 201), 2)) == 2
    assert judge(judge_each(Reply(RECEIPT, 201), 2)[0]).name == "not-delivered"


def refusal(kind: str, status: int, again: str) -> Reply:
    return Reply(problem(kind, "", "", blame="owner", again=again, status=status), status)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "contents", "shared"),
    [
        (refusal("too-large", 413, "never"), True, False),
        (refusal("not-json", 400, "never"), True, False),
        (refusal("not-the-function", 403, "after_repair"), True, False),
        (refusal("not-the-function", 429, "after_repair"), False, True),
        (refusal("not-the-function", 502, "later"), False, True),
        (refusal("unauthorized", 401, "after_repair"), False, True),
        (refusal("busy", 503, "later"), False, True),
        (refusal("internal-error", 500, "later"), False, True),
        (no_answer("http://scale.lan", "ConnectError.", reached=False), False, True),
        (Reply({"results": [RECEIPT]}, 200), False, False),
    ],
    ids=lambda value: f"{value.kind or 'receipts'}-{value.http_status}" if isinstance(value, Reply) else None,
)
def test_refusal_of_all(reply: Reply, contents: bool, shared: bool) -> None:
    """A request that was refused for its contents is split, and stops no other; any other refusal would meet all."""
    assert is_about_contents(reply) == contents
    steps = [judge(result) for result in judge_each(reply, 1)]
    assert is_shared(reply, steps) == shared


def test_garmin_that_cannot_be_reached_is_shared() -> None:
    """What Garmin answers to all readings of a request would meet the others; what it answers to some would not."""
    later = problem("rate-limited", "", "", blame="garmin", again="later")
    signed_out = problem("sign-in-needed", "", "", blame="owner", again="after_repair")
    for results, shared in (([later, later], True), ([later, RECEIPT], False), ([signed_out] * 2, False)):
        reply = Reply({"results": results}, 207)
        assert is_shared(reply, [judge(result) for result in judge_each(reply, 2)]) == shared
