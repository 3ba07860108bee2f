"""The sensors of a person."""

from __future__ import annotations

from typing import Any

from homeassistant.components.sensor import RestoreSensor, SensorDeviceClass, SensorEntityDescription, SensorStateClass
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import PERCENTAGE, UnitOfMass
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

_KG = {"native_unit_of_measurement": UnitOfMass.KILOGRAMS, "device_class": SensorDeviceClass.WEIGHT}
_SENSORS: dict[str, dict[str, Any]] = {
    "weight": _KG,
    "bmi": {},
    "basal_metabolism": {"native_unit_of_measurement": "kcal"},
    "visceral_fat": {},
    "lean_body_mass": {},
    "body_fat": {"native_unit_of_measurement": PERCENTAGE},
    "protein": {"native_unit_of_measurement": PERCENTAGE},
    "water": {"native_unit_of_measurement": PERCENTAGE},
    "bone_mass": _KG,
    "muscle_mass": _KG,
    "metabolic_age": {},
    "body_score": {},
    "last_measurement_time": {"device_class": SensorDeviceClass.TIMESTAMP},
}


async def async_setup_entry(
    hass: HomeAssistant, entry: ConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    async_add_entities(
        BodySensor(entry, SensorEntityDescription(key=key, translation_key=key, **more))
        for key, more in _SENSORS.items()
        if key != "last_measurement_time" or entry.data.get("timed", True)
    )


class BodySensor(RestoreSensor):
    _attr_should_poll = False
    _attr_has_entity_name = True

    def __init__(self, entry: ConfigEntry, description: SensorEntityDescription) -> None:
        self.entity_description = description
        self._attr_unique_id = f"bodymiscale_{entry.title}_{description.key}"
        if description.key != "last_measurement_time":
            self._attr_state_class = SensorStateClass.MEASUREMENT
        self._attr_name = description.key.replace("_", " ").capitalize()
        self._attr_device_info = DeviceInfo(
            entry_type=DeviceEntryType.SERVICE, name=entry.title, identifiers={("bodymiscale", entry.entry_id)}
        )

    async def async_added_to_hass(self) -> None:
        if restored := await self.async_get_last_sensor_data():
            self._attr_native_value = restored.native_value
        self.async_on_remove(async_dispatcher_connect(self.hass, "bodymiscale_weigh", self._weighed))

    @callback
    def _weighed(self, values: dict[str, Any]) -> None:
        if (key := self.entity_description.key) not in values:
            return
        self._attr_native_value = values[key]
        if key == "weight" and "last_measurement_time" in values:
            self._attr_extra_state_attributes = {"last_measurement_time": values["last_measurement_time"]}
        self.async_write_ha_state()
