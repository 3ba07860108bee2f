"""The values of a person's weigh-ins, when the last one was, and what became of the last reading.

Rule: a value that was not measured is unknown, never zero. `measured_at` says when the one that is shown was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfMass, UnitOfTime
from homeassistant.core import callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .outcomes import OUTCOMES, SIGNAL_DELIVERY, Delivery
from .person import Current, Person, Value
from .person_entity import PersonEntity
from .runtime import WeighbridgeEntry

KCAL_PER_DAY: Final = "kcal/d"
KG_PER_SQUARE_METER: Final = "kg/m²"


def _value(key: str, unit: str | None, precision: int, *, usual: bool = True) -> SensorEntityDescription:
    """`usual`: whether it is there without being enabled."""
    return SensorEntityDescription(
        key=key,
        translation_key=key,
        native_unit_of_measurement=unit,
        device_class=SensorDeviceClass.WEIGHT if unit == UnitOfMass.KILOGRAMS else None,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=precision,
        entity_registry_enabled_default=usual,
    )


#: By their names in the function.
VALUES: Final = (
    _value("weight_kg", UnitOfMass.KILOGRAMS, 1),
    _value("body_fat_percent", PERCENTAGE, 1),
    _value("fat_mass_kg", UnitOfMass.KILOGRAMS, 1),
    _value("fat_free_mass_kg", UnitOfMass.KILOGRAMS, 1),
    _value("muscle_mass_kg", UnitOfMass.KILOGRAMS, 1),
    _value("bone_mass_kg", UnitOfMass.KILOGRAMS, 1),
    _value("body_water_kg", UnitOfMass.KILOGRAMS, 1),
    _value("body_water_percent", PERCENTAGE, 1),
    _value("subcutaneous_fat_percent", PERCENTAGE, 1),
    _value("visceral_fat_rating", None, 0),
    _value("bmi", KG_PER_SQUARE_METER, 1),
    _value("basal_metabolic_rate_kcal", KCAL_PER_DAY, 0),
    _value("metabolic_age_years", UnitOfTime.YEARS, 0),
    _value("physique_rating", None, 0, usual=False),
    _value("visceral_fat_mass_kg", UnitOfMass.KILOGRAMS, 1, usual=False),
    _value("skeletal_muscle_mass_kg", UnitOfMass.KILOGRAMS, 1, usual=False),
    _value("active_metabolic_rate_kcal", KCAL_PER_DAY, 0, usual=False),
)
_LAST_WEIGH_IN = SensorEntityDescription(
    key="last_weigh_in",
    translation_key="last_weigh_in",
    device_class=SensorDeviceClass.TIMESTAMP,
)
_LAST_DELIVERY = SensorEntityDescription(
    key="last_delivery",
    translation_key="last_delivery",
    device_class=SensorDeviceClass.ENUM,
    options=list(OUTCOMES),
    entity_category=EntityCategory.DIAGNOSTIC,
)


@callback
def add(entry: WeighbridgeEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    for subentry_id, person in entry.runtime_data.people.items():
        async_add_entities(_of(person), config_subentry_id=subentry_id)


def _of(person: Person) -> Iterator[SensorEntity]:
    for description in VALUES:
        yield _Measured(person, description)
    yield _LastWeighIn(person, _LAST_WEIGH_IN)
    yield _LastDelivery(person, _LAST_DELIVERY)


class _FromGarmin(PersonEntity, SensorEntity):
    @property
    def available(self) -> bool:
        return super().available and self.coordinator.data is not None and self.coordinator.trouble is None

    @property
    def _current(self) -> Current:
        return self.coordinator.data


class _Measured(_FromGarmin):
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        # Home Assistant adds it once more when its id has changed.
        person, description = self.coordinator, self.entity_description
        name = f"{person.subentry.title} {self.name}"
        person.statistics.name(description.key, self.entity_id, name, self.native_unit_of_measurement)
        await person.async_update_statistics()

    @property
    def native_value(self) -> float | None:
        return value.number if (value := self._value) else None

    @property
    def extra_state_attributes(self) -> dict[str, Any]:
        return {"measured_at": value.measured_at.isoformat()} if (value := self._value) else {}

    @property
    def _value(self) -> Value | None:
        return self._current.values.get(self.entity_description.key) if self.available else None


class _LastWeighIn(_FromGarmin):
    @property
    def native_value(self) -> Any:
        return last.measured_at if self.available and (last := self._current.last) else None

    @property
    def extra_state_attributes(self) -> dict[str, Any]:
        return {"weigh_in_id": last.id} if self.available and (last := self._current.last) else {}


class _LastDelivery(PersonEntity, RestoreSensor):
    """What became of the last reading that this Home Assistant sent. It stays when Garmin cannot be asked."""

    @property
    def available(self) -> bool:
        return True

    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        if (last := await self.async_get_last_sensor_data()) and last.native_value in OUTCOMES:
            self._attr_native_value = last.native_value
        self.async_on_remove(async_dispatcher_connect(self.hass, SIGNAL_DELIVERY, self._delivered))

    @callback
    def _delivered(self, delivery: Delivery) -> None:
        if delivery.subentry_id == self.coordinator.subentry_id:
            self._attr_native_value = delivery.outcome
            self.async_write_ha_state()
