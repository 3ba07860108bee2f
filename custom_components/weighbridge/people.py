"""Who is meant in an action, a trigger or a condition: the id of a person's device, or their name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr

from .const import DOMAIN
from .person import Person
from .runtime import WeighbridgeEntry


def loaded_entries(hass: HomeAssistant) -> list[WeighbridgeEntry]:
    entries: list[WeighbridgeEntry] = hass.config_entries.async_entries(DOMAIN)
    return [entry for entry in entries if entry.state is ConfigEntryState.LOADED]


def loaded_people(hass: HomeAssistant) -> Iterator[tuple[WeighbridgeEntry, Person]]:
    for entry in loaded_entries(hass):
        for person in entry.runtime_data.people.values():
            yield entry, person


def find_people(hass: HomeAssistant, named: str) -> list[tuple[WeighbridgeEntry, Person]]:
    """Those who are meant: one, unless nobody is, or several have the name."""
    device, name = dr.async_get(hass).async_get(named), named.casefold()
    ids = {id_ for domain, id_ in device.identifiers if domain == DOMAIN} if device else set()
    return [
        (entry, person)
        for entry, person in loaded_people(hass)
        if person.subentry_id in ids or name in (person.subentry.title.casefold(), person.name_in_function.casefold())
    ]


def subentry_ids(hass: HomeAssistant, named: Iterable[str]) -> set[str]:
    return {person.subentry_id for name in named for _, person in find_people(hass, name)}
