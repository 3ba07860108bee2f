"""The condition "Has weighed in": whether a person's last weigh-in is at most so old.

Facts: the base class of 2026.2 asks for a checker (`async_get_checker`), that of 2026.11 calls `_async_check`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import voluptuous as vol
from homeassistant.const import CONF_OPTIONS
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.condition import Condition, ConditionConfig
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import dt as dt_util

from .people import loaded_people, subentry_ids

_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_OPTIONS): {
            vol.Required("person"): cv.string,
            vol.Required("within"): cv.positive_time_period,
        }
    }
)


class HasWeighedIn(Condition):
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        validated: ConfigType = _SCHEMA(config)
        return validated

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        super().__init__(hass, config)
        self._options: dict[str, Any] = config.options or {}

    async def async_get_checker(self) -> Callable[..., bool]:
        return self._async_check

    def _async_check(self, **_variables: object) -> bool:
        wanted = subentry_ids(self._hass, [self._options["person"]])
        since = dt_util.utcnow() - self._options["within"]
        return any(
            person.subentry_id in wanted
            and person.data is not None
            and person.data.last is not None
            and person.data.last.measured_at >= since
            for _, person in loaded_people(self._hass)
        )


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    return {"has_weighed_in": HasWeighedIn}
