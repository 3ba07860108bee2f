"""What callers really send, and the right answer: one row for each input of public trackers, through the function.

Several messages of one weigh-in are in test_joining.py, test_garmin.py and e2e/test_outbox_settling.py.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.function_client import FunctionClient, client

PEOPLE = """
[[person]]
name = "Anna"
weight_kg = [55, 70]

[[person]]
name = "Ben"
weight_kg = [65, 95]
"""
AT = {"time": "2026-11-20T07:12:33Z"}
T = "2026-11-20T07:12:33Z"

#: Input -> values of the receipt ("measured_at" is its time, "person" its person).
TAKEN: list[tuple[object, dict[str, object]]] = [
    # A time in a key that was not known
    ({"weight": 90.5, "unix-timestamp": 1717050449}, {"measured_at": "2024-05-30T06:27:29Z", "weight_kg": 90.5}),
    ({"weight": 81.4, "last_changed": T}, {"measured_at": T}),
    # A unit in a key that was not known
    ({**AT, "weight": 179.5, "unit_of_measurement": "lb"}, {"weight_kg": 81.4198}),
    ({**AT, "weight": 179.5, "weight_unit": 2}, {"weight_kg": 81.4198}),
    # One word, two meanings: the other values decide
    (
        {**AT, "weight": 61.6, "fatRate": 35.5, "boneMass": 2.4, "muscleRate": 37.29},
        {"muscle_mass_kg": 37.29, "body_fat_percent": 35.5, "bone_mass_kg": 2.4},
    ),
    # Names
    ({**AT, "weight": 81.4, "body_fat_percentage": 18.2, "water_percentage": 56.4}, {"body_fat_percent": 18.2}),
    ({**AT, "weight": 81.4, "visceral_fat_value": 7, "basal_metabolic_rate": 1812}, {"visceral_fat_rating": 7}),
    ({**AT, "weight": 81.4, "hydration": "45.9 kg"}, {"body_water_kg": 45.9}),
    ({**AT, "weight": 81.4, "bodyfat": 18.2, "bodyWaterRate": 56.4}, {"body_water_percent": 56.4}),
    ({**AT, "mass": 81.4, "metabolism": 1812, "bone_mineral": 3.4, "tbw": "45.9 kg"}, {"bone_mass_kg": 3.4}),
    ({**AT, "weight": 81.4, "bone": "4.2 %"}, {"bone_mass_kg": 3.419}),
    # Units, digits, marks
    ({**AT, "weight": 81.4, "visceral fat": "7 %"}, {"visceral_fat_rating": 7}),
    ({**AT, "weight": "81.4公斤"}, {"weight_kg": 81.4}),
    ({**AT, "weight": "81,4 кг"}, {"weight_kg": 81.4}),
    ({**AT, "weight": "81.4 kg."}, {"weight_kg": 81.4}),
    ({**AT, "weight": "179.5 lb."}, {"weight_kg": 81.4198}),
    ({**AT, "weight": "٨١٫٤"}, {"weight_kg": 81.4}),
    ({**AT, "weight": "８１.４"}, {"weight_kg": 81.4}),
    ({**AT, "weight": "\u200e81.4\ufeff kg\u200b\u200f"}, {"weight_kg": 81.4}),
    ({**AT, "weight": "8.14e1"}, {"weight_kg": 81.4}),
    ({**AT, "weight": {"value": 81400, "unit": "g"}}, {"weight_kg": 81.4}),
    # Times
    ({"weight": 81.4, "date": "2026-11-20", "time": "08:12:33", "timezone": "Europe/Berlin"}, {"measured_at": T}),
    ({"weight": 81.4, "time": "Nov 20, 2026 08:12:33"}, {"measured_at": T}),
    ({"weight": 81.4, "time": "Nov 20, 2026 at 8:12 AM"}, {"measured_at": "2026-11-20T07:12:00Z"}),
    ({"weight": 81.4, "time": "2026-11-20T07:12:33Z[UTC]"}, {"measured_at": T}),
    ({"weight": 81.4, "time": "2026-11-20 08:12:33 Europe/Berlin"}, {"measured_at": T}),
    ({"weight": 81.4, "time": "Fri, 20 Nov 2026 08:12:33 +0100"}, {"measured_at": T}),
    ({"weight": 81.4, "time": "20/11/2026 08:12:33"}, {"measured_at": T}),
    # Whole bodies of others
    ({"Time": T, "MISCALE70879e": {"weight": 83.5, "stabilized": 1, "weight_removed": 0}}, {"weight_kg": 83.5}),
    (
        {
            "date": 1795158753,
            "measures": [{"value": 95817, "type": 1, "unit": -3}, {"value": 182, "type": 6, "unit": -1}],
        },
        {"weight_kg": 95.817, "body_fat_percent": 18.2, "measured_at": T},
    ),
    (
        {"weight": [{"kilograms": 81.4, "time": T}], "body_fat": [{"percentage": 18.2, "time": T}]},
        {"weight_kg": 81.4, "body_fat_percent": 18.2, "measured_at": T},
    ),
    (
        {
            "data": {
                "metrics": [
                    {
                        "name": "weight_body_mass",
                        "units": "kg",
                        "data": [{"date": "2026-11-20 08:12:33 +0100", "qty": 81.4}],
                    },
                    {
                        "name": "body_fat_percentage",
                        "units": "%",
                        "data": [{"date": "2026-11-20 08:12:33 +0100", "qty": 18.2}],
                    },
                ]
            }
        },
        {"weight_kg": 81.4, "body_fat_percent": 18.2, "measured_at": T},
    ),
    # Right before, and to stay so
    ({**AT, "weight": "12 st 11.5 lb"}, {"weight_kg": 81.4198}),
    ({**AT, "weight": "162.8斤"}, {"weight_kg": 81.4}),
    ({"weight": "81,4 kg", "timestamp": 1795158753000}, {"measured_at": T}),
    ({**AT, "weight": 81.4, "body fat": 0, "bone mass": "unknown"}, {"weight_kg": 81.4}),
]

#: Input -> the key to blame, and words of the reason.
REFUSED: list[tuple[object, str, str]] = [
    ({"weight": 81.4, "scan_moment_date": T}, "scan_moment_date", "could say when"),
    ({**AT, "weight": 179.5, "mass_units_of_scale": "lb"}, "mass_units_of_scale", "unit"),
    ({**AT, "weight": 3, "stabilized": 0, "weight_removed": 0}, "stabilized", "does not count"),
    ({**AT, "weight": 3, "weighing_mode": "object"}, "weighing_mode", "object"),
    ({**AT, "weight": 81.4, "is_deleted": 1}, "is_deleted", "does not count"),
    ({**AT, "wieght": 81.4}, "weight", "did you mean 'weight'?"),
    ({**AT, "sensor": {"weight": 81.4}}, "weight", "'sensor'"),
    ({"weight": 81.4, "time": "06/11/2026 07:12"}, "time", "6 November or 11 June 2026"),
    ({**AT, "weight": 81.4, "fat mass": 30, "fat-free mass": 66.6}, "fat mass", "does not fit"),
]

#: Input -> a word of the summary: taken, with something that a person should look at.
WARNED: list[tuple[object, str]] = [
    ({**AT, "weight": 81.4, "body_fat": 18.2, "muscle_mass": 77.6}, "Left out as doubtful: 'muscle_mass'"),
    ({**AT, "weight": 74.95, "body_fat": 18.2, "bone_mass": 11.65}, "Left out as doubtful: 'bone_mass'"),
    ({**AT, "weight": 81.4, "muscle rate": 45}, "Left out as doubtful: 'muscle rate'"),
    ({**AT, "weight": 18.2, "body fat": 81.4}, "Is that right?"),
    ({**AT, "weight": 8.14}, "Is that right?"),
    ({**AT, "weight": 81.4, "boddy fat": 18.2}, "did you mean 'body fat'?"),
    # openScale 2: muscle + bone are a little more than what is not fat.
    ({**AT, "weight": 63.3, "body_fat": 20, "muscle_mass": 48.2, "bone_mass": 2.81}, "Left out as doubtful"),
]


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FunctionClient:
    return client(monkeypatch, WEIGHBRIDGE_FOLDER=tmp_path, WEIGHBRIDGE_TIMEZONE="Europe/Berlin")


def values_of(receipt: dict[str, Any]) -> dict[str, object]:
    return {field["name"]: field["value"] for field in receipt["fields"]} | {"measured_at": receipt["measured_at"]}


@pytest.mark.parametrize(("payload", "expected"), TAKEN, ids=lambda part: json.dumps(part)[:60])
def test_taken(http: FunctionClient, payload: object, expected: dict[str, object]) -> None:
    """What a person would understand is taken, with these values."""
    answer = http.post("/?dry_run=true", json=payload)
    assert answer.status_code == 200, answer.text
    found = values_of(answer.json)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(("payload", "key", "words"), REFUSED, ids=lambda part: json.dumps(part)[:60])
def test_refused(http: FunctionClient, payload: object, key: str, words: str) -> None:
    """What steers a reading and is not understood, or is not a weigh-in, is refused under its key."""
    answer = http.post("/?dry_run=true", json=payload)
    assert answer.status_code == 422, answer.text
    assert any(error["field"] == key and words in error["message"] for error in answer.json["errors"]), answer.json


@pytest.mark.parametrize(("payload", "words"), WARNED, ids=lambda part: json.dumps(part)[:60])
def test_warned(http: FunctionClient, payload: dict[str, object], words: str) -> None:
    """A doubtful value never costs the weight, and the summary says it."""
    answer = http.post("/?dry_run=true", json=payload)
    assert answer.status_code == 200, answer.text
    assert words in answer.json["summary"]
    assert values_of(answer.json)["weight_kg"] == payload["weight"]


def test_alone_and_among_others(http: FunctionClient) -> None:
    """A reading gets the same receipt or the same problem alone and among others, apart from the file that holds it."""
    payloads = [payload for payload, *_ in (*TAKEN, *REFUSED, *WARNED)]
    alone = [without_file(http.post("/?dry_run=true", json=payload).json) for payload in payloads]
    for order in (payloads, payloads[::-1]):
        answer = http.post("/?dry_run=true", json=order)
        assert answer.status_code == 207
        found = [without_file(result) for result in answer.json["results"]]
        assert found == [alone[payloads.index(payload)] for payload in order]


def without_file(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "fit"}


def test_person_in_another_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A person in a key of another program is found; one in a key that is not understood is refused."""
    people = tmp_path / "people.toml"
    people.write_text(PEOPLE)
    http = client(monkeypatch, WEIGHBRIDGE_FOLDER=tmp_path / "kept", WEIGHBRIDGE_PEOPLE=people)
    reading = {"User": "Ben", "Weight": 60.0, "Date": T}
    assert values_of(http.post("/?dry_run=true", json=reading).json)["person"] == "Ben"
    unclear = http.post("/?dry_run=true", json={"profile_slot": "B", "weight": 60.0, **AT})
    assert unclear.status_code == 422
    assert [error["field"] for error in unclear.json["errors"]] == ["profile_slot"]


def test_bodies(http: FunctionClient) -> None:
    """Forms, text/plain and gzip are taken; another encoding is refused, and the answer names gzip."""
    reading = {"weight": "81.4 kg", "time": T}
    plain = json.dumps(reading).encode()
    answers = [
        http.post("/?dry_run=true", data=reading),
        http.post("/?dry_run=true", data=plain, content_type="text/plain"),
        http.post("/?dry_run=true", data=gzip.compress(plain), headers={"Content-Encoding": "gzip"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.json["fit"]["sha256"] for answer in answers}) == 1
    refused = http.post("/", data=plain, headers={"Content-Encoding": "br"})
    assert (refused.status_code, "gzip" in refused.text) == (415, True)


@pytest.mark.parametrize("event", ["test", "clear", "history"])
def test_openscale_events(http: FunctionClient, event: str) -> None:
    """openScale-sync's events without a weigh-in are answered plainly."""
    answer = http.post("/", json={"event": event})
    assert (answer.status_code, answer.json["status"], answer.json["final"]) == (200, "nothing", True)


def test_time_of_event_is_bounded(http: FunctionClient) -> None:
    """The time of an event is bounded like any other: it was an internal error."""
    headers = {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "s", "ce-id": "1"}
    late = http.post("/", json={"weight": 81.4}, headers=headers | {"ce-time": "9999-12-31T23:59:59-23:59"})
    assert late.status_code == 422
    timed = http.post("/?dry_run=true", json={"weight": 81.4}, headers=headers | {"ce-time": T})
    assert timed.json["measured_at"] == datetime(2026, 11, 20, 7, 12, 33, tzinfo=UTC).isoformat().replace("+00:00", "Z")
