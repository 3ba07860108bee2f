"""The device of a person, and what every entity of it shares."""

from __future__ import annotations

from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .person import Person


def person_device(person: Person) -> DeviceInfo:
    return DeviceInfo(
        identifiers={(DOMAIN, person.subentry_id)},
        entry_type=DeviceEntryType.SERVICE,
        name=person.subentry.title,
        manufacturer="Weighbridge",
        via_device=(DOMAIN, person.config_entry.entry_id),
    )


class PersonEntity(CoordinatorEntity[Person]):
    """An entity of a person."""

    _attr_has_entity_name = True

    def __init__(self, person: Person, description: EntityDescription) -> None:
        super().__init__(person)
        self.entity_description = description
        self._attr_unique_id = f"{person.subentry_id}_{description.key}"
        self._attr_device_info = person_device(person)
