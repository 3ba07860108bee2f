"""The device of the function, and what every entity of it shares."""

from __future__ import annotations

from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import CONF_URL, DOMAIN
from .health import Health
from .runtime import WeighbridgeEntry


def hub_device(entry: WeighbridgeEntry) -> DeviceInfo:
    """The device of the function; that of each person is reached over it (`via_device`)."""
    state = entry.runtime_data.health.data
    return DeviceInfo(
        identifiers={(DOMAIN, entry.entry_id)},
        entry_type=DeviceEntryType.SERVICE,
        name=entry.title,
        manufacturer="Weighbridge",
        configuration_url=entry.data[CONF_URL] or None,
        sw_version=(state and state.version) or None,
    )


class HubEntity(CoordinatorEntity[Health]):
    """An entity of the function."""

    _attr_has_entity_name = True

    def __init__(self, entry: WeighbridgeEntry, description: EntityDescription) -> None:
        super().__init__(entry.runtime_data.health)
        self.entity_description = description
        self._attr_unique_id = f"{entry.entry_id}_{description.key}"
        self._attr_device_info = hub_device(entry)
