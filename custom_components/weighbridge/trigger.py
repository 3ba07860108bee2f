"""The trigger "Weigh-in sent": what became of a person's reading.

Facts: the base class of 2026.2 calls `async_attach_runner` with one argument, that of 2026.11 with two. The helpers for
the targets of triggers changed in between as well, so the people are an option.
"""

from __future__ import annotations

from typing import Any

import voluptuous as vol
from homeassistant.const import CONF_OPTIONS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.trigger import Trigger, TriggerActionRunner, TriggerConfig
from homeassistant.helpers.typing import ConfigType

from .outcomes import OUTCOMES, SIGNAL_DELIVERY, Delivery
from .people import subentry_ids

_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_OPTIONS, default=dict): {
            vol.Optional("person", default=list): vol.All(cv.ensure_list, [cv.string]),
            vol.Optional("outcome", default=list): vol.All(cv.ensure_list, [vol.In(OUTCOMES)]),
        }
    }
)


class WeighInSent(Trigger):
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        validated: ConfigType = _SCHEMA(config)
        return validated

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        super().__init__(hass, config)
        self._options: dict[str, Any] = config.options or {}

    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: object = None
    ) -> CALLBACK_TYPE:
        people, outcomes = self._options.get("person"), self._options.get("outcome")

        @callback
        def delivered(delivery: Delivery) -> None:
            if outcomes and delivery.outcome not in outcomes:
                return
            if people and delivery.subentry_id not in subentry_ids(self._hass, people):
                return
            payload = {"outcome": delivery.outcome, **delivery.attributes()}
            run_action(payload, f"weigh-in {delivery.outcome}")

        return async_dispatcher_connect(self._hass, SIGNAL_DELIVERY, delivered)


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    return {"weigh_in_sent": WeighInSent}
