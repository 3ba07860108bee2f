"""Readings from an MQTT topic. It may have wildcards.

Rule: a live message is always a reading. A retained one is known if the same message came before, also before a
restart; otherwise the queue sends it only if it has a time of its own.

Strategy: the word in the place of a wildcard may name the person, as `scale/+` does for ble-scale-sync. A topic without
a wildcard that one person has is that person's. Otherwise the function decides.

Facts: when the MQTT integration is loaded again, it restores the subscriptions that others had. They are ended before,
so that there is one, whoever makes it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
    ConfigSubentry,
)
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.util import dt as dt_util
from homeassistant.util import slugify
from homeassistant.util.json import json_loads

from ..const import CONF_NAME_IN_FUNCTION

if TYPE_CHECKING:
    from homeassistant.components.mqtt import ReceiveMessage

    from ..runtime import WeighbridgeEntry

_MQTT = "mqtt"
_LOGGER = logging.getLogger(__name__)


class Topic:
    """One topic filter, and the people who have it."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: WeighbridgeEntry,
        topic: str,
        owners: Sequence[ConfigSubentry],
        people: Sequence[ConfigSubentry],
    ) -> None:
        self._hass, self._entry, self._topic, self._owners = hass, entry, topic, owners
        #: The people by each of the words that a topic may have for them.
        self._named = {
            word: person
            for person in people
            for name in (person.title, person.data.get(CONF_NAME_IN_FUNCTION, ""))
            for word in (name.casefold(), slugify(name), slugify(name, separator="-"))
            if name
        }
        self._unsubscribe: CALLBACK_TYPE | None = None
        self._not_read: set[str] = set()

    @callback
    def async_start(self) -> None:
        """Subscribe, now or once MQTT is set up."""
        self._entry.async_on_unload(
            async_dispatcher_connect(self._hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._entry_changed)
        )
        self._entry.async_on_unload(self._stop)
        for entry in self._hass.config_entries.async_loaded_entries(_MQTT):
            self._entry_changed(ConfigEntryChange.UPDATED, entry)

    @callback
    def _stop(self) -> None:
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None

    @callback
    def _entry_changed(self, change: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.domain != _MQTT:
            return
        if change is ConfigEntryChange.REMOVED or entry.state is not ConfigEntryState.LOADED:
            self._stop()
        elif self._unsubscribe is None:
            self._entry.async_create_task(self._hass, self._subscribe(), "weighbridge mqtt")

    async def _subscribe(self) -> None:
        # Imported when it is set up: without it, its libraries are not installed.
        from homeassistant.components import mqtt

        if self._unsubscribe is None:
            try:
                self._unsubscribe = await mqtt.async_subscribe(self._hass, self._topic, self._received, qos=1)
            except HomeAssistantError as e:
                _LOGGER.warning("No subscription to %s: %s", self._topic, e)

    @callback
    def _received(self, message: ReceiveMessage) -> None:
        received_at = dt_util.utcnow()
        payload = str(message.payload)
        mark = f"mqtt:{message.topic}", hashlib.sha256(payload.encode()).hexdigest()[:16]
        queue = self._entry.runtime_data.queue
        if message.retain and queue.mark_of(mark[0]) == mark[1]:
            return
        try:
            document = json_loads(payload)
        except ValueError:
            document = None
        found = document if isinstance(document, list) else [document]
        readings = [reading for reading in found if isinstance(reading, dict)]
        if not readings or len(readings) != len(found):
            # Such as the state of a device, under the same wildcard. Once for each topic.
            if message.topic not in self._not_read:
                self._not_read.add(message.topic)
                _LOGGER.info("A message on %s is not a JSON object, so it is not a reading", message.topic)
            return
        owner = self._owner_of(message.topic)
        for reading in readings:
            # In order: each stores itself before the next message is looked at.
            self._entry.async_create_task(
                self._hass,
                queue.add(
                    reading,
                    subentry_id=owner.subentry_id if owner else None,
                    source=message.topic,
                    received_at=received_at,
                    retained=message.retain,
                    mark=mark,
                ),
                "weighbridge mqtt",
            )

    def _owner_of(self, topic: str) -> ConfigSubentry | None:
        """The person of a topic, or None if it does not say."""
        levels, words = self._topic.split("/"), topic.split("/")
        wild = [word for level, word in zip(levels, words, strict=False) if level == "+"]
        wild += words[len(levels) - 1 :] if levels[-1] == "#" else []
        for word in wild:
            if person := self._named.get(word.casefold()):
                return person
        return self._owners[0] if len(self._owners) == 1 and not wild else None
