"""The actions, with response data."""

from __future__ import annotations

from homeassistant.core import HomeAssistant, callback


@callback
def async_setup(hass: HomeAssistant) -> None:
    """Register the actions, once for all entries."""
