"""Whether the function answers, and whether a reading could be delivered now."""

from __future__ import annotations

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .hub import HubEntity
from .runtime import WeighbridgeEntry

PARALLEL_UPDATES = 0

_CONNECTIVITY = BinarySensorEntityDescription(
    key="connectivity",
    translation_key="connectivity",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
)
_PROBLEM = BinarySensorEntityDescription(
    key="problem",
    translation_key="problem",
    device_class=BinarySensorDeviceClass.PROBLEM,
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant, entry: WeighbridgeEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    async_add_entities([_Connectivity(entry, _CONNECTIVITY), _Problem(entry, _PROBLEM)])


class _Connectivity(HubEntity, BinarySensorEntity):
    @property
    def available(self) -> bool:
        """Always: that the function does not answer is what it says."""
        return True

    @property
    def is_on(self) -> bool:
        return self.coordinator.last_update_success


class _Problem(HubEntity, BinarySensorEntity):
    @property
    def is_on(self) -> bool:
        return not self.coordinator.data.worst.ready
