"""A subentry for each person."""

from __future__ import annotations

from homeassistant.config_entries import ConfigSubentryFlow


class PersonFlow(ConfigSubentryFlow):
    """Adds a person, or changes their sources."""
