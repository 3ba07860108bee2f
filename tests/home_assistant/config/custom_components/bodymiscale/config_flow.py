"""Home Assistant asks for it before it sets up an entry."""

from __future__ import annotations

from homeassistant.config_entries import ConfigFlow


class BodymiscaleFlow(ConfigFlow, domain="bodymiscale"):
    VERSION = 1
