"""Answers of Garmin Connect with anything in them changed: each is a fault of Garmin at most, and costs no reading."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.changes import damaged, with_change
from tests.function_client import client_of
from tests.garmin.faults import ACCEPTED, DUPLICATE, REFUSED, WITH_WARNINGS
from tests.garmin.http_types import Request, Response
from tests.garmin.server import GarminStandIn
from tests.test_garmin import MORNING, proven, raw, reading
from tests.test_garminconnect import needs_the_library
from tests.test_personal_api import Clock, personal
from weighbridge.errors import GarminFault, OwnerFault, WeighbridgeError
from weighbridge.garmin.answers import read_upload_answer, read_weigh_ins
from weighbridge.garmin.entries import ByInstant, fits, raws_of
from weighbridge.garmin.sessions.garminconnect import GarminconnectSession
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.sessions.port import GarminResponse
from weighbridge.garmin.sessions.token_session import TokenSession
from weighbridge.garmin.tokens import TokenStore
from weighbridge.http.app import Shell

#: Answers of each kind: read from bytes, and through the whole function.
SIZES = READ, THROUGH_THE_FUNCTION, TOKENS = 2_000, 400, 200
SIGN_IN = "Sign in again: weighbridge login."
RANGE = "/weight-service/weight/range/2026-11-22/2026-11-24"


@pytest.fixture
def recorded(garmin: GarminStandIn) -> Any:
    """A list of weigh-ins as Garmin shows it, of several days."""
    garmin.weights.add(*(raw(MORNING.replace(day=day)) for day in (22, 23, 24)))
    request = Request("GET", "localhost", RANGE, {"includeAll": "true"}, {}, b"")
    request = replace(request, path_values={"first": "2026-11-22", "last": "2026-11-24"})
    return json.loads(garmin.weights.range(request).body)


def changed(document: Any, dice: random.Random) -> bytes:
    document = json.loads(json.dumps(document))
    for _ in range(dice.randint(1, 3)):
        document = with_change(document, dice)
    return damaged(json.dumps(document).encode(), dice, dice.choice([0, 0, 0, 0, 1]))


def check_fault(fault: WeighbridgeError) -> None:
    """It is Garmin's or a sign-in's, says something, and repeats nothing of the answer."""
    assert isinstance(fault, GarminFault | OwnerFault), repr(fault)
    assert str(fault)
    for private in ("80000", "8000", "6080", "planted", "73.219", "2591602"):
        assert private not in str(fault)


def test_lists(recorded: Any) -> None:
    """A list of weigh-ins with anything changed is read, or is a fault of Garmin; what is read can be used."""
    dice = random.Random("lists")
    read = 0
    ours = proven.raws(reading())
    for _ in range(READ):
        try:
            entries, unreadable = read_weigh_ins(GarminResponse(200, {}, changed(recorded, dice)))
        except WeighbridgeError as fault:
            check_fault(fault)
            continue
        read += 1
        assert len(entries) + unreadable <= 100
        for entry in entries:
            assert entry.weigh_in().shown()["measured_at"]
            assert raws_of(entry).keys() <= {"timestamp", *proven.fields}
            fits(ours, entry, near=True)
        ByInstant(entries).near(ours["timestamp"], 3600)
    assert READ / 10 < read < READ


def test_answers_to_an_upload() -> None:
    """An answer to an upload with anything changed has a meaning, and its words are repeated without numbers."""
    dice = random.Random("uploads")
    for _ in range(READ):
        status = dice.choice([200, 201, 202, 204, 301, 400, 401, 403, 404, 408, 409, 412, 413, 429, 500, 503, 599])
        body = changed(dice.choice([ACCEPTED, WITH_WARNINGS, DUPLICATE, REFUSED]), dice)
        result = read_upload_answer(GarminResponse(status, {}, body), SIGN_IN)
        for text in [str(result.fault or "x"), *(str(warning) for warning in result.warnings)]:
            assert text.isprintable()
            assert len(text) < 500
            assert "2591602" not in text
        assert result.fault is not None or status < 300 or status == 400


Change = Callable[[Request, Response], Response]


def change_answers(garmin: GarminStandIn, change: Change) -> None:
    answer = garmin.answer

    def changing(request: Request) -> tuple[Response, float]:
        response, delay_s = answer(request)
        return change(request, response), delay_s

    garmin.answer = changing  # type: ignore[method-assign]


def test_through_the_function(garmin: GarminStandIn, tmp_path: Path) -> None:
    """While Garmin answers anything, each post ends with a receipt or a fault of Garmin, and the same reading is one
    weigh-in in the end. Nothing private is in the log."""
    garmin.write_token(tmp_path)
    token = json.loads((tmp_path / "default.json").read_text())
    log: list[str] = []
    function = client_of(
        Shell(
            {
                "WEIGHBRIDGE_DELIVERY": "garth",
                "WEIGHBRIDGE_TOKENS": str(tmp_path),
                "WEIGHBRIDGE_CONFIRM_SECONDS": "0.001",
                "GARMIN_DOMAIN": garmin.domain,
                "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
            },
            log.append,
        )
    )
    dice = random.Random("function")
    is_hostile = True

    def change(request: Request, response: Response) -> Response:
        if not is_hostile or not response.body or dice.random() < 0.3:
            return response
        status = dice.choice([*(6 * [response.status]), 200, 202, 204, 301, 400, 403, 404, 409, 418, 500, 503])
        return replace(response, status=status, body=b"" if status == 204 else changed(json.loads(response.body), dice))

    change_answers(garmin, change)
    statuses = set()
    body = {"weight": 80, "body fat": 20.37, "time": MORNING.isoformat()}
    for number in range(THROUGH_THE_FUNCTION):
        if number % 4 == 0:
            garmin.weights.entries.clear()
        answer = function.post("/", json=body)
        statuses.add(answer.status_code)
        if answer.status_code >= 400:
            assert answer.json["blame"] == ("caller" if answer.status_code == 409 else "garmin"), answer.text
    assert {200, 201, 202, 502, 503, 504} <= statuses <= {200, 201, 202, 409, 502, 503, 504}
    is_hostile = False
    assert function.post("/", json=body).status_code in (200, 201)
    assert [held["weight"] for held in garmin.weigh_ins()] == [80_000.0]
    for private in (token["access_token"], token["refresh_token"], "80000", "20.37", "2037", "2591602", "planted"):
        assert private not in "".join(log)


@pytest.mark.parametrize("kind", [GarthSession, pytest.param(GarminconnectSession, marks=needs_the_library)])
def test_renewals(garmin: GarminStandIn, tmp_path: Path, kind: type[TokenSession]) -> None:
    """An answer to a renewal with anything changed is a token or a fault, and a fault leaves the old token."""
    dice = random.Random("renewals")
    change_answers(garmin, lambda _, response: replace(response, body=changed(json.loads(response.body), dice)))
    store = TokenStore(tmp_path)
    session = kind(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    renewed = 0
    for _ in range(TOKENS):
        (tmp_path / "default.state").unlink(missing_ok=True)
        garmin.write_token(tmp_path)
        before = store.path.read_bytes()
        try:
            session.renew()
        except WeighbridgeError as fault:
            check_fault(fault)
            assert store.path.read_bytes() == before
        else:
            assert store.read() is not None
            renewed += 1
        session.last_outcome("garth")
    assert 0 < renewed < TOKENS


def test_personal_api(garmin: GarminStandIn) -> None:
    """An answer of the Personal API with anything changed is read, or is a fault."""
    dice = random.Random("personal")
    clock = Clock()
    garmin.personal.clock = garmin.weights.clock = clock
    garmin.weights.add(raw())

    def change(_request: Request, response: Response) -> Response:
        if response.body[:1] == b"{":
            return replace(response, body=changed(json.loads(response.body), dice))
        return replace(response, body=damaged(response.body, dice)) if dice.random() < 0.5 else response

    change_answers(garmin, change)
    api = personal(garmin, clock)
    read = 0
    for _ in range(TOKENS):
        try:
            read += len(api.weigh_ins(date(2026, 11, 22), date(2026, 11, 24)))
        except WeighbridgeError as fault:
            check_fault(fault)
            assert garmin.personal.key not in str(fault)
        clock.now_s += 3600
    assert read > TOKENS / 10
    assert len(garmin.requests) > TOKENS
