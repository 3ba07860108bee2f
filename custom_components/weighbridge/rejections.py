"""What the function rejected: an issue for each reading.

Rule: a rejected reading stays stored until somebody has dismissed its issue, or sent it again. No rejection replaces
another one. Messages without any weight, such as the state of a scale under the same wildcard, are one issue for each
source and reason.

Facts: diagnostics contain what a persistent issue says, so these are not persistent: they are created at each start,
from what is stored. Their values are shown in the repair only.

Weakness: of more than 100 that nobody has looked at, the oldest go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from homeassistant.components.repairs import RepairsFlow
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .answers import Answer
from .const import DOMAIN
from .questions import local_time

if TYPE_CHECKING:
    from .queue import Item, Queue
    from .runtime import WeighbridgeEntry

#: How many are kept.
MOST: Final = 100
#: How much of a reading a repair shows.
_LONGEST = 1000
#: The code of an error: it is not a weigh-in.
_NO_WEIGHT = "weight-not-among-keys"


class Rejections:
    def __init__(self, hass: HomeAssistant, entry: WeighbridgeEntry, queue: Queue) -> None:
        self._hass, self._entry, self._queue = hass, entry, queue
        self._stop: CALLBACK_TYPE | None = None

    @callback
    def async_start(self) -> None:
        for item in self._queue.rejected:
            self.async_report(item)
        self._stop = self._hass.bus.async_listen(ir.EVENT_REPAIRS_ISSUE_REGISTRY_UPDATED, self._changed)

    @callback
    def async_stop(self) -> None:
        if self._stop:
            self._stop()
            self._stop = None

    @callback
    def async_report(self, item: Item) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id(item),
            data={"entry_id": self._entry.entry_id, "item_id": item.id},
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key="rejected",
            translation_placeholders={"source": item.source, "received": local_time(item.received_at)},
        )

    @callback
    def async_close(self, item: Item) -> None:
        ir.async_delete_issue(self._hass, DOMAIN, self._issue_id(item))

    async def _changed(self, event: Event[ir.EventIssueRegistryUpdatedData]) -> None:
        """Who ignores an issue has dismissed it, so nothing of it stays."""
        if event.data["action"] != "update":
            return
        issue = ir.async_get(self._hass).async_get_issue(event.data["domain"], event.data["issue_id"])
        for item in self._queue.rejected:
            if issue and issue.dismissed_version and issue.issue_id == self._issue_id(item):
                await self._queue.dismiss(item.id)

    def _issue_id(self, item: Item) -> str:
        return f"queue.{self._entry.entry_id}.rejected.{item.id}"


def reason(rejected: Iterable[Answer]) -> str:
    """Why a document was rejected: the reason of each weigh-in in it."""
    return " ".join(dict.fromkeys(part.reason for part in rejected))


def is_weigh_in(answer: Answer) -> bool:
    """Whether what was rejected had a weight."""
    return not any(error.get("code") == _NO_WEIGHT for error in answer.errors)


class RejectionFlow(RepairsFlow):
    """Shows what was rejected, and why. It is dismissed or sent again."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._entry_id, self._item_id = str(data["entry_id"]), str(data["item_id"])

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> Any:
        item = next((item for item in self._queue.rejected if item.id == self._item_id), None) if self._queue else None
        if item is None:
            return self.async_abort(reason="not_there")
        values = {name: value for name, value in item.reading.items() if name != "received_at"}
        return self.async_show_menu(
            step_id="init",
            menu_options=["dismiss", "send_again"],
            description_placeholders={
                "source": item.source,
                "received": local_time(item.received_at),
                "reason": item.reason,
                "values": json.dumps(values, ensure_ascii=False)[:_LONGEST],
            },
        )

    async def async_step_dismiss(self, user_input: dict[str, str] | None = None) -> Any:
        return await self._end(again=False)

    async def async_step_send_again(self, user_input: dict[str, str] | None = None) -> Any:
        return await self._end(again=True)

    async def _end(self, *, again: bool) -> Any:
        try:
            if self._queue is None:
                raise LookupError
            await (self._queue.send_again if again else self._queue.dismiss)(self._item_id)
        except LookupError:
            return self.async_abort(reason="not_there")
        return self.async_create_entry(data={})

    @property
    def _queue(self) -> Queue | None:
        entry: WeighbridgeEntry | None = self.hass.config_entries.async_get_entry(self._entry_id)
        runtime = getattr(entry, "runtime_data", None)
        return runtime.queue if runtime else None
