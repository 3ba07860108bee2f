"""What a person sees of their weigh-ins, and how long the sign-in lasts."""

from __future__ import annotations

from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from . import sign_in_sensor, weigh_in_sensors
from .runtime import WeighbridgeEntry

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: WeighbridgeEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    sign_in_sensor.add(entry, async_add_entities)
    weigh_in_sensors.add(entry, async_add_entities)
