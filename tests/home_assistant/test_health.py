"""The entry, the function's health, and what a person has to repair."""

from __future__ import annotations

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry


async def test_set_up_and_unload(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """An entry is set up, knows its function, and can be unloaded."""
    assert loaded.state is ConfigEntryState.LOADED
    state = loaded.runtime_data.health.data
    assert (state.worst.ready, state.rights, state.people) == (
        True,
        frozenset({"send", "read", "delete", "administer"}),
        (),
    )
    assert hass.states.get("binary_sensor.weighbridge_problem").state == "off"
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert loaded.state is ConfigEntryState.NOT_LOADED
