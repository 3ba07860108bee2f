"""Pushes of Pub/Sub to the running function: who is let in, what is acknowledged, and what comes again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.test_serve import answer_of, serving
from tests.garmin.server import GarminStandIn
from tests.google.pubsub import ACCOUNT, AUDIENCE, PubSub, pubsub
from tests.ports import free_port

KEY = "a-key-of-sixteen-letters"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def topic(garmin: GarminStandIn, tmp_path: Path, log: Path) -> Iterator[PubSub]:
    """A subscription that pushes to a running function."""
    garmin.write_token(tmp_path / "tokens")
    port = free_port()
    with pubsub() as topic:
        environment: dict[str, object] = {
            "WEIGHBRIDGE_DELIVERY": "garth",
            "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
            "WEIGHBRIDGE_API_KEYS": f"home={KEY}",
            "WEIGHBRIDGE_PUSH_ACCOUNT": ACCOUNT,
            "WEIGHBRIDGE_PUSH_AUDIENCE": AUDIENCE,
            "WEIGHBRIDGE_PUSH_CERTIFICATES": topic.certificates,
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        }
        with serving(tmp_path, "--port", str(port), **environment) as function:
            answer_of(f"http://127.0.0.1:{port}", function)
            topic.endpoint = f"http://127.0.0.1:{port}/readings"
            yield topic


def reading(hour: int = 0, **changed: object) -> dict[str, object]:
    at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hour)
    return {"weight_kg": 81.4, "measured_at": at.isoformat()} | changed


@pytest.mark.parametrize("as_event", [False, True], ids=["subscription", "Eventarc"])
def test_pushed_readings_arrive(topic: PubSub, garmin: GarminStandIn, log: Path, *, as_event: bool) -> None:
    """Twenty messages at once, each sent twice, without a key: twenty weigh-ins, all acknowledged. No token is in the
    log."""
    topic.as_event, topic.twice = as_event, True
    sent = topic.push(*(reading(hour) for hour in range(20)))
    assert not topic.dead
    assert all(set(topic.attempts[each]) <= {200, 201} for each in sent)
    assert len(garmin.weigh_ins()) == 20
    assert "eyJ" not in log.read_text()


def test_publish_time_counts(topic: PubSub, garmin: GarminStandIn) -> None:
    """A reading without a time has that of its message, so the message sent again is the same weigh-in."""
    topic.twice = True
    topic.push({"weight_kg": 81.4})
    assert len(garmin.weigh_ins()) == 1


def test_refused_is_acknowledged(topic: PubSub, garmin: GarminStandIn, log: Path) -> None:
    """What can never succeed is acknowledged at once. The log names the message, and no measurement."""
    (refused,) = topic.push(reading(weight_kg=814.5))
    assert topic.attempts[refused] == [200]
    line = next(json.loads(line) for line in log.read_text().splitlines() if refused in line)
    assert (line["severity"], line["problem"], line["fault"]) == ("WARNING", 422, "ReadingRejected")
    assert "814" not in log.read_text()
    assert garmin.weigh_ins() == []


def test_refused_in_company(topic: PubSub, garmin: GarminStandIn) -> None:
    """Of several readings in one message, one refused for good does not bring the others again."""
    (sent,) = topic.push([reading(0), reading(1, weight_kg=814.5), reading(2)])
    assert topic.attempts[sent] == [200]
    assert len(garmin.weigh_ins()) == 2


@pytest.mark.parametrize("several", [False, True])
def test_later_comes_again(topic: PubSub, garmin: GarminStandIn, *, several: bool) -> None:
    """While Garmin asks to wait, a message is not acknowledged; it comes again, and arrives once."""
    # The look before the upload is repeated, so a few answers are not enough.
    garmin.faults.add("weight/range", "503", times=3)
    garmin.faults.add("upload", "503", times=2)
    (sent,) = topic.push([reading(0), reading(1, weight_kg=814.5)] if several else reading())
    *failed, last = topic.attempts[sent]
    assert failed
    assert all(status >= 500 for status in failed)
    assert last in (200, 201)
    assert len(garmin.weigh_ins()) == 1


def test_unfit_token(topic: PubSub, garmin: GarminStandIn, log: Path) -> None:
    """A token for another service lets nobody in, and its message is not acknowledged. Every other unfit token is in
    tests/test_push.py."""
    topic.max_attempts = 1
    topic.token = lambda: topic.signer.token(aud="https://elsewhere.example.com")
    (sent,) = topic.push(reading())
    assert topic.attempts[sent] == [401]
    assert topic.dead == [sent]
    assert garmin.weigh_ins() == []
    assert "eyJ" not in log.read_text()


def test_dead_letter(topic: PubSub, garmin: GarminStandIn) -> None:
    """What somebody has to repair first is tried as often as the subscription says, and is then dead-lettered."""
    topic.max_attempts = 5
    garmin.faults.add("upload", "412", times=5)
    (sent,) = topic.push(reading())
    assert len(topic.attempts[sent]) == 5
    assert topic.dead == [sent]


def test_may_only_send(topic: PubSub) -> None:
    """A push may neither read nor replace; a key still may."""

    def status(query: str, authorization: str, body: bytes | None = None) -> int:
        request = urllib.request.Request(topic.endpoint + query, body, {"Authorization": f"Bearer {authorization}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as e:
            with e:
                return e.code

    token = topic.signer.token()
    assert status("", token) == 403
    assert status("?replace=true", token, json.dumps(reading()).encode()) == 403
    assert status("", KEY) == 200
