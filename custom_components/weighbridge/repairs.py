"""The fix of an issue: the sign-in itself, the answer to a question, or what becomes of a rejected reading."""

from __future__ import annotations

from typing import Any

from homeassistant.components.repairs import RepairsFlow
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from .answers import Answer
from .config_flow import sign_in_abort
from .questions import QuestionFlow
from .rejections import RejectionFlow
from .runtime import WeighbridgeEntry
from .sign_in_flow import SignInSteps


class SignInRepair(RepairsFlow, SignInSteps):
    def __init__(self, entry_id: str, person: str) -> None:
        self._entry_id = entry_id
        self._people = (person,) if person else ()

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> Any:
        entry = self._entry
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="cannot_connect")
        self._function = entry.runtime_data.function
        return await self.async_step_sign_in()

    @property
    def _entry(self) -> WeighbridgeEntry | None:
        return self.hass.config_entries.async_get_entry(self._entry_id)

    async def _after_sign_in(self) -> Any:
        if (entry := self._entry) is not None:
            await entry.runtime_data.health.async_refresh()
        return self.async_create_entry(data={})

    async def _without_sign_in(self, answer: Answer) -> Any:
        return self.async_abort(**sign_in_abort(answer))


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    data = data or {}
    if "candidates" in data:
        return QuestionFlow(data)
    if "item_id" in data:
        return RejectionFlow(data)
    return SignInRepair(str(data.get("entry_id")), str(data.get("person") or ""))
