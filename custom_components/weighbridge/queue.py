"""The readings that are on their way to the function, kept on disk from their arrival on.

Rule: a reading is stored before its source is acknowledged, and leaves the store only with a final answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant

from .function import Function

if TYPE_CHECKING:
    from .runtime import WeighbridgeEntry


class Queue:
    def __init__(self, hass: HomeAssistant, entry: WeighbridgeEntry, function: Function) -> None:
        self._hass, self._entry, self._function = hass, entry, function

    async def async_start(self) -> None:
        """Read what is stored, and begin to send."""

    async def async_stop(self) -> None:
        """End sending. What waits stays stored."""

    @staticmethod
    async def async_remove(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
        """Delete the store of an entry that is removed."""
