"""What is to be done with each item of a request: a weigh-in, a replacement, a deletion, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from weighbridge.accounts import Destination, PerPerson
from weighbridge.delivery.folder import Folder
from weighbridge.delivery.kept import kept_files
from weighbridge.errors import NotFound, ReadingRejected, WeighbridgeError
from weighbridge.fit.template import read_template
from weighbridge.pipeline import Weighbridge
from weighbridge.reading.bodies import Action, Item
from weighbridge.reading.people import read_people
from weighbridge.resources import TEMPLATES

TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
AT = {"time": "2026-11-22T06:31:00Z"}
READING = {"weight": "81.4 kg", "body fat": "18.2 %", **AT}
PEOPLE = """
[[person]]
name = "Anna"
token = "anna"
weight_kg = [50, 70]
[[person]]
name = "Ben"
token = "ben"
weight_kg = [75, 95]
aliases = ["B"]
"""


@pytest.fixture
def bridge(tmp_path: Path) -> Weighbridge:
    return Weighbridge(TEMPLATE, Folder(tmp_path, join_s=60), ZoneInfo("UTC"))


def weigh(bridge: Weighbridge, *items: object, dry_run: bool = False) -> list[Any]:
    return bridge.weigh(items, now=NOW, dry_run=dry_run, replace=False)


def fault(result: Any) -> type[WeighbridgeError]:
    assert isinstance(result, WeighbridgeError), result
    return type(result)


def test_nothing(bridge: Weighbridge, tmp_path: Path) -> None:
    """A test is answered with its text, and nothing is done."""
    (receipt,) = weigh(bridge, Item({"event": "test"}, Action.NOTHING, "The test has arrived."))
    assert (receipt["status"], receipt["final"], receipt["summary"]) == ("nothing", True, "The test has arrived.")
    assert (receipt["measured_at"], receipt["fields"], receipt["fit"]) == (None, [], None)
    assert list(tmp_path.iterdir()) == []


def test_take_back(bridge: Weighbridge, tmp_path: Path) -> None:
    """A weigh-in is deleted at exactly its instant; without one there, it is not found."""
    weigh(bridge, READING)
    dry, late, receipt, again = (
        weigh(bridge, Item(payload, Action.TAKE_BACK), dry_run=dry_run)[0]
        for payload, dry_run in ((AT, True), ({"time": "2026-11-22T06:31:01Z"}, False), (AT, False), (AT, False))
    )
    assert (dry["status"], fault(late)) == ("checked", NotFound)
    assert (receipt["status"], receipt["final"], receipt["measured_at"]) == ("taken_back", True, AT["time"])
    assert "2026-11-22T06:31:00Z" in receipt["summary"]
    assert fault(again) is NotFound
    assert kept_files(tmp_path) == []


@pytest.mark.parametrize("payload", [{}, {"weight": "81.4 kg"}, {"time": "noon"}, {"received_at": AT["time"]}, [], 5])
def test_take_back_without_a_time(bridge: Weighbridge, tmp_path: Path, payload: object) -> None:
    """Without a time of its own, nothing is taken back."""
    weigh(bridge, READING)
    assert fault(weigh(bridge, Item(payload, Action.TAKE_BACK))[0]) is ReadingRejected
    assert len(kept_files(tmp_path)) == 1


def test_values_do_not_matter(bridge: Weighbridge) -> None:
    """What a weigh-in to delete measured is not looked at."""
    weigh(bridge, READING)
    payload = {**AT, "weight": "3 tons", "body fat": "-1"}
    assert weigh(bridge, Item(payload, Action.TAKE_BACK))[0]["status"] == "taken_back"


def test_in_order(bridge: Weighbridge, tmp_path: Path) -> None:
    """Items are carried out in their order: kept, replaced, deleted, kept again."""
    corrected = {**READING, "body fat": "18.1 %"}
    later = {**READING, "time": "2026-11-22T08:31:00Z"}
    results = weigh(
        bridge,
        READING,
        {"weight": -1},
        Item(corrected, Action.REPLACE),
        Item(later),
        Item("x", Action.NOTHING, "Nothing."),
        Item(AT, Action.TAKE_BACK),
        READING,
    )
    statuses = [fault(each) if isinstance(each, Exception) else each["status"] for each in results]
    assert statuses == ["kept", ReadingRejected, "kept", "kept", "nothing", "taken_back", "kept"]
    assert results[2]["warnings"] == []
    assert len(kept_files(tmp_path)) == 2


def test_refusals_hold_nothing(bridge: Weighbridge) -> None:
    """A fault that waits for its answer does not hold what was made of its payload."""
    contradicting = {**READING, "fat mass": "30 kg", "fat-free mass": "66.6 kg"}
    for refused in weigh(bridge, contradicting, {"weight": -1}, [], dry_run=True):
        assert fault(refused) is ReadingRejected
        assert (refused.__traceback__, refused.__context__) == (None, None)


def test_only_weigh_ins_in_a_file(bridge: Weighbridge) -> None:
    """A file is made of weigh-ins, also of those that are to replace others, and of nothing else."""
    readings, fit = bridge.fit([Item(READING), Item(READING, Action.REPLACE)], now=NOW)
    assert (len(readings), fit.readings) == (2, 2)
    with pytest.raises(ReadingRejected, match="rejected"):
        bridge.fit([Item(READING), Item(AT, Action.TAKE_BACK)], now=NOW)


def test_without_a_time(bridge: Weighbridge, tmp_path: Path) -> None:
    """Messages without a time, in the second of their arrival, are one weigh-in."""
    weigh(bridge, {"weight": "81.4 kg"})
    (receipt,) = weigh(bridge, {"weight": "81.3 kg", "body fat": "18.2 %"})
    assert [note["code"] for note in receipt["notes"]] == ["time-of-arrival", "completes-weigh-in"]
    assert len(kept_files(tmp_path)) == 1


def test_take_back_needs_a_person(tmp_path: Path) -> None:
    """With several people, a weigh-in is taken back only from the account of the one who is named."""
    people = read_people(PEOPLE)
    folders = {person: Folder(tmp_path / person.name, join_s=60) for person in people}
    accounts = {person: Destination(folder, folder) for person, folder in folders.items()}
    per_person = PerPerson(accounts)
    bridge = Weighbridge(TEMPLATE, per_person, ZoneInfo("UTC"), per_person.settle)
    both = [{**AT, "weight": f"{kg} kg"} for kg in (60, 81.4)]
    assert [each["status"] for each in weigh(bridge, *both)] == ["kept", "kept"]
    for payload in (AT, {**AT, "person": "Carl"}):
        assert fault(weigh(bridge, Item(payload, Action.TAKE_BACK))[0]) is ReadingRejected
    assert weigh(bridge, Item({**AT, "person": "B"}, Action.TAKE_BACK))[0]["status"] == "taken_back"
    assert [len(kept_files(tmp_path / name)) for name in ("Anna", "Ben")] == [1, 0]


def test_kept_weights_tell_people_apart(tmp_path: Path) -> None:
    """Where only files are kept, a weight that fits two ranges is that of the person with such a kept weight."""
    people = read_people(PEOPLE.replace("[75, 95]", "[60, 95]"))
    folders = {person: Folder(tmp_path / person.name) for person in people}
    per_person = PerPerson({person: Destination(folder, folder) for person, folder in folders.items()})
    bridge = Weighbridge(TEMPLATE, per_person, ZoneInfo("UTC"), per_person.settle)
    assert isinstance(weigh(bridge, {**AT, "weight": "69 kg"})[0], ReadingRejected)
    weigh(bridge, {**AT, "weight": "62 kg", "person": "Anna"}, {**AT, "weight": "69 kg", "person": "Ben"})
    weigh(bridge, {"time": "2026-11-23T06:31:00Z", "weight": "69.2 kg"})
    assert [len(kept_files(tmp_path / name)) for name in ("Anna", "Ben")] == [1, 2]


def test_never_joined_across_people(tmp_path: Path) -> None:
    """Equal messages of two people are two weigh-ins, each with its own values."""
    people = read_people(PEOPLE)
    folders = {person: Folder(tmp_path / person.name, join_s=60) for person in people}
    accounts = {person: Destination(folder, folder) for person, folder in folders.items()}
    per_person = PerPerson(accounts)
    bridge = Weighbridge(TEMPLATE, per_person, ZoneInfo("UTC"), per_person.settle)
    anna = {**AT, "weight": "72 kg", "person": "Anna"}
    ben = {**AT, "weight": "72 kg", "person": "Ben", "body fat": "18.2 %"}
    receipts = weigh(bridge, anna, ben)
    assert [receipt["notes"] for receipt in receipts] == [[], []]
    assert [len(kept_files(tmp_path / name)) for name in ("Anna", "Ben")] == [1, 1]
