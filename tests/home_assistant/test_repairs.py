"""What a person has to repair: when it is shown, how it is repaired, and that nothing stays behind."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.weighbridge import async_remove_config_entry_device
from custom_components.weighbridge.const import DOMAIN
from custom_components.weighbridge.health import AWAY
from tests.garmin.server import GarminStandIn

from .dialog import Dialog, texts
from .other_server import other_server
from .running import KEY, RunningFunction
from .test_config_flow import ANNA_AND_BEN, credentials, pasted

Until = Callable[[Callable[[], object]], Awaitable[None]]
READING = {"measured_at": "2026-11-22T06:31:00Z", "weight_kg": 81.37}


@pytest.fixture(autouse=True)
async def _repairs(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "repairs", {})


def issues(hass: HomeAssistant) -> dict[str, ir.IssueEntry]:
    """The issues, by what they are about: the key, and the name of the person."""
    found = [issue for (domain, _), issue in ir.async_get(hass).issues.items() if domain == DOMAIN]
    return {f"{issue.translation_key} {(issue.data or {}).get('person')}".strip(): issue for issue in found}


async def asked(hass: HomeAssistant, entry: MockConfigEntry) -> set[str]:
    """The issues after the health was asked once more."""
    await entry.runtime_data.health.async_refresh()
    await hass.async_block_till_done()
    return set(issues(hass))


async def repair(hass: HomeAssistant, issue: ir.IssueEntry) -> Dialog:
    manager = repairs_flow_manager(hass)
    assert manager is not None
    dialog = Dialog(manager, ("issues", str(issue.translation_key), "fix_flow"))
    return await dialog.start(context={"issue_id": issue.issue_id}, data={"issue_id": issue.issue_id})


# -- the sign-in -------------------------------------------------------------------------------------------


async def test_ends_soon(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, loaded: MockConfigEntry
) -> None:
    """From two weeks before the end there is an issue with the days. Its repair is the sign-in, which removes it."""
    assert await asked(hass, loaded) == set()
    function.sign_in(days=13.4)
    assert await asked(hass, loaded) == {"sign_in_ends"}
    issue = issues(hass)["sign_in_ends"]
    assert issue.translation_placeholders == {"name": "Weighbridge", "days": "13"}
    assert (issue.is_fixable, issue.severity) == (True, ir.IssueSeverity.WARNING)
    dialog = await (await repair(hass, issue)).choose("password")
    dialog = await dialog.send(**credentials(garmin))
    assert dialog.step == "signed_in"
    assert (await dialog.send()).is_done
    assert issues(hass) == {}
    assert hass.states.get("sensor.weighbridge_sign_in_remaining").state == "30.0"


@ANNA_AND_BEN
async def test_has_ended(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, loaded: MockConfigEntry
) -> None:
    """Each person whose sign-in has ended is an issue, and repairs it alone."""
    for person in function.people:
        function.sign_out(person)
    assert await asked(hass, loaded) == {"sign_in_ended Anna", "sign_in_ended Ben"}
    issue = issues(hass)["sign_in_ended Ben"]
    assert issue.translation_placeholders["name"] == "Ben"
    dialog = await (await repair(hass, issue)).choose("browser")
    assert (await (await dialog.send(ticket=pasted(garmin))).send()).is_done
    assert set(issues(hass)) == {"sign_in_ended Anna"}
    assert (hass.states.get("binary_sensor.weighbridge_problem").state) == "on"


@pytest.mark.fault(8)
async def test_refused_token(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, loaded: MockConfigEntry, until: Until
) -> None:
    """A sign-in that Garmin has ended is an issue and a problem as soon as a delivery meets it, although its date is
    good, and stays so when the health is asked."""
    garmin.revoke()
    garmin.expire_access_tokens()
    queue = loaded.runtime_data.queue
    await queue.add(READING, subentry_id=next(iter(loaded.subentries)), source="test", received_at=dt_util.utcnow())
    await until(lambda: set(issues(hass)) == {"sign_in_ended"})
    assert await asked(hass, loaded) == {"sign_in_ended"}
    assert hass.states.get("binary_sensor.weighbridge_problem").state == "on"


async def test_repaired_elsewhere(hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry) -> None:
    """Who signs in elsewhere has nothing left to repair here."""
    function.sign_out()
    assert await asked(hass, loaded) == {"sign_in_ended"}
    function.sign_in()
    assert await asked(hass, loaded) == set()


async def test_sign_in_is_off(hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry) -> None:
    """Where nobody can sign in from here, the repair says what to do, and the issue stays."""
    function.sign_out()
    function.start(WEIGHBRIDGE_API_KEYS=f"home={KEY}")
    await asked(hass, loaded)
    dialog = await repair(hass, issues(hass)["sign_in_ended"])
    assert dialog.reason == "sign_in_forbidden"
    assert set(issues(hass)) == {"sign_in_ended"}


async def test_repair_of_an_entry_that_is_not_loaded(
    hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry
) -> None:
    """A repair of an entry that was unloaded in the meantime says so."""
    function.sign_out()
    await asked(hass, loaded)
    (issue,) = issues(hass).values()
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert (await repair(hass, issue)).reason == "cannot_connect"


async def test_entry_is_removed_within_a_repair(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, loaded: MockConfigEntry
) -> None:
    """An entry may be removed while somebody signs in."""
    function.sign_out()
    await asked(hass, loaded)
    dialog = await (await repair(hass, issues(hass)["sign_in_ended"])).choose("password")
    dialog = await dialog.send(**credentials(garmin))
    assert await hass.config_entries.async_remove(loaded.entry_id)
    assert (await dialog.send()).is_done


# -- the function ------------------------------------------------------------------------------------------


async def test_delivery_fails(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, loaded: MockConfigEntry
) -> None:
    """A delivery that would fail again is an issue with the reason of the function, until one succeeds."""
    garmin.faults.add("upload", "412", times=None)
    await loaded.runtime_data.function.post(READING)
    assert await asked(hass, loaded) == {"not_ready"}
    issue = issues(hass)["not_ready"]
    assert not issue.is_fixable
    assert "consent" in issue.translation_placeholders["detail"]
    garmin.faults.clear()
    await loaded.runtime_data.function.post(READING)
    assert await asked(hass, loaded) == set()


async def test_delivery_fails_for_a_while(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, loaded: MockConfigEntry
) -> None:
    """What passes by itself is a problem, but nobody has to repair it."""
    garmin.faults.add("upload", "503", times=None)
    await loaded.runtime_data.function.post(READING)
    assert await asked(hass, loaded) == set()
    assert hass.states.get("binary_sensor.weighbridge_problem").state == "on"


async def test_wrong_settings(hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry) -> None:
    """A function whose settings are wrong answers, is a problem, and is an issue until it is repaired."""
    function.start(checked=False, WEIGHBRIDGE_TIMEZONE="Europe/Nowhere")
    assert await asked(hass, loaded) == {"not_ready"}
    states = {name: hass.states.get(f"binary_sensor.weighbridge_{name}").state for name in ("problem", "connection")}
    assert states == {"problem": "on", "connection": "on"}
    function.start()
    assert await asked(hass, loaded) == set()


async def test_only_files(hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry) -> None:
    """Who only keeps files has chosen that: nothing has to be repaired."""
    function.sign_out()
    function.start(WEIGHBRIDGE_DELIVERY="folder")
    assert await asked(hass, loaded) == set()
    assert hass.states.get("binary_sensor.weighbridge_problem").state == "off"


@pytest.mark.fault(9)
async def test_away(
    hass: HomeAssistant,
    function: RunningFunction,
    loaded: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A function that is away is one line in the log, and after an hour an issue, even if nobody weighs in. Back again,
    it is one line more, and the issue is gone."""
    caplog.set_level(logging.INFO, logger="custom_components.weighbridge")
    function.stop()
    assert await asked(hass, loaded) == set()
    assert hass.states.get("binary_sensor.weighbridge_connection").state == "off"
    assert hass.states.get("binary_sensor.weighbridge_problem").state == "unavailable"
    for minutes in range(5, round(AWAY / timedelta(minutes=1)) + 10, 5):
        freezer.tick(timedelta(minutes=5, seconds=1))
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert set(issues(hass)) == ({"unreachable"} if minutes > 55 else set())
    assert not issues(hass)["unreachable"].is_fixable
    function.start()
    assert await asked(hass, loaded) == set()
    lines = [record.levelname for record in caplog.records if record.name == "custom_components.weighbridge.health"]
    assert lines == ["ERROR", "INFO"]


async def test_set_up_while_away(hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry) -> None:
    """An entry is set up while its function is away, so that readings are taken, and goes on when it is back."""
    function.stop()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    function.start()
    assert await asked(hass, entry) == set()
    assert hass.states.get("binary_sensor.weighbridge_connection").state == "on"


async def test_something_else_answers(hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry) -> None:
    """If a proxy answers instead of the function, the function is away."""
    async with other_server(502, b"<html>Bad Gateway</html>") as url:
        hass.config_entries.async_update_entry(loaded, data={**loaded.data, "url": url})
        await hass.async_block_till_done()
        assert hass.states.get("binary_sensor.weighbridge_connection").state == "off"


# -- what shows it -----------------------------------------------------------------------------------------


@ANNA_AND_BEN
@pytest.mark.fault(11)
async def test_days_of_each_person(hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry) -> None:
    """The function shows the sign-in that ends first, and each person their own."""
    function.sign_in("Anna", days=25)
    function.sign_in("Ben", days=20)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    states = hass.states.async_all("sensor")
    days = {state.entity_id: state.state for state in states if state.entity_id.endswith("sign_in_remaining")}
    assert days == {
        "sensor.weighbridge_sign_in_remaining": "20.0",
        "sensor.anna_sign_in_remaining": "25.0",
        "sensor.ben_sign_in_remaining": "20.0",
    }


# -- what stays --------------------------------------------------------------------------------------------


@pytest.mark.fault(14)
async def test_removal(hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry) -> None:
    """With an entry go its issues, devices and entities."""
    function.sign_out()
    assert await asked(hass, loaded) == {"sign_in_ended"}
    assert await hass.config_entries.async_remove(loaded.entry_id)
    await hass.async_block_till_done()
    assert issues(hass) == {}
    assert dr.async_entries_for_config_entry(dr.async_get(hass), loaded.entry_id) == []
    assert hass.states.async_all() == []


@ANNA_AND_BEN
async def test_stale_device(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """A device may be deleted if nobody has it any more."""
    registry = dr.async_get(hass)
    old = registry.async_get_or_create(config_entry_id=loaded.entry_id, identifiers={(DOMAIN, "somebody who was")})
    devices = dr.async_entries_for_config_entry(registry, loaded.entry_id)
    assert len(devices) == 4
    removable = [device for device in devices if await async_remove_config_entry_device(hass, loaded, device)]
    assert removable == [old]


def test_repairs_are_the_sign_in() -> None:
    """The texts of a repair are those of the sign-in, but for the way, which says what has to be repaired."""
    document = texts()
    for key in ("sign_in_ends", "sign_in_ended"):
        for section, theirs in document["issues"][key]["fix_flow"].items():
            ours = document["config"][section]
            assert {name: text for name, text in theirs.items() if name != "way"} == {
                name: ours[name] for name in theirs if name != "way"
            }
