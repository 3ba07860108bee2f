"""The function inside this Home Assistant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError

from .function import Transport

if TYPE_CHECKING:
    from .runtime import WeighbridgeEntry


async def async_transport(hass: HomeAssistant, entry: WeighbridgeEntry) -> Transport:
    raise ConfigEntryError


async def async_remove(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
    """Delete what the function of this entry has stored, if it is inside this Home Assistant."""
