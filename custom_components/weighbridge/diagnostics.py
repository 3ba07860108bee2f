"""What may be attached to a public bug report.

Rule: only what is named here is in it: counts, states and codes. No name, address, key, time or value.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from homeassistant.core import HomeAssistant

from .const import CONF_KEY, CONF_URL
from .runtime import WeighbridgeEntry


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: WeighbridgeEntry) -> dict[str, Any]:
    runtime = entry.runtime_data
    health, state = runtime.health, runtime.health.data
    return {
        "function": {
            "inside_home_assistant": not entry.data[CONF_URL],
            "https": entry.data[CONF_URL].startswith("https:"),
            "key": bool(entry.data[CONF_KEY]),
            "answers": health.last_update_success,
            "version": state.version if state else None,
            "rights": sorted(state.rights) if state else None,
            "ready": state.worst.ready if state else None,
            "code": state.worst.code if state else None,
        },
        "people": [
            {
                "named_in_function": bool(person.name_in_function),
                "source_keys": sorted(person.subentry.data.keys()),
                "trouble": person.trouble.kind if person.trouble else None,
                "weigh_ins": person.count,
                "history_read": person.complete,
                "values": sorted(person.data.values) if person.data else [],
            }
            for person in runtime.people.values()
        ],
        "queue": dict(Counter(item.state.value for item in runtime.queue.waiting)),
    }
