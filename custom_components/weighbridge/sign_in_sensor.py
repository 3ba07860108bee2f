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
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import CONF_NAME_IN_FUNCTION, DOMAIN, PERSON
from .health import Account
from .hub import HubEntity
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
    for subentry in entry.subentries.values():
        if subentry.subentry_type == PERSON and (name := subentry.data.get(CONF_NAME_IN_FUNCTION)):
            async_add_entities([_DaysLeft(entry, subentry.subentry_id, name)], config_subentry_id=subentry.subentry_id)


class _DaysLeft(HubEntity, SensorEntity):
    """Of the account whose sign-in ends first, or of one person."""

    def __init__(self, entry: WeighbridgeEntry, subentry_id: str = "", person: str = "") -> None:
        super().__init__(entry, _DAYS)
        self._person = person
        if subentry_id:
            self._attr_unique_id = f"{subentry_id}_{_DAYS.key}"
            self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, subentry_id)})

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
