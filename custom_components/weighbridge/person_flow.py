"""A subentry for each person: where their readings come from.

Rule: a name in the function is used once. Where the function has one account, there is one person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import voluptuous as vol
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntryState, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import (
    DeviceSelector,
    DeviceSelectorConfig,
    EntityFilterSelectorConfig,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
)

from .const import (
    CONF_DEVICE,
    CONF_ENTITIES,
    CONF_HEIGHT,
    CONF_MUSCLE,
    CONF_NAME_IN_FUNCTION,
    CONF_PERSON,
    CONF_TOPIC,
    CONF_URL,
    PERSON,
)

if TYPE_CHECKING:
    from .runtime import WeighbridgeEntry

#: What Garmin may show as muscle, as the function names it.
MUSCLES = ("muscle_mass_kg", "skeletal_muscle_mass_kg")

_SOURCES = {
    vol.Optional(CONF_DEVICE): DeviceSelector(
        DeviceSelectorConfig(entity=[EntityFilterSelectorConfig(domain="sensor")])
    ),
    vol.Optional(CONF_TOPIC): TextSelector(),
    vol.Optional(CONF_ENTITIES): EntitySelector(EntitySelectorConfig(multiple=True)),
    vol.Optional(CONF_HEIGHT): NumberSelector(
        NumberSelectorConfig(min=100, max=250, step=0.5, unit_of_measurement="cm", mode=NumberSelectorMode.BOX)
    ),
}
_MUSCLE = {
    vol.Optional(CONF_MUSCLE): SelectSelector(SelectSelectorConfig(options=list(MUSCLES), translation_key=CONF_MUSCLE))
}


class PersonFlow(ConfigSubentryFlow):
    """Adds a person, or changes their sources."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        return await self._step("user", user_input, {})

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        subentry = self._get_reconfigure_subentry()
        return await self._step("reconfigure", user_input, {CONF_NAME: subentry.title, **subentry.data})

    async def _step(
        self, step: str, user_input: dict[str, Any] | None, before: Mapping[str, Any]
    ) -> SubentryFlowResult:
        entry: WeighbridgeEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        is_embedded = not entry.data[CONF_URL]
        names = entry.runtime_data.health.data.people if entry.runtime_data.health.data else ()
        own = before.get(CONF_NAME_IN_FUNCTION, "")
        taken = {
            subentry.data.get(CONF_NAME_IN_FUNCTION, "")
            for subentry in entry.subentries.values()
            if subentry.subentry_type == PERSON
        } - ({own} if before else set())
        free = [name for name in names if name not in taken]
        if not is_embedded and not (free if names else "" not in taken):
            return self.async_abort(reason="nobody_left")

        errors: dict[str, str] = {}
        if user_input is not None:
            name = user_input.pop(CONF_NAME, "").strip()
            in_function = user_input.get(CONF_NAME_IN_FUNCTION, "")
            title = name or in_function or self._name_of(user_input.get(CONF_PERSON)) or entry.title
            # Inside this Home Assistant, the people of the function are these.
            data = {**user_input, CONF_NAME_IN_FUNCTION: title if is_embedded else in_function}
            if not is_topic_filter(user_input.get(CONF_TOPIC, "#")):
                errors[CONF_TOPIC] = "topic_invalid"
            elif is_embedded and title in taken:
                errors[CONF_NAME] = "name_taken"
            elif self.source == SOURCE_RECONFIGURE:
                subentry = self._get_reconfigure_subentry()
                return self.async_update_and_abort(
                    entry, subentry, title=title, data=data, unique_id=data[CONF_NAME_IN_FUNCTION]
                )
            else:
                return self.async_create_entry(title=title, data=data, unique_id=data[CONF_NAME_IN_FUNCTION])

        fields: dict[vol.Marker, Any] = {}
        if names and not is_embedded:
            chosen = own if own in free else free[0]
            fields[vol.Required(CONF_NAME_IN_FUNCTION, default=chosen)] = SelectSelector(
                SelectSelectorConfig(options=free)
            )
        else:
            fields[vol.Optional(CONF_NAME)] = TextSelector()
        fields[vol.Optional(CONF_PERSON)] = EntitySelector(EntitySelectorConfig(domain=PERSON))
        fields |= _SOURCES | (_MUSCLE if is_embedded else {})
        suggested = user_input if user_input is not None else before
        schema = self.add_suggested_values_to_schema(vol.Schema(fields), suggested)
        return self.async_show_form(step_id=step, data_schema=schema, errors=errors)

    def _name_of(self, person: str | None) -> str:
        state = self.hass.states.get(person or "")
        return state.name if state else ""


def is_topic_filter(topic: str) -> bool:
    """Whether a text is an MQTT topic filter: # stands alone and last, + stands alone (MQTT 5, section 4.7)."""
    levels = topic.split("/")
    return (
        bool(topic)
        and "\0" not in topic
        and len(topic.encode(errors="replace")) <= 65_535
        and all(level in ("#", "+") or not set("#+") & set(level) for level in levels)
        and "#" not in levels[:-1]
    )
