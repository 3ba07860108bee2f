"""How many days each sign-in to Garmin lasts, at the device of its person, or of the function if it has one account."""

from __future__ import annotations

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfTime
from homeassistant.core import callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .health import Account
from .hub import HubEntity
from .person import Person
from .person_entity import person_device
from .runtime import WeighbridgeEntry

_DAYS = SensorEntityDescription(
    key="sign_in_days_left",
    translation_key="sign_in_days_left",
    device_class=SensorDeviceClass.DURATION,
    native_unit_of_measurement=UnitOfTime.DAYS,
    suggested_display_precision=0,
    state_class=SensorStateClass.MEASUREMENT,
    entity_category=EntityCategory.DIAGNOSTIC,
)


@callback
def add(entry: WeighbridgeEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    async_add_entities([_DaysLeft(entry)])
    for subentry_id, person in entry.runtime_data.people.items():
        # Without a name, the account of the function is theirs.
        if person.name_in_function:
            async_add_entities([_DaysLeft(entry, person)], config_subentry_id=subentry_id)


class _DaysLeft(HubEntity, SensorEntity):
    """Of the account whose sign-in ends first, or of one person."""

    def __init__(self, entry: WeighbridgeEntry, person: Person | None = None) -> None:
        super().__init__(entry, _DAYS)
        self._person = person.name_in_function if person else ""
        if person:
            self._attr_unique_id = f"{person.subentry_id}_{_DAYS.key}"
            self._attr_device_info = person_device(person)

    @property
    def available(self) -> bool:
        return super().available and self._account is not None

    @property
    def native_value(self) -> float | None:
        return self._account.days_left if self._account else None

    @property
    def _account(self) -> Account | None:
        state = self.coordinator.data
        return state.accounts.get(self._person) if self._person else state.worst
