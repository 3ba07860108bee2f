"""The device of a person, and what every entity of it shares."""

from __future__ import annotations

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .hub import hub_device
from .person import Person
from .runtime import WeighbridgeEntry


def person_device(person: Person) -> DeviceInfo:
    return DeviceInfo(
        identifiers={(DOMAIN, person.subentry_id)},
        entry_type=DeviceEntryType.SERVICE,
        name=person.subentry.title,
        manufacturer="Weighbridge",
    )


@callback
def add_devices(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
    """Add the device of the function, and those of its people below it.

    Facts: an entity of 2026.2 knows `via_device`, one of 2026.11 `via_device_id`. The registry itself is the same.
    """
    registry = device_registry.async_get(hass)
    hub = registry.async_get_or_create(config_entry_id=entry.entry_id, **hub_device(entry))
    for subentry_id, person in entry.runtime_data.people.items():
        device = registry.async_get_or_create(
            config_entry_id=entry.entry_id, config_subentry_id=subentry_id, **person_device(person)
        )
        registry.async_update_device(device.id, via_device_id=hub.id)


class PersonEntity(CoordinatorEntity[Person]):
    """An entity of a person."""

    _attr_has_entity_name = True

    def __init__(self, person: Person, description: EntityDescription) -> None:
        super().__init__(person)
        self.entity_description = description
        self._attr_unique_id = f"{person.subentry_id}_{description.key}"
        self._attr_device_info = person_device(person)
