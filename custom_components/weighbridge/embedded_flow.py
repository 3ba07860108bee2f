"""Adding the function inside this Home Assistant, as a step of the flow.

Rule: the function runs while the flow does, so the sign-in is the same as with an address. What Garmin issues is in
memory until there is an entry, and gone with a flow that nobody finishes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import voluptuous as vol
from homeassistant.config_entries import ConfigFlow, ConfigFlowResult
from homeassistant.core import callback
from homeassistant.helpers.selector import BooleanSelector, TextSelector

from .const import CONF_KEY, CONF_URL, DOMAIN
from .embedded import CONF_GARMIN_DOMAIN, CONF_TOKENS, Embedded, NotInstalled, Unusable, async_draft
from .function import Function
from .health import HealthState, read_health

_NAME: Final = "name"
_IN_CHINA: Final = "in_china"
_FORM: Final = vol.Schema(
    {vol.Required(_NAME): TextSelector(), vol.Required(_IN_CHINA, default=False): BooleanSelector()}
)
_LONGEST_NAME: Final = 64
_WORLD, _CHINA = "garmin.com", "garmin.cn"


class EmbeddedStep(ConfigFlow):
    """The step. The flow ends in `_new`, and takes what it stores from `_stored`."""

    _draft: Embedded | None = None
    _function: Function
    _health: HealthState
    _data: dict[str, Any]

    async def _new(self) -> ConfigFlowResult:
        raise NotImplementedError

    async def async_step_embedded(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Whose weigh-ins they are, and where the account is."""
        await self.async_set_unique_id(DOMAIN)
        self._abort_if_unique_id_configured()
        errors = {}
        if user_input is not None:
            name = user_input[_NAME].strip()
            if 0 < len(name) <= _LONGEST_NAME and name.isprintable():
                return await self._start(name, _CHINA if user_input[_IN_CHINA] else _WORLD)
            errors[_NAME] = "invalid_name"
        form = self.add_suggested_values_to_schema(_FORM, user_input)
        return self.async_show_form(step_id="embedded", data_schema=form, errors=errors)

    async def _start(self, name: str, garmin_domain: str) -> ConfigFlowResult:
        await self._end_draft()
        self._data = {CONF_URL: "", CONF_KEY: "", CONF_GARMIN_DOMAIN: garmin_domain}
        try:
            self._draft = await async_draft(self.hass, self._data)
        except NotInstalled as missing:
            return self.async_abort(
                reason=missing.translation_key or "", description_placeholders=missing.translation_placeholders
            )
        except Unusable as unusable:
            return self.async_abort(reason="function_fails", description_placeholders={"reason": str(unusable)})
        self._function = Function(self._draft)
        self._health = replace(read_health(await self._function.health()), people=(name,))
        return await self._new()

    def _stored(self) -> dict[str, Any]:
        """The data of the new entry."""
        return {**self._data, CONF_TOKENS: self._draft.tokens.kept} if self._draft else self._data

    async def _end_draft(self) -> None:
        if self._draft is not None:
            draft, self._draft = self._draft, None
            await draft.async_close()

    @callback
    def async_remove(self) -> None:
        """The flow has ended."""
        self.hass.async_create_task(self._end_draft(), "weighbridge end of the flow's function")
