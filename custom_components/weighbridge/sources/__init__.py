"""Where readings come from: MQTT, and the entities of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant

if TYPE_CHECKING:
    from ..runtime import WeighbridgeEntry


async def async_start(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
    """Listen to every source of every person, until the entry is unloaded."""
