"""The outcome of each weigh-in, as an event entity of its person."""

from __future__ import annotations

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .outcomes import OUTCOMES, SIGNAL_DELIVERY, Delivery
from .person_entity import PersonEntity
from .runtime import WeighbridgeEntry

PARALLEL_UPDATES = 0

_WEIGH_IN = EventEntityDescription(key="weigh_in", translation_key="weigh_in", event_types=list(OUTCOMES))


async def async_setup_entry(
    hass: HomeAssistant, entry: WeighbridgeEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    for subentry_id, person in entry.runtime_data.people.items():
        async_add_entities([_WeighInEvent(person, _WEIGH_IN)], config_subentry_id=subentry_id)


class _WeighInEvent(PersonEntity, EventEntity):
    @property
    def available(self) -> bool:
        """Always: a reading can come whether Garmin can be asked or not."""
        return True

    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(async_dispatcher_connect(self.hass, SIGNAL_DELIVERY, self._delivered))

    @callback
    def _delivered(self, delivery: Delivery) -> None:
        if delivery.subentry_id == self.coordinator.subentry_id:
            self._trigger_event(delivery.outcome, delivery.attributes())
            self.async_write_ha_state()
