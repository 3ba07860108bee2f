"""Whose is a reading? Asked on the phones of those whose it may be, and as an issue to repair.

Rule: nobody guesses. Who is at home decides only in which order the names are shown. A question waits until somebody
answers it, also over a restart. It names the time and the source of the reading and none of its values, because a
notification goes through servers of others.

Facts: the companion app names the pressed button in the event `mobile_app_notification_action`. Its notify service is
`notify.mobile_app_` and the slug of the phone's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import voluptuous as vol
from homeassistant.components.repairs import RepairsFlow
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.selector import SelectSelector, SelectSelectorConfig, SelectSelectorMode
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util
from homeassistant.util import slugify

from .const import CONF_NAME_IN_FUNCTION, CONF_PERSON, DOMAIN, PERSON

if TYPE_CHECKING:
    from .queue import Item, Queue
    from .runtime import WeighbridgeEntry

_EVENT = "mobile_app_notification_action"
#: The answer that the reading is nobody's. It is a key of the translations.
NOBODY: Final = "nobody_discard_it"


class Questions:
    def __init__(self, hass: HomeAssistant, entry: WeighbridgeEntry, queue: Queue) -> None:
        self._hass, self._entry, self._queue = hass, entry, queue
        self._stop: CALLBACK_TYPE | None = None

    @callback
    def async_start(self) -> None:
        self._stop = self._hass.bus.async_listen(_EVENT, self._pressed)

    @callback
    def async_stop(self) -> None:
        if self._stop:
            self._stop()
            self._stop = None

    @callback
    def async_ask(self, item: Item, *, again: bool = False) -> None:
        """Ask whose a reading is. `again`: the phones have been asked already."""
        placeholders = _placeholders(item)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            _issue_id(self._entry.entry_id, item),
            data={
                "entry_id": self._entry.entry_id,
                "item_id": item.id,
                "candidates": "\n".join(self._order(item)),
                **placeholders,
            },
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key="question",
            translation_placeholders=placeholders,
        )
        if not again:
            self._entry.async_create_task(self._hass, self._notify(item), "weighbridge question")

    @callback
    def async_close(self, item: Item) -> None:
        """Take the question back: it is answered."""
        ir.async_delete_issue(self._hass, DOMAIN, _issue_id(self._entry.entry_id, item))
        self._entry.async_create_task(
            self._hass, async_clear_phones(self._hass, self._entry, item), "weighbridge question"
        )

    async def _notify(self, item: Item) -> None:
        words = await async_get_translations(self._hass, self._hass.config.language, "issues", [DOMAIN])
        words |= await async_get_translations(self._hass, self._hass.config.language, "selector", [DOMAIN])
        title = words.get(f"component.{DOMAIN}.issues.question.title", "")
        nobody = words.get(f"component.{DOMAIN}.selector.whose.options.{NOBODY}", NOBODY)
        for name, value in _placeholders(item).items():
            title = title.replace(f"{{{name}}}", value)
        actions = [{"action": f"{_tag(item)}_{item.candidates.index(n)}", "title": n} for n in self._order(item)]
        actions.append({"action": f"{_tag(item)}_{NOBODY}", "title": nobody})
        for service in _phones(self._hass, self._entry, item):
            await _call(self._hass, service, {"message": title, "data": {"tag": _tag(item), "actions": actions}})

    async def _pressed(self, event: Event[dict[str, Any]]) -> None:
        action = event.data.get("action")
        for item in self._queue.waiting:
            answers: dict[str, str | None] = {f"{_tag(item)}_{i}": name for i, name in enumerate(item.candidates)}
            answers[f"{_tag(item)}_{NOBODY}"] = None
            if item.candidates and action in answers:
                await self._queue.answer(item.id, answers[action])
                return

    def _order(self, item: Item) -> list[str]:
        """The candidates, those at home first."""
        people = [(name, _person(self._hass, subentry)) for name, subentry in _people(self._entry, item)]
        at_home = {name for name, person in people if person and person.state == "home"}
        return sorted(item.candidates, key=lambda name: name not in at_home)


async def async_clear_phones(hass: HomeAssistant, entry: WeighbridgeEntry, item: Item) -> None:
    """Take a question back from the phones."""
    for service in _phones(hass, entry, item):
        await _call(hass, service, {"message": "clear_notification", "data": {"tag": _tag(item)}})


async def _call(hass: HomeAssistant, service: str, data: dict[str, Any]) -> None:
    # The issue asks too, so a phone that cannot be reached holds up nothing. Home Assistant logs it.
    await hass.services.async_call("notify", service, data, blocking=False)


def _people(entry: WeighbridgeEntry, item: Item) -> Iterator[tuple[str, ConfigSubentry]]:
    """The candidates, by their names in the function."""
    for subentry in entry.subentries.values():
        name = subentry.data.get(CONF_NAME_IN_FUNCTION)
        if subentry.subentry_type == PERSON and name in item.candidates:
            yield name, subentry


def _person(hass: HomeAssistant, subentry: ConfigSubentry) -> State | None:
    """The person of Home Assistant."""
    return hass.states.get(subentry.data.get(CONF_PERSON) or "")


def _phones(hass: HomeAssistant, entry: WeighbridgeEntry, item: Item) -> list[str]:
    """The notify services of the phones of the candidates."""
    registry = er.async_get(hass)
    services: dict[str, None] = {}
    for _, subentry in _people(entry, item):
        person = _person(hass, subentry)
        for tracker in (person.attributes.get("device_trackers") or ()) if person else ():
            entity = registry.async_get(tracker)
            if entity is None or entity.platform != "mobile_app" or entity.config_entry_id is None:
                continue
            if phone := hass.config_entries.async_get_entry(entity.config_entry_id):
                service = f"mobile_app_{slugify(phone.data.get('device_name') or phone.title)}"
                if hass.services.has_service("notify", service):
                    services[service] = None
    return list(services)


def _placeholders(item: Item) -> dict[str, str]:
    return {"received": local_time(item.received_at), "source": item.source}


def local_time(received_at: str) -> str:
    """A stored time for a person to read."""
    received = dt_util.parse_datetime(received_at)
    return dt_util.as_local(received).strftime("%Y-%m-%d %H:%M") if received else received_at


def _tag(item: Item) -> str:
    return f"weighbridge_{item.id}"


def _issue_id(entry_id: str, item: Item) -> str:
    return f"queue.{entry_id}.question.{item.id}"


class QuestionFlow(RepairsFlow):
    """Answers a question from the repairs."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._entry_id, self._item_id = str(data["entry_id"]), str(data["item_id"])
        self._candidates = str(data["candidates"]).split("\n")
        self._placeholders = {name: str(data[name]) for name in ("received", "source")}

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> Any:
        # What comes here is the id of the issue.
        return await self.async_step_whose()

    async def async_step_whose(self, user_input: dict[str, str] | None = None) -> Any:
        if user_input is not None:
            entry = self.hass.config_entries.async_get_entry(self._entry_id)
            whose = user_input["whose"]
            try:
                if entry is None:
                    raise LookupError
                await entry.runtime_data.queue.answer(self._item_id, whose if whose != NOBODY else None)
            except (LookupError, AttributeError):
                return self.async_abort(reason="answered")
            return self.async_create_entry(data={})
        options = SelectSelectorConfig(
            options=[*self._candidates, NOBODY], mode=SelectSelectorMode.LIST, translation_key="whose"
        )
        return self.async_show_form(
            step_id="whose",
            data_schema=vol.Schema({vol.Required("whose"): SelectSelector(options)}),
            description_placeholders=self._placeholders,
        )
