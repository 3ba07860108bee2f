"""What Garmin holds of one person, asked again and again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .function import Function

if TYPE_CHECKING:
    from .runtime import WeighbridgeEntry

_LOGGER = logging.getLogger(__name__)


class Person(DataUpdateCoordinator[None]):
    def __init__(
        self, hass: HomeAssistant, entry: WeighbridgeEntry, subentry: ConfigSubentry, function: Function
    ) -> None:
        super().__init__(hass, _LOGGER, config_entry=entry, name=subentry.title)
        self.subentry = subentry
        self._function = function

    async def async_start(self) -> None:
        """Ask for the first time. What fails is asked again later."""
        await self.async_refresh()

    async def _async_update_data(self) -> None: ...
