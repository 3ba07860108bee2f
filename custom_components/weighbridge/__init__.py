"""Weigh-ins with body composition to Garmin Connect: the integration of Home Assistant.

    function.py, answers.py   the calls, and what an answer means
    embedded.py               the function inside this Home Assistant
    config_flow.py            the entry and the sign-in; person_flow.py, a subentry for each person
    repairs.py, sign_in.py    what leads to the sign-in, and its steps
    health.py, person.py      what is asked again and again
    queue.py                  readings on their way; questions.py, whose one is; rejections.py, what was rejected
    sources/                  where readings come from: MQTT, the entities of a device
    sensor.py, event.py       what a person sees; hub.py, what is shown of the function
    unshown.py                values that Garmin does not show
    history.py                long-term statistics
    actions.py                actions with response data; trigger.py, condition.py, of automations

Rule: an entry is set up whether its function answers or not. Readings that arrive while it is away are stored, and sent
when it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.helpers.typing import ConfigType

from . import actions, embedded, health, history, sources
from .const import CONF_KEY, CONF_URL, DOMAIN, PERSON
from .function import Function, Http, Transport
from .health import Health
from .person import Person
from .person_entity import add_devices
from .queue import Queue
from .runtime import Runtime, WeighbridgeEntry
from .unshown import Unshown

PLATFORMS = [Platform.BINARY_SENSOR, Platform.EVENT, Platform.SENSOR]
CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    actions.async_setup(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: WeighbridgeEntry) -> bool:
    function = Function(await _transport(hass, entry))
    queue, unshown = Queue(hass, entry, function), Unshown(hass, entry.entry_id)
    people = {
        subentry.subentry_id: Person(hass, entry, subentry, function, unshown)
        for subentry in entry.subentries.values()
        if subentry.subentry_type == PERSON
    }
    await unshown.async_load(people)
    entry.async_on_unload(unshown.async_save)
    await queue.async_load()
    entry.runtime_data = Runtime(function, Health(hass, entry, function), queue, people)
    await entry.runtime_data.health.async_start()
    add_devices(hass, entry)
    # Somebody may have been removed.
    entry.async_create_background_task(hass, history.async_clear_others(hass), "weighbridge statistics")
    await asyncio.gather(*(person.async_start() for person in people.values()))
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    # What waits is sent when there is somebody to hear of its outcome.
    await queue.async_start()
    entry.async_on_unload(queue.async_stop)
    await sources.async_start(hass, entry)
    entry.async_on_unload(entry.add_update_listener(_reload_if_changed(entry)))
    return True


async def async_unload_entry(hass: HomeAssistant, entry: WeighbridgeEntry) -> bool:
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
    """Leave nothing behind. What Garmin holds stays there."""
    health.delete_issues(hass, entry)
    await Queue.async_remove(hass, entry)
    await Unshown(hass, entry.entry_id).async_remove()
    await _remove_set_aside(hass, entry)
    await history.async_clear(hass, entry.entry_id)
    await embedded.async_remove(hass, entry)


async def _remove_set_aside(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
    """Delete the damaged files that were set aside, here and by Home Assistant, and its issues about them."""

    def remove() -> None:
        for path in Path(hass.config.path(STORAGE_DIR)).glob(f"{DOMAIN}.{entry.entry_id}.*"):
            path.unlink(missing_ok=True)

    await hass.async_add_executor_job(remove)
    for domain, issue_id in list(ir.async_get(hass).issues):
        if issue_id.startswith(f"storage_corruption_{DOMAIN}.{entry.entry_id}"):
            ir.async_delete_issue(hass, domain, issue_id)


async def async_remove_config_entry_device(hass: HomeAssistant, entry: WeighbridgeEntry, device: DeviceEntry) -> bool:
    """Whether a device may be deleted: not that of the function, and not that of somebody who is set up."""
    used = {(DOMAIN, entry.entry_id), *((DOMAIN, subentry_id) for subentry_id in entry.subentries)}
    return not device.identifiers & used


async def _transport(hass: HomeAssistant, entry: WeighbridgeEntry) -> Transport:
    if url := entry.data[CONF_URL]:
        return Http(async_get_clientsession(hass), url, entry.data[CONF_KEY])
    return await embedded.async_transport(hass, entry)


def _reload_if_changed(
    loaded: WeighbridgeEntry,
) -> Callable[[HomeAssistant, WeighbridgeEntry], Coroutine[Any, Any, None]]:
    """What reloads the entry after a change of it or of one of its people, but not after the renewal of a token."""
    made_of = embedded.made_of(loaded)

    async def reload_if_changed(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
        if embedded.made_of(entry) != made_of:
            hass.config_entries.async_schedule_reload(entry.entry_id)

    return reload_if_changed
