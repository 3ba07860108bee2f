"""The outcome of each weigh-in, as an event entity of its person."""

from __future__ import annotations

from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .runtime import WeighbridgeEntry

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: WeighbridgeEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None: ...
