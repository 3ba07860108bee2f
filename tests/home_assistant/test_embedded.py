"""The function inside Home Assistant: the entry's tokens, threads, settings and bytes, against the stand-in."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import homeassistant.block_async_io as detector
import pytest
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.util import loop as protected
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.weighbridge.const import CONF_KEY, CONF_NAME_IN_FUNCTION, CONF_URL, DOMAIN, PERSON
from custom_components.weighbridge.embedded import CONF_TOKENS
from custom_components.weighbridge.function import Function
from tests.garmin.server import GarminStandIn

EMAIL, PASSWORD, CODE = "runner@example.com", "correct horse", "123456"
READING = {"measured_at": "2026-11-23T06:31:00Z", "weight_kg": 81.4, "body_fat_percent": 18.2}
BACKGROUND = ("health", "aside", "delivery", "import garth")


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """A configuration folder of its own: the function keeps files in it."""
    return hass_tmp_config_dir


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
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Signing in with a second factor, and a confirmed weigh-in, happen inside Home Assistant: the token is in the entry
    on disk, nothing blocks the loop, and no secret or measurement is in a log."""
    caplog.set_level(logging.DEBUG, "custom_components.weighbridge")
    blocked = watch_for_blocking(monkeypatch)
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
    assert blocked == []
    for secret in (PASSWORD, CODE, token["access_token"], token["refresh_token"], "81.4"):
        assert secret not in caplog.text


def watch_for_blocking(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What blocks the loop from now on, as Home Assistant's own detector finds it, with all of its calls: in tests it
    looks for some only."""
    found: list[str] = []

    def raise_for_blocking_call(func: Any, *_args: Any, check_allowed: Any = None, **mapped: Any) -> None:
        call = {name: mapped[name] for name in ("args", "kwargs") if name in mapped}
        if check_allowed is None or not check_allowed(call):
            import traceback

            stack = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_stack()]
            if any("/weighbridge/" in place for place in stack[:-1]):
                found.append(f"{func.__qualname__} {stack[-6:]}")

    loop_thread = threading.get_ident()
    for call in detector._BLOCKING_CALLS:
        guarded = protected.protect_loop(
            call.original_func, loop_thread_id=loop_thread, strict=False, strict_core=False,
            check_allowed=call.check_allowed,
        )  # fmt: skip
        monkeypatch.setattr(call.object, call.function, guarded)
    monkeypatch.setattr(protected, "raise_for_blocking_call", raise_for_blocking_call)
    return found


async def test_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector of these tests sees a file that is read in the loop."""
    blocked = watch_for_blocking(monkeypatch)
    Path(__file__).read_text()
    assert blocked
