"""What the tests of sources have in common: who has which source, and what arrived."""

from __future__ import annotations

import asyncio
from typing import Any

from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.weighbridge.queue import Item

from .running import RunningFunction


def choose(hass: HomeAssistant, entry: MockConfigEntry, *data: dict[str, Any]) -> None:
    """Set the sources of the people, in their order."""
    for subentry, more in zip(tuple(entry.subentries.values()), data, strict=False):
        hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, **more})


def waiting(entry: MockConfigEntry) -> tuple[Item, ...]:
    return entry.runtime_data.queue.waiting  # type: ignore[no-any-return]


async def delivered(entry: MockConfigEntry, function: RunningFunction, count: int, person: str = "") -> None:
    """Wait until so many weigh-ins are in Garmin and nothing waits."""
    async with asyncio.timeout(30):
        while len(function.weights(person)) < count or waiting(entry):
            await asyncio.sleep(0.02)
    assert len(function.weights(person)) == count
