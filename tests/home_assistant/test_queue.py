"""The queue: what has arrived is delivered once, whatever ends in between."""

from __future__ import annotations

import asyncio
import json
import re
import resource
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.components import persistent_notification
from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.storage import Store
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service

from custom_components.weighbridge import queue as module
from custom_components.weighbridge.const import CONF_HEIGHT, CONF_NAME_IN_FUNCTION, CONF_PERSON, DOMAIN
from custom_components.weighbridge.queue import Outcome, Queue, State, plain

from .dialog import Dialog
from .running import RunningFunction

Until = Callable[[Callable[[], object]], Awaitable[None]]
NOW = datetime(2026, 11, 20, 7, 12, 33, tzinfo=UTC)


@pytest.fixture
def outcomes(hass: HomeAssistant, entry: MockConfigEntry) -> list[Outcome]:
    found: list[Outcome] = []
    async_dispatcher_connect(hass, f"weighbridge_outcome_{entry.entry_id}", found.append)
    return found


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", (0.02, 0.2))


def reading(kg: float = 81.4, **more: object) -> dict[str, Any]:
    return {"weight": kg, **more}


async def add(entry: MockConfigEntry, kg: float = 81.4, at: datetime = NOW, **more: Any) -> str:
    subentry_id = more.pop("subentry_id", next(iter(entry.subentries)))
    queue: Queue = entry.runtime_data.queue
    return await queue.add(
        reading(kg, **more.pop("values", {})), subentry_id=subentry_id, source="a scale", received_at=at, **more
    )


def stored(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    document = json.loads(Path(hass.config.path(".storage", f"{DOMAIN}.{entry.entry_id}")).read_bytes())
    return dict(document["data"])


async def reload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_reload(entry.entry_id)


@pytest.fixture
def hass_storage() -> None:
    """The store is the real one, on a disk: see `_real_files`."""


@pytest.fixture(autouse=True)
def _real_files(hass: HomeAssistant, tmp_path: Path) -> None:
    hass.config.config_dir = str(tmp_path)
    (tmp_path / ".storage").mkdir()


async def test_delivers(
    loaded: MockConfigEntry, function: RunningFunction, outcomes: list[Outcome], until: Until, hass: HomeAssistant
) -> None:
    """A reading is delivered with the time of its arrival, and nothing of it stays."""
    await add(loaded)
    await until(lambda: [o.kind for o in outcomes] == ["confirmed"])
    (weight,) = function.weights()
    assert weight["timestampGMT"] == NOW.timestamp() * 1000
    assert loaded.runtime_data.queue.waiting == ()
    assert stored(hass, loaded)["items"] == []


async def test_stored_before_it_returns(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """A reading is on the disk before `add` returns. It is delivered after a restart, once."""
    function.stop()
    ids = [await add(loaded, 81.4), await add(loaded, 81.6, NOW + timedelta(days=1))]
    assert [item["id"] for item in stored(hass, loaded)["items"]] == ids
    await hass.config_entries.async_unload(loaded.entry_id)
    function.start()
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await until(lambda: len(function.weights()) == 2 and not loaded.runtime_data.queue.waiting)
    assert sorted(weight["weight"] for weight in function.weights()) == [81_400.0, 81_600.0]


async def test_stored_while_home_assistant_stops(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """The Store of Home Assistant writes nothing while it stops. The queue does."""
    from homeassistant.core import CoreState

    with patch.object(hass, "state", CoreState.stopping):
        await loaded.runtime_data.queue.remember("topic", "said")
        assert stored(hass, loaded)["marks"] == {"topic": "said"}


async def test_sent_again_after_a_cut(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome]
) -> None:
    """A reading that was delivered, and whose store was not written before a crash, is not delivered twice."""
    path = Path(hass.config.path(".storage", f"{DOMAIN}.{loaded.entry_id}"))
    await loaded.runtime_data.queue.add(reading(), subentry_id=None, source="a scale", received_at=NOW, settling=True)
    before = path.read_bytes()
    await loaded.runtime_data.queue.settled(loaded.runtime_data.queue.waiting[0].id)
    await until(lambda: [o.kind for o in outcomes] == ["confirmed"])
    await hass.config_entries.async_unload(loaded.entry_id)
    path.write_bytes(before)
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await until(lambda: [o.kind for o in outcomes] == ["confirmed", "present"])
    assert len(function.weights()) == 1


async def test_reload_while_a_removal_is_written(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction
) -> None:
    """What was delivered is not sent again after a reload that cut off the write of its removal."""
    cut, save = asyncio.Event(), Store.async_save

    async def cut_off(store: Store[Any], document: Any) -> None:
        if store.key == f"{DOMAIN}.{loaded.entry_id}" and not document["items"] and not cut.is_set():
            cut.set()
            await asyncio.Event().wait()
        await save(store, document)

    with patch.object(Store, "async_save", cut_off):
        await add(loaded)
        async with asyncio.timeout(30):
            await cut.wait()
        await reload(hass, loaded)
    assert stored(hass, loaded)["items"] == []
    assert loaded.runtime_data.queue.waiting == ()
    assert len(function.weights()) == 1


async def test_in_order(
    loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome]
) -> None:
    """The readings of a person are sent one at a time, in the order of their arrival."""
    ids = [await add(loaded, 81.0 + n / 10, NOW + timedelta(days=n)) for n in range(4)]
    await until(lambda: len(outcomes) == 4)
    assert [outcome.item.id for outcome in outcomes] == ids


@pytest.mark.fault(12)
async def test_function_away(
    loaded: MockConfigEntry, function: RunningFunction, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """While the function is away, a reading waits. It arrives when it is back. The log has one line for each, and no
    notification is created."""
    notifications: list[object] = []
    persistent_notification.async_register_callback(
        loaded.runtime_data.health.hass, lambda *shown: notifications.append(shown)
    )
    function.stop()
    outcomes: list[Outcome] = []
    async_dispatcher_connect(loaded.runtime_data.health.hass, f"weighbridge_outcome_{loaded.entry_id}", outcomes.append)
    await add(loaded)
    await loaded.runtime_data.health.async_refresh()
    await until(lambda: len(outcomes) >= 4)
    assert {outcome.kind for outcome in outcomes} == {"waiting"}
    function.start()
    await loaded.runtime_data.health.async_refresh()
    await until(lambda: outcomes[-1].kind in ("confirmed", "present"))
    assert len(function.weights()) == 1
    ours = [r for r in caplog.records if r.name.startswith("custom_components.weighbridge") and r.levelname != "DEBUG"]
    assert [record.levelname for record in ours] == ["ERROR", "INFO"]
    assert notifications == []


@pytest.mark.parametrize("fault", ["503", "429", "drop-after"])
async def test_garmin_away(
    loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome], fault: str
) -> None:
    """While Garmin is away, a reading waits. It arrives once."""
    function.garmin.faults.add("upload", fault, retry_after=1 if fault == "429" else None)
    await add(loaded)
    await until(lambda: outcomes)
    loaded.runtime_data.queue.retry()
    await until(lambda: outcomes[-1].kind in ("confirmed", "present"))
    assert len(function.weights()) == 1


def rejections(hass: HomeAssistant) -> list[str]:
    """The issues of rejected readings that a person sees."""
    issues = ir.async_get(hass).issues.values()
    return [
        issue.issue_id
        for issue in issues
        if ".rejected." in issue.issue_id and issue.active and not issue.dismissed_version
    ]


@pytest.mark.fault(5)
async def test_rejected(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    function: RunningFunction,
    until: Until,
    outcomes: list[Outcome],
) -> None:
    """What the function rejects does not hold up what comes after it. Each is an issue with its source, its time and
    the reason, also after a restart: three rejections within a second left one notification."""
    function.stop()
    for n in range(3):
        await add(loaded, 8140, NOW + timedelta(seconds=n))
    await add(loaded)
    function.start()
    loaded.runtime_data.queue.retry()
    await until(lambda: outcomes[-1].kind == "confirmed")
    assert [outcome.kind for outcome in outcomes if outcome.kind != "waiting"] == ["rejected"] * 3 + ["confirmed"]
    await reload(hass, loaded)
    assert len(rejections(hass)) == 3
    issue = ir.async_get(hass).async_get_issue(DOMAIN, rejections(hass)[0])
    assert issue is not None
    assert issue.translation_placeholders == {"source": "a scale", "received": "2026-11-19 23:12"}
    dialog = await repair(hass, issue)
    assert dialog.shown == {
        **issue.translation_placeholders,
        "reason": "weight: 8140. The weight must be 2 to 400 kg.",
        "values": '{"weight": 8140}',
    }
    # What is attached to a bug report has no value.
    assert "data" not in issue.to_json()


async def repair(hass: HomeAssistant, issue: ir.IssueEntry) -> Dialog:
    assert await async_setup_component(hass, "repairs", {})
    manager = repairs_flow_manager(hass)
    assert manager is not None
    dialog = Dialog(manager, ("issues", str(issue.translation_key), "fix_flow"))
    return await dialog.start(context={"issue_id": issue.issue_id}, data={"issue_id": issue.issue_id})


@pytest.mark.parametrize("way", ["dismiss", "ignore"])
async def test_dismissed(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until, way: str
) -> None:
    """A rejection that was dismissed or ignored is gone, with its values, also after a restart. The others stay."""
    for n in range(2):
        await add(loaded, 8140 + n)
    await until(lambda: len(rejections(hass)) == 2)
    first, other = rejections(hass)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, first)
    assert issue is not None
    if way == "ignore":
        ir.async_ignore_issue(hass, DOMAIN, first, ignore=True)
    else:
        assert (await (await repair(hass, issue)).choose("dismiss")).is_done
    await until(lambda: len(stored(hass, loaded)["items"]) == 1)
    assert "8140" not in json.dumps(stored(hass, loaded)["items"])
    await reload(hass, loaded)
    assert rejections(hass) == [other]


async def test_sent_again(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome]
) -> None:
    """A rejected reading can be sent again after what was wrong is repaired, once."""
    await add(loaded, 82.0)
    await until(lambda: len(function.weights()) == 1)
    await add(loaded, 84.0)
    await until(lambda: rejections(hass))
    issue = ir.async_get(hass).async_get_issue(DOMAIN, rejections(hass)[0])
    assert issue is not None
    dialog, late = await repair(hass, issue), await repair(hass, issue)
    function.garmin.weights.entries.clear()
    assert (await dialog.choose("send_again")).is_done
    await until(lambda: outcomes[-1].kind == "confirmed")
    assert [weight["weight"] for weight in function.weights()] == [84_000.0]
    assert (await late.choose("dismiss")).reason == "not_there"
    assert rejections(hass) == []
    assert stored(hass, loaded)["items"] == []


async def test_rejected_after_its_action(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """Whoever waits for the answer hears of a rejection there. If it comes later, it is an issue."""
    queue = loaded.runtime_data.queue
    assert (await queue.send_now(await add(loaded, 8140))).again == "never"
    assert rejections(hass) == []
    function.stop()
    assert (await queue.send_now(await add(loaded, 8140))).again == "later"
    function.start()
    queue.retry()
    await until(lambda: len(rejections(hass)) == 1)


async def test_no_weight(hass: HomeAssistant, loaded: MockConfigEntry, until: Until, outcomes: list[Outcome]) -> None:
    """Messages without a weight, such as the state of a scale, are one issue for each source and reason."""
    queue = loaded.runtime_data.queue
    for n, (source, key) in enumerate([("scale/state", "rssi"), ("scale/state", "rssi"), ("scale/other", "rssi")]):
        await queue.add({key: n}, subentry_id=None, source=source, received_at=NOW)
    await until(lambda: len(outcomes) == 3)
    assert len(rejections(hass)) == 2


async def test_many_rejections(
    hass: HomeAssistant, loaded: MockConfigEntry, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go before they fill the disk."""
    monkeypatch.setattr(module, "MOST", 3)
    ids = [await add(loaded, 8140, NOW + timedelta(seconds=n)) for n in range(5)]
    await until(lambda: not loaded.runtime_data.queue.waiting)
    assert [issue.rpartition(".")[2] for issue in rejections(hass)] == ids[2:]


@pytest.mark.fault(2)
async def test_equal_numbers(
    loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome]
) -> None:
    """Equal numbers on two days are two weigh-ins; within the window of the function they are one."""
    await add(loaded)
    await add(loaded, at=NOW + timedelta(seconds=5))
    await add(loaded, at=NOW + timedelta(days=1))
    await until(lambda: len(outcomes) == 3)
    assert not loaded.runtime_data.queue.waiting
    assert len(function.weights()) == 2


async def test_send_now(loaded: MockConfigEntry, function: RunningFunction) -> None:
    """An action gets the receipt, or the reason of a rejection."""
    queue = loaded.runtime_data.queue
    assert (await queue.send_now(await add(loaded))).outcome == "confirmed"
    answer = await queue.send_now(await add(loaded, 8140))
    assert (answer.again, answer.errors[0]["field"]) == ("never", "weight")


async def test_several_in_one(
    loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome]
) -> None:
    """A document with several weigh-ins is done when each of them is."""
    measures = [{"value": 81_400 + n, "type": 1, "unit": -3} for n in range(2)]
    groups = [{"date": int(NOW.timestamp()) + 86_400 * n, "measures": [measures[n]]} for n in range(2)]
    await loaded.runtime_data.queue.add({"measuregrps": groups}, subentry_id=None, source="a scale", received_at=NOW)
    await until(lambda: outcomes and outcomes[-1].kind == "confirmed")
    assert len(function.weights()) == 2
    assert not loaded.runtime_data.queue.waiting


# -- retained messages ------------------------------------------------------------------------------------


async def test_retained_without_a_time(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome]
) -> None:
    """A retained reading without a time is not sent. An issue says so once, not after each restart."""
    await add(loaded, retained=True, mark=("mqtt:scale", "hash"))
    await until(lambda: outcomes)
    assert [outcome.kind for outcome in outcomes] == ["unknown_time"]
    assert function.weights() == []
    assert [key for _, key in ir.async_get(hass).issues if ".unknown_time." in key]
    await reload(hass, loaded)
    assert loaded.runtime_data.queue.mark_of("mqtt:scale") == "hash"


async def test_retained_with_a_time(
    loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome]
) -> None:
    """A retained reading with a time of its own is sent."""
    await add(loaded, retained=True, at=NOW + timedelta(days=3), values={"Time": "2026-11-20T07:12:33Z"})
    await until(lambda: [outcome.kind for outcome in outcomes] == ["confirmed"])
    assert function.weights()[0]["timestampGMT"] == NOW.timestamp() * 1000


# -- what the disk does -------------------------------------------------------------------------------------


async def test_kill_before_the_rename(hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction) -> None:
    """The write is atomic: a kill between write and rename leaves the readings that were there."""
    function.stop()
    await add(loaded)
    before = stored(hass, loaded)

    def killed(*_: object) -> None:
        raise SystemExit

    with patch("os.rename", killed), patch("os.replace", killed), pytest.raises(SystemExit):
        await add(loaded, 82)
    assert stored(hass, loaded) == before


@contextmanager
def full_disk() -> Iterator[None]:
    """No file takes another byte."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_full_disk(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome]
) -> None:
    """With a full disk, a reading is delivered all the same, and an issue says that the next restart is a risk."""
    issue = f"queue.{loaded.entry_id}.queue_not_stored"
    with full_disk():
        await add(loaded)
        await until(lambda: [outcome.kind for outcome in outcomes] == ["confirmed"])
        assert ir.async_get(hass).async_get_issue(DOMAIN, issue)
    await loaded.runtime_data.queue.remember("topic", "said")
    assert not ir.async_get(hass).async_get_issue(DOMAIN, issue)
    assert stored(hass, loaded)["items"] == []


@pytest.mark.parametrize("content", [b"", b'{"version": 1, "data": {"it', b"\0" * 100])
async def test_corrupt_file(
    hass: HomeAssistant, entry: MockConfigEntry, content: bytes, until: Until, outcomes: list[Outcome]
) -> None:
    """A file that is not JSON is set aside and reported by Home Assistant. The queue works."""
    folder = Path(hass.config.path(".storage"))
    (folder / f"{DOMAIN}.{entry.entry_id}").write_bytes(content)
    assert await hass.config_entries.async_setup(entry.entry_id)
    (aside,) = folder.glob(f"{DOMAIN}.{entry.entry_id}.corrupt.*")
    assert aside.read_bytes() == content
    assert [key for _, key in ir.async_get(hass).issues if key.startswith(f"storage_corruption_{DOMAIN}")]
    await add(entry)
    await until(lambda: [outcome.kind for outcome in outcomes] == ["confirmed"])


def damage_file(hass: HomeAssistant, entry: MockConfigEntry, damage: str) -> Path:
    """The file of the queue, in which something is not as it was written."""
    path = Path(hass.config.path(".storage", f"{DOMAIN}.{entry.entry_id}"))
    document = json.loads(path.read_bytes())
    data = document["data"]
    match damage:
        case "item":
            data["items"].append("a text")
        case "state":
            data["items"].append({**data["items"][0], "id": "other", "state": "no state"})
        case "type":
            data["items"].append({**data["items"][0], "id": 12})
        case _:
            data[damage] = "a text"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("damage", ["item", "items", "marks", "state", "type"])
async def test_damaged_file(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, damage: str, until: Until
) -> None:
    """What is JSON and not as it was written is set aside with an issue; what can be read is sent."""
    function.stop()
    await add(loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    path = damage_file(hass, loaded, damage)
    content = path.read_bytes()
    function.start()
    assert await hass.config_entries.async_setup(loaded.entry_id)
    (aside,) = path.parent.glob(f"{path.name}.corrupt.*")
    assert aside.read_bytes() == content
    assert aside.stat().st_mode & 0o777 == 0o600
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"queue.{loaded.entry_id}.queue_damaged")
    if damage != "items":
        await until(lambda: len(function.weights()) == 1)


async def test_damaged_file_on_a_full_disk(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """While what is damaged cannot be set aside, nothing overwrites it. Home Assistant tries again."""
    function.stop()
    await add(loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    path = damage_file(hass, loaded, "item")
    content = path.read_bytes()
    function.start()
    with full_disk():
        assert not await hass.config_entries.async_setup(loaded.entry_id)
    assert loaded.state is ConfigEntryState.SETUP_RETRY
    assert loaded.error_reason_translation_key == "queue_not_set_aside"
    assert path.read_bytes() == content
    assert not list(path.parent.glob(f"{path.name}.corrupt.*"))
    assert await hass.config_entries.async_reload(loaded.entry_id)
    (aside,) = path.parent.glob(f"{path.name}.corrupt.*")
    assert aside.read_bytes() == content
    await until(lambda: len(function.weights()) == 1)


async def test_removed(hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until) -> None:
    """After the entry is removed, nothing of the queue is left, and no issue of what was rejected."""
    await add(loaded, 8140)
    await until(lambda: rejections(hass))
    function.stop()
    await add(loaded, retained=True)
    assert await hass.config_entries.async_remove(loaded.entry_id)
    assert not list(Path(hass.config.path(".storage")).glob(f"{DOMAIN}.*"))
    assert not [key for _, key in ir.async_get(hass).issues if key.startswith("queue.")]


@pytest.mark.parametrize("damage", ["items", "the whole"])
async def test_removed_with_damaged_files(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, damage: str
) -> None:
    """What was set aside holds measurements. It goes with the entry, and so does the issue about it."""
    function.stop()
    await add(loaded)
    await hass.config_entries.async_unload(loaded.entry_id)
    if damage == "items":
        damage_file(hass, loaded, damage)
    else:
        Path(hass.config.path(".storage", f"{DOMAIN}.{loaded.entry_id}")).write_bytes(b"{")
    assert await hass.config_entries.async_setup(loaded.entry_id)
    folder = Path(hass.config.path(".storage"))
    assert list(folder.glob(f"{DOMAIN}.*.corrupt.*"))
    assert await hass.config_entries.async_remove(loaded.entry_id)
    await hass.async_block_till_done()
    assert not list(folder.glob(f"{DOMAIN}.*"))
    assert not [key for _, key in ir.async_get(hass).issues if DOMAIN in key or key.startswith("queue.")]


def test_plain() -> None:
    """A reading is stored as JSON: a time as text with its zone, and what JSON does not have as text."""
    assert plain({"at": NOW, 1: (NOW.tzinfo,), "s": {3.0}}) == {
        "at": "2026-11-20T07:12:33+00:00",
        "1": ["UTC"],
        "s": [3.0],
    }
    assert plain(NOW.replace(tzinfo=None)) == "2026-11-20T07:12:33-08:00"


# -- questions ----------------------------------------------------------------------------------------------

TWO = pytest.mark.parametrize("people", [("Anna", "Ben")])


async def ask(hass: HomeAssistant, entry: MockConfigEntry, until: Until) -> str:
    """A reading that fits nobody's range, so it is not clear whose it is."""
    item_id = await add(entry, subentry_id=None)
    await until(lambda: [item.state for item in entry.runtime_data.queue.waiting] == [State.ASKING])
    return item_id


def question(hass: HomeAssistant, entry: MockConfigEntry, item_id: str) -> ir.IssueEntry | None:
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"queue.{entry.entry_id}.question.{item_id}")
    return issue if issue and issue.active else None


@TWO
async def test_asks(hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until) -> None:
    """A doubtful reading asks, waits over a restart, and is delivered to the account of the answer."""
    item_id = await ask(hass, loaded, until)
    await until(lambda: question(hass, loaded, item_id))
    await reload(hass, loaded)
    assert question(hass, loaded, item_id)
    with pytest.raises(LookupError):
        await loaded.runtime_data.queue.answer(item_id, "Carl")
    await loaded.runtime_data.queue.answer(item_id, "Ben")
    await until(lambda: not loaded.runtime_data.queue.waiting)
    assert (len(function.weights("anna")), len(function.weights("ben"))) == (0, 1)
    assert not question(hass, loaded, item_id)
    with pytest.raises(LookupError):
        await loaded.runtime_data.queue.answer(item_id, "Ben")


@TWO
async def test_nobody(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until, outcomes: list[Outcome]
) -> None:
    """A reading that is nobody's is discarded."""
    item_id = await ask(hass, loaded, until)
    await loaded.runtime_data.queue.answer(item_id, None)
    await until(lambda: outcomes[-1].kind == "discarded")
    await reload(hass, loaded)
    assert loaded.runtime_data.queue.waiting == ()
    assert function.weights("anna") == function.weights("ben") == []


async def set_height(hass: HomeAssistant, entry: MockConfigEntry, *heights: float) -> None:
    for subentry, height in zip(tuple(entry.subentries.values()), heights, strict=True):
        hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, CONF_HEIGHT: height})
    await hass.async_block_till_done()


@TWO
async def test_height_after_an_answer(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """Once somebody has said whose a reading is, the height of that person gives its body mass index."""
    await set_height(hass, loaded, 160, 180)
    item_id = await ask(hass, loaded, until)
    await loaded.runtime_data.queue.answer(item_id, "Ben")
    await until(lambda: function.weights("ben"))
    assert function.weights("ben")[0]["bmi"] == pytest.approx(25.1, abs=0.05)


async def test_height_of_the_only_person(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """With one person, each reading is theirs, whatever its source says. What the scale says counts more."""
    await set_height(hass, loaded, 180)
    await add(loaded, subentry_id=None)
    for n, own in enumerate(({"height": 160}, {"bmi": 27.3}), 1):
        await add(loaded, at=NOW + timedelta(days=n), values=own)
    await until(lambda: len(function.weights()) == 3)
    assert [weight["bmi"] for weight in function.weights()] == pytest.approx([27.3, 31.8, 25.1], abs=0.05)


async def phone_of_ben(hass: HomeAssistant, loaded: MockConfigEntry) -> list[ServiceCall]:
    """Give Ben, who is at home, a phone. Returns what is sent to it."""
    phone = MockConfigEntry(domain="mobile_app", data={"device_name": "Phone of Ben"})
    phone.add_to_hass(hass)
    tracker = er.async_get(hass).async_get_or_create("device_tracker", "mobile_app", "1", config_entry=phone)
    hass.states.async_set("person.anna", "not_home", {"device_trackers": ["device_tracker.unknown"]})
    hass.states.async_set("person.ben", "home", {"device_trackers": [tracker.entity_id]})
    for subentry in tuple(loaded.subentries.values()):
        person = f"person.{subentry.data[CONF_NAME_IN_FUNCTION].lower()}"
        hass.config_entries.async_update_subentry(loaded, subentry, data={**subentry.data, CONF_PERSON: person})
    await hass.async_block_till_done()
    return async_mock_service(hass, "notify", "mobile_app_phone_of_ben")


@TWO
@pytest.mark.parametrize(("place", "whose"), [(0, "Anna"), (1, "Ben"), (2, "")])
async def test_phone(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    function: RunningFunction,
    until: Until,
    place: int,
    whose: str,
) -> None:
    """The phone of a candidate asks, who is at home first, without a value; a button answers, and the question goes."""
    calls = await phone_of_ben(hass, loaded)
    await ask(hass, loaded, until)
    await until(lambda: calls)
    (call,) = calls
    # The identifiers may have any digits.
    assert not re.search(r"\b81", json.dumps(dict(call.data)))
    actions = sorted(call.data["data"]["actions"], key=lambda action: action["action"])
    assert [action["title"] for action in call.data["data"]["actions"]] == ["Ben", "Anna", "Nobody: discard it"]
    assert call.data["message"] == "Whose weigh-in is it? 2026-11-19 23:12, a scale"
    hass.bus.async_fire("mobile_app_notification_action", {"action": "of another"})
    hass.bus.async_fire("mobile_app_notification_action", {"action": actions[place]["action"]})
    await until(lambda: not loaded.runtime_data.queue.waiting)
    await until(lambda: len(calls) == 2)
    assert calls[1].data["message"] == "clear_notification"
    assert calls[1].data["data"] == {"tag": call.data["data"]["tag"]}
    assert {name: len(function.weights(name)) for name in ("Anna", "Ben")} == {
        name: int(name == whose) for name in ("Anna", "Ben")
    }


@TWO
async def test_removed_with_a_question(
    hass: HomeAssistant, loaded: MockConfigEntry, function: RunningFunction, until: Until
) -> None:
    """An open question goes from the phones and from the repairs with the entry."""
    calls = await phone_of_ben(hass, loaded)
    await ask(hass, loaded, until)
    await until(lambda: calls)
    assert await hass.config_entries.async_remove(loaded.entry_id)
    await until(lambda: len(calls) == 2)
    assert calls[1].data["message"] == "clear_notification"
    assert calls[1].data["data"] == {"tag": calls[0].data["data"]["tag"]}
    assert not [key for _, key in ir.async_get(hass).issues if key.startswith("queue.")]


async def test_pauses() -> None:
    """The pauses grow from 1 s to 15 minutes; what the function asks for counts more."""
    from custom_components.weighbridge.answers import Answer, no_answer

    with patch.object(module, "_PAUSE_S", (1.0, 900.0)):
        assert [Queue._pause_s(no_answer(""), n) for n in (1, 2, 3, 10, 11, 1000)] == [1, 2, 4, 512, 900, 900]
        asked = Answer(503, {"type": "urn:weighbridge:x", "again": "later", "retry_after_s": 86_400})
        assert Queue._pause_s(asked, 1) == 86_400
        repair = Answer(503, {"type": "urn:weighbridge:x", "again": "after_repair"})
        assert Queue._pause_s(repair, 1) == 900
