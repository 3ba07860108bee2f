"""What may be attached to a public bug report."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable

import pytest
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.weighbridge.diagnostics import async_get_config_entry_diagnostics

from .running import RunningFunction
from .test_sensor import MORNING, NINE, add


@pytest.mark.parametrize("people", [("AnnaPlanted", "BenPlanted")])
async def test_no_secret_and_no_value(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    function: RunningFunction,
    until: Callable[[Callable[[], object]], Awaitable[None]],
) -> None:
    """Diagnostics hold counts, states and codes: no key, address, name, time or value, whatever happened before."""
    await add(hass, person="AnnaPlanted", **NINE)
    await until(lambda: any(person.count for person in loaded.runtime_data.people.values()))
    function.stop()
    await add(hass, person="BenPlanted", weight_kg=77.7)
    for person in loaded.runtime_data.people.values():
        await person.async_refresh()
    text = json.dumps(await async_get_config_entry_diagnostics(hass, loaded))
    diagnostics = json.loads(text)
    assert diagnostics["queue"] == {"waiting": 1}
    assert [person["weigh_ins"] for person in diagnostics["people"]] == [1, 0]
    assert {person["trouble"] for person in diagnostics["people"]} == {"no-answer"}
    for planted in (function.key, str(function.port), "127.0.0.1", "Planted", f"{MORNING:%Y-%m-%d}", "sensor."):
        assert planted not in text
    assert (
        set(re.findall(r"\d+(?:\.\d+)+|\d{2,}", text.replace(diagnostics["function"]["version"] or "-", ""))) == set()
    )
