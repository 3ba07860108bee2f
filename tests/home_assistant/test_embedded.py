"""The function inside Home Assistant: the entry's tokens, threads, settings and bytes, against the stand-in."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from homeassistant import config_entries
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState, ConfigSubentry, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util import dt as dt_util
from homeassistant.util import package as pkg_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.weighbridge import embedded
from custom_components.weighbridge.const import CONF_KEY, CONF_NAME_IN_FUNCTION, CONF_URL, DOMAIN, PERSON
from custom_components.weighbridge.embedded import CONF_TOKENS
from custom_components.weighbridge.function import Function, Http, Response
from tests.garmin.server import GarminStandIn
from weighbridge import __version__

from .running import RunningFunction

EMAIL, PASSWORD, CODE = "runner@example.com", "correct horse", "123456"
READING = {"measured_at": "2026-11-23T06:31:00Z", "weight_kg": 81.4, "body_fat_percent": 18.2}
SKELETAL = "skeletal_muscle_mass_kg"


@pytest.fixture(autouse=True)
def _machine(garmin: GarminStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's Garmin is the stand-in, and a sign-in does not imitate a person's pauses."""
    import garth.sso.widget_strategy

    monkeypatch.setenv("GARMIN_DOMAIN", garmin.domain)
    monkeypatch.setenv("GARMIN_CA_BUNDLE", str(garmin.ca_bundle))
    monkeypatch.setattr(garth.sso.widget_strategy.random, "uniform", lambda _low, _high: 0.0)


@pytest.fixture
async def entry(hass: HomeAssistant) -> AsyncIterator[MockConfigEntry]:
    """An entry of the function inside Home Assistant, not set up yet, with one person who has not signed in."""
    added = MockConfigEntry(
        domain=DOMAIN, title="Weighbridge", unique_id=DOMAIN, data={CONF_URL: "", CONF_KEY: ""},
        subentries_data=[person("Anna")],
    )  # fmt: skip
    added.add_to_hass(hass)
    yield added
    if added.state is ConfigEntryState.LOADED:
        await hass.config_entries.async_unload(added.entry_id)
    # The harness fails a test that leaves a thread.


def person(name: str, **data: Any) -> ConfigSubentryData:
    return ConfigSubentryData(
        data=MappingProxyType({CONF_NAME_IN_FUNCTION: name, **data}), subentry_type=PERSON, title=name, unique_id=name
    )


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> Function:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    function: Function = entry.runtime_data.function
    return function


async def sign_in(function: Function, garmin: GarminStandIn, name: str = "Anna") -> None:
    """With the code of a second factor."""
    garmin.account.mfa_code = CODE
    asked = await function.sign_in({"email": EMAIL, "password": PASSWORD}, person=name)
    assert asked.status == 202, asked.text
    done = await function.sign_in({"state": asked.body["state"], "code": CODE}, person=name)
    assert done.status == 200, done.text
    assert done.body["signed_in"] is True


def stored(hass_storage: Mapping[str, Any], entry: MockConfigEntry) -> dict[str, Any]:
    """The tokens on disk."""
    entries = hass_storage["core.config_entries"]["data"]["entries"]
    tokens: dict[str, Any] = next(e["data"] for e in entries if e["entry_id"] == entry.entry_id).get(CONF_TOKENS, {})
    return tokens


def subentry_id(entry: MockConfigEntry, name: str) -> str:
    return next(each.subentry_id for each in entry.subentries.values() if each.title == name)


async def test_sign_in_and_weigh_in(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    garmin: GarminStandIn,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Signing in with a second factor, and a confirmed weigh-in, happen inside Home Assistant: the token is in the
    entry on disk, and no secret or measurement is in a log."""
    caplog.set_level(logging.DEBUG, "custom_components.weighbridge")
    function = await set_up(hass, entry)
    assert (await function.health()).status == 503
    await sign_in(function, garmin)
    receipt = await function.post(READING, person="Anna")
    assert (receipt.status, receipt.outcome, receipt.final) == (201, "confirmed", True)
    assert (await function.health()).status == 200
    found = await function.readings("2026-11-22", "2026-11-24", person="Anna")
    assert [each["weight_kg"] for each in found.body["readings"]] == [81.4]
    token = stored(hass_storage, entry)[subentry_id(entry, "Anna")]["token"]
    assert entry.data[CONF_TOKENS][subentry_id(entry, "Anna")]["token"] == token
    assert entry.state is ConfigEntryState.LOADED
    ours = "".join(record.getMessage() for record in caplog.records if "weighbridge" in record.name)
    assert '"route":"/readings"' in ours
    for secret in (PASSWORD, CODE, token["access_token"], token["refresh_token"], "81.4"):
        assert secret not in ours


async def test_flow(hass: HomeAssistant, garmin: GarminStandIn, hass_storage: dict[str, Any]) -> None:
    """Added by the flow: the second factor is asked for within it, and the entry has the token and a person whose
    weigh-in arrives at once."""
    garmin.account.mfa_code = CODE
    flows = hass.config_entries.flow
    step = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    for typed in (
        {"next_step_id": "embedded"},
        {"name": " ", "in_china": False},
        {"name": "Anna", "in_china": False},
        {"next_step_id": "password"},
        {"email": EMAIL, "password": PASSWORD},
        {"code": CODE},
        {},
    ):
        assert step["type"] in (FlowResultType.FORM, FlowResultType.MENU), step
        step = await flows.async_configure(step["flow_id"], typed)
        if typed.get("name") == " ":
            assert step["errors"] == {"name": "invalid_name"}
    assert step["type"] is FlowResultType.CREATE_ENTRY, step
    await hass.async_block_till_done()
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert [each.title for each in entry.subentries.values()] == ["Anna"]
    assert list(entry.data[CONF_TOKENS]) == list(entry.subentries)
    receipt = await entry.runtime_data.function.post(READING, person="Anna")
    assert receipt.outcome == "confirmed"
    assert garmin.state()["sign_ins"] == 1
    again = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    again = await flows.async_configure(again["flow_id"], {"next_step_id": "embedded"})
    assert (again["type"], again["reason"]) == (FlowResultType.ABORT, "already_configured")


@pytest.mark.parametrize(("in_china", "domain"), [(False, "garmin.com"), (True, "garmin.cn")])
async def test_where_the_account_is(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, in_china: bool, domain: str
) -> None:
    """An account in China signs in at garmin.cn, every other one at garmin.com."""
    monkeypatch.delenv("GARMIN_DOMAIN")
    flows = hass.config_entries.flow
    step = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    for typed in (
        {"next_step_id": "embedded"},
        {"name": "Anna", "in_china": in_china},
        {"next_step_id": "browser"},
    ):
        step = await flows.async_configure(step["flow_id"], typed)
    assert step["description_placeholders"]["browser_page"].startswith(f"https://sso.{domain}/")
    flows.async_abort(step["flow_id"])
    await hass.async_block_till_done()


async def test_same_bytes(hass: HomeAssistant, function: RunningFunction) -> None:
    """Each reading of the golden table has the same answer inside Home Assistant as from the function with an address,
    byte for byte, with the hash of the FIT file in it."""
    alone = MockConfigEntry(domain=DOMAIN, title="Weighbridge", data={CONF_URL: "", CONF_KEY: ""})
    alone.add_to_hass(hass)
    inside = (await set_up(hass, alone))._transport
    outside = Http(async_get_clientsession(hass), function.url, function.key)
    table = json.loads(Path("sdk_fallback/golden.json").read_text())
    hashes = set()
    for row in table:
        sent = json.dumps(row["reading"]).encode()
        answers = [await each.send("POST", "/readings", {"dry_run": "true"}, sent) for each in (inside, outside)]
        assert isinstance(answers[0], Response)
        assert answers[0] == answers[1], row["name"]
        answer = json.loads(answers[0].content)
        hashes |= {answer["fit"]["sha256"]} if "fit" in answer else set()
    assert len(hashes) > len(table) / 2
    await hass.config_entries.async_unload(alone.entry_id)


async def test_renewed_by_timer(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    garmin: GarminStandIn,
    hass_storage: dict[str, Any],
    until: Callable[[Callable[[], object]], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token that is a week old is renewed by the daily timer, without a reload, and the new one is used after a
    restart."""
    await sign_in(await set_up(hass, entry), garmin)
    runtime, name = entry.runtime_data, subentry_id(entry, "Anna")
    first = stored(hass_storage, entry)[name]["token"]
    before = garmin.sign_in.refreshes
    later = SimpleNamespace(time=lambda: time.time() + 7 * 86_400, monotonic=time.monotonic)
    monkeypatch.setattr(embedded, "time", later)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(days=1, minutes=1))
    await until(lambda: stored(hass_storage, entry)[name]["token"] != first)
    await until(runtime.function._transport._renewal.done)
    assert garmin.sign_in.refreshes == before + 1
    assert entry.runtime_data is runtime
    monkeypatch.setattr(embedded, "time", time)
    # A restart reads the entry from the disk.
    await hass.config_entries.async_unload(entry.entry_id)
    object.__setattr__(
        entry, "data", MappingProxyType({CONF_URL: "", CONF_KEY: "", CONF_TOKENS: stored(hass_storage, entry)})
    )
    function = await set_up(hass, entry)
    assert (await function.post(READING, person="Anna")).outcome == "confirmed"
    assert (garmin.sign_in.refreshes, garmin.sign_in.refused_refreshes) == (before + 1, 0)


async def test_saved_before_used(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    garmin: GarminStandIn,
    hass_storage: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A renewed token that is not on disk yet is not used, and not lost: once it can be saved, it is the one that is
    used, and Garmin is not asked for another."""
    function = await set_up(hass, entry)
    await sign_in(function, garmin)
    before = garmin.sign_in.refreshes
    garmin.expire_access_tokens()
    with monkeypatch.context() as slow:
        slow.setattr(config_entries, "SAVE_DELAY", 3600)
        slow.setattr(embedded, "_SAVED_WITHIN_S", 1)
        failed = await function.post(READING, person="Anna")
    assert (failed.kind, failed.again) == ("token-store-unusable", "after_repair")
    assert (garmin.sign_in.refreshes, garmin.weigh_ins()) == (before + 1, [])
    assert (await function.post(READING, person="Anna")).outcome == "confirmed"
    assert garmin.sign_in.refreshes == before + 1


async def test_reload_while_renewed(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    garmin: GarminStandIn,
    hass_storage: dict[str, Any],
    until: Callable[[Callable[[], object]], Awaitable[None]],
) -> None:
    """A reload waits for a renewal, so that it has the new token; the old one is not used again."""
    function = await set_up(hass, entry)
    await sign_in(function, garmin)
    before = garmin.sign_in.refreshes
    garmin.expire_access_tokens()
    garmin.faults.add("diauth/token", "slow")
    sent = asyncio.create_task(function.post(READING, person="Anna"))
    await until(lambda: garmin.sign_in.refreshes == before + 1)
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert (await sent).outcome == "confirmed"
    garmin.expire_access_tokens()
    again = await entry.runtime_data.function.post(READING | {"measured_at": "2026-11-24T06:31:00Z"}, person="Anna")
    assert again.outcome == "confirmed"
    assert (garmin.sign_in.refreshes, garmin.sign_in.refused_refreshes) == (before + 2, 0)


async def test_people(hass: HomeAssistant, entry: MockConfigEntry, garmin: GarminStandIn) -> None:
    """Each person has a token of their own, and their height and muscle. The token of a person who is removed is
    deleted, and is never another person's."""
    hass.config_entries.async_add_subentry(entry, ConfigSubentry(**person("Ben", height_cm=180, muscle=SKELETAL)))
    await sign_in(await set_up(hass, entry), garmin, "Ben")
    function, ben = entry.runtime_data.function, subentry_id(entry, "Ben")
    assert list(entry.data[CONF_TOKENS]) == [ben]
    assert (await function.health()).body["delivery"]["people"]["Anna"]["ready"] is False
    sent = {"measured_at": "2026-11-23T06:31:00Z", "weight_kg": 81, "skeletal_muscle_mass_kg": 35}
    receipt = await function.post(sent, person="Ben", dry_run=True)
    fields = {field["name"]: field["value"] for field in receipt.body["fields"]}
    assert (fields["bmi"], fields["muscle_mass_kg"]) == (25.0, 35)
    hass.config_entries.async_remove_subentry(entry, ben)
    await hass.async_block_till_done()
    assert entry.data[CONF_TOKENS] == {}
    answer = await entry.runtime_data.function.post(READING, person="Anna")
    assert answer.kind == "sign-in-needed"
    assert "Settings, Devices & services" in answer.text
    assert "weighbridge login" not in answer.text


async def test_unload(hass: HomeAssistant, entry: MockConfigEntry, garmin: GarminStandIn) -> None:
    """An unloaded entry leaves no thread, and a removed one no file of the sign-in."""
    before = set(threading.enumerate())
    function = await set_up(hass, entry)
    await sign_in(function, garmin)
    await function.post(READING, person="Anna")
    assert {thread.name.partition("_")[0] for thread in threading.enumerate()} >= {"health", "delivery"}
    await hass.config_entries.async_unload(entry.entry_id)
    ours = {thread.name for thread in set(threading.enumerate()) - before}
    assert not [name for name in ours if name.startswith(("health", "aside", "delivery", "import garth"))]
    assert (await function.health()).kind == "no-answer"
    state = Path(hass.config.path(".storage", DOMAIN))
    assert state.is_dir()
    assert state.stat().st_mode & 0o077 == 0
    await hass.config_entries.async_remove(entry.entry_id)
    assert not state.exists()


async def test_not_installed(hass: HomeAssistant, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, the entry and the flow say what to do, and no index is asked for it."""
    hass.config.skip_pip = False
    monkeypatch.setitem(sys.modules, "weighbridge", None)
    monkeypatch.setattr(pkg_util, "is_installed", lambda requirement: not requirement.startswith(DOMAIN))
    asked: list[str] = []
    monkeypatch.setattr(pkg_util, "install_package", lambda requirement, **_options: bool(asked.append(requirement)))
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert (entry.state, entry.error_reason_translation_key) == (ConfigEntryState.SETUP_RETRY, "not_installed")
    await hass.config_entries.async_remove(entry.entry_id)
    step = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    step = await hass.config_entries.flow.async_configure(step["flow_id"], {"next_step_id": "embedded"})
    step = await hass.config_entries.flow.async_configure(step["flow_id"], {"name": "Anna", "in_china": False})
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "not_installed")
    assert [requirement for requirement in asked if "weighbridge" in requirement] == []


async def test_unusable_setting(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the function cannot run with what the machine sets, the flow says why."""
    monkeypatch.setenv("GARMIN_DOMAIN", "http://no domain/")
    step = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    step = await hass.config_entries.flow.async_configure(step["flow_id"], {"next_step_id": "embedded"})
    step = await hass.config_entries.flow.async_configure(step["flow_id"], {"name": "Anna", "in_china": False})
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "function_fails")
    assert "GARMIN_DOMAIN" in step["description_placeholders"]["reason"]


async def test_other_version(hass: HomeAssistant, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of another version is not run: the entry says which one is needed."""
    monkeypatch.setattr("weighbridge.__version__", "0.0.9")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.error_reason_translation_key == "other_version"
    assert entry.error_reason_translation_placeholders == {"version": __version__, "found": "0.0.9"}


async def test_same_name_twice(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Two people with one name stop the setup, and the reason is shown: a reading must not go to the wrong one."""
    hass.config_entries.async_add_subentry(entry, ConfigSubentry(**person("ANNA")))
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert (entry.state, entry.error_reason_translation_key) == (ConfigEntryState.SETUP_ERROR, "people_invalid")
    assert "'anna' is used for two people" in str(entry.error_reason_translation_placeholders)


async def test_other_time_zone(
    hass: HomeAssistant, entry: MockConfigEntry, until: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    """Times without an offset are read in the time zone of Home Assistant, also after that was changed."""
    function = await set_up(hass, entry)
    local = {"time": "2026-11-23 06:31", "weight_kg": 81.4}
    for zone, hour in ((None, "14"), ("Europe/Lisbon", "06")):
        if zone is not None:
            await hass.config.async_update(time_zone=zone)
            await until(lambda: entry.state is ConfigEntryState.LOADED and entry.runtime_data.function is not function)
        receipt = await entry.runtime_data.function.post(local, person="Anna", dry_run=True)
        assert receipt.body["measured_at"] == f"2026-11-23T{hour}:31:00Z"
    await hass.config.async_update(time_zone="UTC")
    await hass.async_block_till_done()


async def test_detector(blocked: list[str]) -> None:
    """The detector of all these tests sees a file that the integration reads in the loop."""
    code = compile("open(__file__).close()", embedded.__file__, "exec")
    exec(code, vars(embedded))
    assert blocked
    blocked.clear()
