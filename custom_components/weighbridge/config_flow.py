"""Adding Weighbridge, and signing in to Garmin."""

from __future__ import annotations

from homeassistant.config_entries import ConfigEntry, ConfigFlow, ConfigSubentryFlow
from homeassistant.core import callback

from .const import DOMAIN, PERSON
from .person_flow import PersonFlow


class WeighbridgeFlow(ConfigFlow, domain=DOMAIN):
    VERSION = 1

    @classmethod
    @callback
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        return {PERSON: PersonFlow}
