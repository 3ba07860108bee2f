"""Where readings come from: MQTT topics, and the entities of devices.

Rule: a source that one person has is that person's. One that several people have says nothing about whose a reading is,
so each reading is taken once, and the function decides or somebody is asked. No name of a value is looked up here: the
function interprets them.
"""

from __future__ import annotations

from collections import defaultdict

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant

from ..const import CONF_DEVICE, CONF_ENTITIES, CONF_TOPIC, PERSON
from ..runtime import WeighbridgeEntry
from .entities import Entities
from .mqtt import Topic


async def async_start(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
    """Listen to the sources of all people, until the entry is unloaded."""
    topics: dict[str, list[ConfigSubentry]] = defaultdict(list)
    scales: dict[tuple[str, tuple[str, ...]], list[ConfigSubentry]] = defaultdict(list)
    for subentry in entry.subentries.values():
        if subentry.subentry_type != PERSON:
            continue
        if topic := subentry.data.get(CONF_TOPIC):
            topics[topic].append(subentry)
        if device := subentry.data.get(CONF_DEVICE):
            scales[device, ()].append(subentry)
        if entities := subentry.data.get(CONF_ENTITIES):
            scales["", tuple(sorted(entities))].append(subentry)
    people = [subentry for subentry in entry.subentries.values() if subentry.subentry_type == PERSON]
    for topic, owners in topics.items():
        Topic(hass, entry, topic, owners, people).async_start()
    for (device, chosen), owners in scales.items():
        await Entities(hass, entry, device, chosen, owners).async_start()
