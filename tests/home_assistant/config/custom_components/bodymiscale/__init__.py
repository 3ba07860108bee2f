"""An integration like bodymiscale 2026.7.0: a device for a person, sensors, and an entity with all as attributes.

Facts: it reports what it calculated from a weigh-in, and leaves the rest as it was. `last_measurement_time` is a Python
`datetime`, as the state of a sensor and as an attribute.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers.dispatcher import async_dispatcher_send


async def async_setup_entry(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    async def weigh(call: ServiceCall) -> None:
        weigh_in(hass, **call.data)

    hass.services.async_register("bodymiscale", "weigh", weigh)
    await hass.config_entries.async_forward_entry_setups(entry, [Platform.SENSOR])
    return True


async def async_unload_entry(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    return await hass.config_entries.async_unload_platforms(entry, [Platform.SENSOR])


def weigh_in(hass: HomeAssistant, **values: Any) -> None:
    """Step on the scale: only these values are new."""
    if isinstance(at := values.get("last_measurement_time"), str):
        values["last_measurement_time"] = datetime.fromisoformat(at)
    async_dispatcher_send(hass, "bodymiscale_weigh", values)
